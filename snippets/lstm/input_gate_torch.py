"""Gradients into the input gate and the candidate, by autograd."""

import numpy as np
import torch
from jaxtyping import Float

from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.overview import LSTM


# --8<-- [start:gradients]
def gradients(
    lstm: LSTM,
    x: Float[np.ndarray, "batch features"],
    h: Float[np.ndarray, "batch hidden"],
    c: Float[np.ndarray, "batch hidden"],
) -> dict[str, Float[np.ndarray, " hidden"]]:
    """How the sum of the new cell state moves with each part's biases."""
    cell = to_cell(lstm)
    _, c_next = cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))
    c_next.sum().backward()
    assert cell.bias_ih.grad is not None
    parts = cell.bias_ih.grad.numpy().reshape(4, -1)
    return dict(zip(LSTM._fields, parts, strict=True))


# --8<-- [end:gradients]


# --8<-- [start:adam_steps_to_open]
def adam_steps_to_open(start: float) -> int:
    """Like `steps_to_open`, with Adam and the learning rate 0.1."""
    bias = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = torch.optim.Adam([bias], lr=0.1)
    steps = 0
    while bias.item() <= 0.0:
        optimizer.zero_grad()
        (-torch.sigmoid(bias)).backward()
        optimizer.step()
        steps += 1
    return steps


# --8<-- [end:adam_steps_to_open]
