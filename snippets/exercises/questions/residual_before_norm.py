"""Exercises of the page Residual before norm."""

# --8<-- [start:exercise_1_starter]
# x = (3, 1, -1, -3), and attention returns (1, -1, 1, -1).
answer = None  # a pair of lists: post-norm, pre-norm
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
sums = [4.0, 0.0, 0.0, -4.0]  # mean 0, variance (16 + 16) / 4 = 8
answer = [value / 8**0.5 for value in sums], sums
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a pair of lists, got None"
for name, found, wanted in zip(
    ("post-norm", "pre-norm"),
    answer,
    ([1.4142, 0.0, 0.0, -1.4142], [4.0, 0.0, 0.0, -4.0]),
    strict=True,
):
    gap = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
    assert gap < 1e-3, f"{name}: expected {wanted}, got {found}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.transformer.encoder import Sublayer, layer_norm
from snippets.transformer.overview import Norm


def with_scale(
    norm: Norm, x: np.ndarray, f: Sublayer, alpha: float
) -> np.ndarray:
    """Pre-norm, with a factor alpha on the branch."""
    return layer_norm(norm, x + alpha * f(x))  # change this line


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.encoder import Sublayer, layer_norm
from snippets.transformer.overview import Norm


def with_scale(
    norm: Norm, x: np.ndarray, f: Sublayer, alpha: float
) -> np.ndarray:
    """Pre-norm, with a factor alpha on the branch."""
    return x + alpha * f(layer_norm(norm, x))


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.encoder import pre_norm
from snippets.transformer.overview import Norm

rng = np.random.default_rng(0)
x, norm = rng.normal(size=(3, 4)), Norm(np.ones(4), np.zeros(4))
f = np.tanh
assert np.array_equal(with_scale(norm, x, f, 0.0), x), (
    f"alpha = 0: expected x itself, got {with_scale(norm, x, f, 0.0)}"
)
found, wanted = with_scale(norm, x, f, 1.0), pre_norm(norm, x, f)
assert np.allclose(found, wanted), (
    f"alpha = 1: expected pre_norm's {wanted}, got {found}"
)
# --8<-- [end:exercise_2_check]
