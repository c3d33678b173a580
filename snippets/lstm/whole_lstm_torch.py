"""The whole LSTM in PyTorch: weights to and fro, autograd's gradients."""

import time
from collections.abc import Callable, Sequence

import jaxtyping
import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.overview import LSTM, unstack
from snippets.lstm.whole_lstm import (
    check_layers,
    initial,
    loop,
    run,
    stack,
    stack_backward,
)

Arrays = list[Float[np.ndarray, "..."]]


# --8<-- [start:copies]
def from_torch(module: torch.nn.LSTM) -> list[list[LSTM]]:
    """The directions of every layer; the module's two biases become one."""
    if module.proj_size or not module.bias:
        raise ValueError("module must have biases, and no projection")
    rows = []
    for weights in module.all_weights:
        W_x, W_h, b_x, b_h = (w.detach().numpy().copy() for w in weights)
        rows.append(unstack(W_x, W_h, b_x + b_h))
    sides = 1 + module.bidirectional
    return [rows[n : n + sides] for n in range(0, len(rows), sides)]


def to_torch(layers: Sequence[Sequence[LSTM]]) -> torch.nn.LSTM:
    """A float64 module with these weights; its second bias is 0."""
    rows = [lstm for lstms in layers for lstm in lstms]
    check_layers(layers, len(rows))
    hidden, features = layers[0][0].input.W_x.shape
    module = torch.nn.LSTM(
        features, hidden, num_layers=len(layers), batch_first=True,
        bidirectional=len(layers[0]) == 2, dtype=torch.float64,
    )  # fmt: skip
    for weights, lstm in zip(module.all_weights, rows, strict=True):
        given = to_cell(lstm).parameters()
        for weight, value in zip(weights, given, strict=True):
            if weight.shape != value.shape:  # copy_ would broadcast it
                raise ValueError(f"layers must fit each other: expected "
                                 f"{[*weight.shape]}, got "
                                 f"{[*value.shape]}")  # fmt: skip
            weight.data.copy_(value)
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
        unstack(*arrays[first : first + 3])
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
def seconds(f: Callable[[], object], repeats: int = 9) -> float:
    """Processor time of one call in this thread, median of several."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        f()
        times.append(time.thread_time() - start)
    return float(np.median(times))


def race(
    batch: int, steps: int, features: int, hidden: int
) -> dict[str, float]:
    """Seconds of the loop, of `run`, and of PyTorch on one thread.

    Without the checks of shapes, which take most of the time in NumPy.
    """
    rng, threads = np.random.default_rng(0), torch.get_num_threads()
    lstm, zeros = initial(features, hidden, rng), np.zeros((batch, hidden))
    x = rng.normal(size=(batch, steps, features))
    module, tensor = to_torch([[lstm]]), torch.tensor(x)
    unchecked = jaxtyping.config.jaxtyping_disable
    torch.set_num_threads(1)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with torch.no_grad():
            return {
                "loop": seconds(lambda: loop(lstm, x, zeros, zeros)),
                "run": seconds(lambda: run(lstm, x, zeros, zeros)),
                "PyTorch": seconds(lambda: module(tensor)),
            }
    finally:
        torch.set_num_threads(threads)
        jaxtyping.config.update("jaxtyping_disable", unchecked)


# --8<-- [end:race]
