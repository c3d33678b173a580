"""Exercises of the page Unrolling."""

# --8<-- [start:exercise_1_starter]
# h_t = relu(x_t - h_{t-1}), h_0 = 0, x = (1, 3, 1); the weights are
# W_x = 1, W_h = -1, b = 0, and the loss is h_1 + h_2 + h_3.
answer = None  # the gradients for W_x and W_h, as a pair
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
h_1, h_2, h_3 = 1, 2, 0  # 1 - 2 is negative: the third step is off
delta_3 = 0 * 1
delta_2 = 1 * (1 - 1 * delta_3)
delta_1 = 1 * (1 - 1 * delta_2)
answer = (
    delta_1 * 1 + delta_2 * 3 + delta_3 * 1,
    delta_1 * 0 + delta_2 * h_1 + delta_3 * h_2,
)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.rnn.recurrence import RNN, run
from snippets.rnn.unrolling import backward

assert answer is not None, "expected a pair of numbers, got None"
unit = RNN(np.array([[1.0]]), np.array([[-1.0]]), np.zeros(1))
x, h_0 = np.array([[[1.0], [3.0], [1.0]]]), np.zeros((1, 1))
states = run(unit, x, h_0, "relu")
found = backward(unit, x, h_0, states, np.ones_like(states), "relu")
expected = found.W_x.item(), found.W_h.item()
assert tuple(answer) == expected, f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def forward_gradient(w_x, w_h, b, x, g):
    """dL/dw_h of one tanh unit that starts from 0; L is the sum of g h."""
    h, dh, gradient = 0.0, 0.0, 0.0  # dh is the derivative of h for w_h
    for x_t, g_t in zip(x, g, strict=True):
        h = np.tanh(w_x * x_t + w_h * h + b)
        gradient += g_t * dh  # and how does dh move on?
    return gradient


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def forward_gradient(w_x, w_h, b, x, g):
    """dL/dw_h of one tanh unit that starts from 0; L is the sum of g h."""
    h, dh, gradient = 0.0, 0.0, 0.0  # dh is the derivative of h for w_h
    for x_t, g_t in zip(x, g, strict=True):
        before, h = h, np.tanh(w_x * x_t + w_h * h + b)
        dh = (1 - h**2) * (before + w_h * dh)
        gradient += g_t * dh
    return gradient


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.rnn.recurrence import RNN, run
from snippets.rnn.unrolling import backward

rng = np.random.default_rng(0)
w_x, w_h, b = rng.normal(size=3)
x, g = rng.normal(size=(2, 1, 20, 1))
unit = RNN(np.array([[w_x]]), np.array([[w_h]]), np.array([b]))
h_0 = np.zeros((1, 1))
expected = backward(unit, x, h_0, run(unit, x, h_0), g).W_h.item()
got = forward_gradient(w_x, w_h, b, x.ravel(), g.ravel())
assert abs(got - expected) < 1e-10, (
    f"expected {expected:.6f} as from the backward pass, got {got:.6f}"
)
# --8<-- [end:exercise_2_check]

# --8<-- [start:exercise_3_starter]
import numpy as np

from snippets.rnn.recurrence import initial

rng = np.random.default_rng(0)
rnn = initial(2, 4, rng)
weights = np.c_[rnn.W_x, rnn.W_h, rnn.b]


def examples(sequences, steps):
    """For each step: rows (x_t, h_{t-1}, 1), and the noisy a_t of each."""
    h, rows, a = np.zeros((sequences, 4)), [], []
    for _ in range(steps):
        x = rng.normal(size=(sequences, 2))
        rows.append(np.c_[x, h, np.ones(sequences)])
        a.append(rows[-1] @ weights.T + rng.normal(size=h.shape))
        h = np.tanh(a[-1])
    return rows, a


def error(rows, a):
    """Mean squared error of the weights that least squares finds."""
    return ((np.linalg.lstsq(rows, a)[0].T - weights) ** 2).mean()


errors = np.ones((50, 2))  # of shared weights, and of the last copy's
for attempt in errors:
    rows, a = examples(sequences=100, steps=8)
    attempt[:] = 1.0, error(rows[-1], a[-1])
shared, last = errors.mean(axis=0)
# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
import numpy as np

from snippets.rnn.recurrence import initial

rng = np.random.default_rng(0)
rnn = initial(2, 4, rng)
weights = np.c_[rnn.W_x, rnn.W_h, rnn.b]


def examples(sequences, steps):
    """For each step: rows (x_t, h_{t-1}, 1), and the noisy a_t of each."""
    h, rows, a = np.zeros((sequences, 4)), [], []
    for _ in range(steps):
        x = rng.normal(size=(sequences, 2))
        rows.append(np.c_[x, h, np.ones(sequences)])
        a.append(rows[-1] @ weights.T + rng.normal(size=h.shape))
        h = np.tanh(a[-1])
    return rows, a


def error(rows, a):
    """Mean squared error of the weights that least squares finds."""
    return ((np.linalg.lstsq(rows, a)[0].T - weights) ** 2).mean()


errors = np.ones((50, 2))  # of shared weights, and of the last copy's
for attempt in errors:
    rows, a = examples(sequences=100, steps=8)
    everything = np.concatenate(rows), np.concatenate(a)
    attempt[:] = error(*everything), error(rows[-1], a[-1])
shared, last = errors.mean(axis=0)
# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
assert 6 < last / shared < 11, (
    "expected about 8 times the error from one step of 8, "
    f"got {last:.4f} against {shared:.4f}"
)
# --8<-- [end:exercise_3_check]
