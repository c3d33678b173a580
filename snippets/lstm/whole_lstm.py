"""The whole LSTM: step, sequence, layers, directions, lengths, gradients.

Sources: Hochreiter and Schmidhuber (1997) and Gers and others (2000) for
the cell; Graves and Schmidhuber (2005) for two directions and the full
gradient through time; Appleyard and others (2016) for products taken out of
the loop; Sak and others (2014) for projections. The layout of weights and
states is that of `torch.nn.LSTM`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from snippets.lstm.cell_update import update
from snippets.lstm.forget_gate import forget_gate
from snippets.lstm.input_gate import candidate, input_gate
from snippets.lstm.output_gate import emit, output_gate, slopes
from snippets.lstm.overview import LSTM, Gate, sigmoid
from snippets.rnn.recurrence import check_shapes

# --8<-- [start:shapes]
Inputs = Float[np.ndarray, "batch time features"]
Outputs = Float[np.ndarray, "batch time hidden"]
State = Float[np.ndarray, "batch hidden"]  # h or c of one direction
States = Float[np.ndarray, "rows batch hidden"]  # a row each direction
Lengths = Int[np.ndarray, " batch"] | None  # None: all of full length
# --8<-- [end:shapes]


def check(lstm: LSTM, x: Inputs, h: State) -> None:
    """ValueError unless x has a step, and x and h fit every gate."""
    if x.shape[1] == 0:
        raise ValueError("x must have at least one step, got 0")
    for gate in lstm:
        check_shapes("gate", gate, x[:, 0], h)


def check_sizes(**sizes: int) -> None:
    """ValueError for a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


# --8<-- [start:step]
def step(
    lstm: LSTM, x: Float[np.ndarray, "batch features"], h: State, c: State
) -> tuple[State, State]:
    """The next hidden state and the next cell state."""
    f = forget_gate(lstm.forget, x, h)
    i = input_gate(lstm.input, x, h)
    c_new = candidate(lstm.candidate, x, h)
    o = output_gate(lstm.output, x, h)
    c = update(f, c, i, c_new)
    return emit(o, c), c


def loop(
    lstm: LSTM, x: Inputs, h: State, c: State
) -> tuple[Outputs, State, State]:
    """Every hidden state, and the last h and c: step after step."""
    check(lstm, x, h)
    output = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1]):
        h, c = step(lstm, x[:, t], h, c)
        output[:, t] = h
    return output, h, c


# --8<-- [end:step]


def real_steps(
    x: Inputs, lengths: Lengths
) -> Bool[np.ndarray, "batch time"]:
    """Which steps of each sequence are not padding."""
    batch, time, _ = x.shape
    if lengths is None:
        lengths = np.full(batch, time)
    if batch and not 1 <= lengths.min() <= lengths.max() <= time:
        raise ValueError(f"lengths must be 1 to {time}, got {lengths}")
    return np.arange(time) < lengths[:, None]


# --8<-- [start:run]
def run(
    lstm: LSTM,
    x: Inputs,
    h: State,
    c: State,
    lengths: Lengths = None,
    *,
    reverse: bool = False,
) -> tuple[Outputs, State, State]:
    """Every hidden state, and the last h and c of each sequence.

    With `reverse`, from the last step to the first. Steps from
    `lengths[n]` on are padding: they leave h and c of sequence n as they
    are, and its output is 0 there.
    """
    check(lstm, x, h)
    real = real_steps(x, lengths)[:, :, None]
    W_x, W_h, b = (np.concatenate(four) for four in zip(*lstm, strict=True))
    a_x = x @ W_x.T + b  # every step, all four gates
    output = np.zeros((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1])[:: -1 if reverse else 1]:
        i, f, c_new, o = np.split(a_x[:, t] + h @ W_h.T, 4, axis=1)
        c_next = update(sigmoid(f), c, sigmoid(i), np.tanh(c_new))
        h_next = emit(sigmoid(o), c_next)
        h = np.where(real[:, t], h_next, h)
        c = np.where(real[:, t], c_next, c)
        output[:, t] = np.where(real[:, t], h_next, 0.0)
    return output, h, c


