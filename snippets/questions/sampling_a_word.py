"""Drawing one word at each step: does it fit, and why not the mean?

Sources: Pearson (1900) for chi-square; Gu et al. (2018) for what happens
when words are drawn without looking at each other.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.encoder import Arrange, post_norm
from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.masking import causal_mask
from snippets.transformer.overview import Transformer, linear
from snippets.transformer.positional_encoding import sinusoids
from snippets.transformer.scaled_dot_product_attention import softmax


# --8<-- [start:chi_square]
class Fit(NamedTuple):
    """How far counts are from what was expected, and of how many kinds."""

    statistic: float
    freedom: int


def chi_square(
    counts: Int[np.ndarray, " vocab"],
    p: Float[np.ndarray, " vocab"],
    least: float = 5.0,
) -> Fit:
    """The sum of (count - expected)^2 / expected: Pearson (1900).

    Words expected less than `least` times are one kind together, left out
    if that is not expected at all. Infinite if one of these came anyway.
    Raises ValueError unless there are counts, and p sums to 1.
    """
    n = counts.sum()
    if not (n > 0 and (counts >= 0).all()):
        raise ValueError("counts must not be negative, nor all 0")
    if not ((p >= 0).all() and np.isclose(p.sum(), 1)):
        raise ValueError("p must be probabilities that sum to 1")
    rare = n * p < least
    found = np.append(counts[~rare], counts[rare].sum())
    expected = n * np.append(p[~rare], p[rare].sum())
    if expected[-1] == 0:
        if found[-1]:
            return Fit(np.inf, len(found) - 1)
        found, expected = found[:-1], expected[:-1]
    statistic = ((found - expected) ** 2 / expected).sum()
    return Fit(float(statistic), len(found) - 1)


# --8<-- [end:chi_square]


# --8<-- [start:means]
def write_means(
    model: Transformer,
    memory: Float[np.ndarray, "source d_model"],
    start: int,
    longest: int,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "longest vocab"]:
    """Each step's distribution if no word is ever drawn.

    In place of a word the decoder reads the mean of all embeddings, with
    the probabilities as weights. Raises ValueError unless longest is at
    least 1.
    """
    if longest < 1:
        raise ValueError(f"longest must be at least 1, not {longest}")
    d_model, told = model.target_embedding.shape[1], []
    read = model.target_embedding[[start]]
    for n in range(1, longest + 1):
        y = read * d_model**0.5 + sinusoids(n, d_model)
        norm, look_back = model.decoder_norm, causal_mask(n)
        y = decode(model.decoder, y, memory, look_back, None, norm, arrange)
        told.append(softmax(linear(model.output, y[-1])))
        mean = told[-1] @ model.target_embedding
        read = np.concatenate([read, mean[None]])
    return np.stack(told)


# --8<-- [end:means]
