"""Exercises of the page Output gate."""

# --8<-- [start:exercise_1_starter]
# tanh(c_t) = 0.8 and o = 0.25
answer = None  # three numbers: h_t, dh_t/dc_t, dh_t/do_t
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
h_t = 0.25 * 0.8
by_c = 0.25 * (1 - 0.8**2)
by_o = 0.8
answer = h_t, by_c, by_o
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected three numbers, got None"
names = ("h_t", "dh_t/dc_t", "dh_t/do_t")
for name, expected, got in zip(
    names, (0.2, 0.09, 0.8), answer, strict=True
):
    assert abs(got - expected) < 1e-6, (
        f"{name}: expected {expected}, got {got}"
    )
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.output_gate import STORE
from snippets.lstm.overview import Gate

# The features are value, write, read. Change the weights and the bias.
gate = Gate(
    np.array([[0.0, 0.0, 40.0]]), np.zeros((1, 1)), np.array([-20.0])
)
cell = STORE._replace(output=gate)
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.lstm.output_gate import STORE
from snippets.lstm.overview import Gate

W_x = np.array([[0.0, -40.0, 40.0]])
gate = Gate(W_x, np.zeros((1, 1)), np.array([-20.0]))
cell = STORE._replace(output=gate)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.output_gate import watch

flags = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # write, read
x = np.column_stack([[0.5, -0.5, 0.7, 0.9], flags])[None]
seen = watch(cell, x, np.zeros((1, 1)), np.full((1, 1), 0.3))
for (write, read), o in zip(flags, seen.o[0, :, 0], strict=True):
    expected = float(read == 1 and write == 0)
    assert abs(o - expected) < 1e-3, (
        f"write {write}, read {read}: expected o {expected}, got {o:.3f}"
    )
# --8<-- [end:exercise_2_check]

# --8<-- [start:exercise_3_starter]
answer = None  # the largest |c| at which dh/dc is 0.01 or more
# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
import numpy as np

answer = np.arctanh(np.sqrt(1 - 0.01))
# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
import numpy as np

from snippets.lstm.output_gate import slopes

assert answer is not None, "expected a number, got None"
of_c = slopes(np.ones((1, 1)), np.full((1, 1), float(answer)))[1].item()
assert abs(of_c - 0.01) < 1e-4, (
    f"expected a slope of 0.01 at |c| = {answer}, got {of_c:.4f}"
)
# --8<-- [end:exercise_3_check]
