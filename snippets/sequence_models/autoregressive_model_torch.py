"""Autoregressive models with PyTorch's layers."""

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from snippets.sequence_models.autoregressive_model import (
    Weights,
    rmse,
    windows,
)


# --8<-- [start:layers]
def as_linear(weights: Weights) -> nn.Linear:
    """A layer from a batch of windows to one prediction for each."""
    layer = nn.Linear(len(weights.w), 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[0] = torch.from_numpy(weights.w)
        layer.bias[0] = weights.b
    return layer


def as_conv1d(weights: Weights) -> nn.Conv1d:
    """A kernel that slides over a series (batch, 1, time) itself."""
    layer = nn.Conv1d(1, 1, len(weights.w), dtype=torch.float64)
    with torch.no_grad():
        layer.weight[0, 0] = torch.from_numpy(weights.w)
        layer.bias[0] = weights.b
    return layer


# --8<-- [end:layers]


# --8<-- [start:train]
def make_mlp(
    order: int, hidden: int, rng: np.random.Generator
) -> nn.Sequential:
    """One hidden layer of tanh units; weights drawn from `rng`."""
    first = nn.Linear(order, hidden, dtype=torch.float64)
    last = nn.Linear(hidden, 1, dtype=torch.float64)
    with torch.no_grad():
        for layer in (first, last):
            drawn = rng.normal(size=layer.weight.shape)
            drawn /= np.sqrt(layer.in_features)
            layer.weight.copy_(torch.from_numpy(drawn))
            layer.bias.zero_()
    return nn.Sequential(first, nn.Tanh(), last)


def train(
    net: nn.Module,
    series: Float[np.ndarray, " time"],
    split: int,
    order: int,
    steps: int,
) -> tuple[float, float]:
    """Train on the windows of series[:split]; RMSE there and after.

    Adam on all windows at once. The values are scaled by the mean and
    spread of series[:split]; the errors are in the unit of the series.
    """
    spread = series[:split].std()
    scaled = (series - series[:split].mean()) / spread
    rows, targets = map(torch.from_numpy, windows(scaled, order))
    known = split - order
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        gaps = net(rows[:known])[:, 0] - targets[:known]
        (gaps**2).mean().backward()
        optimizer.step()
    with torch.no_grad():
        gaps = spread * (net(rows)[:, 0] - targets).numpy()
    return rmse(gaps[:known]), rmse(gaps[known:])


# --8<-- [end:train]
