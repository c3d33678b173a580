"""Exercises of the page Encoder."""

# --8<-- [start:exercise_1_starter]
# EXAMPLE.encoder[0].feed_forward, at the vector (0, 1, 0, -1) of "bank".
answer = None  # a list of four numbers
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
# Inner: 0, 0, -1, -1, 2, 0, 0, -2. After the ReLU only the fifth is left.
column, b_o = [-1, -1, 0, 1], [-1, 0, 0, 0]
answer = [2 * w + b for w, b in zip(column, b_o, strict=True)]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.encoder import feed_forward
from snippets.transformer.overview import EXAMPLE

assert answer is not None, "expected four numbers, got None"
part, bank = EXAMPLE.encoder[0].feed_forward, [0.0, 1.0, 0.0, -1.0]
expected = feed_forward(part, np.array(bank))
assert np.array_equal(answer, expected), (
    f"expected {expected}, got {answer}: is the ReLU there, and b_o?"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def leaks(f, time, d_model):
    """Whether the first output of f depends on the last input."""
    x = np.random.default_rng(0).normal(size=(time, d_model))
    return bool(f(x)[0].any())  # this is not a test of that


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def leaks(f, time, d_model):
    """Whether the first output of f depends on the last input."""
    x = np.random.default_rng(0).normal(size=(time, d_model))
    other = x.copy()
    other[-1] = np.random.default_rng(1).normal(size=d_model)
    return not np.array_equal(f(x)[0], f(other)[0])


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.transformer.encoder import average, layer_norm
from snippets.transformer.overview import Norm

norm = Norm(np.ones(4), np.zeros(4))
cases = {
    "the average": (average, True),
    "layer norm": (lambda x: layer_norm(norm, x), False),
    "a norm over time": (lambda x: (x - x.mean(0)) / x.std(0), True),
    "a sum of the past": (lambda x: x.cumsum(axis=0), False),
}
for name, (f, expected) in cases.items():
    got = leaks(f, 5, 4)
    assert got == expected, f"{name}: expected {expected}, got {got}"
# --8<-- [end:exercise_2_check]
