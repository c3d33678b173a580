"""Unrolling: the loop as one network, and backpropagation through time.

Sources: Rumelhart, Hinton and Williams (1986) for the unrolled network and
the sum over its copies; Werbos (1990) for backpropagation through time;
Williams and Peng (1990) for its truncation; Chen and others (2016) for
segments that are computed again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.rnn.recurrence import (
    RNN,
    Activation,
    Characters,
    cell,
    check,
    log_probabilities,
    one_hots,
    run,
)

# The gradient of the loss for the states of the steps in a slice.
LossGradient = Callable[[np.ndarray, slice], np.ndarray]


# --8<-- [start:run_copies]
def run_copies(
    copies: Sequence[RNN],
    x: Float[np.ndarray, "batch inputs"],
    h_0: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch time hidden"]:
    """The unrolled network: copy t has its own weights, for step t only.

    `x` holds the inputs of all steps side by side. Raises ValueError where
    it is not as wide as the copies need, or where there is none.
    """
    width = sum(copy.W_x.shape[1] for copy in copies)
    if not copies or x.shape[1] != width:
        raise ValueError(
            f"x must have {width} inputs for {len(copies)} copies, "
            f"got {x.shape[1]}"
        )
    states, first = [h_0], 0
    for copy in copies:
        last = first + copy.W_x.shape[1]
        states.append(cell(copy, x[:, first:last], states[-1], activation))
        first = last
    return np.stack(states[1:], axis=1)


# --8<-- [end:run_copies]


# --8<-- [start:gradients]
class Gradients(NamedTuple):
    """The gradient of the loss for everything that went in.

    x has no time axis where the gradients are those of one step.
    """

    x: Float[np.ndarray, "batch *time features"]
    h_0: Float[np.ndarray, "batch hidden"]
    W_x: Float[np.ndarray, "hidden features"]
    W_h: Float[np.ndarray, "hidden hidden"]
    b: Float[np.ndarray, " hidden"]


# The slope of each activation, from what it returned.
SLOPES: dict[str, Activation] = {
    "tanh": lambda h: 1.0 - h**2,
    "relu": lambda h: (h > 0).astype(float),
}


def cell_backward(
    rnn: RNN,
    x: Float[np.ndarray, "batch features"],
    h_0: Float[np.ndarray, "batch hidden"],
    h: Float[np.ndarray, "batch hidden"],
    grad_h: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Gradients:
    """One step back: the cell made `h` from `x` and the state `h_0`."""
    check(rnn, x, h_0, activation)
    delta = grad_h * SLOPES[activation](h)
    return Gradients(
        x=delta @ rnn.W_x,
        h_0=delta @ rnn.W_h,
        W_x=delta.T @ x,
        W_h=delta.T @ h_0,
        b=delta.sum(axis=0),
    )


# --8<-- [end:gradients]


# --8<-- [start:walk_back]
def walk_back(
    copies: Sequence[RNN],
    x: Float[np.ndarray, "batch time features"],
    h_0: Float[np.ndarray, "batch hidden"],
    states: Float[np.ndarray, "batch time hidden"],
    grad_states: Float[np.ndarray, "batch time hidden"],
    activation: str = "tanh",
) -> Iterator[Gradients]:
    """The gradients of each copy, from the last copy to the first."""
    if len(copies) != x.shape[1]:
        raise ValueError(
            f"copies must be one a step, {x.shape[1]}, got {len(copies)}"
        )
    carried = np.zeros_like(h_0)
    for t in reversed(range(len(copies))):
        before = states[:, t - 1] if t else h_0
        grad_h = grad_states[:, t] + carried
        step = cell_backward(
            copies[t], x[:, t], before, states[:, t], grad_h, activation
        )
        yield step
        carried = step.h_0


# --8<-- [end:walk_back]


# --8<-- [start:backward]
def backward(
    rnn: RNN,
    x: Float[np.ndarray, "batch time features"],
    h_0: Float[np.ndarray, "batch hidden"],
    states: Float[np.ndarray, "batch time hidden"],
    grad_states: Float[np.ndarray, "batch time hidden"],
    activation: str = "tanh",
) -> Gradients:
    """Backpropagation through time: shared weights, so a sum over steps.

    `grad_states` is the gradient that each state receives from the loss
    directly, not through later states. Werbos (1990).
    """
    steps = x.shape[1]
    back = walk_back([rnn] * steps, x, h_0, states, grad_states, activation)
    grad_x, grad_h_0 = np.zeros_like(x), np.zeros_like(h_0)
    W_x, W_h, b = (np.zeros_like(weights) for weights in rnn)
    for t, step in zip(reversed(range(steps)), back, strict=True):
        grad_x[:, t], grad_h_0 = step.x, step.h_0
        W_x += step.W_x
        W_h += step.W_h
        b += step.b
    return Gradients(grad_x, grad_h_0, W_x, W_h, b)


# --8<-- [end:backward]


# --8<-- [start:chunks]
def chunk_starts(
    rnn: RNN,
    x: Float[np.ndarray, "batch time features"],
    h_0: Float[np.ndarray, "batch hidden"],
    length: int,
    activation: str = "tanh",
) -> Float[np.ndarray, "batch chunks hidden"]:
    """The state before each chunk; the states within are thrown away."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    starts = [h_0]
    for first in range(0, x.shape[1] - length, length):
        chunk = x[:, first : first + length]
        starts.append(run(rnn, chunk, starts[-1], activation)[:, -1])
    return np.stack(starts, axis=1)


