"""Gated recurrent unit: two gates and one state.

Source: Cho et al. (2014), "Learning Phrase Representations using RNN
Encoder-Decoder for Statistical Machine Translation", section 2.3. The
layout of the weights is that of `torch.nn.GRU`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from snippets.lstm.cell_update import update
from snippets.lstm.overview import EXAMPLE, Gate, affine, sigmoid
from snippets.lstm.whole_lstm import check_sizes
from snippets.rnn.recurrence import check_shapes


# --8<-- [start:weights]
class Candidate(NamedTuple):
    """The weights of the candidate, with two biases; `after` says why."""

    W_x: Float[np.ndarray, "hidden features"]
    W_h: Float[np.ndarray, "hidden hidden"]
    b_x: Float[np.ndarray, " hidden"]
    b_h: Float[np.ndarray, " hidden"]


class GRU(NamedTuple):
    """Two gates, and the candidate."""

    reset: Gate
    update: Gate
    candidate: Candidate


# --8<-- [end:weights]


# --8<-- [start:gates]
def reset_gate(
    gru: GRU,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """How much of the past the candidate reads."""
    return sigmoid(affine(gru.reset, x, h))


def update_gate(
    gru: GRU,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """How much of the hidden state stays."""
    return sigmoid(affine(gru.update, x, h))


# --8<-- [end:gates]


def check_candidate(
    weights: Candidate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> None:
    """ValueError unless the weights fit each other, x and h."""
    W_x, W_h, b_x, b_h = weights
    for b in b_x, b_h:
        check_shapes("gate", (W_x, W_h, b), x, h)


# --8<-- [start:forms]
def before(
    weights: Candidate,
    x: Float[np.ndarray, "batch features"],
    r: Float[np.ndarray, "batch hidden"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """The candidate of Cho et al.: `r` scales what can be read."""
    check_candidate(weights, x, h)
    a = x @ weights.W_x.T + weights.b_x
    return np.tanh(a + (r * h) @ weights.W_h.T + weights.b_h)


def after(
    weights: Candidate,
    x: Float[np.ndarray, "batch features"],
    r: Float[np.ndarray, "batch hidden"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """The candidate of PyTorch: `r` scales what has been read, and b_h."""
    check_candidate(weights, x, h)
    a = x @ weights.W_x.T + weights.b_x
    return np.tanh(a + r * (h @ weights.W_h.T + weights.b_h))


# --8<-- [end:forms]


# --8<-- [start:step]
def step(
    gru: GRU,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    form: Callable = after,
) -> Float[np.ndarray, "batch hidden"]:
    """The next hidden state: a weighted mean of the last and the new."""
    r, z = reset_gate(gru, x, h), update_gate(gru, x, h)
    h_new = form(gru.candidate, x, r, h)
    return update(z, h, 1 - z, h_new)  # as an LSTM with f = z, i = 1 - z


# --8<-- [end:step]


# --8<-- [start:run]
def run(
    gru: GRU,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
    form: Callable = after,
    mask: Bool[np.ndarray, "batch time"] | None = None,
) -> tuple[
    Float[np.ndarray, "batch time hidden"],
    Float[np.ndarray, "batch hidden"],
]:
    """Every hidden state, from `h` onward, and the last.

    `mask` is False at padding. There the state stays, as if z were 1.
    Raises ValueError for a sequence of length 0.
    """
    if x.shape[1] == 0:
        raise ValueError("x must have at least one step, got 0")
    states = []
    for t in range(x.shape[1]):
        moved = step(gru, x[:, t], h, form)
        h = moved if mask is None else np.where(mask[:, t, None], moved, h)
        states.append(h)
    return np.stack(states, axis=1), h


# --8<-- [end:run]


# --8<-- [start:held]
def held(gate: Gate, value: float) -> Gate:
    """A gate of the same shape, held at `value`: 0 is shut, 1 is open."""
    if not 0 <= value <= 1:
        raise ValueError(f"value must be from 0 to 1, got {value}")
    with np.errstate(divide="ignore"):  # log(0) is -inf, as it should
        b = np.log(value) - np.log1p(-value)
    return Gate(0 * gate.W_x, 0 * gate.W_h, np.full_like(gate.b, b))


# --8<-- [end:held]


# --8<-- [start:flipped]
def flipped(gru: GRU) -> GRU:
    """The same but for the update gate, which is 1 - z instead of z."""
    negated = Gate(*(-weights for weights in gru.update))
    return gru._replace(update=negated)


# --8<-- [end:flipped]


# --8<-- [start:jacobian]
def jacobian(
    gru: GRU,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden hidden"]:
    """dh_t/dh_{t-1} of the form `after`; row i is unit i of h_t."""
    W_h, b_h = gru.candidate.W_h, gru.candidate.b_h
    r, z = reset_gate(gru, x, h), update_gate(gru, x, h)
    h_new, read = after(gru.candidate, x, r, h), h @ W_h.T + b_h
    by_r = (read * r * (1 - r))[:, :, None] * gru.reset.W_h
    by_new = ((1 - z) * (1 - h_new**2))[:, :, None]
    by_z = ((h - h_new) * z * (1 - z))[:, :, None] * gru.update.W_h
    keep = z[:, :, None] * np.eye(h.shape[1])  # no weights, no slope
    return keep + by_z + by_new * (r[:, :, None] * W_h + by_r)


def influence(
    gru: GRU,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch time"]:
    """The largest singular value of dh_t/dh_0, for every t."""
    total, sizes = np.eye(h.shape[1]), np.empty(x.shape[:2])
    for t in range(x.shape[1]):
        total = jacobian(gru, x[:, t], h) @ total
        h = step(gru, x[:, t], h)
        sizes[:, t] = np.linalg.norm(total, 2, axis=(1, 2))
    return sizes


# --8<-- [end:jacobian]


def initial(features: int, hidden: int, rng: np.random.Generator) -> GRU:
    """Random weights as in `torch.nn.GRU`: uniform within 1/sqrt(hidden).

    The two biases of a gate are added; those of the candidate are not.
    """
    check_sizes(features=features, hidden=hidden)
    k = 1 / np.sqrt(hidden)
    W_x = rng.uniform(-k, k, (3, hidden, features))
    W_h = rng.uniform(-k, k, (3, hidden, hidden))
    b = rng.uniform(-k, k, (2, 3, hidden))
    reset, update = (
        Gate(W_x[n], W_h[n], b[0, n] + b[1, n]) for n in range(2)
    )
    return GRU(reset, update, Candidate(W_x[2], W_h[2], b[0, 2], b[1, 2]))


# The LSTM of the running example, without its input gate.
EXAMPLE_GRU = GRU(
    reset=EXAMPLE.output,
    update=EXAMPLE.forget,
    candidate=Candidate(*EXAMPLE.candidate, b_h=np.zeros(2)),
)


# --8<-- [start:register]
def register() -> GRU:
    """One unit with three instructions; x_t is (value, set, flip).

    Set writes tanh(value), flip tanh(-h); without either, the unit holds.
    """
    none, still = np.zeros((1, 1)), np.zeros(1)
    shut_by_set = Gate(np.array([[0.0, -80.0, 0.0]]), none, still + 40)
    shut_by_both = Gate(np.array([[0.0, -80.0, -80.0]]), none, still + 40)
    new = Candidate(np.array([[1.0, 0.0, 0.0]]), none - 1, still, still)
    return GRU(reset=shut_by_set, update=shut_by_both, candidate=new)


# --8<-- [end:register]
