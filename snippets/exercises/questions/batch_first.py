"""Exercises of the page on batch_first."""

# --8<-- [start:exercise_1_starter]
x = output = h_n = None  # three tuples
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
x, output, h_n = (8, 15, 10), (8, 15, 2 * 20), (3 * 2, 8, 20)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
from snippets.questions.batch_first import shapes

rule = shapes(8, 15, 10, 20, layers=3, directions=2, batch_first=True)
for name, yours, right in (
    ("x", x, rule.x),
    ("output", output, rule.output),
    ("h_n", h_n, rule.h_n),
):
    assert yours is not None, f"{name}: expected a tuple, got None"
    assert tuple(yours) == right, (
        f"{name}: a size or its place is wrong in {yours}"
    )
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def rows(h_n: np.ndarray) -> np.ndarray:
    """[layers * 2, batch, hidden] to [batch, 2 * hidden]."""
    return h_n[-2:].reshape(h_n.shape[1], -1)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def rows(h_n: np.ndarray) -> np.ndarray:
    """[layers * 2, batch, hidden] to [batch, 2 * hidden]."""
    return np.concatenate([h_n[-2], h_n[-1]], axis=1)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.whole_lstm import initial, stack

rng = np.random.default_rng(0)
pair = [initial(3, 4, rng), initial(3, 4, rng)]
x, zeros = rng.normal(size=(5, 6, 3)), np.zeros((2, 5, 4))
output, h_n, _ = stack([pair], x, zeros, zeros)
wanted = np.concatenate([output[:, -1, :4], output[:, 0, 4:]], axis=1)
found = rows(h_n)
assert found.shape == (5, 8), f"expected shape (5, 8), got {found.shape}"
for number, (yours, right) in enumerate(zip(found, wanted, strict=True)):
    assert np.allclose(yours, right), (
        f"row {number} must hold the two last states of sequence {number}, "
        f"expected {right.round(2)}, got {yours.round(2)}"
    )
# --8<-- [end:exercise_2_check]
