"""What moves an encoding: each word's part, its removal, its vote.

Everything here is about one head, whose output for a query is a weighted
mean of values: Vaswani et al. (2017), section 3.2.1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


# --8<-- [start:parts]
def word_parts(
    weights: Float[np.ndarray, "*batch target source"],
    values: Float[np.ndarray, "*batch source d_v"],
) -> Float[np.ndarray, "*batch target source d_v"]:
    """What each word adds to each output: its weight times its value."""
    return weights[..., None] * values[..., None, :, :]


# --8<-- [end:parts]


# --8<-- [start:change]
class Change(NamedTuple):
    """Why an output moved: the two add up to the whole move."""

    by_values: Float[np.ndarray, "*batch target d_v"]
    by_weights: Float[np.ndarray, "*batch target d_v"]


def change(
    weights: Float[np.ndarray, "*batch target source"],
    values: Float[np.ndarray, "*batch source d_v"],
    new_weights: Float[np.ndarray, "*batch target source"],
    new_values: Float[np.ndarray, "*batch source d_v"],
) -> Change:
    """New values at the mean weights; new weights at the mean values.

    For two sentences of equal length, word by word. No term is left over:
    the product of two differences cancels when both means are taken.
    Source: Kitagawa (1955).
    """
    mean_weights = (weights + new_weights) / 2
    mean_values = (values + new_values) / 2
    return Change(
        by_values=mean_weights @ (new_values - values),
        by_weights=(new_weights - weights) @ mean_values,
    )


# --8<-- [end:change]


# --8<-- [start:left_out]
def left_out(
    weights: Float[np.ndarray, "*batch target source"],
    values: Float[np.ndarray, "*batch source d_v"],
) -> Float[np.ndarray, "*batch target source d_v"]:
    """Each output as it would be if one word were masked, for each word.

    The other words share its weight in proportion to their own. Raises
    ValueError where a word has all the weight: nothing would be left.
    """
    others = weights[..., None, :] * (1.0 - np.eye(weights.shape[-1]))
    total = others.sum(axis=-1, keepdims=True)
    if not total.all():
        raise ValueError("weights must leave some for a second word")
    return others / total @ values[..., None, :, :]


# --8<-- [end:left_out]


# --8<-- [start:explained]
def explained(
    vectors: Float[np.ndarray, "places d"],
    words: Int[np.ndarray, " places"],
) -> float:
    """The share of the vectors' variance that the word explains.

    1 if a word has the same vector wherever it stands, 0 if the means of
    all words are equal. Every word has its own mean, so a word that
    occurs once is explained without effort. Raises ValueError if all
    vectors are equal.
    """
    if (vectors == vectors[:1]).all():
        raise ValueError("vectors must not all be equal")
    counts = np.maximum(np.bincount(words), 1)  # of a number not used: 0
    means = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(means, words, vectors)
    means /= counts[:, None]
    within = ((vectors - means[words]) ** 2).sum()
    total = ((vectors - vectors.mean(axis=0)) ** 2).sum()
    return float(1.0 - within / total)


# --8<-- [end:explained]


# --8<-- [start:votes]
def votes(
    scores: Float[np.ndarray, "*batch target source"],
    values: Float[np.ndarray, "*batch source d_v"],
    read_out: Float[np.ndarray, " d_v"],
    threshold: float,
) -> Float[np.ndarray, "*batch target source"]:
    """exp(score) * (read_out . value - threshold), for each word.

    Their sum over the words is positive exactly where read_out . output
    is above the threshold. A vote depends on the word and on the query,
    not on the other words. `scores` are scaled, and not shifted.
    """
    margins = values @ read_out - threshold
    return np.exp(scores) * margins[..., None, :]


# --8<-- [end:votes]