def backward_in_chunks(
    rnn: RNN,
    x: Float[np.ndarray, "batch time features"],
    h_0: Float[np.ndarray, "batch hidden"],
    length: int,
    loss_gradient: LossGradient,
    activation: str = "tanh",
    *,
    carry: bool,
) -> Gradients:
    """The gradients chunk by chunk, with the states of one chunk at a time.

    With `carry`, the gradient crosses from each chunk to the one before,
    and the result is exact (Chen and others 2016). Without, it is cut: this
    is truncated backpropagation (Williams and Peng 1990).
    """
    starts = chunk_starts(rnn, x, h_0, length, activation)
    grad_x, grad_h_0 = np.zeros_like(x), np.zeros_like(h_0)
    weights = [np.zeros_like(w) for w in rnn]
    for c in reversed(range(starts.shape[1])):
        part = slice(c * length, (c + 1) * length)
        states = run(rnn, x[:, part], starts[:, c], activation)
        grad_states = loss_gradient(states, part).copy()
        if carry:
            grad_states[:, -1] += grad_h_0
        chunk = backward(
            rnn, x[:, part], starts[:, c], states, grad_states, activation
        )
        grad_x[:, part], grad_h_0 = chunk.x, chunk.h_0
        for total, one in zip(weights, chunk[2:], strict=True):
            total += one
    return Gradients(grad_x, grad_h_0, *weights)


# --8<-- [end:chunks]


# --8<-- [start:streams]
def streams(
    codes: Int[np.ndarray, " time"], batch: int, length: int
) -> Int[np.ndarray, "chunks {batch} {length}+1"]:
    """Chunks of `batch` streams; row i of every chunk is of stream i.

    Each row goes on where the same row of the chunk before stopped. Its
    first `length` codes are inputs, its last `length` are targets. What
    does not fill a chunk is left out.
    """
    chunks = (len(codes) - 1) // max(batch * length, 1)
    if min(batch, length, chunks) < 1:
        raise ValueError(
            f"codes must fill a chunk: got {len(codes)} for a batch of "
            f"{batch} and length {length}"
        )
    first = np.arange(batch)[:, None] * chunks * length
    at = np.arange(chunks)[:, None, None] * length + first
    return codes[at + np.arange(length + 1)]


# --8<-- [end:streams]


# --8<-- [start:letters]
def letter_gradient(
    model: Characters, codes: Int[np.ndarray, "batch codes"], length: int
) -> Float[np.ndarray, "hidden hidden"]:
    """Of the mean nats of a next letter, for W_h, cut every `length`."""
    x, targets = one_hots(codes[:, :-1]), one_hots(codes[:, 1:])

    def loss_gradient(states: np.ndarray, part: slice) -> np.ndarray:
        p = np.exp(log_probabilities(model, states))
        return (p - targets[:, part]) @ model.W_o / targets[..., 0].size

    h_0 = np.zeros((len(x), len(model.rnn.b)))
    return backward_in_chunks(
        model.rnn, x, h_0, length, loss_gradient, carry=False
    ).W_h


def nats_by_place(
    model: Characters,
    chunks: Int[np.ndarray, "chunks batch codes"],
    carry: bool,
) -> Float[np.ndarray, " time"]:
    """The mean at each place of a chunk; its state is carried, or zero."""
    zeros = h = np.zeros((chunks.shape[1], len(model.rnn.b)))
    nats = []
    for chunk in chunks:
        x, targets = one_hots(chunk[:, :-1]), one_hots(chunk[:, 1:])
        states = run(model.rnn, x, h if carry else zeros)
        h = states[:, -1]
        nats.append(-(targets * log_probabilities(model, states)).sum(-1))
    return np.mean(nats, axis=(0, 1))


# --8<-- [end:letters]
