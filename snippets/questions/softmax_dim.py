"""What `dim` says to a softmax, and which axes of a result sum to 1.

PyTorch says `dim`, NumPy `axis`; the number means the same.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float


# --8<-- [start:along]
def along(
    f: Callable[[np.ndarray], np.ndarray],
    x: Float[np.ndarray, "*shape"],
    axis: int,
) -> Float[np.ndarray, "*shape"]:
    """f, a function of one vector, for every line along the axis.

    A line: the index of this axis runs, the others stand still. Raises
    ValueError (AxisError) where x has no such axis.
    """
    lines = np.moveaxis(x, axis, -1)
    found = np.empty_like(lines)
    for place in np.ndindex(lines.shape[:-1]):
        found[place] = f(lines[place])
    return np.moveaxis(found, -1, axis)


# --8<-- [end:along]


# --8<-- [start:sums_to_one]
def sums_to_one(p: Float[np.ndarray, "*shape"]) -> list[int]:
    """The axes along which every line of p sums to 1, to 6 digits."""
    return [
        axis
        for axis in range(p.ndim)
        if (np.abs(p.sum(axis=axis) - 1.0) < 1e-6).all()
    ]


# --8<-- [end:sums_to_one]


# --8<-- [start:implicit_dim]
def implicit_dim(axes: int) -> int:
    """What `torch.nn.functional.softmax` takes where dim is not given."""
    return 0 if axes in (0, 1, 3) else 1


# --8<-- [end:implicit_dim]


# --8<-- [start:lowest_loss]
def lowest_loss(classes: int) -> float:
    """The cross-entropy of a certain and right answer, if probabilities
    are given for logits: 1 for one class, 0 for all others."""
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")
    return float(np.log(1 + (classes - 1) / np.e))


# --8<-- [end:lowest_loss]
