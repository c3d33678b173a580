"""Exercises of the page rnn/vanishing-and-exploding-gradients."""

# --8<-- [start:exercise_1_starter]
steps = None  # a whole number
gate = None  # to five decimals
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
import math

steps = math.ceil(math.log(0.5) / math.log(0.99))
gate = 0.5 ** (1 / 1000)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.rnn.vanishing_and_exploding_gradients import carry

assert steps is not None, "put a number in the place of each None"
assert gate is not None, "put a number in the place of each None"
start = np.ones((1, 1))
path = carry(np.full((1, 200, 1), 0.99), np.zeros((1, 200, 1)), start)
first = int(np.argmax(path[0, :, 0] <= 0.5)) + 1
assert steps == first, f"0.99^t is first below 0.5 at {first}, got {steps}"
path = carry(np.full((1, 1000, 1), gate), np.zeros((1, 1000, 1)), start)
assert abs(path[0, -1, 0] - 0.5) < 0.01, (
    f"after 1000 steps expected 0.5, got {path[0, -1, 0]:.4f}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

W_h = 0.5 * np.eye(16)
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

W_h = 0.5 * np.eye(16) + np.triu(np.ones((16, 16)), k=1)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
assert W_h.shape[0] == W_h.shape[1] <= 16, f"got the shape {W_h.shape}"
assert not np.tril(W_h, -1).any(), "below the diagonal all must be 0"
assert (np.diag(W_h) == 0.5).all(), f"got the diagonal {np.diag(W_h)}"
assert np.abs(W_h).max() <= 1, f"got an entry of {np.abs(W_h).max()}"
powers = [np.linalg.matrix_power(W_h, t) for t in range(1, 101)]
largest = np.linalg.norm(powers, 2, axis=(1, 2)).max()
assert largest > 1e6, f"expected above 1e6, got {largest:.3g}"
# --8<-- [end:exercise_2_check]
