"""A small Transformer that turns written dates into ISO dates.

Source: Vaswani et al. (2017), section 3, with the norms before the
sub-layers. `python -m snippets.labs.dates_torch` trains the model of the
lab and writes its weights to snippets/transformer/dates.npz.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snippets.datasets.dates import (
    PAD,
    SOURCE_SYMBOLS,
    START,
    TARGET_SYMBOLS,
    Pairs,
    decode,
    encode,
    encode_iso,
    padded,
    pairs,
    split,
)
from snippets.transformer.overview_torch import array

D_MODEL, N_HEADS, D_FF = 32, 2, 64
LONGEST = 12  # a date has ten characters; then comes END
WEIGHTS = Path(__file__).parent.parent / "transformer/dates.npz"


# --8<-- [start:layers]
class Attention(nn.Module):
    """Queries from x, keys and values from the source, in two heads."""

    def __init__(self, scaled: bool):
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Linear(D_MODEL, D_MODEL) for _ in range(4)
        )
        self.factor = (D_MODEL // N_HEADS) ** -0.5 if scaled else 1.0

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (N_HEADS, -1)).transpose(1, 2)

    def weights(self, x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """[batch, heads, target, source]: the rows sum to 1."""
        queries = self.heads(self.factor * self.query(x))
        scores = queries @ self.heads(self.key(source)).transpose(2, 3)
        return scores.masked_fill(~mask, -torch.inf).softmax(-1)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        values = self.heads(self.value(source))
        out = self.weights(x, source, mask) @ values
        return self.output(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(D_MODEL, D_FF)
        self.outer = nn.Linear(D_FF, D_MODEL)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu())


class EncoderLayer(nn.Module):
    def __init__(self, scaled: bool):
        super().__init__()
        self.self_attention = Attention(scaled)
        self.feed_forward = FeedForward()
        self.norm_1, self.norm_2 = (nn.LayerNorm(D_MODEL) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        ready = self.norm_1(x)
        x = x + self.self_attention(ready, ready, mask)
        return x + self.feed_forward(self.norm_2(x))


class DecoderLayer(nn.Module):
    def __init__(self, scaled: bool):
        super().__init__()
        self.self_attention = Attention(scaled)
        self.cross_attention = Attention(scaled)
        self.feed_forward = FeedForward()
        self.norm_1, self.norm_2, self.norm_3 = (
            nn.LayerNorm(D_MODEL) for _ in range(3)
        )

    def look_back(self, y: Tensor, mask: Tensor) -> Tensor:
        ready = self.norm_1(y)
        return y + self.self_attention(ready, ready, mask)

    def forward(
        self, y: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor
    ) -> Tensor:
        y = self.look_back(y, mask)
        y = y + self.cross_attention(self.norm_2(y), memory, memory_mask)
        return y + self.feed_forward(self.norm_3(y))


# --8<-- [end:layers]


# --8<-- [start:model]
def sinusoids(time: int) -> Float[Tensor, "time d_model"]:
    """Sines and cosines, side by side (section 3.5 of the paper)."""
    rates = 10000.0 ** (-torch.arange(0, D_MODEL, 2) / D_MODEL)
    angles = torch.arange(time)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class Choices(NamedTuple):
    """What the lab leaves out, one at a time."""

    scaled: bool = True
    positions: bool = True
    causal: bool = True


COMPLETE = Choices()


class Model(nn.Module):
    """One encoder layer, one decoder layer, and their last norms."""

    def __init__(self, seed: int = 0, choices: Choices = COMPLETE):
        super().__init__()
        torch.manual_seed(seed)
        self.seed, self.choices = seed, choices
        self.source_embedding = nn.Embedding(len(SOURCE_SYMBOLS), D_MODEL)
        self.target_embedding = nn.Embedding(len(TARGET_SYMBOLS), D_MODEL)
        self.encoder = nn.ModuleList([EncoderLayer(choices.scaled)])
        self.decoder = nn.ModuleList([DecoderLayer(choices.scaled)])
        self.encoder_norm = nn.LayerNorm(D_MODEL)
        self.decoder_norm = nn.LayerNorm(D_MODEL)
        self.output = nn.Linear(D_MODEL, len(TARGET_SYMBOLS))
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=D_MODEL**-0.5)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        x = table(tokens) * D_MODEL**0.5
        return x + sinusoids(x.shape[1]) if self.choices.positions else x

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The memory, and which of its places are not padding."""
        mask = (source != PAD)[:, None, None]
        x = self.embed(self.source_embedding, source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def mask(self, time: int) -> Bool[Tensor, "time time"]:
        seen = torch.ones(time, time, dtype=torch.bool)
        return seen.tril() if self.choices.causal else seen

    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor
    ) -> Tensor:
        y = self.embed(self.target_embedding, target)
        for layer in self.decoder:
            y = layer(y, self.mask(target.shape[1]), memory, mask)
        return self.output(self.decoder_norm(y))

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target vocab"]:
        """Logits of the token after each token of the target."""
        return self.decode(target, *self.encode(source))


