"""Sampling: from a distribution over words to a word.

Sources: Ackley, Hinton and Sejnowski (1985) for temperature, Fan, Lewis and
Dauphin (2018) for top-k, Holtzman et al. (2020) for top-p, Maddison, Tarlow
and Minka (2014) for the Gumbel-max trick.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from snippets.transformer.encoder import Arrange, post_norm
from snippets.transformer.generation import write
from snippets.transformer.overview import Transformer
from snippets.transformer.scaled_dot_product_attention import (
    log_softmax,
    softmax,
)


# --8<-- [start:sample]
def _require_words(logits: np.ndarray) -> None:
    """Raises ValueError if some row has no distribution over words."""
    if not (logits < np.inf).all():
        raise ValueError("logits must be numbers below infinity")
    if np.isneginf(logits).all(axis=-1).any():
        raise ValueError("logits must not all be -inf: no word is left")


def inverse_cdf(
    probabilities: Float[np.ndarray, "*batch vocab"],
    u: Float[np.ndarray, "*batch"],
) -> Int[np.ndarray, "*batch"]:
    """The word in whose piece of the line from 0 to 1 the number u lies.

    Raises ValueError if some u is not at least 0 and below 1.
    """
    if not ((u >= 0) & (u < 1)).all():
        raise ValueError("u must be at least 0 and below 1")
    ends = np.cumsum(probabilities, axis=-1, dtype=float)
    mark = u[..., None] * ends[..., -1:]  # the rounded sum is not quite 1
    return np.asarray((ends <= mark).sum(axis=-1))


def sample(
    logits: Float[np.ndarray, "*batch vocab"], rng: np.random.Generator
) -> Int[np.ndarray, "*batch"]:
    """One word for each row, each with its probability softmax(logits).

    Raises ValueError for NaN, +inf, or a row of nothing but -inf.
    """
    _require_words(logits)
    u = np.asarray(rng.random(logits.shape[:-1]))
    return inverse_cdf(softmax(logits), u)


# --8<-- [end:sample]


# --8<-- [start:gumbel_max]
def gumbel_max(
    logits: Float[np.ndarray, "*batch vocab"], rng: np.random.Generator
) -> Int[np.ndarray, "*batch"]:
    """The same distribution as `sample`, by noise and an argmax.

    Raises ValueError as `sample` does.
    """
    _require_words(logits)
    noise = rng.gumbel(size=logits.shape)  # -log(-log(u)), u uniform
    return np.asarray((logits + noise).argmax(axis=-1))


# --8<-- [end:gumbel_max]


# --8<-- [start:temperature]
def temperature(
    logits: Float[np.ndarray, "*batch vocab"], t: float
) -> Float[np.ndarray, "*batch vocab"]:
    """(logits - their maximum) / t: probabilities become p^(1/t).

    The shift changes no probability, and no t is too small for it. Raises
    ValueError unless t is above 0 and finite.
    """
    if not 0 < t < np.inf:
        raise ValueError(
            f"t must be above 0 and finite, not {t}; or use top_k, k = 1"
        )
    _require_words(logits)
    with np.errstate(over="ignore"):  # an overflow is -inf, as it should
        return (logits - logits.max(axis=-1, keepdims=True)) / t


# --8<-- [end:temperature]


# --8<-- [start:filters]
def _by_rank(logits: np.ndarray) -> np.ndarray:
    """Ids from the largest logit down; of equal ones, the lowest first."""
    return np.argsort(-logits, axis=-1, kind="stable")


def _only(
    logits: Float[np.ndarray, "*batch vocab"],
    ids: Int[np.ndarray, "*batch vocab"],
    keep: Bool[np.ndarray, "*#batch vocab"],
) -> Float[np.ndarray, "*batch vocab"]:
    """The logits of those ids that are kept, -inf for the others."""
    kept = np.zeros(logits.shape, dtype=bool)
    np.put_along_axis(kept, ids, np.broadcast_to(keep, ids.shape), axis=-1)
    return np.where(kept, logits, -np.inf)


def top_k(
    logits: Float[np.ndarray, "*batch vocab"], k: int
) -> Float[np.ndarray, "*batch vocab"]:
    """The k largest logits, all if there are not so many; else -inf.

    Of equal logits at the border the lowest ids are kept. Raises
    ValueError if k is below 1, and as `sample` does.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    _require_words(logits)
    keep = np.arange(logits.shape[-1]) < k
    return _only(logits, _by_rank(logits), keep)


def top_p(
    logits: Float[np.ndarray, "*batch vocab"], p: float
) -> Float[np.ndarray, "*batch vocab"]:
    """The fewest words whose probabilities sum to p or more; else -inf.

    They are taken from the most probable down, of equal ones the lowest id
    first, and at least one. With p = 1 all stay. Raises ValueError unless
    p is between 0 and 1, and as `sample` does.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, not {p}")
    _require_words(logits)
    if p == 1:  # a rounded sum can reach 1 before the last word
        return logits.copy()
    ids = _by_rank(logits)
    falling = np.take_along_axis(softmax(logits), ids, axis=-1)
    before = np.cumsum(falling, axis=-1, dtype=float)[..., :-1]
    keep = np.ones(ids.shape, dtype=bool)  # the first word in any case
    keep[..., 1:] = before < p  # the words before it do not yet reach p
    return _only(logits, ids, keep)


def adjust(
    logits: Float[np.ndarray, "*batch vocab"],
    t: float = 1.0,
    k: int | None = None,
    p: float = 1.0,
) -> Float[np.ndarray, "*batch vocab"]:
    """Temperature first, then top-k, then top-p: the order matters."""
    logits = temperature(logits, t)
    return top_p(logits if k is None else top_k(logits, k), p)


# --8<-- [end:filters]


# --8<-- [start:entropy]
def entropy(
    logits: Float[np.ndarray, "*batch vocab"],
) -> Float[np.ndarray, "*batch"]:
    """Of the distribution softmax(logits), in nats: 0 if all is certain."""
    _require_words(logits)
    logs = log_softmax(logits)
    p = np.exp(logs)
    return np.asarray(-(p * np.where(p > 0, logs, 0.0)).sum(axis=-1))


# --8<-- [end:entropy]


# --8<-- [start:generate]
def generate(
    model: Transformer,
    source: Int[np.ndarray, "*batch source"],
    start: int,
    end: int,
    longest: int,
    rng: np.random.Generator,
    t: float = 1.0,
    k: int | None = None,
    p: float = 1.0,
    arrange: Arrange = post_norm,
    pad: int = 0,
) -> Int[np.ndarray, "*batch target"]:
    """A text for each row: every word is drawn, after `adjust`.

    In all else as `greedy`. Raises ValueError as `write` and `adjust` do.
    """

    def draw(logits: np.ndarray) -> np.ndarray:
        return sample(adjust(logits, t, k, p), rng)

    return write(model, source, start, end, longest, draw, arrange, pad)


# --8<-- [end:generate]
