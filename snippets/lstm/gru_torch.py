"""The gated recurrent unit in PyTorch: weights to and fro, and a loop."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from snippets.lstm.gru import GRU, Candidate
from snippets.lstm.overview import Gate


# --8<-- [start:copies]
def from_torch(module: torch.nn.GRU) -> list[list[GRU]]:
    """For each layer its one or two directions; r, z, n is the order."""
    if not module.bias:
        raise ValueError("module must have biases")
    cells = []
    for weights in module.all_weights:
        W_x, W_h, b_x, b_h = (
            w.detach().numpy().reshape(3, module.hidden_size, *w.shape[1:])
            for w in weights
        )
        reset, update = (
            Gate(W_x[n].copy(), W_h[n].copy(), b_x[n] + b_h[n])
            for n in range(2)
        )
        new = (w[2].copy() for w in (W_x, W_h, b_x, b_h))
        cells.append(GRU(reset, update, Candidate(*new)))
    sides = 1 + module.bidirectional
    return [cells[n : n + sides] for n in range(0, len(cells), sides)]


def to_torch(gru: GRU) -> torch.nn.GRU:
    """A float64 module of one layer; the gates' second biases are 0."""
    hidden, features = gru.reset.W_x.shape
    module = torch.nn.GRU(
        features, hidden, batch_first=True, dtype=torch.float64
    )
    reset, update, new = gru
    given = (
        [reset.W_x, update.W_x, new.W_x],
        [reset.W_h, update.W_h, new.W_h],
        [reset.b, update.b, new.b_x],
        [0 * reset.b, 0 * update.b, new.b_h],
    )
    for weight, values in zip(module.all_weights[0], given, strict=True):
        weight.data = torch.tensor(np.concatenate(values))
    return module


# --8<-- [end:copies]


# --8<-- [start:run]
def run(
    x: Float[torch.Tensor, "batch time features"],
    h: Float[torch.Tensor, "batch hidden"],
    weights: Sequence[torch.Tensor],
    reset_before: bool = False,
) -> Float[torch.Tensor, "batch time hidden"]:
    """Every hidden state, with the weights as the library stores them.

    Autograd follows the loop, which `torch.nn.GRU` has in one form only.
    """
    W_x, W_h, b_x, b_h = weights
    x_r, x_z, x_n = (x @ W_x.T + b_x).chunk(3, dim=-1)  # all steps at once
    W_r, W_z, W_n = W_h.chunk(3)
    b_r, b_z, b_n = b_h.chunk(3)
    states = []
    for t in range(x.shape[1]):
        r = torch.sigmoid(x_r[:, t] + h @ W_r.T + b_r)
        z = torch.sigmoid(x_z[:, t] + h @ W_z.T + b_z)
        if reset_before:
            n = torch.tanh(x_n[:, t] + (r * h) @ W_n.T + b_n)
        else:
            n = torch.tanh(x_n[:, t] + r * (h @ W_n.T + b_n))
        h = z * h + (1 - z) * n
        states.append(h)
    return torch.stack(states, dim=1)


# --8<-- [end:run]
