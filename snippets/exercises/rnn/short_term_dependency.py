"""Exercises of the page Short-term dependency."""

# --8<-- [start:exercise_1_starter]
# One tanh unit: W_h = -2, W_x = 3, and the states 0.5, -0.6, 0.8.
answer = None  # a pair: dh_3/dh_0, dh_3/dx_1
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
slopes = [1 - 0.25, 1 - 0.36, 1 - 0.64]  # 0.75, 0.64, 0.36
factors = [-2 * slope for slope in slopes]  # -1.5, -1.28, -0.72
of_h_0 = factors[2] * factors[1] * factors[0]
of_x_1 = factors[2] * factors[1] * (3 * slopes[0])
answer = of_h_0, of_x_1
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a pair of numbers, got None"
assert abs(answer[0] + 1.3824) < 1e-3, (
    f"dh_3/dh_0: expected -1.3824, three factors, got {answer[0]}"
)
assert abs(answer[1] - 2.0736) < 1e-3, (
    f"dh_3/dx_1: expected 2.0736, got {answer[1]}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.rnn.recurrence import RNN

# Change W_x and W_h so that h_t holds x_t, x_{t-1}, ..., x_{t-4}.
rnn = RNN(W_x=np.ones((5, 1)), W_h=np.eye(5), b=np.zeros(5))
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.rnn.recurrence import RNN

W_x = np.zeros((5, 1))
W_x[0, 0] = 1.0  # the new value goes to the first unit
W_h = np.eye(5, k=-1)  # and every old one moves a unit further
rnn = RNN(W_x, W_h, np.zeros(5))
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.rnn.recurrence import run
from snippets.rnn.short_term_dependency import by_lag, influence

x = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0, 5.0])
states = run(rnn, x[None, :, None], np.zeros((1, 5)), "relu")
assert np.allclose(states[0, -1], x[:-6:-1]), (
    f"expected h_8 = {x[:-6:-1]}, got {states[0, -1]}"
)
sizes = by_lag(influence(rnn, states, "relu").of_inputs)[0]
assert np.allclose(sizes, [1, 1, 1, 1, 1, 0, 0, 0]), (
    f"expected influence 1 at lags 0 to 4 and 0 beyond, got {sizes}"
)
# --8<-- [end:exercise_2_check]
