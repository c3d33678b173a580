"""The whole LSTM in PyTorch: weights to and fro, autograd's gradients."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from snippets.lstm.overview import LSTM, Gate
from snippets.lstm.whole_lstm import (
    initial,
    loop,
    run,
    stack,
    stack_backward,
)

Arrays = list[Float[np.ndarray, "..."]]


# --8<-- [start:copies]
def to_lstm(W_x: np.ndarray, W_h: np.ndarray, b: np.ndarray) -> LSTM:
    """PyTorch stacks input, forget, candidate and output, as LSTM does."""
    four = zip(*(np.split(w, 4) for w in (W_x, W_h, b)), strict=True)
    return LSTM(*(Gate(*(w.copy() for w in gate)) for gate in four))


def from_torch(module: torch.nn.LSTM) -> list[list[LSTM]]:
    """The directions of every layer; the module's two biases become one."""
    if module.proj_size or not module.bias:
        raise ValueError("module must have biases, and no projection")
    layers: list[list[LSTM]] = []
    for row, weights in enumerate(module.all_weights):
        W_x, W_h, b_x, b_h = (w.detach().numpy() for w in weights)
        if row % (1 + module.bidirectional) == 0:
            layers.append([])
        layers[-1].append(to_lstm(W_x, W_h, b_x + b_h))
    return layers


def to_torch(layers: Sequence[Sequence[LSTM]]) -> torch.nn.LSTM:
    """A float64 module with these weights; its second bias is 0."""
    if not layers or len(layers[0]) not in (1, 2):
        raise ValueError("layers must hold at least one layer, of 1 or 2")
    hidden, features = layers[0][0].input.W_x.shape
    module = torch.nn.LSTM(
        features, hidden, num_layers=len(layers), batch_first=True,
        bidirectional=len(layers[0]) == 2, dtype=torch.float64,
    )  # fmt: skip
    rows = [lstm for lstms in layers for lstm in lstms]
    for weights, lstm in zip(module.all_weights, rows, strict=True):
        W_x, W_h, b = map(np.concatenate, zip(*lstm, strict=True))
        given = (W_x, W_h, b, 0.0 * b)
        for weight, value in zip(weights, given, strict=True):
            weight.data.copy_(torch.as_tensor(value))
    return module


# --8<-- [end:copies]


# --8<-- [start:forward]
def forward(
    module: torch.nn.LSTM,
    x: Float[torch.Tensor, "batch time features"],
    h: Float[torch.Tensor, "rows batch hidden"],
    c: Float[torch.Tensor, "rows batch hidden"],
    lengths: Int[np.ndarray, " batch"] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """output, h_n and c_n; with lengths, x is packed and unpacked."""
    if lengths is None:
        output, (h_n, c_n) = module(x, (h, c))
        return output, h_n, c_n
    packed = pack_padded_sequence(
        x, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
    )
    packed, (h_n, c_n) = module(packed, (h, c))
    output, _ = pad_packed_sequence(
        packed, batch_first=True, total_length=x.shape[1]
    )
    return output, h_n, c_n


# --8<-- [end:forward]


# --8<-- [start:gradients]
def gradients(
    module: torch.nn.LSTM,
    x: Float[np.ndarray, "batch time features"],
    h: Float[np.ndarray, "rows batch hidden"],
    c: Float[np.ndarray, "rows batch hidden"],
    grads: Sequence[Float[np.ndarray, "..."]],
    lengths: Int[np.ndarray, " batch"] | None = None,
) -> tuple[Arrays, Arrays, list[LSTM]]:
    """What `forward` returns; by autograd the gradients for x, h and c,
    and for the weights of every row.

    The loss is the sum of what was returned, each times its `grads`.
    """
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h, c)]
    found = forward(module, leaves[0], leaves[1], leaves[2], lengths)
    loss = sum(
        (torch.tensor(grad) * value).sum()
        for grad, value in zip(grads, found, strict=True)
    )
    weights = list(module.parameters())
    gradient = torch.autograd.grad(loss, [*leaves, *weights])
    arrays = [one.numpy() for one in gradient]
    rows = [  # each of the two biases has the whole gradient of their sum
        to_lstm(*arrays[first : first + 3])
        for first in range(3, len(arrays), 4)
    ]
    return [value.detach().numpy() for value in found], arrays[:3], rows


# --8<-- [end:gradients]


# --8<-- [start:compare]
def compare(
    batch: int,
    steps: int,
    features: int,
    hidden: int,
    layers: int,
    directions: int,
    seed: int,
) -> dict[str, float]:
    """Largest differences from PyTorch: all drawn, lengths from 1."""
    rng, rows = np.random.default_rng(seed), layers * directions
    nets = [
        [initial(wide, hidden, rng) for _ in range(directions)]
        for wide in [features] + [directions * hidden] * (layers - 1)
    ]
    x = rng.normal(size=(batch, steps, features))
    h, c = rng.normal(size=(2, rows, batch, hidden))
    lengths = rng.integers(1, steps + 1, size=batch)
    ours = stack(nets, x, h, c, lengths)
    by_output, by_h, by_c = (rng.normal(size=one.shape) for one in ours)
    grads = by_output, by_h, by_c
    theirs, wanted, weights = gradients(
        to_torch(nets), x, h, c, grads, lengths
    )
    grad_x, found = stack_backward(nets, x, h, c, grads, lengths)
    pairs = {
        "output, h_n, c_n": zip(ours, theirs, strict=True),
        "gradient for x": [(grad_x, wanted[0])],
        "gradient for h_0": [
            (np.stack([one.h for one in found]), wanted[1])
        ],
        "gradient for c_0": [
            (np.stack([one.c for one in found]), wanted[2])
        ],
        "gradient for weights": [
            pair
            for one, their in zip(found, weights, strict=True)
            for gates in zip(one.lstm, their, strict=True)
            for pair in zip(*gates, strict=True)
        ],
    }
    return {
        name: max(float(np.abs(a - b).max()) for a, b in each)
        for name, each in pairs.items()
    }


# --8<-- [end:compare]


# --8<-- [start:race]
def seconds(f: Callable[[], object], repeats: int = 5) -> float:
    """Processor time of one call, the median of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return float(np.median(times))


def race(
    batch: int, steps: int, features: int, hidden: int
) -> dict[str, float]:
    """Seconds of the loop, of `run`, and of PyTorch on one thread."""
    rng, threads = np.random.default_rng(0), torch.get_num_threads()
    lstm, zeros = initial(features, hidden, rng), np.zeros((batch, hidden))
    x, module = (
        rng.normal(size=(batch, steps, features)),
        to_torch([[lstm]]),
    )
    tensor = torch.tensor(x)
    torch.set_num_threads(1)
    with torch.no_grad():
        theirs = seconds(lambda: module(tensor))
    torch.set_num_threads(threads)
    return {
        "loop": seconds(lambda: loop(lstm, x, zeros, zeros)),
        "run": seconds(lambda: run(lstm, x, zeros, zeros)),
        "PyTorch": theirs,
    }


# --8<-- [end:race]
