"""Exercises of the page Latent autoregressive model."""

# --8<-- [start:exercise_1_starter]
# h_4 = (11/30, 19/30); the fourth bus is late: 0.2 if normal, 0.6 if
# disrupted; a state stays as it is with 0.9 and changes with 0.1.
answer = None  # h_5 as a pair: normal, disrupted
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
from fractions import Fraction

normal, disrupted = Fraction(11, 30), Fraction(19, 30)
late = normal * Fraction(2, 10), disrupted * Fraction(6, 10)
updated = late[0] / sum(late), late[1] / sum(late)  # 11/68 and 57/68
stay, change = Fraction(9, 10), Fraction(1, 10)
answer = (
    float(updated[0] * stay + updated[1] * change),  # 156/680
    float(updated[0] * change + updated[1] * stay),  # 524/680
)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected h_5 as a pair, got None"
assert abs(sum(answer) - 1) < 1e-3, (
    f"expected two numbers that sum to 1, got {answer}"
)
assert abs(answer[0] - 156 / 680) < 1e-3, (
    f"expected 156/680 for normal, got {answer[0]}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def recover(h, length):
    """The values that made the state h, oldest first."""
    return np.zeros(length, dtype=int)


longest = None  # the longest of 1 1, 1 0 1, 1 0 0 1, ... that comes back
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def recover(h, length):
    """The values that made the state h, oldest first."""
    newest_first = []
    for _ in range(length):
        newest = int(h >= 0.5)
        newest_first.append(newest)
        h = 2 * h - newest
    return np.array(newest_first[::-1])


def state_of(x):
    """The state that a = 1/2 makes of the values."""
    h = 0.0
    for value in x:
        h = 0.5 * value + 0.5 * h
    return h


longest, x = 0, np.array([1, 1])
while np.array_equal(recover(state_of(x), len(x)), x):
    longest, x = len(x), np.insert(x, 1, 0)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

x = np.random.default_rng(0).integers(0, 2, size=53)
state = 0.0
for value in x:
    state = 0.5 * value + 0.5 * state
wrong = int((recover(state, 53) != x).sum())
assert wrong == 0, f"expected all 53 values back, {wrong} are wrong"
assert longest == 53, (
    f"longest: expected 53, the bits of a float's digits; got {longest}"
)
# --8<-- [end:exercise_2_check]
