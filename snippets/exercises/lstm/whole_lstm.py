"""Exercises of the page The whole LSTM."""

# --8<-- [start:exercise_1_starter]
# torch.nn.LSTM(10, 20, num_layers=2, bidirectional=True)
answer = None  # how many numbers it learns
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
# Each direction has 4 blocks of 20 rows: W_x, W_h and two biases.
first = 4 * 20 * (10 + 20 + 2)
second = 4 * 20 * (40 + 20 + 2)  # it reads both directions of the first
answer = 2 * first + 2 * second
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
from snippets.lstm.whole_lstm import count

assert answer is not None, "expected a number, got None"
expected = count(features=10, hidden=20, layers=2, directions=2)
assert answer == expected, f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.overview import LSTM


def without_projection(lstm, W_r):
    """An ordinary LSTM: its h_t times W_r.T is the projected one's.

    `lstm` has gates whose W_h is [hidden, projection], as they read the
    projected state; W_r is [projection, hidden].
    """
    W_h = np.zeros((len(lstm.input.b), len(lstm.input.b)))
    return LSTM(*(gate._replace(W_h=W_h) for gate in lstm))


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
from snippets.lstm.overview import LSTM


def without_projection(lstm, W_r):
    """An ordinary LSTM: its h_t times W_r.T is the projected one's.

    `lstm` has gates whose W_h is [hidden, projection], as they read the
    projected state; W_r is [projection, hidden].
    """
    return LSTM(*(gate._replace(W_h=gate.W_h @ W_r) for gate in lstm))


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.overview import LSTM, Gate, sigmoid
from snippets.lstm.whole_lstm import run

rng = np.random.default_rng(0)
lstm = LSTM(
    *(
        Gate(rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), np.zeros(5))
        for _ in range(4)
    )
)
W_r, x = rng.normal(size=(2, 5)), rng.normal(size=(4, 6, 3))
r, c, expected = np.zeros((4, 2)), np.zeros((4, 5)), []
for t in range(6):
    i, f, g, o = (x[:, t] @ gate.W_x.T + r @ gate.W_h.T for gate in lstm)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    r = sigmoid(o) * np.tanh(c) @ W_r.T  # the projected state
    expected.append(r)
zeros = np.zeros((4, 5))
plain = without_projection(lstm, W_r)
got = run(plain, x, zeros, zeros)[0] @ W_r.T
gap = np.abs(got - np.stack(expected, axis=1)).max()
assert gap < 1e-12, f"expected the projected states, off by {gap:.2e}"
# --8<-- [end:exercise_2_check]
