"""One layer's weights in the layouts of PyTorch, Keras and ONNX.

Sources: the documentation of `torch.nn` 2.13; the source of Keras 3.15.1
(`keras/src/layers/rnn`); the ONNX operators RNN, LSTM and GRU, version
22, and their reference implementation in onnx 1.23.2.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.lstm.overview import sigmoid

Input = Float[np.ndarray, "batch features"]
State = Float[np.ndarray, "batch hidden"]

# --8<-- [start:orders]
# The letters are PyTorch's, everywhere: g is Keras's and ONNX's c, n is
# their h, and h the one block of a plain RNN.
TORCH = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}
KERAS = {"rnn": "h", "lstm": "ifgo", "gru": "zrn"}
ONNX = {"rnn": "h", "lstm": "iofg", "gru": "zrn"}


def reorder(
    rows: Float[np.ndarray, "rows *rest"], old: str, new: str
) -> Float[np.ndarray, "rows *rest"]:
    """The blocks of rows, one a letter, from the old order to the new."""
    blocks = dict(zip(old, np.split(rows, len(old)), strict=True))
    return np.concatenate([blocks[letter] for letter in new])


# --8<-- [end:orders]


# --8<-- [start:layouts]
class TorchLayer(NamedTuple):
    """weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0."""

    W_x: Float[np.ndarray, "rows features"]
    W_h: Float[np.ndarray, "rows hidden"]
    b_x: Float[np.ndarray, " rows"]
    b_h: Float[np.ndarray, " rows"]


class KerasLayer(NamedTuple):
    """The bias has one row, or two in a GRU with reset_after."""

    kernel: Float[np.ndarray, "features rows"]
    recurrent_kernel: Float[np.ndarray, "hidden rows"]
    bias: Float[np.ndarray, "*two rows"]


class OnnxLayer(NamedTuple):
    """The first axis counts directions: here one. B holds both biases."""

    W: Float[np.ndarray, "1 rows features"]
    R: Float[np.ndarray, "1 rows hidden"]
    B: Float[np.ndarray, "1 two_rows"]


# --8<-- [end:layouts]


def _check(cell: str, rows: int, hidden: int) -> None:
    if cell not in TORCH:
        raise ValueError(f"cell must be one of {[*TORCH]}, got {cell!r}")
    if rows != len(TORCH[cell]) * hidden:
        raise ValueError(
            f"layer of a {cell} must have {len(TORCH[cell])} * hidden "
            f"rows, got {rows} with hidden = {hidden}"
        )


# --8<-- [start:keras]
def to_keras(layer: TorchLayer, cell: str) -> KerasLayer:
    """Reordered and transposed; an RNN or LSTM adds its two biases.

    `cell` is "rnn", "lstm" or "gru" (one with `reset_after=True`).
    Raises ValueError for another, or if the rows do not fit it.
    """
    _check(cell, *layer.W_h.shape)
    W_x, W_h, b_x, b_h = (
        reorder(rows, TORCH[cell], KERAS[cell]) for rows in layer
    )
    bias = np.stack([b_x, b_h]) if cell == "gru" else b_x + b_h
    return KerasLayer(W_x.T, W_h.T, bias)


def from_keras(layer: KerasLayer, cell: str) -> TorchLayer:
    """The way back; where Keras has one bias, the second becomes 0.

    Raises ValueError also for a GRU with one bias (`reset_after=False`).
    """
    _check(cell, *layer.recurrent_kernel.T.shape)
    bias = layer.bias
    if cell == "gru" and bias.ndim == 1:
        raise ValueError(
            "layer has one bias: a GRU with reset_after=False is another "
            "function than torch.nn.GRU"
        )
    b_x, b_h = bias if cell == "gru" else (bias, np.zeros_like(bias))
    stacked = (layer.kernel.T, layer.recurrent_kernel.T, b_x, b_h)
    return TorchLayer(
        *(reorder(rows, KERAS[cell], TORCH[cell]) for rows in stacked)
    )


# --8<-- [end:keras]


# --8<-- [start:onnx]
def to_onnx(layer: TorchLayer, cell: str) -> OnnxLayer:
    """Reordered; a GRU needs `linear_before_reset=1` beside it.

    Raises ValueError for an unknown cell, or if the rows do not fit it.
    """
    _check(cell, *layer.W_h.shape)
    W_x, W_h, b_x, b_h = (
        reorder(rows, TORCH[cell], ONNX[cell]) for rows in layer
    )
    return OnnxLayer(W_x[None], W_h[None], np.concatenate([b_x, b_h])[None])


def from_onnx(layer: OnnxLayer, cell: str) -> TorchLayer:
    """The way back, for one direction without peepholes."""
    _check(cell, *layer.R.shape[1:])
    stacked = (layer.W[0], layer.R[0], *np.split(layer.B[0], 2))
    return TorchLayer(
        *(reorder(rows, ONNX[cell], TORCH[cell]) for rows in stacked)
    )


# --8<-- [end:onnx]


# --8<-- [start:keras_steps]
def keras_rnn(layer: KerasLayer, x: Input, h: State) -> tuple[State]:
    """`keras.layers.SimpleRNNCell`, activation tanh."""
    return (
        np.tanh(x @ layer.kernel + layer.bias + h @ layer.recurrent_kernel),
    )


def keras_lstm(
    layer: KerasLayer, x: Input, h: State, c: State
) -> tuple[State, State]:
    """`keras.layers.LSTMCell`: blocks i f c o side by side."""
    z = x @ layer.kernel + h @ layer.recurrent_kernel + layer.bias
    i, f, g, o = np.split(z, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def keras_gru(layer: KerasLayer, x: Input, h: State) -> tuple[State]:
    """`keras.layers.GRUCell`: `reset_after` if it has two biases."""
    two = layer.bias.ndim == 2
    b_x, b_h = layer.bias if two else (layer.bias, 0.0 * layer.bias)
    to_z, to_r, to_n = np.split(layer.recurrent_kernel, 3, axis=1)
    b_z, b_r, b_n = np.split(b_h, 3)
    x_z, x_r, x_n = np.split(x @ layer.kernel + b_x, 3, axis=1)
    z = sigmoid(x_z + h @ to_z + b_z)
    r = sigmoid(x_r + h @ to_r + b_r)
    n = np.tanh(x_n + (r * (h @ to_n + b_n) if two else (r * h) @ to_n))
    return (z * h + (1.0 - z) * n,)


# --8<-- [end:keras_steps]


# --8<-- [start:onnx_steps]
def onnx_rnn(layer: OnnxLayer, x: Input, h: State) -> tuple[State]:
    """The operator RNN-22, activation Tanh."""
    Wb, Rb = np.split(layer.B[0], 2)
    return (np.tanh(x @ layer.W[0].T + h @ layer.R[0].T + Wb + Rb),)


def onnx_lstm(
    layer: OnnxLayer, x: Input, h: State, c: State
) -> tuple[State, State]:
    """The operator LSTM-22 without peepholes: blocks i o f c."""
    Wb, Rb = np.split(layer.B[0], 2)
    gates = x @ layer.W[0].T + h @ layer.R[0].T + Wb + Rb
    i, o, f, g = np.split(gates, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def onnx_gru(
    layer: OnnxLayer, x: Input, h: State, linear_before_reset: int = 0
) -> tuple[State]:
    """The operator GRU-22; mind that the default is 0."""
    (W_z, W_r, W_n), (R_z, R_r, R_n) = (
        np.split(rows[0], 3) for rows in (layer.W, layer.R)
    )
    Wb_z, Wb_r, Wb_n, Rb_z, Rb_r, Rb_n = np.split(layer.B[0], 6)
    z = sigmoid(x @ W_z.T + h @ R_z.T + Wb_z + Rb_z)
    r = sigmoid(x @ W_r.T + h @ R_r.T + Wb_r + Rb_r)
    if linear_before_reset:
        n = np.tanh(x @ W_n.T + r * (h @ R_n.T + Rb_n) + Wb_n)
    else:
        n = np.tanh(x @ W_n.T + (r * h) @ R_n.T + Rb_n + Wb_n)
    return ((1.0 - z) * n + z * h,)


# --8<-- [end:onnx_steps]


# --8<-- [start:run]
def run(
    step: Callable[..., tuple[State, ...]],
    layer: TorchLayer | KerasLayer | OnnxLayer,
    x: Float[np.ndarray, "batch time features"],
    *state: State,
) -> Float[np.ndarray, "batch time hidden"]:
    """The hidden state of every time step, by any of the steps above."""
    if not x.shape[1]:
        raise ValueError("x must have at least one time step")
    outputs = []
    for t in range(x.shape[1]):
        state = step(layer, x[:, t], *state)
        outputs.append(state[0])
    return np.stack(outputs, axis=1)


# --8<-- [end:run]


# --8<-- [start:recorded]
def sample(
    cell: str,
) -> tuple[TorchLayer, Float[np.ndarray, "batch time features"]]:
    """Weights and an input that every library can make again."""
    rows = 2 * len(TORCH[cell])
    numbers = np.sin(np.arange(1.0, 6.0 * rows + 1.0))
    W_x, W_h, b = np.split(numbers, [2 * rows, 4 * rows])
    layer = TorchLayer(
        W_x.reshape(rows, 2), W_h.reshape(rows, 2), b[:rows], b[rows:]
    )
    return layer, np.cos(np.arange(1.0, 13.0)).reshape(2, 3, 2)


# The last hidden states, [batch, hidden], as the libraries computed them
# from `sample`: Keras 3.15.1 (its cells, on PyTorch), onnx 1.23.2 (its
# reference evaluator), to six digits.
RECORDED = {
    "keras rnn": [[0.926170, -0.997081], [0.871003, -0.996690]],
    "keras lstm": [[-0.007745, 0.192337], [-0.020296, 0.190509]],
    "keras gru": [[-0.207690, -0.348800], [-0.205716, -0.368389]],
    "keras gru before": [[-0.424586, 0.168751], [-0.397798, 0.136659]],
    "onnx rnn": [[0.926170, -0.997081], [0.871003, -0.996690]],
    "onnx lstm": [[-0.007745, 0.192337], [-0.020296, 0.190509]],
    "onnx gru": [[-0.207690, -0.348800], [-0.205716, -0.368389]],
    "onnx gru before": [[-0.234114, -0.460872], [-0.235337, -0.486011]],
}
# --8<-- [end:recorded]


# --8<-- [start:convention]
STEPS: dict[str, Callable[..., tuple[State, ...]]] = {
    "keras rnn": keras_rnn,
    "keras lstm": keras_lstm,
    "keras gru": keras_gru,
    "onnx rnn": onnx_rnn,
    "onnx lstm": onnx_lstm,
    "onnx gru": partial(onnx_gru, linear_before_reset=1),
    "onnx gru before": onnx_gru,
}


def by_convention(
    name: str,
) -> Float[np.ndarray, "batch time hidden"]:
    """The steps of this page on `sample`, for a name of RECORDED."""
    library, cell, *before = name.split()
    layer, x = sample(cell)
    zero = np.zeros((len(x), layer.W_h.shape[1]))
    state = (zero, zero) if cell == "lstm" else (zero,)
    if library == "keras":
        keras = to_keras(layer, cell)
        if before:  # one bias: only the first is given to Keras
            keras = keras._replace(bias=keras.bias[0])
        return run(STEPS[f"keras {cell}"], keras, x, *state)
    return run(STEPS[name], to_onnx(layer, cell), x, *state)


# --8<-- [end:convention]
