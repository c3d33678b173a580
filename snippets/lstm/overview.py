"""What an LSTM cell is made of, and the example that all its pages share.

Source: Hochreiter and Schmidhuber (1997), "Long Short-Term Memory"; with
the forget gate of Gers, Schmidhuber and Cummins (2000). The layout of the
weights is that of `torch.nn.LSTM`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.rnn.recurrence import check_shapes
from snippets.rnn.vanishing_and_exploding_gradients import sigmoid


# --8<-- [start:weights]
class Gate(NamedTuple):
    """The weights of one gate: one row for each hidden unit."""

    W_x: Float[np.ndarray, "hidden features"]
    W_h: Float[np.ndarray, "hidden hidden"]
    b: Float[np.ndarray, " hidden"]


class LSTM(NamedTuple):
    """Three gates, and the candidate, whose weights have the same shape."""

    input: Gate
    forget: Gate
    candidate: Gate
    output: Gate


# --8<-- [end:weights]


# --8<-- [start:affine]
def affine(
    gate: Gate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """What a gate reads: the input and the last hidden state, weighted.

    Raises ValueError where the arguments do not fit each other.
    """
    check_shapes("gate", gate, x, h)
    return x @ gate.W_x.T + h @ gate.W_h.T + gate.b


# --8<-- [end:affine]


# --8<-- [start:unstack]
def unstack(
    W_x: Float[np.ndarray, "rows features"],
    W_h: Float[np.ndarray, "rows hidden"],
    b: Float[np.ndarray, " rows"],
    order: Sequence[str] = LSTM._fields,
) -> LSTM:
    """Four blocks of rows, cut apart; the default is PyTorch's order."""
    if sorted(order) != sorted(LSTM._fields):
        raise ValueError(f"order must name {LSTM._fields}, got {order}")
    if len(b) != 4 * W_h.shape[1]:
        raise ValueError(f"W_h must have {4 * W_h.shape[1]} rows, four for "
                         f"each unit, got {len(b)}")  # fmt: skip
    blocks = zip(*(np.split(a, 4) for a in (W_x, W_h, b)), strict=True)
    gates = (Gate(*block) for block in blocks)
    return LSTM(**dict(zip(order, gates, strict=True)))


# --8<-- [end:unstack]


# --8<-- [start:cell_states]
def cell_states(
    lstm: LSTM,
    x: Float[np.ndarray, "batch time features"],
    gate: Callable[[np.ndarray], np.ndarray] = sigmoid,
    candidate: Callable[[np.ndarray], np.ndarray] = np.tanh,
) -> Float[np.ndarray, "batch time hidden"]:
    """Every cell state, from zeros, with functions to be exchanged."""
    h = c = np.zeros((len(x), len(lstm.input.b)))
    states = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1]):
        i = gate(affine(lstm.input, x[:, t], h))
        f = gate(affine(lstm.forget, x[:, t], h))
        o = gate(affine(lstm.output, x[:, t], h))
        c = f * c + i * candidate(affine(lstm.candidate, x[:, t], h))
        h = o * np.tanh(c)
        states[:, t] = c
    return states


# --8<-- [end:cell_states]


# --8<-- [start:example]
def _gate(W_x: list, W_h: list, b: list) -> Gate:
    return Gate(np.array(W_x), np.array(W_h), np.array(b))


# One feature, two hidden units: small enough to check by hand.
EXAMPLE = LSTM(
    input=_gate([[2.0], [1.0]], [[0.0, 0.5], [0.5, 0.0]], [-1.0, 0.0]),
    forget=_gate([[1.0], [-1.0]], [[0.5, 0.0], [0.0, 0.5]], [1.0, 0.0]),
    candidate=_gate([[1.0], [2.0]], [[0.5, -0.5], [0.5, 0.5]], [0.0, 0.0]),
    output=_gate([[1.0], [0.0]], [[1.0, 0.0], [0.0, 1.0]], [0.0, 1.0]),
)
x_t = np.array([[1.0]])  # the input of this step
h_last = np.array([[0.5, -0.5]])  # the hidden state of the last step
c_last = np.array([[2.0, -1.0]])  # the cell state of the last step
# --8<-- [end:example]
