"""The encoder: layer norm, residual connections, feed-forward, a stack.

Source: Vaswani et al. (2017), sections 3.1 and 3.3. Attention is a closed
box here: a function `attend` that mixes positions and keeps the shape.
"""

from collections.abc import Callable, Sequence
from math import erf
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.overview import (
    EncoderLayer,
    FeedForward,
    Linear,
    Norm,
    linear,
)


# --8<-- [start:layer_norm]
def layer_norm(
    norm: Norm, x: Float[np.ndarray, "*batch d_model"]
) -> Float[np.ndarray, "*batch d_model"]:
    """Each vector less its mean, over its standard deviation.

    Then gain and shift, a number for each feature. The variance divides
    by d_model, and 1e-5 is added to it: Ba, Kiros and Hinton (2016), with
    PyTorch's epsilon. Raises ValueError for the wrong number of features.
    """
    if x.shape[-1] != len(norm.gain):
        raise ValueError(
            f"x must have {len(norm.gain)} features, not {x.shape[-1]}"
        )
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * norm.gain + norm.shift


# --8<-- [end:layer_norm]


# --8<-- [start:feed_forward]
def feed_forward(
    ff: FeedForward, x: Float[np.ndarray, "*batch d_model"]
) -> Float[np.ndarray, "*batch d_model"]:
    """Linear, ReLU, linear: the same two matrices at every position."""
    return linear(ff.outer, np.maximum(linear(ff.inner, x), 0.0))


# --8<-- [end:feed_forward]


# --8<-- [start:memory]
def error_left(
    d_ff: int, n_facts: int, d_model: int, rng: np.random.Generator
) -> tuple[float, float]:
    """What a feed-forward part misses of random facts, at its best.

    A fact is a vector and the answer to it. The inner map is random, the
    outer one the best there is. The mean squared error, as a share of the
    answers' variance; then the same without the ReLU.
    """
    facts, answers = rng.normal(size=(2, n_facts, d_model))
    W, b = rng.normal(size=(d_ff, d_model)), rng.normal(size=d_ff)
    inner, shares = linear(Linear(W, b), facts), []
    for hidden in (np.maximum(inner, 0.0), inner):
        columns = np.column_stack([hidden, np.ones(n_facts)])  # and b_o
        outer = np.linalg.lstsq(columns, answers, rcond=None)[0]
        missed = answers - columns @ outer
        shares.append(float((missed**2).mean() / answers.var()))
    return shares[0], shares[1]


# --8<-- [end:memory]


# --8<-- [start:arrange]
Sublayer = Callable[[np.ndarray], np.ndarray]


def residual(
    x: Float[np.ndarray, "*batch d_model"], change: np.ndarray
) -> Float[np.ndarray, "*batch d_model"]:
    """The input, and what a sub-layer makes of it, added up.

    Raises ValueError for another shape than that of x: NumPy would repeat
    a width of 1 without a word.
    """
    if change.shape != x.shape:
        raise ValueError(
            f"change must have the shape {x.shape}, not {change.shape}"
        )
    return x + change


def post_norm(
    norm: Norm, x: Float[np.ndarray, "*batch d_model"], sublayer: Sublayer
) -> Float[np.ndarray, "*batch d_model"]:
    """The norm after the sum: Vaswani et al. (2017), section 3.1."""
    return layer_norm(norm, residual(x, sublayer(x)))


def pre_norm(
    norm: Norm, x: Float[np.ndarray, "*batch d_model"], sublayer: Sublayer
) -> Float[np.ndarray, "*batch d_model"]:
    """The norm on the branch, before the sub-layer; the sum stays bare."""
    return residual(x, sublayer(layer_norm(norm, x)))


# --8<-- [end:arrange]


# --8<-- [start:layer]
Arrange = Callable[[Norm, np.ndarray, Sublayer], np.ndarray]


