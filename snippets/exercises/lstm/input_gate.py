"""Exercises of the page Input gate."""

# --8<-- [start:exercise_1_starter]
# Gate: W_x = [2, 1], W_h = [[0, 0.5], [0.5, 0]], b = [-1, 0].
# Candidate: W_x = [1, 2], W_h = [[0.5, -0.5], [0.5, 0.5]], b = [0, 0].
# Now x_t = -1; as before h_last = [0.5, -0.5].
answer = None  # what the two units write, a pair
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
gate_reads = [-2 - 0.25 - 1, -1 + 0.25 + 0]  # -3.25, -0.75
candidate_reads = [-1 + 0.25 + 0.25, -2 + 0.25 - 0.25]  # -0.5, -2
answer = 0.037 * -0.462, 0.321 * -0.964
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.lstm.input_gate import candidate, input_gate, write
from snippets.lstm.overview import EXAMPLE, h_last

assert answer is not None, "expected a pair of numbers, got None"
x_t = np.array([[-1.0]])
i = input_gate(EXAMPLE.input, x_t, h_last)
expected = write(i, candidate(EXAMPLE.candidate, x_t, h_last))[0]
assert np.allclose(answer, expected, atol=2e-3), (
    f"expected {expected.round(3)}, got {answer}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.overview import Gate

# Two units; features: the value v, and the flag, 0 or 1.
W_x = np.array([[0.5, 0.0], [0.0, 0.0]])
content = Gate(W_x, np.zeros((2, 2)), np.zeros(2))
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.lstm.overview import Gate

W_x = np.array([[0.5, 40.0], [0.0, -40.0]])
content = Gate(W_x, np.zeros((2, 2)), np.array([-40.0, 40.0]))
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.forget_gate import along
from snippets.lstm.input_gate import candidate

x = np.random.default_rng(0).normal(size=(1, 50, 2))
x[..., 1] = 0.0
x[0, 20] = 0.8, 1.0
states = along(candidate, content, x)[0].cumsum(axis=0)  # i = f = 1
found = states.sum(axis=1)
expected = np.where(np.arange(50) < 20, 0.0, np.tanh(0.4))
assert np.allclose(found, expected, atol=1e-3), (
    "expected 0 before the flag and tanh(0.4) = 0.380 from it on, got "
    f"{found[19]:.3f} and {found[-1]:.3f}"
)
# --8<-- [end:exercise_2_check]
