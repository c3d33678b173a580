"""The cell update: what is kept and what is written, added.

Sources: Hochreiter and Schmidhuber (1997), section 4; Gers, Schmidhuber and
Cummins (2000) for the forget gate; Levy and others (2018) for the state as
a weighted sum.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.lstm.forget_gate import forget, forget_gate
from snippets.lstm.input_gate import candidate, input_gate, write
from snippets.lstm.overview import LSTM, affine, sigmoid


# --8<-- [start:update]
def update(
    f: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
    i: Float[np.ndarray, "batch hidden"],
    c_new: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """The next cell state: what is kept of `c`, plus what is written."""
    return forget(f, c) + write(i, c_new)


# --8<-- [end:update]


# --8<-- [start:shares]
def shares(
    f: Float[np.ndarray, "batch time hidden"],
    i: Float[np.ndarray, "batch time hidden"],
    c_new: Float[np.ndarray, "batch time hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch time+1 hidden"]:
    """What c_0 and each step have left in c_T; their sum is c_T.

    What was put in at step t is multiplied by all later forget gates.
    """
    put = np.concatenate([c[:, None], i * c_new], axis=1)
    later = np.ones_like(put)  # nothing comes after the last step
    later[:, :-1] = np.cumprod(f[:, ::-1], axis=1)[:, ::-1]
    return later * put


# --8<-- [end:shares]


# --8<-- [start:record]
class Record(NamedTuple):
    """The gates, the candidate and the cell state of every step."""

    f: Float[np.ndarray, "batch time hidden"]
    i: Float[np.ndarray, "batch time hidden"]
    c_new: Float[np.ndarray, "batch time hidden"]
    c: Float[np.ndarray, "batch time hidden"]


def record(
    lstm: LSTM,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Record:
    """Run the cell over a sequence, and keep what the update used."""
    found = Record(*np.empty((4, *x.shape[:2], h.shape[1])))
    for t in range(x.shape[1]):
        f = forget_gate(lstm.forget, x[:, t], h)
        i = input_gate(lstm.input, x[:, t], h)
        c_new = candidate(lstm.candidate, x[:, t], h)
        c = update(f, c, i, c_new)
        h = sigmoid(affine(lstm.output, x[:, t], h)) * np.tanh(c)
        for array, value in zip(found, (f, i, c_new, c), strict=True):
            array[:, t] = value
    return found


# --8<-- [end:record]


# --8<-- [start:through_hidden]
def through_hidden(
    lstm: LSTM,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden hidden"]:
    """How c_t moves with h_{t-1}, which f, i and the candidate read.

    Row j holds the derivatives of unit j of c_t.
    """
    f = forget_gate(lstm.forget, x, h)
    i = input_gate(lstm.input, x, h)
    c_new = candidate(lstm.candidate, x, h)
    by_f = (c * f * (1 - f))[:, :, None] * lstm.forget.W_h
    by_i = (c_new * i * (1 - i))[:, :, None] * lstm.input.W_h
    by_c_new = (i * (1 - c_new**2))[:, :, None] * lstm.candidate.W_h
    return by_f + by_i + by_c_new


# --8<-- [end:through_hidden]