# --8<-- [end:run]


def check_layers(layers: Sequence[Sequence[LSTM]], rows: int) -> None:
    """ValueError unless all have 1 or 2 LSTMs, one for each row of h."""
    sizes = [len(lstms) for lstms in layers]
    if sum(sizes) != rows or set(sizes) not in ({1}, {2}):
        raise ValueError(f"layers must hold 1 or 2 LSTMs each, as many as "
                         f"h has rows: got {sizes} for {rows}")  # fmt: skip


# --8<-- [start:stack]
def stack(
    layers: Sequence[Sequence[LSTM]],
    x: Inputs,
    h: States,
    c: States,
    lengths: Lengths = None,
) -> tuple[Float[np.ndarray, "batch time out"], States, States]:
    """The last layer's output; the last h and c of every row.

    A layer is one LSTM, or two: the second reads backward, and the output
    is both side by side. Each layer reads the output of the one below.
    Rows are in the order of PyTorch: layer by layer, forward first.
    """
    check_layers(layers, len(h))
    h_n, c_n, row = np.empty_like(h), np.empty_like(c), 0
    for lstms in layers:
        sides: list[np.ndarray] = []
        for lstm in lstms:
            y, h_n[row], c_n[row] = run(
                lstm, x, h[row], c[row], lengths, reverse=bool(sides)
            )
            sides.append(y)
            row += 1
        x = np.concatenate(sides, axis=2)
    return x, h_n, c_n


# --8<-- [end:stack]


# --8<-- [start:step_backward]
class Gradients(NamedTuple):
    """The gradient of the loss for everything that went in."""

    lstm: LSTM
    x: Float[np.ndarray, "batch *time features"]
    h: State
    c: State


def step_backward(
    lstm: LSTM,
    x: Float[np.ndarray, "batch features"],
    h: State,
    c: State,
    grad_h: State,
    grad_c: State,
) -> Gradients:
    """One step back, from the gradient for what `step` returned."""
    f = forget_gate(lstm.forget, x, h)
    i = input_gate(lstm.input, x, h)
    c_new = candidate(lstm.candidate, x, h)
    o = output_gate(lstm.output, x, h)
    by_o, by_c = slopes(o, update(f, c, i, c_new))
    grad_c = grad_c + grad_h * by_c  # c_t goes on, and it is shown
    deltas = (  # for what stands inside of sigmoid and tanh
        grad_c * c_new * i * (1.0 - i),
        grad_c * c * f * (1.0 - f),
        grad_c * i * (1.0 - c_new**2),
        grad_h * by_o * o * (1.0 - o),
    )
    pairs = list(zip(deltas, lstm, strict=True))
    return Gradients(
        LSTM(*(Gate(d.T @ x, d.T @ h, d.sum(axis=0)) for d in deltas)),
        x=np.sum([d @ gate.W_x for d, gate in pairs], axis=0),
        h=np.sum([d @ gate.W_h for d, gate in pairs], axis=0),
        c=grad_c * f,
    )


# --8<-- [end:step_backward]


# --8<-- [start:backward]
def add(a: LSTM, b: LSTM) -> LSTM:
    """The sums of all their weights: copies that are one share theirs."""
    pairs = zip(a, b, strict=True)
    return LSTM(*(Gate(*map(np.add, *pair)) for pair in pairs))


