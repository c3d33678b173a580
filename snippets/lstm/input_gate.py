"""The input gate and the candidate: what is written to the cell state.

Source: Hochreiter and Schmidhuber (1997), sections 3.2 and 4, for the
gate; Weiss, Goldberg and Yahav (2018) for cells that count.
"""

from math import exp

import numpy as np
from jaxtyping import Float

from snippets.lstm.forget_gate import along
from snippets.lstm.overview import Gate, affine, sigmoid
from snippets.rnn.vanishing_and_exploding_gradients import carry


# --8<-- [start:gate]
def input_gate(
    gate: Gate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """i_t: the share of the candidate that each unit writes, 0 to 1."""
    return sigmoid(affine(gate, x, h))


def candidate(
    gate: Gate,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """What could be written, between -1 and 1."""
    return np.tanh(affine(gate, x, h))


# --8<-- [end:gate]


# --8<-- [start:write]
def write(
    i: Float[np.ndarray, "batch hidden"],
    c_new: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """What is added to the cell state, unit by unit."""
    return i * c_new


# --8<-- [end:write]


# --8<-- [start:latch]
def latch(weight: float = 0.5) -> tuple[Gate, Gate]:
    """Input gate and candidate of a cell that stores on a signal.

    Reads a value and a flag, 0 or 1; writes tanh(weight * value) if the
    flag is 1.
    """
    no_state = np.zeros((1, 1))
    on_flag = Gate(np.array([[0.0, 80.0]]), no_state, np.array([-40.0]))
    content = Gate(np.array([[weight, 0.0]]), no_state, np.zeros(1))
    return on_flag, content


# --8<-- [end:latch]


# --8<-- [start:brackets]
def brackets(text: str) -> Float[np.ndarray, "1 time 3"]:
    """Each symbol one-hot: opening bracket, closing bracket, other."""
    places = ["()".find(symbol) % 3 for symbol in text]
    return np.eye(3)[None, places]


def depth_cell() -> tuple[Gate, Gate]:
    """Input gate and candidate that count how many brackets are open."""
    no_state, bias = np.zeros((1, 1)), np.array([-40.0])
    at_brackets = Gate(np.array([[80.0, 80.0, 0.0]]), no_state, bias)
    up_or_down = Gate(np.array([[40.0, -40.0, 0.0]]), no_state, np.zeros(1))
    return at_brackets, up_or_down


# --8<-- [end:brackets]


# --8<-- [start:read]
def read(
    cell: tuple[Gate, Gate],
    x: Float[np.ndarray, "batch time features"],
    coupled: bool = False,
) -> Float[np.ndarray, "batch time hidden"]:
    """The cell states from 0 onward, for a cell that does not read h.

    Everything is kept, f = 1; a coupled cell keeps f = 1 - i.
    """
    i, c_new = along(input_gate, cell[0], x), along(candidate, cell[1], x)
    f = 1.0 - i if coupled else np.ones_like(i)
    return carry(f, i * c_new, np.zeros((len(i), i.shape[2])))


# --8<-- [end:read]


# --8<-- [start:steps_to_open]
def steps_to_open(bias: float, limit: int = 100_000) -> int:
    """Updates until a gate that should be 1 has risen above one half.

    Gradient descent with learning rate 1 on the loss -i, from i =
    sigmoid(bias). Raises ValueError if `limit` updates are too few.
    """
    for step in range(limit):
        i = 1.0 / (1.0 + exp(-bias))
        if i > 0.5:
            return step
        bias += i * (1.0 - i)  # the slope of the sigmoid
    raise ValueError(f"limit of {limit} updates ends at bias {bias:.1f}")


# --8<-- [end:steps_to_open]
