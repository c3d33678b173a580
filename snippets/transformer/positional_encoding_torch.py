"""One small model with and without positions, trained on one task."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from snippets.transformer.overview_torch import stack
from snippets.transformer.positional_encoding import sinusoids, which_first

WIDTH, LONGEST = 16, 16


# --8<-- [start:train]
class Run(NamedTuple):
    """What came of a training run on sequences of eight symbols."""

    lowest_loss: float  # of any update, in nats
    right: dict[int, float]  # share of right answers, by length


def train(
    positions: str,
    *,
    causal: bool = False,
    n_layers: int = 2,
    seed: int = 0,
    updates: int = 100,
) -> Run:
    """Learn which comes first, a or b; the answer is read at the last
    position. `positions` is "none", "sinusoids" or "learned".
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    words, learned = nn.Embedding(6, WIDTH), nn.Embedding(LONGEST, WIDTH)
    layers, out = stack(n_layers, WIDTH), nn.Linear(WIDTH, 2)
    tables = {
        "none": torch.zeros(LONGEST, WIDTH),
        "sinusoids": torch.tensor(sinusoids(LONGEST, WIDTH)).float(),
        "learned": learned.weight,
    }
    if positions not in tables:
        raise ValueError(f"positions are unknown: {positions}")
    table = tables[positions]

    def answer(size: int, time: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, a_first = map(torch.tensor, which_first(size, time, rng))
        hidden = torch.ones(time, time).triu(1).bool()  # True: not seen
        z = words(tokens) + table[:time]
        return out(layers(z, hidden if causal else None)[:, -1]), a_first

    parts = nn.ModuleList([words, learned, layers, out])
    adam = torch.optim.Adam(parts.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, max_lr=0.01, total_steps=updates
    )
    losses, right = [], {}
    for _ in range(updates):
        loss = cross_entropy(*answer(32, 8))
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
        losses.append(loss.item())
    for time in (8, 12, 16):
        logits, a_first = answer(500, time)
        hits = logits.argmax(dim=1) == a_first
        right[time] = hits.double().mean().item()
    return Run(min(losses), right)


# --8<-- [end:train]
