"""A small training run in which the axis of the softmax is a choice."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy


# --8<-- [start:train]
class Run(NamedTuple):
    """What came of a training run; shares are of right answers."""

    first_loss: float  # means of ten updates
    last_loss: float
    together: float  # eight queries asked at once, as in training
    alone: float  # the same queries, one at a time


def train(axis: int, seed: int, updates: int = 200) -> Run:
    """Learn to look up: eight pairs of a symbol and a number are given;
    eight queries, symbols, ask for the numbers. `axis` is the softmax's:
    -1 (over the keys) is right, -2 (over the queries) is wrong.
    """
    torch.manual_seed(seed)
    n, width = 8, 16
    symbol, number = nn.Embedding(n, width), nn.Embedding(n, width)
    W_q, W_k, W_v = (nn.Linear(width, width) for _ in range(3))
    out = nn.Linear(width, n)
    parts = nn.ModuleList([symbol, number, W_q, W_k, W_v, out]).double()
    optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)

    def logits(asked: torch.Tensor) -> torch.Tensor:
        scores = W_q(symbol(asked)) @ W_k(symbol(held)).mT / width**0.5
        return out(scores.softmax(axis) @ W_v(number(given)))

    losses = []
    for _ in range(updates):
        held = torch.rand(32, n).argsort(1)  # symbols in random order
        given, asked = torch.randint(n, (2, 32, n))
        right = torch.zeros_like(held).scatter(1, held, given)
        right = right.gather(1, asked)
        loss = cross_entropy(logits(asked).mT, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        together = logits(asked).argmax(-1) == right
        singly = [logits(asked[:, [i]]).argmax(-1) for i in range(n)]
        alone = torch.cat(singly, 1) == right
    return Run(
        first_loss=sum(losses[:10]) / 10,
        last_loss=sum(losses[-10:]) / 10,
        together=together.double().mean().item(),
        alone=alone.double().mean().item(),
    )


# --8<-- [end:train]
