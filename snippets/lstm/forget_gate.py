"""The forget gate: how much of each unit of the cell state is kept.

Sources: Gers, Schmidhuber and Cummins (2000), section 3, for the gate;
Tallec and Ollivier (2018) for its time scale.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from snippets.lstm.overview import Gate, affine, sigmoid


# --8<-- [start:gate]
def forget_gate(
    gate: Gate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """f_t: the share that each unit keeps, between 0 and 1."""
    return sigmoid(affine(gate, x, h))


# --8<-- [end:gate]


# --8<-- [start:forget]
def forget(
    f: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """What is kept of the last cell state, unit by unit."""
    return f * c


# --8<-- [end:forget]


# --8<-- [start:fixed]
def fixed(bias: Float[np.ndarray, " hidden"], features: int = 1) -> Gate:
    """A gate that reads nothing: its bias alone sets it."""
    hidden = len(bias)
    zeros = np.zeros((hidden, features)), np.zeros((hidden, hidden))
    return Gate(*zeros, bias)


# --8<-- [end:fixed]


# --8<-- [start:along]
Part = Callable[[Gate, np.ndarray, np.ndarray], np.ndarray]


def along(
    part: Part, gate: Gate, x: Float[np.ndarray, "batch time features"]
) -> Float[np.ndarray, "batch time hidden"]:
    """A gate at every step at once: only if it does not read h.

    `part` is `forget_gate` or another function of the same arguments.
    Raises ValueError for a gate with recurrent weights.
    """
    if gate.W_h.any():
        raise ValueError("gate must have W_h = 0: it is given no state")
    batch, time, features = x.shape
    h = np.zeros((batch * time, len(gate.b)))
    steps = part(gate, x.reshape(batch * time, features), h)
    return steps.reshape(batch, time, len(gate.b))


# --8<-- [end:along]


# --8<-- [start:time_scale]
def time_scale(
    f: Float[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    """1 / (1 - f), in steps; for f = sigmoid(b) it is 1 + exp(b).

    Raises ValueError for a gate below 0, at 1 or above.
    """
    if not ((f >= 0.0) & (f < 1.0)).all():
        raise ValueError("f must be at least 0 and below 1")
    return np.asarray(1.0 / (1.0 - f))


def bias_for(
    steps: Float[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    """The bias at which the time scale is `steps`.

    Raises ValueError for a time scale of 1 step or less.
    """
    if not (steps > 1.0).all():
        raise ValueError("steps must be above 1")
    return np.asarray(np.log(steps - 1.0))


# --8<-- [end:time_scale]


# --8<-- [start:share]
def share(
    bias: Float[np.ndarray, "*shape"], lag: int
) -> Float[np.ndarray, "*shape"]:
    """What is left after `lag` steps with the gate at sigmoid(bias).

    Raises ValueError for a negative lag.
    """
    if lag < 0:
        raise ValueError(f"lag must be at least 0, got {lag}")
    return np.asarray(sigmoid(bias) ** lag)


def share_slope(
    bias: Float[np.ndarray, "*shape"], lag: int
) -> Float[np.ndarray, "*shape"]:
    """How fast that share grows with the bias: lag (1 - f) f^lag."""
    return np.asarray(lag * (1.0 - sigmoid(bias)) * share(bias, lag))


# --8<-- [end:share]
