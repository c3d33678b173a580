"""Recurrent neural network: one function, applied again at every step.

Source: Elman (1990), "Finding Structure in Time"; the layout of the weights
is that of `torch.nn.RNN`.
"""

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.datasets import LETTERS, decode, encode
from snippets.sequence_models.sequential_data import one_hot

Activation = Callable[[np.ndarray], np.ndarray]


# --8<-- [start:weights]
class RNN(NamedTuple):
    """The weights of one layer: one row for each hidden unit."""

    W_x: Float[np.ndarray, "hidden features"]
    W_h: Float[np.ndarray, "hidden hidden"]
    b: Float[np.ndarray, " hidden"]


# --8<-- [end:weights]


# --8<-- [start:activations]
def relu(a: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Negative values become 0, the others stay."""
    return np.maximum(a, 0.0)


ACTIVATIONS: dict[str, Activation] = {"tanh": np.tanh, "relu": relu}


# --8<-- [end:activations]


# --8<-- [start:cell]
def cell(
    rnn: RNN,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch hidden"]:
    """The next hidden state, from the input and the last hidden state.

    Raises ValueError where the arguments do not fit each other, and
    FloatingPointError where the next state overflows (`relu` can).
    """
    check(rnn, x, h, activation)
    with np.errstate(over="ignore", invalid="ignore"):
        a = x @ rnn.W_x.T + h @ rnn.W_h.T + rnn.b
    h = ACTIVATIONS[activation](a)
    if not np.isfinite(h).all():
        raise FloatingPointError("h is not finite after this step")
    return h


# --8<-- [end:cell]


def check_shapes(
    name: str,
    weights: tuple[np.ndarray, np.ndarray, np.ndarray],
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
) -> None:
    """ValueError unless W_x, W_h and b fit each other, x and h."""
    W_x, W_h, b = weights
    hidden, features = W_x.shape
    if W_h.shape != (hidden, hidden) or b.shape != (hidden,):
        raise ValueError(
            f"{name} must have W_h of shape {(hidden, hidden)} and b of "
            f"shape {(hidden,)}, got {W_h.shape} and {b.shape}"
        )
    if x.shape[1] != features:
        raise ValueError(f"x must have {features} features, "
                         f"got {x.shape[1]}")  # fmt: skip
    if h.shape[1] != hidden:
        raise ValueError(f"h must have {hidden} units, got {h.shape[1]}")


def check(
    rnn: RNN,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    activation: str,
) -> None:
    """ValueError unless the arguments of a cell fit each other."""
    check_shapes("rnn", rnn, x, h)
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, "
            f"got {activation!r}"
        )


# --8<-- [start:run]
def run(
    rnn: RNN,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "batch hidden"],
    activation: str = "tanh",
) -> Float[np.ndarray, "batch time hidden"]:
    """Every hidden state after the initial state `h`.

    Raises ValueError for a sequence of length 0: it has no last state.
    """
    if x.shape[1] == 0:
        raise ValueError("x must have at least one step, got 0")
    states = []
    for t in range(x.shape[1]):
        h = cell(rnn, x[:, t], h, activation)
        states.append(h)
    return np.stack(states, axis=1)


# --8<-- [end:run]


# --8<-- [start:stack]
def stack(
    layers: Sequence[RNN],
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "layers batch hidden"],
    activation: str = "tanh",
) -> tuple[
    Float[np.ndarray, "batch time hidden"],
    Float[np.ndarray, "layers batch hidden"],
]:
    """The last layer's states, and the last state of every layer.

    The states of one layer are the inputs of the next. Raises ValueError
    where `h` has not one row for each layer.
    """
    if not len(layers) == len(h) > 0:
        raise ValueError(f"layers must be as many as rows of h, at least 1;"
                         f" got {len(layers)} and {len(h)}")  # fmt: skip
    last = []
    for rnn, start in zip(layers, h, strict=True):
        x = run(rnn, x, start, activation)
        last.append(x[:, -1])
    return x, np.stack(last)


# --8<-- [end:stack]


# --8<-- [start:initial]
def initial(features: int, hidden: int, rng: np.random.Generator) -> RNN:
    """Random weights as in `torch.nn.RNN`.

    Each number is uniform between -k and k, k = 1/sqrt(hidden), except
    that a bias is the sum of two, as the library has two biases.
    """
    if features < 1 or hidden < 1:
        raise ValueError(f"features and hidden must be at least 1, "
                         f"got {features} and {hidden}")  # fmt: skip
    k = 1 / np.sqrt(hidden)
    return RNN(
        W_x=rng.uniform(-k, k, (hidden, features)),
        W_h=rng.uniform(-k, k, (hidden, hidden)),
        b=rng.uniform(-k, k, (2, hidden)).sum(axis=0),
    )


# --8<-- [end:initial]


# --8<-- [start:characters]
class Characters(NamedTuple):
    """A recurrent layer over symbols, and a readout of the next one."""

    rnn: RNN
    W_o: Float[np.ndarray, "symbols hidden"]
    b_o: Float[np.ndarray, " symbols"]


def one_hots(
    codes: Int[np.ndarray, "batch time"],
) -> Float[np.ndarray, "batch time symbols"]:
    """Each code as a vector of zeros with a single 1 at its place."""
    return one_hot(codes.ravel()).reshape(*codes.shape, len(LETTERS))


def log_probabilities(
    model: Characters, states: Float[np.ndarray, "*axes hidden"]
) -> Float[np.ndarray, "*axes symbols"]:
    """log p(next symbol) of every state: a log-softmax of the logits."""
    logits = states @ model.W_o.T + model.b_o
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def surprise(
    model: Characters, codes: Int[np.ndarray, "batch time"]
) -> Float[np.ndarray, "batch time-1"]:
    """-log p of each symbol but the first, given all before it, in nats.

    Every row is a text of its own and starts from a state of zeros.
    """
    if codes.shape[1] < 2:
        raise ValueError("codes must have 2 symbols in a row, or more")
    h = np.zeros((len(codes), len(model.rnn.b)))
    states = run(model.rnn, one_hots(codes[:, :-1]), h)
    logs = log_probabilities(model, states)
    return -(one_hots(codes[:, 1:]) * logs).sum(axis=2)


# --8<-- [end:characters]


# --8<-- [start:pieces]
def pieces(
    codes: Int[np.ndarray, " time"], length: int
) -> Int[np.ndarray, "pieces {length}+1"]:
    """The text cut into pieces that run side by side.

    Each has `length` symbols to predict, after the one before them, which
    is only read. What does not fill a last piece is left out.
    """
    if not 1 <= length < len(codes):
        raise ValueError(
            f"length must be at least 1 and below {len(codes)}, the "
            f"text's length; got {length}"
        )
    windows = np.lib.stride_tricks.sliding_window_view
    return windows(codes, length + 1)[::length]


# --8<-- [end:pieces]


# --8<-- [start:sample]
def sample(
    model: Characters, prompt: str, length: int, rng: np.random.Generator
) -> str:
    """The prompt, and `length` symbols drawn one after the other."""
    if not prompt or length < 0:
        raise ValueError("prompt must not be empty, length not negative")
    codes = encode(prompt)
    h = np.zeros((1, len(model.rnn.b)))
    h = run(model.rnn, one_hot(codes)[None], h)[:, -1]
    for _ in range(length):
        p = np.exp(log_probabilities(model, h))[0]
        codes = np.append(codes, rng.choice(len(LETTERS), p=p / p.sum()))
        h = cell(model.rnn, one_hot(codes[-1:]), h)
    return decode(codes)


# --8<-- [end:sample]


def untrained(hidden: int, rng: np.random.Generator) -> Characters:
    """Random weights, those of the readout as in `torch.nn.Linear`."""
    rnn = initial(len(LETTERS), hidden, rng)
    k = 1 / np.sqrt(hidden)
    W_o = rng.uniform(-k, k, (len(LETTERS), hidden))
    return Characters(rnn, W_o, rng.uniform(-k, k, len(LETTERS)))


def save(model: Characters, path: Path) -> None:
    """Write the weights as float32."""
    arrays = {**model.rnn._asdict(), "W_o": model.W_o, "b_o": model.b_o}
    small = {name: a.astype(np.float32) for name, a in arrays.items()}
    np.savez_compressed(path, allow_pickle=False, **small)


def trained() -> Characters:
    """The weights that `train` found on Alice, as float64."""
    file = resources.files("snippets.rnn").joinpath("characters.npz")
    with file.open("rb") as stream, np.load(stream) as arrays:
        a = {name: arrays[name].astype(float) for name in arrays}
    return Characters(RNN(a["W_x"], a["W_h"], a["b"]), a["W_o"], a["b_o"])
