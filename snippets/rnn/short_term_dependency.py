"""How much of the past is still in the state of a recurrent network.

Sources: Pascanu, Mikolov and Bengio (2013) for the product of Jacobians;
Jaeger (2001) for the recall by a linear read-out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.rnn.recurrence import (
    RNN,
    Characters,
    initial,
    log_probabilities,
    run,
)
from snippets.rnn.unrolling import SLOPES
from snippets.sequence_models.sequential_data import one_hot


# --8<-- [start:jacobian_step]
def slope(
    h: Float[np.ndarray, "*shape"], activation: str
) -> Float[np.ndarray, "*shape"]:
    """The activation's derivative, read from the state that it made."""
    if activation not in SLOPES:
        raise ValueError(f"activation must be one of {list(SLOPES)}, "
                         f"got {activation!r}")  # fmt: skip
    return SLOPES[activation](h)


def jacobian_step(
    rnn: RNN,
    h_next: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch hidden hidden"]:
    """How h_next moves with the state before it: diag(slope) W_h.

    Row i holds the derivatives of unit i of h_next.
    """
    return slope(h_next, activation)[:, :, None] * rnn.W_h


# --8<-- [end:jacobian_step]


# --8<-- [start:influence]
class Influence(NamedTuple):
    """The derivatives of the last state, one row for each unit of it."""

    of_inputs: Float[np.ndarray, "batch time hidden features"]
    of_start: Float[np.ndarray, "batch hidden hidden"]


def influence(
    rnn: RNN,
    states: Float[np.ndarray, "batch time hidden"],
    activation: str = "tanh",
) -> Influence:
    """dh_T/dx_t for every t, and dh_T/dh_0, from the states alone.

    Walks back from T and keeps the product of the factors passed.
    """
    batch, time, hidden = states.shape
    of_inputs = np.empty((batch, time, hidden, rnn.W_x.shape[1]))
    product = np.tile(np.eye(hidden), (batch, 1, 1))  # dh_T/dh_T
    for t in reversed(range(time)):
        h = states[:, t]
        moved = slope(h, activation)[:, :, None] * rnn.W_x  # dh_t/dx_t
        of_inputs[:, t] = product @ moved
        product = product @ jacobian_step(rnn, h, activation)
    return Influence(of_inputs, product)


# --8<-- [end:influence]


# --8<-- [start:push]
def push(
    rnn: RNN,
    states: Float[np.ndarray, "batch time hidden"],
    change: Float[np.ndarray, "batch time features"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch hidden"]:
    """How far h_T moves, to first order, if x moves by ``change``.

    The sum of dh_T/dx_t times change[t], by one walk forward that
    multiplies no two matrices.
    """
    moved = np.zeros_like(states[:, 0])
    for t in range(states.shape[1]):
        a = change[:, t] @ rnn.W_x.T + moved @ rnn.W_h.T
        moved = slope(states[:, t], activation) * a
    return moved


# --8<-- [end:push]


# --8<-- [start:by_lag]
def by_lag(
    of_inputs: Float[np.ndarray, "batch time hidden features"],
) -> Float[np.ndarray, "batch time"]:
    """The largest singular value of each Jacobian, lag 0 first.

    It is how far h_T moves, at most, for a small change of x_t, as a
    multiple of the length of that change.
    """
    return np.linalg.norm(of_inputs, 2, axis=(2, 3))[:, ::-1]


# --8<-- [end:by_lag]


# --8<-- [start:over_seeds]
def over_seeds(
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    seeds: int,
    hidden: int = 64,
    time: int = 41,
) -> tuple[Float[np.ndarray, "seeds {time}"], Float[np.ndarray, " seeds"]]:
    """Sizes by lag in tanh networks with W_h changed, on random inputs.

    Also a guess of the factor for each step of lag: the root mean square
    of the singular values of W_h, times that of the slopes.
    """
    sizes, guesses = [], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        rnn, x = initial(4, hidden, rng), rng.normal(size=(1, time, 4))
        rnn = rnn._replace(W_h=change(rnn.W_h, rng))
        states = run(rnn, x, np.zeros((1, hidden)))
        sizes.append(by_lag(influence(rnn, states).of_inputs)[0])
        slopes = np.sqrt((slope(states, "tanh") ** 2).mean())
        guesses.append(np.linalg.norm(rnn.W_h) / hidden**0.5 * slopes)
    return np.array(sizes), np.array(guesses)


# --8<-- [end:over_seeds]


# --8<-- [start:recall]
def recall(
    states: Float[np.ndarray, "time hidden"],
    x: Float[np.ndarray, " time"],
    longest: int,
) -> Float[np.ndarray, " lags"]:
    """R^2 of x[t - lag] read linearly from states[t]; lags from 0.

    One least-squares read-out a lag, with a constant, fitted on the
    first half of the steps and scored on the second. Raises ValueError
    where there is too little to fit, or nothing to score.
    """
    steps = len(x) - longest
    if longest < 0 or steps < 4 * (states.shape[1] + 1):
        raise ValueError("longest must be at least 0 and leave 4 steps "
                         "for each weight")  # fmt: skip
    seen = np.column_stack([states[longest:], np.ones(steps)])
    past = np.stack(
        [x[longest - lag :][:steps] for lag in range(longest + 1)], axis=1
    )
    half = steps // 2
    if not np.ptp(past[half:], axis=0).all():
        raise ValueError("x must vary in the half that is scored")
    weights = np.linalg.lstsq(seen[:half], past[:half], rcond=None)[0]
    gaps = past[half:] - seen[half:] @ weights
    return 1.0 - (gaps**2).mean(axis=0) / past[half:].var(axis=0)


# --8<-- [end:recall]


# --8<-- [start:exchange]
def total_variation(
    p: Float[np.ndarray, "*batch symbols"],
    q: Float[np.ndarray, "*batch symbols"],
) -> Float[np.ndarray, "*batch"]:
    """The probability that must move to turn p into q: 0 to 1."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def read(
    model: Characters, codes: Int[np.ndarray, "batch time"]
) -> tuple[
    Float[np.ndarray, "batch time symbols"],
    Float[np.ndarray, "batch time hidden"],
]:
    """The codes as one-hot inputs, and the states that they lead to."""
    x = one_hot(codes.ravel()).reshape(*codes.shape, -1)
    return x, run(model.rnn, x, np.zeros((len(codes), len(model.rnn.b))))


class Exchange(NamedTuple):
    """Total variation in the prediction, measured and by derivative."""

    measured: Float[np.ndarray, " batch"]
    first_order: Float[np.ndarray, " batch"]


def exchange(
    model: Characters,
    codes: Int[np.ndarray, "batch time"],
    others: Int[np.ndarray, "batch time"],
) -> Exchange:
    """How far p(next symbol) moves when ``codes`` become ``others``."""
    (x, h), (x_others, h_others) = read(model, codes), read(model, others)
    p = np.exp(log_probabilities(model, h[:, -1]))
    q = np.exp(log_probabilities(model, h_others[:, -1]))
    logits = push(model.rnn, h, x_others - x) @ model.W_o.T
    moved = p * (logits - (p * logits).sum(axis=1, keepdims=True))
    return Exchange(total_variation(p, q), np.abs(moved).sum(axis=1) / 2)


# --8<-- [end:exchange]


# --8<-- [start:each_exchanged]
def each_exchanged(
    model: Characters, codes: Int[np.ndarray, " time"]
) -> Float[np.ndarray, " time"]:
    """The mean measured move by all other symbols; lag 0 first."""
    symbols = model.rnn.W_x.shape[1]
    rows = np.tile(codes, (symbols, 1))
    means = np.zeros(len(codes))
    for lag in range(len(codes)):
        others = rows.copy()
        others[:, -1 - lag] = np.arange(symbols)
        moves = exchange(model, rows, others).measured
        means[lag] = moves.sum() / (symbols - 1)
    return means


# --8<-- [end:each_exchanged]