def encoder_layer(
    layer: EncoderLayer,
    x: Float[np.ndarray, "*batch time d_model"],
    attend: Sublayer,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch time d_model"]:
    """Positions exchange with `attend`; then each works on its own."""
    x = arrange(layer.norm_1, x, attend)
    return arrange(
        layer.norm_2, x, lambda z: feed_forward(layer.feed_forward, z)
    )


# --8<-- [end:layer]


# --8<-- [start:stack]
def encoder(
    layers: Sequence[EncoderLayer],
    x: Float[np.ndarray, "*batch time d_model"],
    attends: Sequence[Sublayer],
    norm: Norm | None = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch time d_model"]:
    """One layer after the other, each with weights of its own.

    `norm` comes after the last layer: a pre-norm stack needs it. Raises
    ValueError if there is not one `attend` for each layer.
    """
    if len(layers) != len(attends):
        raise ValueError(
            f"attends must be {len(layers)} functions, not {len(attends)}"
        )
    for layer, attend in zip(layers, attends, strict=True):
        x = encoder_layer(layer, x, attend, arrange)
    return x if norm is None else layer_norm(norm, x)


# --8<-- [end:stack]


# --8<-- [start:average]
def average(
    x: Float[np.ndarray, "*batch time d_model"],
) -> Float[np.ndarray, "*batch time d_model"]:
    """The plainest way to mix: every position gets the mean of all."""
    return np.broadcast_to(x.mean(axis=-2, keepdims=True), x.shape)


# --8<-- [end:average]


# --8<-- [start:influence]
def position_influence(
    f: Sublayer, x: Float[np.ndarray, "time d_model"], step: float = 1e-6
) -> Float[np.ndarray, "target source"]:
    """How much each output vector moves with each input vector.

    Entry i, j is the Frobenius norm of the Jacobian's block of output i
    and input j, by central differences of `step`. `f` must take a batch.
    """
    time, d_model = x.shape
    nudges = step * np.eye(x.size).reshape(-1, time, d_model)
    slopes = (f(x + nudges) - f(x - nudges)) / (2 * step)
    blocks = slopes.reshape(time, d_model, time, d_model)
    return np.sqrt((blocks**2).sum(axis=(1, 3))).T


def moved(
    f: Sublayer, x: Float[np.ndarray, "batch time d_model"], place: int
) -> float:
    """How far the first output moves, in the mean over the batch, when
    the vector at `place` is exchanged for that of the next sequence."""
    other = x.copy()
    other[:, place] = np.roll(x[:, place], 1, axis=0)
    changes = (f(other) - f(x))[:, 0]
    return float(np.linalg.norm(changes, axis=-1).mean())


# --8<-- [end:influence]


# --8<-- [start:task]
class Task(NamedTuple):
    """Each position has a name and a value, and asks for a name."""

    names: Int[np.ndarray, "batch time"]
    values: Int[np.ndarray, "batch time"]
    asked: Int[np.ndarray, "batch time"]
    found: Int[np.ndarray, "batch time"]
    high: Int[np.ndarray, "batch time"]


def lookup_task(
    size: int, time: int, n_values: int, rng: np.random.Generator
) -> Task:
    """Two questions about `size` sequences with names in random order.

    `found`: the value at the position whose name is asked for. `high`: 1
    at every position if the sum of all values is above its mean, else 0.
    """
    names = rng.permuted(np.tile(np.arange(time), (size, 1)), axis=1)
    values = rng.integers(n_values, size=(size, time))
    asked = rng.integers(time, size=(size, time))
    places = np.take_along_axis(names.argsort(axis=1), asked, axis=1)
    found = np.take_along_axis(values, places, axis=1)
    above = 2 * values.sum(axis=1) > time * (n_values - 1)
    high = np.tile(above[:, None].astype(int), time)
    return Task(names, values, asked, found, high)


def best_guesses(task: Task) -> dict[str, tuple[float, float]]:
    """How often `found` and `high` can be right on average, at best.

    `average`: knowing the own position, and how often each value occurs.
    `alone`: knowing the own position. `task` should be large.
    """
    n_values = task.values.max() + 1
    own = task.names == task.asked
    each = task.values[..., None] == np.arange(n_values)
    others = each.sum(axis=1, keepdims=True) - each
    found = np.where(own, task.values, others.argmax(axis=-1)) == task.found
    share_high = [
        task.high[task.values == v].mean() for v in range(n_values)
    ]
    high = np.maximum(share_high, 1.0 - np.array(share_high)).mean()
    return {
        "attention": (1.0, 1.0),
        "average": (float(found.mean()), 1.0),
        "alone": (float((own + ~own / n_values).mean()), float(high)),
    }


# --8<-- [end:task]


# --8<-- [start:mistakes]
Build = Callable[[EncoderLayer, np.ndarray, Sublayer], np.ndarray]


def _wired(arrange: Arrange) -> Build:
    return lambda layer, x, attend: encoder_layer(layer, x, attend, arrange)


def _with(change: Callable[[FeedForward, np.ndarray], np.ndarray]) -> Build:
    def build(
        layer: EncoderLayer, x: np.ndarray, attend: Sublayer
    ) -> np.ndarray:
        x = post_norm(layer.norm_1, x, attend)
        ff = layer.feed_forward
        return post_norm(layer.norm_2, x, lambda z: change(ff, z))

    return build


def _divided_by_one_less(
    norm: Norm, x: np.ndarray, sublayer: Sublayer
) -> np.ndarray:
    y = x + sublayer(x)
    sigma = y.std(axis=-1, keepdims=True, ddof=1)
    return (
        y - y.mean(axis=-1, keepdims=True)
    ) / sigma * norm.gain + norm.shift


def gelu(a: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """a times the share of a standard normal that lies below a."""
    below = [(1.0 + erf(value / 2**0.5)) / 2.0 for value in a.flat]
    return a * np.reshape(below, a.shape)


MISTAKES: dict[str, Build] = {
    "none": _wired(post_norm),
    "one norm for both": lambda layer, x, attend: encoder_layer(
        layer._replace(norm_2=layer.norm_1), x, attend
    ),
    "no residual": _wired(lambda norm, x, f: layer_norm(norm, f(x))),
    "norm on the branch": _wired(pre_norm),
    "variance by d - 1": _wired(_divided_by_one_less),
    "no biases": _with(
        lambda ff, z: np.maximum(z @ ff.inner.W.T, 0.0) @ ff.outer.W.T
    ),
    "ReLU after outer": _with(
        lambda ff, z: np.maximum(linear(ff.outer, linear(ff.inner, z)), 0.0)
    ),
    "GELU": _with(
        lambda ff, z: linear(ff.outer, gelu(linear(ff.inner, z)))
    ),
}
# --8<-- [end:mistakes]
