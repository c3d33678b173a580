"""Exercises of the page Multi-head attention."""

# --8<-- [start:exercise_1_starter]
answer = None  # four numbers
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
first = ((-2 + 2 - 1) / 3, 0.0)
e = 2.028
total = 1 + e + 1
second = ((-2 * 1 + 1 * e - 1 * 1) / total, -1.0)
a, b, c, d = *first, *second
answer = (a, b - c, -2 * b + d, a + 2 * b)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.multi_head_attention import multi_head_attention
from snippets.transformer.overview import EXAMPLE, SOURCE, tokens

x = EXAMPLE.source_embedding[tokens("the money bank", SOURCE)]
attention = EXAMPLE.encoder[0].self_attention
expected = multi_head_attention(attention, x, x).output[1].round(3)
assert answer is not None, "expected four numbers, got None"
assert np.shape(answer) == (4,), f"expected four numbers, got {answer}"
assert np.allclose(answer, expected, atol=0.01), (
    f"expected {expected}, got {np.round(answer, 3)}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
W_K = [[0.0, 0.0, 0.0]]
W_V = [[0.0, 0.0, 1.0]]
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
small = 1e-3
W_K = [[0.0, 0.0, small]]
W_V = [[2 / small, -2 / small, 0.0]]
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)

contents = np.random.default_rng(0).uniform(-1, 1, size=(1000, 2, 1))
marks = np.tile(np.eye(2), (1000, 1, 1))
words = np.concatenate([marks, contents], axis=-1)
keys, values = words @ np.transpose(W_K), words @ np.transpose(W_V)
found = scaled_dot_product_attention(np.ones((1000, 1, 1)), keys, values)
wanted = contents[:, 0] - contents[:, 1]
gap = np.abs(found.output[:, 0] - wanted).max()
assert gap < 1e-5, f"expected an error below 1e-5, got {gap:.2g}"
# --8<-- [end:exercise_2_check]
