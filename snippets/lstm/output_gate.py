"""The output gate: how much of the memory a cell shows.

Sources: Hochreiter and Schmidhuber (1997), section 4, with the tanh on the
way out that `torch.nn.LSTM` has.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.lstm.cell_update import update
from snippets.lstm.forget_gate import forget_gate
from snippets.lstm.input_gate import candidate, input_gate
from snippets.lstm.overview import LSTM, Gate, affine, sigmoid


# --8<-- [start:output_gate]
def output_gate(
    gate: Gate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """How much of each unit is shown, between 0 and 1."""
    return sigmoid(affine(gate, x, h))


# --8<-- [end:output_gate]


# --8<-- [start:emit]
def emit(
    o: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """The next hidden state. It reads `c` and does not change it."""
    return o * np.tanh(c)


# --8<-- [end:emit]


# --8<-- [start:slopes]
def slopes(
    o: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> tuple[
    Float[np.ndarray, "batch hidden"], Float[np.ndarray, "batch hidden"]
]:
    """How h moves with o, and how it moves with c, unit by unit."""
    shown = np.tanh(c)
    return shown, o * (1.0 - shown**2)


# --8<-- [end:slopes]


# --8<-- [start:watch]
class Watched(NamedTuple):
    """The output gate, the cell state and the hidden state of each step."""

    o: Float[np.ndarray, "batch time hidden"]
    c: Float[np.ndarray, "batch time hidden"]
    h: Float[np.ndarray, "batch time hidden"]


def watch(
    lstm: LSTM,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Watched:
    """Run the cell over a sequence: all five lines of an LSTM."""
    found = Watched(*np.empty((3, *x.shape[:2], h.shape[1])))
    for t in range(x.shape[1]):
        f = forget_gate(lstm.forget, x[:, t], h)
        i = input_gate(lstm.input, x[:, t], h)
        o = output_gate(lstm.output, x[:, t], h)
        c = update(f, c, i, candidate(lstm.candidate, x[:, t], h))
        h = emit(o, c)
        found.o[:, t], found.c[:, t], found.h[:, t] = o, c, h
    return found


# --8<-- [end:watch]


# --8<-- [start:store]
def _reads(value: float, write: float, read: float, b: float) -> Gate:
    W_x = np.array([[value, write, read]])
    return Gate(W_x, np.zeros((1, 1)), np.array([b]))


# One unit. Features: a value, "write it now", "read it now".
STORE = LSTM(
    input=_reads(0.0, 40.0, 0.0, -20.0),  # open where write is 1
    forget=_reads(0.0, -40.0, 0.0, 20.0),  # shut where write is 1
    candidate=_reads(1.0, 0.0, 0.0, 0.0),
    output=_reads(0.0, 0.0, 40.0, -20.0),  # open where read is 1
)
# --8<-- [end:store]
