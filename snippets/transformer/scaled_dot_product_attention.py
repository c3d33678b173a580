"""Scaled dot-product attention: scores, scale, mask, softmax, sum.

Source: Vaswani et al. (2017), section 3.2.1. A mask of booleans says
where a query may look (True); a mask of floats is added to the scores.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from snippets.transformer.overview import Linear, linear
from snippets.transformer.queries_keys_values import dot_scores


# --8<-- [start:softmax]
def _shifted(scores: np.ndarray, axis: int) -> np.ndarray:
    """The scores less the largest along the axis: at most 0."""
    if not -scores.ndim <= axis < scores.ndim:
        raise ValueError(f"axis {axis} is none of the {scores.ndim} axes")
    if scores.shape[axis] == 0:
        raise ValueError(f"scores must not be empty along axis {axis}")
    if not (scores < np.inf).all():
        raise ValueError("scores must be numbers below infinity")
    top = scores.max(axis=axis, keepdims=True)
    return scores - np.where(np.isneginf(top), 0.0, top)


def softmax(
    scores: Float[np.ndarray, "*shape"], axis: int = -1
) -> Float[np.ndarray, "*shape"]:
    """exp(scores), divided by their sum along the axis.

    A score of -inf gets the weight 0; where all are -inf, all weights are
    0. Raises ValueError for an empty axis, NaN or +inf.
    """
    powers = np.exp(_shifted(scores, axis))  # no overflow: at most 1
    total = powers.sum(axis=axis, keepdims=True)
    return powers / np.where(total == 0.0, 1.0, total)


def log_softmax(
    logits: Float[np.ndarray, "*shape"], axis: int = -1
) -> Float[np.ndarray, "*shape"]:
    """log(softmax(logits)), exact where the softmax is rounded to 0."""
    shifted = _shifted(logits, axis)
    total = np.exp(shifted).sum(axis=axis, keepdims=True)
    return shifted - np.log(np.where(total == 0.0, 1.0, total))


# --8<-- [end:softmax]

# --8<-- [start:weights]
Mask = (
    Bool[np.ndarray, "*#batch #target #source"]
    | Float[np.ndarray, "*#batch #target #source"]
    | None
)


def masked(
    scores: Float[np.ndarray, "*#batch target source"], mask: Mask
) -> Float[np.ndarray, "*#batch target source"]:
    """-inf where a boolean mask is False; a float mask is added."""
    if mask is None:
        return scores
    if mask.dtype == bool:
        return np.where(mask, scores, -np.inf)
    return scores + mask


def attention_weights(
    queries: Float[np.ndarray, "*#batch target d_k"],
    keys: Float[np.ndarray, "*#batch source d_k"],
    mask: Mask = None,
) -> Float[np.ndarray, "*#batch target source"]:
    """For each query, how much it takes of each key's value.

    Rows sum to 1, except that a query that may look nowhere has only 0.
    """
    scores = dot_scores(queries, keys) / queries.shape[-1] ** 0.5
    return softmax(masked(scores, mask), axis=-1)


# --8<-- [end:weights]


# --8<-- [start:attention]
class Attended(NamedTuple):
    """What each query gets, and how it was weighted."""

    output: Float[np.ndarray, "*batch target d_v"]
    weights: Float[np.ndarray, "*batch target source"]


def scaled_dot_product_attention(
    queries: Float[np.ndarray, "*#batch target d_k"],
    keys: Float[np.ndarray, "*#batch source d_k"],
    values: Float[np.ndarray, "*#batch source d_v"],
    mask: Mask = None,
) -> Attended:
    """softmax(Q K^T / sqrt(d_k)) V, and the weights."""
    weights = attention_weights(queries, keys, mask)
    return Attended(weights @ values, weights)


# --8<-- [end:attention]


# --8<-- [start:other_scores]
def cosine_scores(
    queries: Float[np.ndarray, "*#batch target d_k"],
    keys: Float[np.ndarray, "*#batch source d_k"],
) -> Float[np.ndarray, "*#batch target source"]:
    """The cosine of the angle between each query and each key.

    Raises ValueError for a vector of zeros, which has no angle.
    """
    q_norms = np.linalg.norm(queries, axis=-1, keepdims=True)
    k_norms = np.linalg.norm(keys, axis=-1, keepdims=True)
    if not (q_norms.all() and k_norms.all()):
        raise ValueError("queries and keys must not be vectors of zeros")
    return dot_scores(queries / q_norms, keys / k_norms)


class Additive(NamedTuple):
    """A small network for each pair of a query and a key."""

    query: Linear
    key: Linear
    v: Float[np.ndarray, " hidden"]


def additive_scores(
    net: Additive,
    queries: Float[np.ndarray, "*#batch target d_q"],
    keys: Float[np.ndarray, "*#batch source d_k"],
) -> Float[np.ndarray, "*#batch target source"]:
    """v . tanh(W_q q + W_k k + b): Bahdanau, Cho and Bengio (2015)."""
    from_queries = linear(net.query, queries)[..., :, None, :]
    from_keys = linear(net.key, keys)[..., None, :, :]
    return np.tanh(from_queries + from_keys) @ net.v


# --8<-- [end:other_scores]


# --8<-- [start:jacobian]
def softmax_jacobian(
    weights: Float[np.ndarray, "*batch source"],
) -> Float[np.ndarray, "*batch source source"]:
    """diag(a) - a a^T: how each weight moves with each score."""
    diagonal = weights[..., :, None] * np.eye(weights.shape[-1])
    return diagonal - weights[..., :, None] * weights[..., None, :]


# --8<-- [end:jacobian]
