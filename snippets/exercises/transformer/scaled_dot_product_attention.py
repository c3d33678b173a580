"""Exercises of the page Scaled dot-product attention."""

# --8<-- [start:exercise_1_starter]
answer = None  # a pair: three weights, and the two numbers of the output
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
powers = 0.243, 1.0, 0.493
total = sum(powers)  # 1.736
weights = [power / total for power in powers]
firsts = -2.0, 2.0, -1.0  # of the values; the second numbers are all 0
first = sum(a * v for a, v in zip(weights, firsts, strict=True))
answer = weights, (first, 0.0)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected weights and output, got None"
expected = (0.14, 0.576, 0.284), (0.588, 0.0)
for name, right, found in zip(
    ("weights", "output"), expected, answer, strict=True
):
    assert all(
        abs(a - b) < 0.006 for a, b in zip(right, found, strict=True)
    ), f"{name}: expected {right}, got {found}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
def factor(keys, weight):
    """What to multiply cosines by, for `keys` keys."""
    return 1.0


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import math


def factor(keys, weight):
    """What to multiply cosines by, for `keys` keys."""
    return math.log(weight * (keys - 1) / (1 - weight))


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.scaled_dot_product_attention import (
    cosine_scores,
    softmax,
)

for keys, weight in ((4, 0.9), (16, 0.5), (64, 0.99)):
    found = factor(keys, weight)
    scores = found * cosine_scores(np.eye(keys)[:1], np.eye(keys))
    got = softmax(scores)[0, 0]
    assert abs(got - weight) < 1e-6, (
        f"{keys} keys: expected the weight {weight}, factor {found} "
        f"gives {got:.3f}"
    )
# --8<-- [end:exercise_2_check]
