"""A small decoder, trained with and without its mask, shifted and not."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

SYMBOLS = 6


# --8<-- [start:chain]
def chain(
    size: int, time: int, kept: bool = False
) -> Int[Tensor, "size time"]:
    """Each symbol is the one before it plus 1 or plus 2, modulo 6.

    The step is drawn anew each time; if `kept`, once for a sequence, from
    1 to 5. Random numbers come from PyTorch's own generator.
    """
    first = torch.randint(SYMBOLS, (size, 1))
    if kept:
        step = torch.randint(1, SYMBOLS, (size, 1))
        return (first + step * torch.arange(time)) % SYMBOLS
    steps = torch.randint(1, 3, (size, time - 1)).cumsum(1)
    return torch.cat([first, first + steps], 1) % SYMBOLS


def legal(sequences: Int[Tensor, "size time"]) -> float:
    """The share of steps that are 1 or 2."""
    steps = sequences.diff(dim=1) % SYMBOLS
    return ((steps == 1) | (steps == 2)).double().mean().item()


# --8<-- [end:chain]

# --8<-- [start:train]
Model = Callable[[Tensor], Tensor]  # tokens to logits


class Run(NamedTuple):
    """A trained model, and the mean losses of ten updates."""

    model: Model
    first_loss: float
    last_loss: float


def train(
    mask: bool = True,
    ahead: int = 1,
    kept: bool = False,
    updates: int = 100,
    seed: int = 0,
) -> Run:
    """One layer, eight positions, teacher forcing, Adam.

    The label of a position is the token `ahead` of it: 1 is right. A
    decoder layer without memory is an encoder layer with a causal mask.
    """
    torch.manual_seed(seed)
    time, width = 8, 16
    embedding = nn.Embedding(SYMBOLS, width)
    positions = nn.Embedding(time, width)
    layer = nn.TransformerEncoderLayer(
        width, 2, 32, dropout=0, batch_first=True
    )
    out = nn.Linear(width, SYMBOLS)
    net = nn.ModuleList([embedding, positions, layer, out]).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    future = torch.ones(time, time, dtype=torch.bool).triu(1)

    def model(tokens: Tensor) -> Tensor:
        n = tokens.shape[1]
        x = embedding(tokens) + positions(torch.arange(n))
        return out(layer(x, future[:n, :n] if mask else None))

    losses = []
    for _ in range(updates):
        tokens = chain(32, time + ahead, kept)
        logits = model(tokens[:, :time])
        loss = cross_entropy(logits.mT, tokens[:, ahead:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return Run(model, sum(losses[:10]) / 10, sum(losses[-10:]) / 10)


# --8<-- [end:train]


# --8<-- [start:free]
@torch.no_grad()
def free_run(
    model: Model, start: Int[Tensor, "size given"], time: int
) -> Int[Tensor, "size time"]:
    """Draw a token, append it, read all again, until there are `time`."""
    tokens = start
    while tokens.shape[1] < time:
        shares = model(tokens)[:, -1].softmax(-1)
        tokens = torch.cat([tokens, torch.multinomial(shares, 1)], 1)
    return tokens


# --8<-- [end:free]
