"""Exercises of the page The whole Transformer."""

# --8<-- [start:exercise_1_starter]
from snippets.transformer.overview import Linear


def tied(model):
    table = model.target_embedding
    return model._replace(
        source_embedding=table.copy(),
        output=Linear(table.copy(), model.output.b),
    )


# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
from snippets.transformer.overview import Linear


def tied(model):
    table = model.target_embedding
    return model._replace(
        source_embedding=table,
        output=Linear(table, model.output.b),
    )


# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.overview import EXAMPLE, Linear, count
from snippets.transformer.whole_transformer import transformer

rng = np.random.default_rng(0)
source, target, output = rng.normal(size=(3, 6, 4))
untied = EXAMPLE._replace(
    source_embedding=source,
    target_embedding=target,
    output=Linear(output, rng.normal(size=6)),
)
one = tied(untied)
saved = count(untied) - count(one)
assert saved == 2 * 6 * 4, (
    f"expected {2 * 6 * 4} numbers saved, got {saved}"
)
assert np.array_equal(one.target_embedding, target), (
    "expected the target's embedding to be kept, got another table"
)
words = np.array([1, 5, 2])
expected = one.output.b - untied.output.b
assert not expected.any(), (
    f"expected the same bias, got a change {expected}"
)
found = transformer(one, words, words).shape
assert found == (3, 6), f"expected logits of shape (3, 6), got {found}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
from snippets.transformer.encoder import pre_norm
from snippets.transformer.multi_head_attention import encode
from snippets.transformer.positional_encoding import embed


def language_model(table, layers, norm, tokens):
    x = embed(table, tokens)
    return encode(layers, x, None, norm, pre_norm) @ table.T


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
from snippets.transformer.encoder import pre_norm
from snippets.transformer.masking import causal_mask
from snippets.transformer.multi_head_attention import encode
from snippets.transformer.positional_encoding import embed


def language_model(table, layers, norm, tokens):
    x = embed(table, tokens)
    mask = causal_mask(tokens.shape[-1])
    return encode(layers, x, mask, norm, pre_norm) @ table.T


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.generation import DATES, load

model = load(DATES)
table, norm = model.target_embedding, model.encoder_norm
layers = model.encoder * 2
tokens = np.array([[1, 4, 5, 6, 7], [1, 9, 8, 7, 3]])
logits = language_model(table, layers, norm, tokens)
expected = (*tokens.shape, len(table))
assert logits.shape == expected, (
    f"expected the shape {expected}, got {logits.shape}"
)
other = tokens.copy()
other[:, 3:] = 10
change = np.abs(language_model(table, layers, norm, other) - logits)
early, late = change[:, :3].max(), change[:, 3:].max()
assert early == 0, (
    f"expected no change before the exchanged tokens, got {early:.2f}"
)
assert late > 0, "expected the exchanged tokens to matter, got no change"
turned = language_model(table, layers, norm, tokens[:, [0, 2, 1, 3, 4]])
apart = np.abs(turned[:, -1] - logits[:, -1]).max()
assert apart > 0, "expected positions to matter, got equal logits"
# --8<-- [end:exercise_2_check]
