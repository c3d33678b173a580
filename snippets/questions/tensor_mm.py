"""The product of two matrices, its gradient, and the rule of `@`.

`mm` is strict as `torch.mm` is; the rule of `@` is that of
`torch.matmul` and `numpy.matmul`.
"""

import numpy as np
from jaxtyping import Float


# --8<-- [start:mm]
def mm(
    a: Float[np.ndarray, "rows inner"],
    b: Float[np.ndarray, "inner columns"],
) -> Float[np.ndarray, "rows columns"]:
    """Row i of a times column j of b, summed, for every i and j."""
    c = np.zeros((len(a), b.shape[1]))
    for i in range(len(a)):
        for j in range(b.shape[1]):
            c[i, j] = (a[i] * b[:, j]).sum()
    return c


def sum_of_outer_products(
    a: Float[np.ndarray, "rows inner"],
    b: Float[np.ndarray, "inner columns"],
) -> Float[np.ndarray, "rows columns"]:
    """The same matrix: column k of a times row k of b, over all k."""
    c = np.zeros((len(a), b.shape[1]))
    for k in range(len(b)):
        c += a[:, k, None] * b[k]
    return c


# --8<-- [end:mm]


# --8<-- [start:matmul_shape]
def matmul_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a @ b, from those of a and b.

    The last two axes are a matrix, and those before them a stack, which
    is broadcast. A vector is a row on the left and a column on the right,
    for as long as the product takes. ValueError where there is none.
    """
    if not a or not b:
        raise ValueError("a and b must have at least one axis")
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    if left[-1] != right[-2]:
        raise ValueError(
            f"a and b must agree inside, got {left[-1]} and {right[-2]}"
        )
    stack = np.broadcast_shapes(left[:-2], right[:-2])
    rows = left[-2:-1] if len(a) > 1 else ()
    columns = right[-1:] if len(b) > 1 else ()
    return (*stack, *rows, *columns)


# --8<-- [end:matmul_shape]


# --8<-- [start:backward]
def backward(
    grad: Float[np.ndarray, "rows columns"],
    a: Float[np.ndarray, "rows inner"],
    b: Float[np.ndarray, "inner columns"],
) -> tuple[
    Float[np.ndarray, "rows inner"], Float[np.ndarray, "inner columns"]
]:
    """The gradients for a and b, given that for their product."""
    return grad @ b.T, a.T @ grad


# --8<-- [end:backward]
