"""Exercises of the page Queries of the decoder, memory of the encoder."""

# --8<-- [start:exercise_1_starter]
answer = None  # four shapes: Q, K, weights; K of self-attention
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = [(3, 5, 4), (3, 7, 4), (3, 5, 7), (3, 5, 4)]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.questions.decoder_queries_encoder_memory import opened
from snippets.transformer.queries_keys_values import drawn

part = drawn(np.random.default_rng(0), 12, 12, 12)._replace(n_heads=3)
cross = opened(part, np.ones((5, 12)), np.ones((7, 12)))
own = opened(part, np.ones((5, 12)), np.ones((5, 12)))
made = (cross.queries, cross.keys, cross.weights, own.keys)
expected = [tensor.shape for tensor in made]
assert answer is not None, "expected four shapes, got None"
assert list(map(tuple, answer)) == expected, (
    f"expected {expected}, got {answer}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.transformer.multi_head_attention import (
    merge_heads,
    split_heads,
)
from snippets.transformer.overview import linear
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)


def step_output(attention, z_last, keys, values):
    z = z_last[None]  # one row
    queries = split_heads(linear(attention.query, z), attention.n_heads)
    keys = split_heads(linear(attention.key, z), attention.n_heads)
    values = split_heads(linear(attention.value, z), attention.n_heads)
    seen = scaled_dot_product_attention(queries, keys, values)
    return linear(attention.output, merge_heads(seen.output))[0]


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.multi_head_attention import (
    merge_heads,
    split_heads,
)
from snippets.transformer.overview import linear
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)


def step_output(attention, z_last, keys, values):
    z = z_last[None]  # one row
    queries = split_heads(linear(attention.query, z), attention.n_heads)
    seen = scaled_dot_product_attention(queries, keys, values)
    return linear(attention.output, merge_heads(seen.output))[0]


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.questions.decoder_queries_encoder_memory import opened
from snippets.transformer.queries_keys_values import drawn

rng = np.random.default_rng(0)
part = drawn(rng, 6, 6, 6)._replace(n_heads=2)
target, memory = rng.normal(size=(4, 6)), rng.normal(size=(5, 6))
whole = opened(part, target, memory)
got = step_output(part, target[-1], whole.keys, whole.values)
assert got.shape == (6,), f"expected the shape (6,), got {got.shape}"
gap = np.abs(got - whole.output[-1]).max()
assert gap < 1e-10, f"expected the last row, it differs by {gap:.2g}"
# --8<-- [end:exercise_2_check]
