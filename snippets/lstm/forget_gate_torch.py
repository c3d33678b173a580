"""The forget gate inside PyTorch's LSTM: its weights, its first values."""

import numpy as np
import torch
from jaxtyping import Float

from snippets.lstm.overview import LSTM
from snippets.rnn.vanishing_and_exploding_gradients_torch import (
    first_sign,
    loss_of,
)


# --8<-- [start:to_cell]
def to_cell(lstm: LSTM) -> torch.nn.LSTMCell:
    """PyTorch's cell with these weights, in float64.

    It stacks the rows of input gate, forget gate, candidate and output
    gate, and has two biases that it adds; the second one is 0 here.
    """
    hidden, features = lstm.forget.W_x.shape
    cell = torch.nn.LSTMCell(features, hidden, dtype=torch.float64)
    W_x, W_h, b = (
        torch.tensor(np.concatenate([part[k] for part in lstm]))
        for k in range(3)
    )
    with torch.no_grad():
        cell.weight_ih.copy_(W_x)
        cell.weight_hh.copy_(W_h)
        cell.bias_ih.copy_(b)
        cell.bias_hh.zero_()
    return cell


# --8<-- [end:to_cell]


# --8<-- [start:set_forget_bias]
def set_forget_bias(net: torch.nn.LSTM, bias: float) -> None:
    """Both biases of the forget gate of every layer: their sum is `bias`.

    The second quarter of the rows is the forget gate's.
    """
    rows = slice(net.hidden_size, 2 * net.hidden_size)
    for name, parameter in net.named_parameters():
        if name.startswith("bias"):
            value = bias if name.startswith("bias_ih") else 0.0
            parameter.data[rows] = value


# --8<-- [end:set_forget_bias]


# --8<-- [start:initial_gates]
def initial_gates(
    hidden: int, seed: int, block: int = 1, time: int = 100
) -> Float[np.ndarray, "{time} {hidden}"]:
    """f_t of a new `torch.nn.LSTM` that reads four standard normals.

    `block` is the place of the gate's rows: 0 input, 1 forget, 3 output.
    """
    torch.manual_seed(seed)
    net = torch.nn.LSTM(4, hidden, batch_first=True).double()
    x = torch.randn(1, time, 4).double()
    rows = slice(block * hidden, (block + 1) * hidden)
    with torch.no_grad():
        h = torch.cat([torch.zeros(1, 1, hidden), net(x)[0][:, :-1]], 1)
        W_x, W_h, b_x, b_h = (p[rows] for p in net.parameters())
        gate = torch.sigmoid(x @ W_x.T + h @ W_h.T + b_x + b_h)
    return gate[0].numpy()


# --8<-- [end:initial_gates]


# --8<-- [start:train]
def train(
    bias: float | None, seed: int, steps: int, updates: int
) -> Float[np.ndarray, " {updates}"]:
    """The loss of a small LSTM that recalls the sign of its first input.

    `bias` is the forget gate's at the start; None leaves it as drawn.
    """
    torch.manual_seed(seed)
    net = torch.nn.LSTM(1, 8, batch_first=True).double()
    readout = torch.nn.Linear(8, 1).double()
    if bias is not None:
        set_forget_bias(net, bias)
    parameters = [*net.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    losses = np.empty(updates)
    for update in range(updates):
        x, y = first_sign(16, steps)
        loss = loss_of(readout(net(x)[1][0][0])[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[update] = loss.item()
    return losses


# --8<-- [end:train]
