"""Exercises of the page Positional encoding."""

# --8<-- [start:exercise_1_starter]
answer = None  # two lists of four: in the money bank, in the bank
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
bank = [2 * number for number in (0, 1, 0, -1)]
third, second = (0.909, -0.416, 0.02, 1.0), (0.841, 0.540, 0.01, 1.0)
answer = [
    [e + p for e, p in zip(bank, place, strict=True)]
    for place in (third, second)
]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected two lists of four numbers, got None"
expected = [[0.909, 1.584, 0.02, -1.0], [0.841, 2.54, 0.01, -1.0]]
for words, right, found in zip(
    ("the money bank", "the bank"), expected, answer, strict=True
):
    assert all(
        abs(a - b) < 0.006 for a, b in zip(right, found, strict=True)
    ), f"{words}: expected {right}, got {found}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
import numpy as np


def weights_for(d_model):
    """W_Q and W_K, [d_model, d_model] each."""
    return np.eye(d_model), np.eye(d_model)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.positional_encoding import rotation


def weights_for(d_model):
    """W_Q and W_K, [d_model, d_model] each."""
    return 50.0 * rotation(-1, d_model), np.eye(d_model)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.positional_encoding import sinusoids
from snippets.transformer.scaled_dot_product_attention import (
    attention_weights,
)

W_Q, W_K = weights_for(64)
for time in (2, 10, 200):
    p = sinusoids(time, 64)
    a = attention_weights(p @ W_Q.T, p @ W_K.T)
    lowest = a[np.arange(1, time), np.arange(time - 1)].min()
    assert lowest > 0.9, (
        f"{time} positions: expected a weight over 0.9 on the one before, "
        f"got {lowest:.3f}"
    )
# --8<-- [end:exercise_2_check]
