"""Queries, keys and values: three projections, and what they are for.

Sources: Vaswani et al. (2017), sections 3.2.1 and 3.2.3. Counted from 0,
as everywhere in code, head 0 is the first head of the formulas.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.transformer.overview import Attention, Linear, linear


# --8<-- [start:project]
class Projected(NamedTuple):
    """One row for each query; one key and one value a place to look."""

    queries: Float[np.ndarray, "*batch target d_k"]
    keys: Float[np.ndarray, "*batch source d_k"]
    values: Float[np.ndarray, "*batch source d_v"]


def project(
    attention: Attention,
    x: Float[np.ndarray, "*batch target d_model"],
    source: Float[np.ndarray, "*batch source d_source"],
) -> Projected:
    """Queries from `x`, keys and values from `source`.

    In self-attention both are the same sequence. With several heads, the
    heads lie side by side in the last axis. Raises ValueError where
    queries and keys get different widths.
    """
    d_q, d_k = len(attention.query.W), len(attention.key.W)
    if d_q != d_k:
        raise ValueError(
            "attention must give queries and keys one width, "
            f"not {d_q} and {d_k}"
        )
    return Projected(
        queries=linear(attention.query, x),
        keys=linear(attention.key, source),
        values=linear(attention.value, source),
    )


# --8<-- [end:project]


# --8<-- [start:head]
def _rows(layer: Linear, number: int, n_heads: int) -> Linear:
    if len(layer.W) % n_heads:
        raise ValueError(
            f"attention must have widths that {n_heads} heads share "
            f"evenly, not {len(layer.W)}"
        )
    width = len(layer.W) // n_heads
    part = slice(number * width, (number + 1) * width)
    return Linear(layer.W[part], layer.b[part])


def head(attention: Attention, number: int) -> Attention:
    """One head of several: its rows of W_Q, W_K, W_V, columns of W_O.

    `number` counts from 0. The outputs of all heads add up to that of the
    whole, but for the bias of W_O: it belongs to no head, and is 0 here.
    """
    n_heads = attention.n_heads
    if not 0 <= number < n_heads:
        raise ValueError(f"number must be 0 to {n_heads - 1}, not {number}")
    W_O = np.split(attention.output.W, n_heads, axis=1)[number]
    return Attention(
        query=_rows(attention.query, number, n_heads),
        key=_rows(attention.key, number, n_heads),
        value=_rows(attention.value, number, n_heads),
        output=Linear(W_O, np.zeros(len(W_O))),
        n_heads=1,
    )


# --8<-- [end:head]


# --8<-- [start:scores]
def dot_scores(
    queries: Float[np.ndarray, "*#batch target d_k"],
    keys: Float[np.ndarray, "*#batch source d_k"],
) -> Float[np.ndarray, "*#batch target source"]:
    """The inner product of every query with every key."""
    return queries @ np.swapaxes(keys, -1, -2)


# --8<-- [end:scores]


# --8<-- [start:lookup]
def soft_lookup(
    queries: Float[np.ndarray, "target d_k"],
    keys: Float[np.ndarray, "source d_k"],
    values: Float[np.ndarray, "source d_v"],
    sharpness: float,
) -> Float[np.ndarray, "target d_v"]:
    """A mean of the values, weighted by exp(sharpness * score).

    Sharpness 0 gives the plain mean. Infinite sharpness gives the value
    of the key with the largest score, or the mean of several such values.
    """
    if not sharpness >= 0.0:
        raise ValueError(f"sharpness must not be negative: {sharpness}")
    scores = dot_scores(queries, keys)
    behind = scores - scores.max(axis=1, keepdims=True)  # at most 0
    if np.isinf(sharpness):
        shares = (behind == 0.0).astype(float)
    else:
        shares = np.exp(sharpness * behind)
    return shares / shares.sum(axis=1, keepdims=True) @ values


# --8<-- [end:lookup]


# --8<-- [start:drawn]
def drawn(
    rng: np.random.Generator, d_model: int, d_k: int, d_v: int
) -> Attention:
    """One head with random weights; with inputs of variance 1, the
    queries, keys and values have variance about 1. All biases are 0."""
    sizes = [(d_k, d_model), (d_k, d_model), (d_v, d_model), (d_model, d_v)]
    query, key, value, output = (
        Linear(rng.normal(size=size) / size[1] ** 0.5, np.zeros(size[0]))
        for size in sizes
    )
    return Attention(query, key, value, output, n_heads=1)


# --8<-- [end:drawn]