# --8<-- [end:model]


# --8<-- [start:train]
def sources(texts: Sequence[str]) -> Int[Tensor, "batch source"]:
    return torch.tensor(padded([encode(text) for text in texts]))


def targets(isos: Sequence[str]) -> Int[Tensor, "batch target"]:
    return torch.tensor(padded([encode_iso(iso) for iso in isos]))


class Data(NamedTuple):
    source: Int[Tensor, "batch source"]
    target: Int[Tensor, "batch target"]


def draw(rng: np.random.Generator, n: int, days: Sequence[date]) -> Data:
    """n written dates and what they should be turned into."""
    told = pairs(rng, n, days)
    return Data(sources(told.texts), targets(told.isos))


def train(
    model: Model, data: Data, steps: int = 1000, batch: int = 128
) -> list[float]:
    """The loss of each step, in nats a character.

    Adam, the learning rate up to 0.01 and down again (one cycle); the
    batches depend on the model's seed alone.
    """
    random = torch.Generator().manual_seed(model.seed)
    optimizer = torch.optim.Adam(
        model.parameters(), betas=(0.9, 0.98), fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.01, total_steps=steps, pct_start=0.15
    )
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(data.source), (batch,), generator=random)
        target = data.target[chosen]
        logits = model(data.source[chosen], target[:, :-1])
        loss = cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        losses.append(loss.item())
    return losses


# --8<-- [end:train]


# --8<-- [start:read]
@torch.no_grad()
def read(model: Model, texts: Sequence[str]) -> list[str]:
    """What the model writes, each time the likeliest next character."""
    memory, mask = model.encode(sources(texts))
    target = torch.full((len(texts), 1), START)
    for _ in range(LONGEST):
        logits = model.decode(target, memory, mask)[:, -1:]
        target = torch.cat([target, logits.argmax(-1)], 1)
    return [decode(row.numpy()) for row in target]


def exact(model: Model, told: Pairs) -> float:
    """The share of texts whose date comes out right in all characters."""
    answers = read(model, told.texts)
    hits = [a == iso for a, iso in zip(answers, told.isos, strict=True)]
    return sum(hits) / len(hits)


@torch.no_grad()
def cross_attention(
    model: Model, told: Pairs
) -> Float[Tensor, "batch heads target source"]:
    """Where each character of the right date is read from.

    Row 0 belongs to the character after START, the first of the date.
    """
    memory, memory_mask = model.encode(sources(told.texts))
    target = targets(told.isos)[:, :-1]
    y = model.embed(model.target_embedding, target)
    layer = model.decoder[0]
    y = layer.norm_2(layer.look_back(y, model.mask(target.shape[1])))
    return layer.cross_attention.weights(y, memory, memory_mask)


# --8<-- [end:read]


# --8<-- [start:save]
def weights(model: Model) -> dict[str, np.ndarray]:
    """By their names in `snippets.transformer.overview.Transformer`."""
    inside = {"weight": "W", "bias": "b"}
    norm = {"weight": "gain", "bias": "shift"}
    arrays = {"n_heads": np.array(N_HEADS), "pre_norm": np.array(1)}
    for name, parameter in model.named_parameters():
        path, last = name.rsplit(".", 1)
        if "norm" in path:
            path = f"{path}.{norm[last]}"
        elif "embedding" not in path:
            path = f"{path}.{inside[last]}"
        arrays[path] = array(parameter).astype(np.float32)
    return arrays


def main(
    path: Path = WEIGHTS, steps: int = 1000, texts: int = 30000
) -> float:
    """Train, save, and give the share of held-out texts that are right."""
    days, held_out = split()
    model = Model()
    train(model, draw(np.random.default_rng(0), texts, days), steps)
    np.savez_compressed(path, allow_pickle=False, **weights(model))
    told = pairs(np.random.default_rng(1), texts // 6, held_out)
    return exact(model, told)


# --8<-- [end:save]


if __name__ == "__main__":  # pragma: no cover
    torch.set_num_threads(1)
    print(f"{main():.2%} of 5000 held-out texts")
