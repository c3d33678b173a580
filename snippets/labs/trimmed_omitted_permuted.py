"""How likely a damaged sequence is under a Markov chain, exactly.

Everything that may have happened to it is summed over, so a choice by
these likelihoods is the best that can be made. The chain's states must be
equally frequent: ValueError is raised where a row or a column of P does
not sum to 1. Source: the forward algorithm, Rabiner (1989).
"""

import numpy as np
from jaxtyping import Float, Int

Codes = Int[np.ndarray, "batch time"]
Chain = Float[np.ndarray, "states states"]
Likelihood = Float[np.ndarray, " batch"]


def _check(P: Chain) -> None:
    if not all(np.allclose(P.sum(axis=axis), 1.0) for axis in (0, 1)):
        raise ValueError("P must have rows and columns that sum to 1")


def whole(x: Codes, P: Chain) -> Likelihood:
    """Of x as a stretch without gaps, up to a constant factor."""
    _check(P)
    return P[x[:, :-1], x[:, 1:]].prod(axis=1)


def with_gaps(x: Codes, P: Chain, length: int) -> Likelihood:
    """Of x as what is left of `length` elements, up to a constant factor.

    Summed over the places that the elements may have had. Raises
    ValueError for a length below that of x.
    """
    _check(P)
    if length < x.shape[1]:
        raise ValueError(f"length must be {x.shape[1]} or more")
    powers = [np.linalg.matrix_power(P, gap) for gap in range(length)]
    jumps = np.stack(powers)
    last = np.ones((length, len(x)))  # by the place of the last element
    for old, new in zip(x.T[:-1], x.T[1:], strict=True):
        jump = jumps[:, old, new]
        sums = [
            (last[:t] * jump[t:0:-1]).sum(axis=0) for t in range(length)
        ]
        last = np.stack(sums)
    return last.sum(axis=0)


def in_pairs(x: Codes, P: Chain) -> Likelihood:
    """Of x with every two elements in either order, summed over both.

    Up to a constant factor. Raises ValueError for an odd length.
    """
    _check(P)
    if x.shape[1] % 2:
        raise ValueError(f"x must have an even length, got {x.shape[1]}")
    ends = [(np.array(0), np.zeros(len(x)))]  # how the last pair ended
    for first, (a, b) in enumerate(x.T.reshape(-1, 2, len(x))):
        both = []
        for u, v in ((a, b), (b, a)):
            reached = sum(share * P[end, u] for end, share in ends)
            both.append((v, P[u, v] * (reached if first else 1.0)))
        ends = both
    return ends[0][1] + ends[1][1]
