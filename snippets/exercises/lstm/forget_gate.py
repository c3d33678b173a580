"""Exercises of the page Forget gate."""

# --8<-- [start:exercise_1_starter]
# The forget gate of the example: W_x = [1, -1], W_h = 0.5 I, b = [1, 0].
# Now x_t = -1; as before h_last = [0.5, -0.5] and c_last = [2, -1].
answer = None  # what the two units keep, a pair
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
a = [-1 + 0.25 + 1, 1 - 0.25 + 0]  # 0.25, 0.75
f = [0.562, 0.679]
answer = f[0] * 2, f[1] * -1
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.lstm.forget_gate import forget, forget_gate
from snippets.lstm.overview import EXAMPLE, c_last, h_last

assert answer is not None, "expected a pair of numbers, got None"
f = forget_gate(EXAMPLE.forget, np.array([[-1.0]]), h_last)
expected = forget(f, c_last)[0]
assert np.allclose(answer, expected, atol=3e-3), (
    f"expected {expected.round(3)}, got {answer}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.overview import Gate

# Two features, the flags, each 0 or 1; two units. This gate ignores them.
gate = Gate(W_x=np.zeros((2, 2)), W_h=np.zeros((2, 2)), b=np.zeros(2))
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.lstm.overview import Gate

gate = Gate(-20.0 * np.eye(2), np.zeros((2, 2)), np.full(2, 10.0))
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.forget_gate import forget_gate

for flags in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
    f = forget_gate(gate, np.array([flags]), np.array([[0.3, -0.3]]))[0]
    for unit in (0, 1):
        right = f[unit] <= 0.001 if flags[unit] else f[unit] >= 0.999
        assert right, (
            f"flags {flags}: expected unit {unit + 1} to "
            f"{'forget' if flags[unit] else 'keep'}, got f = {f[unit]:.4f}"
        )
# --8<-- [end:exercise_2_check]
