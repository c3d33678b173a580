"""Latent autoregressive models: a state of fixed size replaces the past.

Sources: exponential smoothing, Brown (1959) and Holt (1957); hidden
Markov models and the forward algorithm, Rabiner (1989, section III.A).
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from snippets.sequence_models.markov_model import require_distributions

# --8<-- [start:run]
State = Float[np.ndarray, " state"]


def run(
    f: Callable[..., State],
    start: State,
    x: Real[np.ndarray, " time"],
) -> Float[np.ndarray, "time+1 state"]:
    """All states h_1, ..., h_{T+1}, where h_1 is the start.

    Row t (from 0) was made from x[:t] alone, so it may predict x[t]. The
    last row is the state after the whole sequence.
    """
    states = [start]
    for value in x.tolist():
        states.append(f(states[-1], value))
    return np.stack(states)


def shift(h: State, x: float) -> State:
    """A window as a state: forget the oldest value, append the new one."""
    return np.append(h[1:], x)


# --8<-- [end:run]


# --8<-- [start:smooth]
def smooth(
    a: float, h: Float[np.ndarray, "1"], x: float
) -> Float[np.ndarray, "1"]:
    """Exponential smoothing: move h towards x by the share a of the way.

    Brown (1959), Holt (1957). The forecast of the next value is h itself.
    """
    if not 0 < a <= 1:
        raise ValueError(f"a must be above 0 and at most 1, got {a}")
    return a * x + (1 - a) * h


def smoothing_weights(a: float, steps: int) -> Float[np.ndarray, " steps"]:
    """The weight of x[t-1], x[t-2], ... in the state that predicts x[t]."""
    return a * (1 - a) ** np.arange(steps)


# --8<-- [end:smooth]


# --8<-- [start:hmm]
class HMM(NamedTuple):
    """A hidden Markov model over states and symbols 0, 1, 2, ..."""

    initial: Float[np.ndarray, " states"]
    transition: Float[np.ndarray, "states states"]
    emission: Float[np.ndarray, "states symbols"]


def make_hmm(
    initial: Float[np.ndarray, " states"],
    transition: Float[np.ndarray, "states states"],
    emission: Float[np.ndarray, "states symbols"],
) -> HMM:
    """A model, or ValueError where a row is not a distribution."""
    model = HMM(initial, transition, emission)
    require_distributions(**model._asdict())
    return model


# Hidden: the line runs normally (0) or is disrupted (1).
# Seen: the bus is on time (0) or late (1).
BUS = make_hmm(
    initial=np.array([0.5, 0.5]),
    transition=np.array([[0.9, 0.1], [0.1, 0.9]]),
    emission=np.array([[0.8, 0.2], [0.4, 0.6]]),
)

# State 0 shows a 0; states 1 and 2 show a 1, and 1 always leads to 2:
# so ones come in pairs.
EVEN = make_hmm(
    initial=np.array([1.0, 1.0, 1.0]) / 3,
    transition=np.array(
        [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    ),
    emission=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
)
# --8<-- [end:hmm]


# --8<-- [start:advance]
def carry(
    model: HMM, alpha: Float[np.ndarray, " states"], x: int
) -> Float[np.ndarray, " states"]:
    """From p(past, s_{t-1}) and x_{t-1} to p(past and x_{t-1}, s_t).

    The forward algorithm's step, Rabiner (1989), equation 20, cut after
    the sum over states instead of after the emission.
    """
    if not 0 <= x < model.emission.shape[1]:
        raise ValueError(f"x must be a symbol of the model, got {x}")
    return (alpha * model.emission[:, x]) @ model.transition


def advance(
    model: HMM, h: Float[np.ndarray, " states"], x: int
) -> Float[np.ndarray, " states"]:
    """From h_{t-1} = p(s_{t-1} | past) and x_{t-1} to h_t.

    Raises ValueError where the model gives x no chance after this past.
    """
    joint = carry(model, h, x)
    if not joint.any():
        raise ValueError(f"x = {x} is impossible after this past")
    return joint / joint.sum()


def next_symbol(
    model: HMM, past: Int[np.ndarray, " time"]
) -> Float[np.ndarray, " symbols"]:
    """p(x_t | x_1, ..., x_{t-1}), read from the last state."""
    h = run(partial(advance, model), model.initial, past)
    return h[-1] @ model.emission


def log_likelihood(model: HMM, x: Int[np.ndarray, " time"]) -> float:
    """log p(x_1, ..., x_T) in nats: the sum of log p(x_t | h_t)."""
    h = run(partial(advance, model), model.initial, x)
    predicted = h[:-1] @ model.emission
    return float(np.log(predicted[np.arange(len(x)), x]).sum())


# --8<-- [end:advance]


# --8<-- [start:paths]
def sum_over_paths(model: HMM, x: Int[np.ndarray, " time"]) -> float:
    """p(x) from the definition: one term for each of states^T paths."""
    start, A, B = model
    total = 0.0
    for path in product(range(len(start)), repeat=len(x)):
        s = np.array(path, dtype=int)
        p_path = start[s[:1]].prod() * A[s[:-1], s[1:]].prod()
        total += p_path * B[s, x].prod()
    return float(total)


# --8<-- [end:paths]


# --8<-- [start:gap]
def three_steps(model: HMM) -> Float[np.ndarray, "s1 x1 s2 x2 s3 x3"]:
    """The joint distribution of three steps, hidden and seen."""
    start, A, B = model
    return np.einsum("a,ax,ab,by,bc,cz->axbycz", start, B, A, B, A, B)


def order_gap(joint: Float[np.ndarray, "first second third"]) -> float:
    """Largest difference of p(third | first, second) and p(third | second).

    It is 0 exactly when the first gives no more information about the
    third once the second is known. Impossible pasts do not count.
    """
    both = joint.sum(axis=2, keepdims=True)
    one = joint.sum(axis=0, keepdims=True)
    given_both = np.divide(joint, both, where=both > 0, out=0 * joint)
    total = one.sum(axis=2, keepdims=True)
    given_one = np.divide(one, total, where=total > 0, out=0 * one)
    return float((np.abs(given_both - given_one) * (both > 0)).max())


# --8<-- [end:gap]


# --8<-- [start:influence]
def every_word(
    model: HMM, length: int
) -> Float[np.ndarray, "words states"]:
    """p(word, next hidden state) for every word of that length.

    Rows are in the order of a dictionary: 000, 001, 010, ...; a row's sum
    is the word's probability.
    """
    if length < 0:
        raise ValueError(f"length must be at least 0, got {length}")
    alpha = model.initial[None]
    for _ in range(length):
        longer = (alpha[:, None] * model.emission.T) @ model.transition
        alpha = longer.reshape(-1, len(model.initial))
    return alpha


def influence(model: HMM, lag: int) -> float:
    """How far a prediction can move if one old symbol is exchanged.

    The symbol stands `lag` steps back, the symbols since are the same,
    nothing is known of the time before it; the largest move, over all
    possible pasts of that length and all next symbols.
    """
    if lag < 1:
        raise ValueError(f"lag must be at least 1, got {lag}")
    alpha = every_word(model, lag)
    p_word = alpha.sum(axis=1, keepdims=True)
    p_next = alpha @ model.emission / np.where(p_word > 0, p_word, 1)
    symbols = model.emission.shape[1]
    tables = [
        np.where(p_word > 0, p_next, fill).reshape(symbols, -1, symbols)
        for fill in (-np.inf, np.inf)  # an impossible past never wins
    ]
    return float((tables[0].max(axis=0) - tables[1].min(axis=0)).max())


# --8<-- [end:influence]
