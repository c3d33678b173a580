"""Exercises of the page GRU."""

# --8<-- [start:exercise_1_starter]
# One unit: x_t = 1, h_{t-1} = -0.5, and no biases. Reset gate: W_x = 0,
# W_h = 0. Update gate: W_x = 0, W_h = 4. Candidate: W_x = 0, W_h = 2.
answer = None  # three numbers: r_t, z_t, h_t
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
import math

r = 1 / (1 + math.exp(0))  # the sigmoid of 0 is 0.5
z = 1 / (1 + math.exp(2))  # the sigmoid of 4 * -0.5
candidate = math.tanh(r * (2 * -0.5))
answer = r, z, z * -0.5 + (1 - z) * candidate
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected three numbers, got None"
for name, wanted, came in zip(
    ("r_t", "z_t", "h_t"), (0.5, 0.1192, -0.4666), answer, strict=True
):
    assert abs(wanted - came) < 1e-3, (
        f"{name}: expected {wanted}, got {came}"
    )
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.gru import GRU, Candidate
from snippets.lstm.overview import Gate

# Change the weights so that the sign of the state turns at every input 1
# and nothing happens at an input 0.
zero = np.zeros((1, 1))
gru = GRU(
    reset=Gate(W_x=zero, W_h=zero, b=np.array([0.0])),
    update=Gate(W_x=zero, W_h=zero, b=np.array([0.0])),
    candidate=Candidate(
        W_x=zero, W_h=zero, b_x=np.array([0.0]), b_h=np.array([0.0])
    ),
)
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.lstm.gru import GRU, Candidate
from snippets.lstm.overview import Gate

zero = np.zeros((1, 1))
gru = GRU(
    reset=Gate(W_x=zero, W_h=zero, b=np.array([40.0])),  # always open
    update=Gate(W_x=zero - 80, W_h=zero, b=np.array([40.0])),
    candidate=Candidate(
        W_x=zero, W_h=zero - 3, b_x=np.array([0.0]), b_h=np.array([0.0])
    ),
)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.gru import run

bits = np.random.default_rng(0).integers(0, 2, size=(20, 300))
states, _ = run(gru, bits[:, :, None].astype(float), np.ones((20, 1)))
wanted = np.where(bits.cumsum(axis=1) % 2, -1, 1)
right = (np.sign(states[:, :, 0]) == wanted).mean()
assert right == 1, (
    f"expected the sign of each state to be the parity of the ones so "
    f"far, got {right:.0%} right"
)
assert np.abs(states).min() > 0.9, (
    f"expected states beyond 0.9, got {np.abs(states).min():.2f}"
)
# --8<-- [end:exercise_2_check]