def backward(
    lstm: LSTM,
    x: Inputs,
    h: State,
    c: State,
    grads: tuple[Outputs, State, State],
    lengths: Lengths = None,
    *,
    reverse: bool = False,
) -> Gradients:
    """Through time, from the gradients for what `run` returned."""
    grad_output, grad_h, grad_c = grads
    check(lstm, x, h)
    real = real_steps(x, lengths)[:, :, None]
    x = np.where(real, x, 0.0)  # padding may be anything, 0 * nan is nan
    before: list[tuple[State, State]] = []
    order = range(x.shape[1])[:: -1 if reverse else 1]
    for t in order:
        before.append((h, c))
        h_next, c_next = step(lstm, x[:, t], h, c)
        h = np.where(real[:, t], h_next, h)
        c = np.where(real[:, t], c_next, c)
    total = LSTM(*(Gate(*map(np.zeros_like, gate)) for gate in lstm))
    grad_x = np.zeros_like(x)
    for t in reversed(order):
        on = real[:, t]
        back = step_backward(
            lstm, x[:, t], *before.pop(),
            on * (grad_h + grad_output[:, t]), on * grad_c,
        )  # fmt: skip
        grad_x[:, t] = back.x
        grad_h = back.h + ~on * grad_h  # padding hands it on as it is
        grad_c = back.c + ~on * grad_c
        total = add(total, back.lstm)
    return Gradients(total, grad_x, grad_h, grad_c)


# --8<-- [end:backward]


# --8<-- [start:stack_backward]
def stack_backward(
    layers: Sequence[Sequence[LSTM]],
    x: Inputs,
    h: States,
    c: States,
    grads: tuple[Float[np.ndarray, "batch time out"], States, States],
    lengths: Lengths = None,
) -> tuple[Inputs, list[Gradients]]:
    """The gradient for x, and those of every row, in the order of h.

    From the top layer down; what a layer has read is computed again.
    """
    *lower, top = layers
    d, read = len(top), x
    if lower:
        read = stack(lower, x, h[:-d], c[:-d], lengths)[0]
    found, sides = [], np.split(grads[0], d, axis=2)
    for row in range(-d, 0):
        given = sides[row], grads[1][row], grads[2][row]
        one = top[row], read, h[row], c[row], given, lengths
        found.append(backward(*one, reverse=row > -d))
    grad_x = np.sum([one.x for one in found], axis=0)
    if not lower:
        return grad_x, found
    rest = grad_x, grads[1][:-d], grads[2][:-d]
    grad_x, rows = stack_backward(lower, x, h[:-d], c[:-d], rest, lengths)
    return grad_x, rows + found


# --8<-- [end:stack_backward]


# --8<-- [start:count]
def count(
    features: int,
    hidden: int,
    layers: int = 1,
    directions: int = 1,
    *,
    bias: bool = True,
    projection: int = 0,
) -> int:
    """How many numbers `torch.nn.LSTM` learns.

    With a projection, h_t is a matrix of shape [projection, hidden] times
    o_t * tanh(c_t) (Sak and others 2014). PyTorch has two biases a layer.
    """
    check_sizes(features=features, hidden=hidden, layers=layers)
    if directions not in (1, 2):
        raise ValueError(f"directions must be 1 or 2, got {directions}")
    if not 0 <= projection < hidden:
        raise ValueError(f"projection must be 0 to {hidden - 1}, "
                         f"got {projection}")  # fmt: skip
    total, wide, out = 0, features, projection or hidden
    for _ in range(layers):
        a_gate = hidden * (wide + out + 2 * bias)
        total += directions * (4 * a_gate + projection * hidden)
        wide = directions * out
    return total


# --8<-- [end:count]


# --8<-- [start:initial]
def initial(features: int, hidden: int, rng: np.random.Generator) -> LSTM:
    """Random weights as in `torch.nn.LSTM`, its two biases added.

    Each number is uniform between -1/sqrt(hidden) and 1/sqrt(hidden).
    """
    check_sizes(features=features, hidden=hidden)
    k = 1.0 / np.sqrt(hidden)
    shapes = (hidden, features), (hidden, hidden), (2, hidden)
    gates = [[rng.uniform(-k, k, one) for one in shapes] for _ in range(4)]
    return LSTM(*(Gate(W_x, W_h, b.sum(axis=0)) for W_x, W_h, b in gates))


# --8<-- [end:initial]
