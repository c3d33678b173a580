"""Mixture density networks: a network whose output is a distribution.

Source: Bishop (1994), who writes t for what is y here. Sizes: x is
[batch, features], y is [batch], and each output [batch, n_gaussians].
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from snippets.transformer.overview import Linear, linear
from snippets.transformer.sampling import sample as sample_category
from snippets.transformer.scaled_dot_product_attention import log_softmax

# --8<-- [start:problem]
NOISE = 0.05


def curve(y: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """From cause to effect: one x for each y."""
    return y + 0.3 * np.sin(2 * np.pi * y)


def draw(
    count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "batch 1"], Float[np.ndarray, " batch"]]:
    """x to read and y to tell: y from 0 to 1, x = curve(y) + noise."""
    y = rng.random(count)
    x = curve(y) + rng.uniform(-NOISE, NOISE, count)
    return x[:, None], y


# --8<-- [end:problem]

# --8<-- [start:exact]
GRID = np.linspace(0.0, 1.0, 2001)  # the y that are looked at


def possible(
    x: Float[np.ndarray, " batch"],
) -> Bool[np.ndarray, "batch grid"]:
    """Which y of GRID can have caused x; all of them equally likely.

    Raises ValueError for an x that nothing can have caused.
    """
    found = np.abs(curve(GRID) - x[:, None]) <= NOISE
    if not found.any(axis=1).all():
        raise ValueError("x must be a value that some y can have caused")
    return found


def conditional_mean(
    x: Float[np.ndarray, " batch"],
) -> Float[np.ndarray, " batch"]:
    """The mean of the possible y: the best answer by squared error."""
    found = possible(x)
    return (found * GRID).sum(axis=1) / found.sum(axis=1)


def exact_log_prob(
    x: Float[np.ndarray, " batch"],
) -> Float[np.ndarray, " batch"]:
    """log p(y | x) for every possible y: 1 over the length of their set."""
    return -np.log(possible(x).mean(axis=1))


def distance(
    x: Float[np.ndarray, " batch"], y: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, " batch"]:
    """How far each y is from the nearest y that can have caused its x."""
    gaps = np.abs(GRID - y[:, None])
    return np.where(possible(x), gaps, np.inf).min(axis=1)


def odd(
    x: Float[np.ndarray, " batch"], y: Float[np.ndarray, " batch"]
) -> Bool[np.ndarray, " batch"]:
    """Whether the curve leads from y to more than 2 NOISE beside x."""
    return np.abs(curve(y) - x) > 2 * NOISE


# --8<-- [end:exact]


# --8<-- [start:forward]
class MDN(NamedTuple):
    """A hidden layer, and three layers that all read it."""

    hidden: Linear
    logits: Linear
    means: Linear
    log_sigmas: Linear


class Mixture(NamedTuple):
    """For each row of a batch, Gaussians and the logs of their weights."""

    log_weights: Float[np.ndarray, "*batch n_gaussians"]
    means: Float[np.ndarray, "*batch n_gaussians"]
    log_sigmas: Float[np.ndarray, "*batch n_gaussians"]


def forward(net: MDN, x: Float[np.ndarray, "*batch features"]) -> Mixture:
    """The mixture that the network tells for each row of x."""
    h = np.tanh(linear(net.hidden, x))
    return Mixture(
        log_softmax(linear(net.logits, h)),  # each row sums to 1
        linear(net.means, h),  # any number
        linear(net.log_sigmas, h),  # any number: exp makes it positive
    )


# --8<-- [end:forward]


# --8<-- [start:log_prob]
def log_sum_exp(
    a: Float[np.ndarray, "*batch n"],
) -> Float[np.ndarray, "*batch"]:
    """log(sum(exp(a))) over the last axis; -inf where all are -inf."""
    top = a.max(axis=-1, keepdims=True)
    top = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):  # the log of 0 is -inf
        total = np.log(np.exp(a - top).sum(axis=-1))
    return np.asarray(top[..., 0] + total)


def component_log_probs(
    mixture: Mixture, y: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch n_gaussians"]:
    """log N(y; mean, sigma^2) for each Gaussian by itself."""
    z = (y[..., None] - mixture.means) / np.exp(mixture.log_sigmas)
    return -0.5 * z**2 - mixture.log_sigmas - 0.5 * np.log(2 * np.pi)


def log_prob(
    mixture: Mixture, y: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    """The log of the mixture's density at y, of one y a row."""
    parts = mixture.log_weights + component_log_probs(mixture, y)
    return log_sum_exp(parts)


# --8<-- [end:log_prob]


# --8<-- [start:moments]
class Moments(NamedTuple):
    """The mean of a mixture, and its variance in two parts."""

    mean: Float[np.ndarray, "*batch"]
    within: Float[np.ndarray, "*batch"]
    between: Float[np.ndarray, "*batch"]


def moments(mixture: Mixture) -> Moments:
    """The law of total variance: the variance is within + between."""
    weights = np.exp(mixture.log_weights)
    sigmas = np.exp(mixture.log_sigmas)
    mean = (weights * mixture.means).sum(axis=-1)
    off = mixture.means - mean[..., None]
    return Moments(
        np.asarray(mean),
        np.asarray((weights * sigmas**2).sum(axis=-1)),
        np.asarray((weights * off**2).sum(axis=-1)),
    )


# --8<-- [end:moments]


# --8<-- [start:sample]
def sample(
    mixture: Mixture, rng: np.random.Generator
) -> Float[np.ndarray, "*batch"]:
    """For each row one Gaussian by its weight, then a value from it."""
    k = sample_category(mixture.log_weights, rng)[..., None]
    mean = np.take_along_axis(mixture.means, k, axis=-1)[..., 0]
    log_sigma = np.take_along_axis(mixture.log_sigmas, k, axis=-1)[..., 0]
    noise = rng.normal(size=mean.shape)
    return np.asarray(mean + np.exp(log_sigma) * noise)


# --8<-- [end:sample]


# --8<-- [start:mistakes]
def mean_of_draws(
    mixture: Mixture, rng: np.random.Generator
) -> Float[np.ndarray, "*batch"]:
    """Wrong: a value from every Gaussian, and their weighted mean."""
    noise = rng.normal(size=mixture.means.shape)
    values = mixture.means + np.exp(mixture.log_sigmas) * noise
    return np.asarray((np.exp(mixture.log_weights) * values).sum(axis=-1))


def one_gaussian(
    mixture: Mixture, rng: np.random.Generator
) -> Float[np.ndarray, "*batch"]:
    """Wrong: a value from one Gaussian of the same mean and variance."""
    mean, within, between = moments(mixture)
    noise = rng.normal(size=mean.shape)
    return np.asarray(mean + np.sqrt(within + between) * noise)


def as_log_variances(mixture: Mixture) -> Mixture:
    """Wrong: the logs of sigma, read as the logs of sigma squared."""
    return mixture._replace(log_sigmas=mixture.log_sigmas / 2)


def equal_weights(mixture: Mixture) -> Mixture:
    """Wrong: what a softmax over the batch makes of a batch of one."""
    return mixture._replace(
        log_weights=log_softmax(np.zeros_like(mixture.log_weights))
    )


# --8<-- [end:mistakes]
