"""A small task, learnt with and without `batch_first`."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn.functional import cross_entropy

BATCH, TIME, HIDDEN = 16, 4, 16


# --8<-- [start:train]
class Classifier(NamedTuple):
    """An LSTM, and a readout of what stands at `output[:, -1]`."""

    lstm: nn.LSTM
    out: nn.Linear


def logits(
    net: Classifier, x: Float[torch.Tensor, "batch time 1"]
) -> Float[torch.Tensor, "batch 2"]:
    """Two logits a sequence, without an error in both layouts."""
    output, _ = net.lstm(x)
    return net.out(output[:, -1])


def draw(question: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of random numbers, and whether the first number, the last
    one or the sum of all is positive."""
    x = torch.randn(BATCH, TIME, 1, dtype=torch.float64)
    asked = {"first": x[:, 0], "last": x[:, -1], "sum": x.sum(dim=1)}
    return x, (asked[question][:, 0] > 0).long()


def train(
    question: str, batch_first: bool, seed: int, updates: int = 100
) -> tuple[Classifier, list[float], float]:
    """The trained model, its losses, and its share of right answers."""
    torch.manual_seed(seed)
    lstm = nn.LSTM(1, HIDDEN, batch_first=batch_first)
    net = Classifier(lstm.double(), nn.Linear(HIDDEN, 2).double())
    weights = [*net.lstm.parameters(), *net.out.parameters()]
    optimizer, losses = torch.optim.Adam(weights, lr=0.03), []
    for _ in range(updates):
        x, y = draw(question)
        loss = cross_entropy(logits(net, x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        tests = [draw(question) for _ in range(50)]
        right = [(logits(net, x).argmax(1) == y).float() for x, y in tests]
    return net, losses, float(np.mean([one.mean() for one in right]))


# --8<-- [end:train]
