"""A classifier trained with one softmax, and with two."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy


# --8<-- [start:train]
class Run(NamedTuple):
    """What the training saw, and what the model is worth."""

    training_loss: float
    cross_entropy: float  # of the model's logits, computed rightly
    right: float


def train(classes: int, twice: bool, updates: int = 300) -> Run:
    """Points of a plane, each in one of several sectors. With `twice`
    the model's own softmax stands before that of the loss."""
    torch.manual_seed(0)
    x = torch.randn(200, 2, dtype=torch.float64)
    directions = torch.randn(2, classes, dtype=torch.float64)
    y = (x @ directions).argmax(dim=1)
    net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, classes))
    net = net.double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(updates):
        out = net(x).softmax(dim=1) if twice else net(x)
        loss = cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = net(x)
        true = cross_entropy(logits, y).item()
        right = (logits.argmax(dim=1) == y).double().mean().item()
    return Run(loss.item(), true, right)


# --8<-- [end:train]
