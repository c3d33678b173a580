"""Exercises of the page The value dimension."""

# --8<-- [start:exercise_1_starter]
answer = None  # three whole numbers
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
side_by_side = 2 * 5
of_output = 8 * side_by_side
queries_and_keys = 2 * (6 * 8 + 6)
values = side_by_side * 8 + side_by_side
answer = (
    side_by_side,
    of_output,
    queries_and_keys + values + of_output + 8,
)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.questions.value_dimension import Widths, attention_of
from snippets.transformer.overview import count

part = attention_of(Widths(8, 2, 3, 5), np.random.default_rng(0))
expected = (len(part.value.W), part.output.W.size, count(part))
assert answer is not None, "expected three whole numbers, got None"
assert tuple(answer) == expected, f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

rng = np.random.default_rng(0)
first, second = rng.normal(size=(2, 4))
old_value = np.stack([first, second, first + second, first - second,
                  2 * first, 3 * second])  # fmt: skip
old_output = rng.normal(size=(4, 6))
W_V, W_O = old_value, old_output
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

rng = np.random.default_rng(0)
first, second = rng.normal(size=(2, 4))
old_value = np.stack([first, second, first + second, first - second,
                  2 * first, 3 * second])  # fmt: skip
old_output = rng.normal(size=(4, 6))
U, s, V = np.linalg.svd(old_output @ old_value)
W_V, W_O = V[:2], U[:, :2] * s[:2]
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
assert W_V.shape == (2, 4), f"expected W_V of shape (2, 4), got {W_V.shape}"
assert W_O.shape == (4, 2), f"expected W_O of shape (4, 2), got {W_O.shape}"
gap = np.abs(W_O @ W_V - old_output @ old_value).max()
assert gap < 1e-10, f"expected the same value path, it differs by {gap:.2g}"
# --8<-- [end:exercise_2_check]
