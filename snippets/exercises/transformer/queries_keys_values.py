"""Exercises of the page Queries, keys and values."""

# --8<-- [start:exercise_1_starter]
answer = None  # three pairs of numbers: query, key, value
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
x_1, x_2, x_3, x_4 = -1, 1, 0, 0
query = (x_3, -x_4)
key = (x_1 - x_3 - x_4, x_4 - x_3)
value = (x_4 - 2 * x_1, 2 * x_3)
answer = query, key, value
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected three pairs of numbers, got None"
expected = {"query": (0, 0), "key": (-1, 0), "value": (2, 0)}
for (name, pair), found in zip(expected.items(), answer, strict=True):
    assert tuple(found) == pair, f"{name}: expected {pair}, got {found}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

W_Q = np.eye(5)
W_K = np.eye(5)
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

W_Q = np.roll(np.eye(5), -1, axis=0)  # word i asks for key i - 1
W_K = np.eye(5)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.queries_keys_values import soft_lookup

x, values = np.eye(5), np.arange(5.0)[:, None]
found = soft_lookup(x @ W_Q.T, x @ W_K.T, values, np.inf)[:, 0]
assert np.array_equal(found, [4, 0, 1, 2, 3]), (
    f"expected the words 4, 0, 1, 2, 3 to be found, got {found}"
)
# --8<-- [end:exercise_2_check]
