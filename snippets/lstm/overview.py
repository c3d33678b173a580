"""What an LSTM cell is made of, and the example that all its pages share.

Source: Hochreiter and Schmidhuber (1997), "Long Short-Term Memory"; with
the forget gate of Gers, Schmidhuber and Cummins (2000). The layout of the
weights is that of `torch.nn.LSTM`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


# --8<-- [start:sigmoid]
def sigmoid(a: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Squash every element into (0, 1); the tanh form cannot overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))


# --8<-- [end:sigmoid]


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
    """What a gate reads: the input and the last hidden state, weighted."""
    return x @ gate.W_x.T + h @ gate.W_h.T + gate.b


# --8<-- [end:affine]


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
