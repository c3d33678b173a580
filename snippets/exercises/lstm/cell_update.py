"""Exercises of the page Cell update."""

# --8<-- [start:exercise_1_starter]
# The unit holds 4.0; f = 0.75, i = 0.5, candidate -0.8, at both steps.
answer = None  # a pair: after one step, after two
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
after_one = 0.75 * 4.0 + 0.5 * -0.8  # 3.0 - 0.4
after_two = 0.75 * 2.6 + 0.5 * -0.8  # 1.95 - 0.4
answer = after_one, after_two
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a pair of numbers, got None"
assert abs(answer[0] - 2.6) < 1e-6, (
    f"after one step: expected 3.0 kept - 0.4 written, got {answer[0]}"
)
assert abs(answer[1] - 1.55) < 1e-6, (
    f"after two steps: expected 1.95 kept - 0.4 written, got {answer[1]}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def gates(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and i of two units, [time, 2]; marked is 1.0 or 0.0 a step."""
    f = np.ones((len(marked), 2))  # change both lines
    i = np.ones((len(marked), 2))
    return f, i


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def gates(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and i of two units, [time, 2]; marked is 1.0 or 0.0 a step."""
    f = np.stack([np.ones_like(marked), 1 - marked], axis=1)
    i = np.stack([marked, marked], axis=1)
    return f, i


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.rnn.vanishing_and_exploding_gradients import carry

rng = np.random.default_rng(0)
for marks in ([0, 2], [1, 5, 6], [7]):
    numbers, marked = rng.uniform(-1, 1, size=8), np.zeros(8)
    marked[marks] = 1.0
    f, i = gates(marked)
    written = i * numbers[:, None]  # both units have the same candidate
    c = carry(f[None], written[None], np.zeros((1, 2)))[0, -1]
    expected = np.array([numbers[marks].sum(), numbers[marks[-1]]])
    assert np.allclose(c, expected), (
        f"steps {marks} marked: expected {expected.round(3)} (sum, last), "
        f"got {c.round(3)}"
    )
# --8<-- [end:exercise_2_check]
