"""Masks, and what belongs to them in training: the shift and the loss.

Sources: Vaswani et al. (2017), sections 3.1 and 3.2.3; Williams and
Zipser (1989) for teacher forcing. In every mask True means: may be
attended to.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from snippets.transformer.scaled_dot_product_attention import log_softmax


# --8<-- [start:masks]
def causal_mask(time: int) -> Bool[np.ndarray, "time time"]:
    """Position i may look at positions 0 to i: itself, and back.

    Raises ValueError for fewer than one position.
    """
    if time < 1:
        raise ValueError(f"time must be at least 1, not {time}")
    return np.tri(time, dtype=bool)


def padding_mask(
    tokens: Int[np.ndarray, "*batch time"], pad: int
) -> Bool[np.ndarray, "*batch 1 time"]:
    """No query may look at padding: one row, the same for all queries."""
    return (tokens != pad)[..., None, :]


def combine(
    *masks: Bool[np.ndarray, "*#batch #target #source"],
) -> Bool[np.ndarray, "*#batch #target #source"]:
    """Where all masks say True. Raises ValueError for none at all."""
    if not masks:
        raise ValueError("masks must be one mask or more")
    together = masks[0]
    for mask in masks[1:]:
        together = together & mask
    return together


# --8<-- [end:masks]


# --8<-- [start:shift]
class Shifted(NamedTuple):
    """What the decoder reads at each position, and what it must say."""

    inputs: Int[np.ndarray, "*batch target"]
    labels: Int[np.ndarray, "*batch target"]


def shift(tokens: Int[np.ndarray, "*batch time"]) -> Shifted:
    """Sequences from <start> to <end>: the label is the next token.

    Raises ValueError for fewer than two tokens.
    """
    if tokens.shape[-1] < 2:
        raise ValueError(
            f"tokens must be at least 2, not {tokens.shape[-1]}"
        )
    return Shifted(tokens[..., :-1], tokens[..., 1:])


# --8<-- [end:shift]


# --8<-- [start:loss]
def cross_entropy(
    logits: Float[np.ndarray, "*batch vocab"],
    labels: Int[np.ndarray, "*batch"],
    ignore: int,
) -> float:
    """Minus the log-probability of a label in nats, in the mean.

    Labels equal to `ignore` do not count, neither above nor below the
    line. Raises ValueError if none counts, or one is no place in `vocab`.
    """
    counts = labels != ignore
    told, right = logits[counts], labels[counts]
    if not right.size:
        raise ValueError(f"labels must not all be {ignore}")
    if not ((right >= 0) & (right < logits.shape[-1])).all():
        raise ValueError(
            f"labels must be 0 to {logits.shape[-1] - 1}, or {ignore}"
        )
    each = np.take_along_axis(log_softmax(told), right[:, None], axis=1)
    return float(-each.mean())


# --8<-- [end:loss]
