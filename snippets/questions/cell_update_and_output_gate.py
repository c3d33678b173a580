"""One step of an LSTM in fractions, and what a shorthand leaves out.

Sources: Gers, Schmidhuber and Cummins (2000) for the cell; the layout of
the weights is that of `torch.nn.LSTMCell`.
"""

import numpy as np
from jaxtyping import Float

from snippets.lstm.cell_update import update
from snippets.lstm.forget_gate import forget_gate
from snippets.lstm.input_gate import candidate, input_gate
from snippets.lstm.output_gate import emit, output_gate
from snippets.lstm.overview import LSTM, Gate, sigmoid


# --8<-- [start:example]
def _box(w_x: float, w_h: float, b: float) -> Gate:
    """One unit that reads w_x x + w_h h + b, times ln 3."""
    unit = np.log(3.0)  # sigmoid(ln 3) is 3/4, tanh(ln 3) is 4/5
    return Gate(*(unit * np.array(w) for w in ([[w_x]], [[w_h]], [b])))


ONE = LSTM(
    input=_box(-1.0, 2.0, 0.0),
    forget=_box(1.0, -2.0, 1.0),
    candidate=_box(1.0, 2.0, -1.0),
    output=_box(2.0, -2.0, 0.0),
)
x_t = np.array([[1.0]])
h_last, c_last = np.array([[0.5]]), np.array([[0.8]])
# --8<-- [end:example]


# --8<-- [start:parts]
def parts(
    lstm: LSTM,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> dict[str, Float[np.ndarray, "batch hidden"]]:
    """Every vector of one step, in the order in which they are made."""
    f = forget_gate(lstm.forget, x, h)
    i = input_gate(lstm.input, x, h)
    new = candidate(lstm.candidate, x, h)
    o = output_gate(lstm.output, x, h)
    c = update(f, c, i, new)
    found = {"f_t": f, "i_t": i, "candidate": new, "c_t": c, "o_t": o}
    return found | {"h_t": emit(o, c)}


# --8<-- [end:parts]


# --8<-- [start:without]
def without(lstm: LSTM, *, x: bool = False, bias: bool = False) -> LSTM:
    """The formulas without W_x x, without b, or without both."""

    def cut(gate: Gate) -> Gate:
        W_x = np.zeros_like(gate.W_x) if x else gate.W_x
        return Gate(W_x, gate.W_h, 0.0 * gate.b if bias else gate.b)

    return LSTM(*map(cut, lstm))


# --8<-- [end:without]


# --8<-- [start:moves]
def moves(
    lstm: LSTM,
    x: Float[np.ndarray, "1 1"],
    h: Float[np.ndarray, "1 1"],
    c: Float[np.ndarray, "1 1"],
    nudge: float = 1e-6,
) -> Float[np.ndarray, "6 3"]:
    """How fast each part moves with x, h and c: one unit, one feature.

    Central differences; the parts in the order of `parts`.
    """
    slopes = np.empty((6, 3))
    for column in range(3):
        up, down = [x, h, c], [x, h, c]
        up[column] = up[column] + nudge
        down[column] = down[column] - nudge
        higher, lower = parts(lstm, *up), parts(lstm, *down)
        for row, name in enumerate(higher):
            change = higher[name][0, 0] - lower[name][0, 0]
            slopes[row, column] = change / (2 * nudge)
    return slopes


# --8<-- [end:moves]


# --8<-- [start:joined]
def joined(lstm: LSTM) -> Float[np.ndarray, "rows columns"]:
    """One matrix [W_h W_x b], with the rows of all four boxes."""
    return np.concatenate(
        [np.column_stack([g.W_h, g.W_x, g.b]) for g in lstm]
    )


def joined_step(
    W: Float[np.ndarray, "rows columns"],
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> tuple[
    Float[np.ndarray, "batch hidden"], Float[np.ndarray, "batch hidden"]
]:
    """h_t and c_t with one product, of W and the vector [h; x; 1]."""
    read = np.concatenate([h, x, np.ones((len(x), 1))], axis=1)
    i, f, new, o = np.split(read @ W.T, 4, axis=1)
    c = update(sigmoid(f), c, sigmoid(i), np.tanh(new))
    return emit(sigmoid(o), c), c


# --8<-- [end:joined]
