"""The cell update and the residual connection: one loop for both.

Sources: Hochreiter and Schmidhuber (1997), section 4; Srivastava, Greff
and Schmidhuber (2015), section 2, for the highway layer; He and others
(2016), "Deep Residual Learning", section 3.2, for the residual layer, and
"Identity Mappings", section 2, for its gradient.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from snippets.lstm.cell_update import update
from snippets.lstm.forget_gate import fixed
from snippets.lstm.input_gate import candidate
from snippets.lstm.output_gate import emit
from snippets.lstm.overview import LSTM, Gate, sigmoid
from snippets.rnn.recurrence import initial
from snippets.transformer.overview import Linear, linear


# --8<-- [start:stack]
def branch(
    layer: Gate,
    x: Float[np.ndarray, "batch features"],
    c: Float[np.ndarray, "batch hidden"],
) -> Float[np.ndarray, "batch hidden"]:
    """F(c): the candidate of a cell that shows all of tanh(c)."""
    return candidate(layer, x, emit(np.ones_like(c), c))


def stack(
    layers: Sequence[Gate],
    x: Float[np.ndarray, "batch depth features"],
    c: Float[np.ndarray, "batch hidden"],
    keep: float = 1.0,
    write: float = 1.0,
) -> Float[np.ndarray, "batch depth hidden"]:
    """c becomes keep * c + write * F(c), layer after layer.

    1 and 1: a residual stack. 0 and 1: a plain one. `[layer] * depth`
    shares the weights, as a recurrent network does.
    """
    found = np.empty((len(c), len(layers), c.shape[1]))
    for t, layer in enumerate(layers):
        f, i = np.full_like(c, keep), np.full_like(c, write)
        c = found[:, t] = update(f, c, i, branch(layer, x[:, t], c))
    return found


# --8<-- [end:stack]


# --8<-- [start:slopes]
def slopes(
    layers: Sequence[Gate],
    x: Float[np.ndarray, "batch depth features"],
    c: Float[np.ndarray, "batch hidden"],
    keep: float = 1.0,
    write: float = 1.0,
) -> Float[np.ndarray, "batch depth hidden hidden"]:
    """dc_t/dc_0 after each layer: the product of keep I + write dF/dc."""
    before, identity = c, np.eye(c.shape[1])
    product, found = np.tile(identity, (len(c), 1, 1)), []
    states = stack(layers, x, c, keep, write)
    for t, layer in enumerate(layers):
        inner = 1.0 - np.tanh(before) ** 2
        outer = 1.0 - branch(layer, x[:, t], before) ** 2
        by_c = outer[:, :, None] * layer.W_h * inner[:, None, :]
        product = (keep * identity + write * by_c) @ product
        found.append(product)
        before = states[:, t]
    return np.stack(found, axis=1)


def size(
    slopes: Float[np.ndarray, "*batch hidden hidden"],
) -> Float[np.ndarray, "*batch"]:
    """What a random gradient is multiplied by, as a root mean square.

    The root mean square of the singular values; 1 for the identity.
    """
    squares = (slopes**2).sum(axis=(-2, -1))
    return np.asarray(np.sqrt(squares / slopes.shape[-1]))


# --8<-- [end:slopes]


# --8<-- [start:drawn]
def drawn(
    depth: int, hidden: int, rng: np.random.Generator
) -> tuple[list[Gate], Float[np.ndarray, "1 {depth} 4"]]:
    """Layers with the usual random weights, and four inputs for each."""
    layers = [Gate(*initial(4, hidden, rng)) for _ in range(depth)]
    return layers, rng.normal(size=(1, depth, 4))


# --8<-- [end:drawn]


# --8<-- [start:open_lstm]
def open_lstm(layer: Gate) -> LSTM:
    """An LSTM with this candidate, and all three gates at 1."""
    hidden, features = layer.W_x.shape
    gate = fixed(np.full(hidden, 50.0), features)  # sigmoid(50) is 1.0
    return LSTM(input=gate, forget=gate, candidate=layer, output=gate)


# --8<-- [end:open_lstm]


# --8<-- [start:highway]
def highway(
    transform: Linear,
    change: Linear,
    c: Float[np.ndarray, "batch hidden"],
    carry: Linear | None = None,
) -> Float[np.ndarray, "batch hidden"]:
    """C * c + T * H: both gates read the vector c itself.

    Without `carry` the gates are coupled, C = 1 - T, as in the paper's
    experiments. H is a tanh layer here.
    """
    t = sigmoid(linear(transform, c))
    kept = 1.0 - t if carry is None else sigmoid(linear(carry, c))
    return update(kept, c, t, np.tanh(linear(change, c)))


# --8<-- [end:highway]
