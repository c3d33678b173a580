"""What `batch_first` changes in a recurrent layer, and what it does not.

The rule is that of `torch.nn.RNN`, `GRU` and `LSTM` of PyTorch 2.13.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from snippets.lstm.overview import LSTM
from snippets.lstm.whole_lstm import stack


# --8<-- [start:shapes]
class Shapes(NamedTuple):
    """The shapes around one recurrent layer.

    c_0 and c_n have those of h_0 and h_n, as long as there is no
    `proj_size`.
    """

    x: tuple[int, ...]
    h_0: tuple[int, ...]
    output: tuple[int, ...]
    h_n: tuple[int, ...]


def shapes(
    batch: int,
    time: int,
    features: int,
    hidden: int,
    layers: int = 1,
    directions: int = 1,
    batch_first: bool = False,
) -> Shapes:
    """The switch moves two axes, in `x` and in `output`, and no other.

    Raises ValueError for a size below 1, and for a third direction.
    """
    sizes = batch, time, features, hidden, layers
    if min(sizes) < 1:
        raise ValueError(f"sizes must be at least 1, got {sizes}")
    if directions not in (1, 2):
        raise ValueError(f"directions must be 1 or 2, got {directions}")
    first = (batch, time) if batch_first else (time, batch)
    state = layers * directions, batch, hidden
    return Shapes(
        (*first, features), state, (*first, directions * hidden), state
    )


# --8<-- [end:shapes]


# --8<-- [start:run]
def run(
    layers: Sequence[Sequence[LSTM]],
    x: Float[np.ndarray, "first second features"],
    h: Float[np.ndarray, "rows batch hidden"],
    c: Float[np.ndarray, "rows batch hidden"],
    batch_first: bool = False,
) -> tuple[
    Float[np.ndarray, "first second out"],
    Float[np.ndarray, "rows batch hidden"],
    Float[np.ndarray, "rows batch hidden"],
]:
    """output, h_n and c_n. All that the switch does is to turn x and
    output; our own layer has the batch first, so False turns them."""
    if batch_first:
        return stack(layers, x, h, c)
    output, h_n, c_n = stack(layers, x.swapaxes(0, 1), h, c)
    return output.swapaxes(0, 1), h_n, c_n


# --8<-- [end:run]


# --8<-- [start:reads]
Batched = Callable[[np.ndarray], np.ndarray]


def reads(
    f: Batched,
    x: Float[np.ndarray, "batch *rest"],
    rng: np.random.Generator,
) -> Bool[np.ndarray, "batch batch"]:
    """Entry i, j: does row i of f(x) change when row j of x is redrawn?

    A model that treats its sequences apart gives the identity. `f` must
    not be random: turn dropout off. Raises ValueError where f(x) has not
    one row for each row of x.
    """
    before = f(x)
    if len(before) != len(x):
        raise ValueError(f"f must give {len(x)} rows, got {len(before)}")
    moved = np.empty((len(x), len(x)), dtype=bool)
    for j in range(len(x)):
        other = x.copy()
        other[j] = rng.normal(size=x[j].shape)
        changed = np.abs(f(other) - before) > 1e-12
        moved[:, j] = changed.reshape(len(x), -1).any(axis=1)
    return moved


# --8<-- [end:reads]
