"""Exercises of the page From encoder to decoder."""

# --8<-- [start:exercise_1_starter]
answer = None  # three numbers: weights, keys and values, computed anew
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
layers, heads, target, source, d_model = 6, 8, 5, 9, 512
weights = layers * heads * target * source
keys_and_values = layers * 2 * source * d_model
answer = weights, keys_and_values, 0
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected three numbers, got None"
expected = {
    "attention weights": 2160,
    "numbers of keys and values": 55_296,
    "computed anew": 0,
}
for (name, number), found in zip(expected.items(), answer, strict=True):
    assert found == number, f"{name}: expected {number}, got {found}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def contributions(attention, u, memory):
    return np.zeros((len(u), len(memory), u.shape[-1]))


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.queries_keys_values import head, project
from snippets.transformer.scaled_dot_product_attention import (
    attention_weights,
)


def contributions(attention, u, memory):
    total = np.zeros((len(u), len(memory), u.shape[-1]))
    for number in range(attention.n_heads):
        one = head(attention, number)
        queries, keys, values = project(one, u, memory)
        a = attention_weights(queries, keys)
        total += a[:, :, None] * (values @ one.output.W.T)
    return total


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.multi_head_attention import (
    multi_head_attention,
)
from snippets.transformer.overview import EXAMPLE

cross = EXAMPLE.decoder[0].cross_attention
rng = np.random.default_rng(0)
u, memory = rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
parts = contributions(cross, u, memory)
assert parts.shape == (2, 3, 4), (
    f"expected the shape (2, 3, 4), got {parts.shape}"
)
expected = multi_head_attention(cross, u, memory).output - cross.output.b
found = parts.sum(axis=1)
assert np.allclose(found, expected), (
    f"expected a sum over source of {expected}, got {found}"
)
memory[2] = 0.0  # the biases of the example are 0: so are its values
assert np.allclose(contributions(cross, u, memory)[:, 2], 0), (
    "expected nothing from a vector whose value is 0, "
    f"got {contributions(cross, u, memory)[:, 2]}"
)
# --8<-- [end:exercise_2_check]
