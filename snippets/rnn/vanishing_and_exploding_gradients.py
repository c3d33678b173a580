"""When the gradient through time vanishes or explodes, and what helps.

Sources: Hochreiter (1991), Bengio, Simard and Frasconi (1994) and Pascanu,
Mikolov and Bengio (2013) for the product of Jacobians and its bound, the
last also for clipping; Hochreiter and Schmidhuber (1997) and Gers,
Schmidhuber and Cummins (2000) for the additive path.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.rnn.recurrence import RNN, cell, run
from snippets.rnn.short_term_dependency import jacobian_step
from snippets.rnn.unrolling import backward

Arrays = Sequence[Float[np.ndarray, "..."]]


# --8<-- [start:sigmoid]
def sigmoid(a: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """1 / (1 + exp(-a)), as a tanh, which cannot overflow."""
    return np.asarray((1.0 + np.tanh(a / 2.0)) / 2.0)


def tanh_twin(rnn: RNN) -> RNN:
    """The tanh network with the states 2h - 1, for a sigmoid network's h.

    Both have the same dh_t/dh_0: the 2 of the states cancels.
    """
    b = (rnn.b + rnn.W_h.sum(axis=1) / 2.0) / 2.0
    return RNN(rnn.W_x / 2.0, rnn.W_h / 4.0, b)


# --8<-- [end:sigmoid]


# --8<-- [start:products]
def products(
    copies: Sequence[RNN],
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch time hidden hidden"]:
    """dh_t/dh_0 for every t, from the initial state `h` onward.

    One copy of the weights a step: `[rnn] * time` for a recurrent network,
    different ones for a deep feed-forward network. Raises ValueError where
    the number of copies is not the number of steps.
    """
    if not len(copies) == x.shape[1] > 0:
        raise ValueError(f"copies must be one a step, at least 1: got "
                         f"{len(copies)} for {x.shape[1]}")  # fmt: skip
    if activation == "sigmoid":
        copies, h = [tanh_twin(copy) for copy in copies], 2.0 * h - 1.0
        activation = "tanh"
    product, found = np.tile(np.eye(h.shape[1]), (len(h), 1, 1)), []
    for t, copy in enumerate(copies):
        h = cell(copy, x[:, t], h, activation)
        product = jacobian_step(copy, h, activation) @ product
        found.append(product)
    return np.stack(found, axis=1)


# --8<-- [end:products]


# --8<-- [start:bound]
STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}


def bound(
    W_h: Float[np.ndarray, "hidden hidden"],
    steps: int,
    activation: str = "tanh",
) -> Float[np.ndarray, " time"]:
    """No dh_t/dh_0 has a singular value above this, t = 1 to `steps`.

    The largest singular value of W_h times the steepest slope, to the
    power t. Raises ValueError for an activation without a known slope.
    """
    if activation not in STEEPEST:
        raise ValueError(f"activation must be one of {list(STEEPEST)}, "
                         f"got {activation!r}")  # fmt: skip
    a_step = STEEPEST[activation] * np.linalg.norm(W_h, 2)
    return a_step ** np.arange(1.0, steps + 1)


# --8<-- [end:bound]


# --8<-- [start:drawn]
def drawn(scale: float, hidden: int, rng: np.random.Generator) -> RNN:
    """Four inputs, normal weights, no bias.

    For many units the spectral radius of W_h tends to `scale` (Tao and
    others 2010, Geman 1986), its largest singular value to twice `scale`
    (Geman 1980).
    """
    W_h = scale * rng.normal(size=(hidden, hidden)) / np.sqrt(hidden)
    return RNN(rng.normal(size=(hidden, 4)) / 2.0, W_h, np.zeros(hidden))


# --8<-- [end:drawn]


# --8<-- [start:sweep]
class Sweep(NamedTuple):
    """Logarithms to base 10, one row a scale, one column a seed."""

    influence: Float[np.ndarray, "scales seeds"]
    bound: Float[np.ndarray, "scales seeds"]


def sweep(
    scales: Float[np.ndarray, " scales"], seeds: int, activation: str
) -> Sweep:
    """The influence of h_0 = 0 on h_50: 64 units, normal inputs."""
    found = Sweep(*np.empty((2, len(scales), seeds)))
    for i, seed in np.ndindex(len(scales), seeds):
        rng = np.random.default_rng(seed)
        rnn = drawn(float(scales[i]), 64, rng)
        x, h = rng.normal(size=(1, 50, 4)), np.zeros((1, 64))
        end = products([rnn] * 50, x, h, activation)[0, -1]
        limit = bound(rnn.W_h, 50, activation)[-1]
        found.influence[i, seed] = np.log10(np.linalg.norm(end, 2))
        found.bound[i, seed] = np.log10(limit)
    return found


# --8<-- [end:sweep]


# --8<-- [start:luck]
def luck(shared: bool, seeds: int) -> Float[np.ndarray, "{seeds} 2"]:
    """The influence through 25 and 100 ReLU layers with weights by He.

    The root mean square of the singular values, for 32 units. Each layer
    has its own matrix, or all share one, as a recurrent network does.
    """
    found = np.empty((seeds, 2))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        h = np.abs(rng.normal(size=(1, 32)))
        layers = [drawn(2.0**0.5, 32, rng) for _ in range(100)]
        copies = layers[:1] * 100 if shared else layers
        ends = products(copies, np.zeros((1, 100, 4)), h, "relu")[0]
        found[seed] = np.linalg.norm(ends[[24, 99]], axis=(1, 2)) / 32**0.5
    return found


# --8<-- [end:luck]


# --8<-- [start:clip]
def total_norm(grads: Arrays) -> float:
    """The length of all gradients as one vector.

    Raises ValueError where one number is not finite.
    """
    flat = np.concatenate([np.ravel(grad) for grad in grads])
    peak = float(np.abs(flat).max(initial=0.0))
    if not np.isfinite(peak):
        raise ValueError(f"grads must be finite, got {peak}")
    # Divided by the peak, no square can overflow or underflow.
    return peak * float(np.linalg.norm(flat / (peak or 1.0)))


def clip_norm(grads: Arrays, limit: float) -> list[np.ndarray]:
    """One factor for all gradients, so that their norm is below `limit`.

    Gradients within the limit stay. Pascanu and others (2013), with the
    1e-6 that PyTorch adds, which keeps a zero gradient from 0 / 0.
    """
    check_limit(limit)
    factor = min(1.0, limit / (total_norm(grads) + 1e-6))
    return [factor * grad for grad in grads]


def clip_value(grads: Arrays, limit: float) -> list[np.ndarray]:
    """Each number on its own, cut off at -limit and limit."""
    check_limit(limit)
    total_norm(grads)  # ValueError for nan and inf, which a cut would hide
    return [np.clip(grad, -limit, limit) for grad in grads]


# --8<-- [end:clip]


def check_limit(limit: float) -> None:
    """ValueError unless the limit of a clipping is above 0."""
    if not limit > 0.0:
        raise ValueError(f"limit must be above 0, got {limit}")


# --8<-- [start:latch]
def latch(
    limit: float, updates: int
) -> tuple[
    RNN, Float[np.ndarray, " {updates}"], Float[np.ndarray, " {updates}"]
]:
    """One tanh unit learns to tell 0.5 from -0.5 fifty steps later.

    Gradient descent on W_h and b, clipped by norm at `limit`. Returns the
    weights, and the losses and gradient norms before each update.
    """
    start, x = np.array([[0.5], [-0.5]]), np.zeros((2, 50, 1))
    rnn = RNN(np.zeros((1, 1)), np.array([[1.5]]), np.array([-0.5]))
    losses, norms = np.empty(updates), np.empty(updates)
    for update in range(updates):
        states = run(rnn, x, start)
        gap = states[:, -1] - 0.9 * np.sign(start)
        g = np.zeros_like(states)
        g[:, -1] = gap  # of half the sum of squares
        back = backward(rnn, x, start, states, g)
        grads = [back.W_h, back.b]
        losses[update] = (gap**2).sum() / 2
        norms[update] = total_norm(grads)
        W_h, b = clip_norm(grads, limit)
        rnn = RNN(rnn.W_x, rnn.W_h - 0.05 * W_h, rnn.b - 0.05 * b)
    return rnn, losses, norms


# --8<-- [end:latch]


# --8<-- [start:carry]
def carry(
    forget: Float[np.ndarray, "batch time hidden"],
    new: Float[np.ndarray, "batch time hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch time hidden"]:
    """c_t = forget_t * c_{t-1} + new_t, unit by unit, from `c` onward.

    The additive path of the LSTM: where neither `forget` nor `new`
    depends on c, dc_t/dc_0 is the product of `forget`. Raises ValueError
    for a gate outside 0 to 1.
    """
    if not ((forget >= 0.0) & (forget <= 1.0)).all():
        raise ValueError("forget must be between 0 and 1")
    states = np.empty_like(new)
    for t in range(new.shape[1]):
        c = states[:, t] = forget[:, t] * c + new[:, t]
    return states


# --8<-- [end:carry]
