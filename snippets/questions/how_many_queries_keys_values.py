"""Queries may be any number; keys and values come in pairs.

Sources: Vaswani et al. (2017), section 3.2; Shazeer (2019) and Ainslie et
al. (2023) for heads that share keys and values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.scaled_dot_product_attention import (
    Attended,
    Mask,
    scaled_dot_product_attention,
)

Vector = Float[np.ndarray, " _"]


# --8<-- [start:loop]
def attend_one(
    query: Float[np.ndarray, " d_k"], pairs: Sequence[tuple[Vector, Vector]]
) -> Vector:
    """One query: a weight for each pair of a key and a value.

    Without the shift that guards a softmax against overflow. Raises
    ValueError if there is no pair.
    """
    if not pairs:
        raise ValueError("pairs must not be empty")
    total, mixed = 0.0, np.zeros_like(pairs[0][1])
    for key, value in pairs:
        share = np.exp(query @ key / len(query) ** 0.5)
        total, mixed = total + share, mixed + share * value
    return mixed / total


def attend_each(
    queries: Float[np.ndarray, "target d_k"],
    keys: Float[np.ndarray, "source d_k"],
    values: Float[np.ndarray, "source d_v"],
) -> Float[np.ndarray, "target d_v"]:
    """Query after query; none knows of the others."""
    pairs = list(zip(keys, values, strict=True))
    output = np.zeros((len(queries), values.shape[1]))
    for row, query in enumerate(queries):
        output[row] = attend_one(query, pairs)
    return output


# --8<-- [end:loop]


# --8<-- [start:merged]
class Pairs(NamedTuple):
    """Pairs that all differ, and how often each one occurs."""

    keys: Float[np.ndarray, "pairs d_k"]
    values: Float[np.ndarray, "pairs d_v"]
    times: Int[np.ndarray, " pairs"]


def merged(
    keys: Float[np.ndarray, "source d_k"],
    values: Float[np.ndarray, "source d_v"],
) -> Pairs:
    """Each pair once, in an order of its own."""
    both, times = np.unique(
        np.hstack([keys, values]), axis=0, return_counts=True
    )
    d_k = keys.shape[1]
    return Pairs(both[:, :d_k], both[:, d_k:], times)


# --8<-- [end:merged]


# --8<-- [start:groups]
def attend_in_groups(
    queries: Float[np.ndarray, "*batch heads target d_k"],
    keys: Float[np.ndarray, "*batch groups source d_k"],
    values: Float[np.ndarray, "*batch groups source d_v"],
    mask: Mask = None,
) -> Attended:
    """Grouped-query attention: neighbouring heads of queries share keys
    and values. One group is multi-query attention. The mask has no axis
    for heads.

    Raises ValueError for heads that the groups cannot share evenly.
    """
    heads, groups = queries.shape[-3], keys.shape[-3]
    if heads % groups:
        raise ValueError(
            f"queries must have a multiple of {groups} heads, not {heads}"
        )
    keys, values = (
        np.repeat(part, heads // groups, axis=-3) for part in (keys, values)
    )
    if mask is not None:
        mask = mask[..., None, :, :]  # the same for every head
    return scaled_dot_product_attention(queries, keys, values, mask)


# --8<-- [end:groups]
