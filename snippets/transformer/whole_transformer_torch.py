"""The whole Transformer in PyTorch: nn.Transformer and what it lacks."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from snippets.transformer.encoder import Arrange
from snippets.transformer.overview import (
    Attention,
    Linear,
    Norm,
    Transformer,
)
from snippets.transformer.overview_torch import (
    array,
    from_decoder_layer,
    from_encoder_layer,
    from_linear,
    from_norm,
)
from snippets.transformer.positional_encoding import sinusoids
from snippets.transformer.whole_transformer import rate, transformer


# --8<-- [start:whole]
class Whole(nn.Module):
    """Tokens to logits. `tables` says how many matrices of words there
    are: 1, all shared; 2, output tied to target; 3, none tied.
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int,
        *,
        tables: int = 2,
        norm_first: bool = False,
        dropout: float = 0.0,
        pad: int = 0,
    ):
        super().__init__()
        if tables not in (1, 2, 3):
            raise ValueError(f"tables must be 1, 2 or 3, not {tables}")
        if tables == 1 and source_vocab != target_vocab:
            raise ValueError("tables must be 2 or 3 for two vocabularies")
        self.pad, self.root = pad, d_model**0.5
        self.target_embedding = nn.Embedding(target_vocab, d_model)
        self.source_embedding = (
            self.target_embedding
            if tables == 1
            else nn.Embedding(source_vocab, d_model)
        )
        sizes = (d_model, n_heads, d_ff, dropout)
        layer = nn.TransformerEncoderLayer(
            *sizes, batch_first=True, norm_first=norm_first
        )
        self.stacks = nn.Transformer(
            d_model,
            n_heads,
            num_decoder_layers=n_layers,
            dim_feedforward=d_ff,
            dropout=dropout,
            norm_first=norm_first,
            batch_first=True,
            # as nn.Transformer makes it, but without nested tensors
            custom_encoder=nn.TransformerEncoder(
                layer, n_layers, nn.LayerNorm(d_model), False
            ),
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(d_model, target_vocab)
        for table in (self.source_embedding, self.target_embedding):
            nn.init.normal_(table.weight, std=1 / self.root)
        nn.init.zeros_(self.output.bias)
        if tables < 3:
            self.output.weight = self.target_embedding.weight

    def embed(
        self, table: nn.Embedding, tokens: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time d_model"]:
        x = self.root * table(tokens)
        places = torch.tensor(sinusoids(*x.shape[1:])).to(x)
        return self.dropout(x + places)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target vocab"]:
        time, hidden = target.shape[1], source == self.pad
        future = hidden.new_ones(time, time).triu(1)
        y = self.stacks(
            self.embed(self.source_embedding, source),
            self.embed(self.target_embedding, target),
            tgt_mask=future,
            src_key_padding_mask=hidden,
            tgt_key_padding_mask=target == self.pad,
            memory_key_padding_mask=hidden,
        )
        return self.output(y)


# --8<-- [end:whole]


# --8<-- [start:from_whole]
def from_whole(module: Whole) -> Transformer:
    """The book's parts; a matrix that is used twice stays one array."""
    encoder, decoder = module.stacks.encoder, module.stacks.decoder
    target = array(module.target_embedding.weight)
    source, output = target, from_linear(module.output)
    if module.source_embedding is not module.target_embedding:
        source = array(module.source_embedding.weight)
    if module.output.weight is module.target_embedding.weight:
        output = output._replace(W=target)
    return Transformer(
        source,
        target,
        tuple(map(from_encoder_layer, encoder.layers)),
        tuple(map(from_decoder_layer, decoder.layers)),
        output,
        None if encoder.norm is None else from_norm(encoder.norm),
        None if decoder.norm is None else from_norm(decoder.norm),
    )


# --8<-- [end:from_whole]


# --8<-- [start:to_whole]
NAMES = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
NAMES |= {"inner": "linear1", "outer": "linear2", "feed_forward": ""}
NAMES |= {f"norm_{n}": f"norm{n}" for n in (1, 2, 3)}


def state(part: Any) -> dict[str, np.ndarray]:
    """The arrays of a part by PyTorch's names; Q, K and V are stacked."""
    if isinstance(part, Linear | Norm):
        return dict(zip(("weight", "bias"), part, strict=True))
    if isinstance(part, Attention):
        own = {
            "in_proj_weight": np.concatenate([p.W for p in part[:3]]),
            "in_proj_bias": np.concatenate([p.b for p in part[:3]]),
        }
        out = state(part.output).items()
        return own | {f"out_proj.{name}": array for name, array in out}
    return {
        f"{NAMES[field]}.{name}".lstrip("."): array
        for field, piece in zip(part._fields, part, strict=True)
        for name, array in state(piece).items()
    }


def to_whole(model: Transformer, norm_first: bool = False) -> Whole:
    """The model in PyTorch, in float64; what was tied stays tied.

    Raises RuntimeError for shapes that `nn.Transformer` does not have,
    such as stacks of different height.
    """
    source, target = model.source_embedding, model.target_embedding
    tied = model.output.W is target
    first = model.encoder[0]
    module = Whole(
        len(source),
        len(target),
        target.shape[1],
        first.self_attention.n_heads,
        len(model.encoder),
        len(first.feed_forward.inner.b),
        tables=(1 if source is target else 2) if tied else 3,
        norm_first=norm_first,
    ).double()
    parts: dict[str, Any] = {"output": model.output}
    for name in ("encoder", "decoder"):
        for place, layer in enumerate(getattr(model, name)):
            parts[f"stacks.{name}.layers.{place}"] = layer
        norm = getattr(model, f"{name}_norm")
        if norm is None:
            getattr(module.stacks, name).norm = None
        else:
            parts[f"stacks.{name}.norm"] = norm
    arrays = {
        f"{path}.{name}": array
        for path, part in parts.items()
        for name, array in state(part).items()
    }
    arrays["source_embedding.weight"] = source
    arrays["target_embedding.weight"] = target
    module.load_state_dict({k: torch.tensor(a) for k, a in arrays.items()})
    return module


# --8<-- [end:to_whole]


# --8<-- [start:gap]
class Gap(NamedTuple):
    """Largest differences of logits, NumPy's to PyTorch's."""

    whole: float
    without_last_norms: float


def library_gap(
    module: Whole,
    source: Int[np.ndarray, "batch source"],
    target: Int[np.ndarray, "batch target"],
    arrange: Arrange,
) -> Gap:
    """What is left between `transformer` and the module, in float64."""
    tokens = torch.tensor(source), torch.tensor(target)
    theirs = module.double()(*tokens).detach().numpy()
    ours = from_whole(module)
    bare = ours._replace(encoder_norm=None, decoder_norm=None)
    logits = (
        transformer(model, source, target, module.pad, arrange)
        for model in (ours, bare)
    )
    return Gap(*(float(np.abs(found - theirs).max()) for found in logits))


# --8<-- [end:gap]


# --8<-- [start:untrained]
class Untrained(NamedTuple):
    inputs: float  # standard deviation of embeddings, times the factor
    logits: float  # standard deviation
    loss: float  # in nats, of random words
    repeats: float  # how often the likeliest word is the one just read


@torch.no_grad()
def untrained(std: float, factor: float, d_model: int = 256) -> Untrained:
    """A model of 1000 words, one table with rows of this deviation."""
    torch.manual_seed(0)
    net = Whole(1000, 1000, d_model, 4, 2, 512, tables=1).eval()
    nn.init.normal_(net.target_embedding.weight, std=std)
    net.root = factor
    words = torch.randint(1, 1000, (20, 10))
    logits, read = net(words, words[:, :-1]), words[:, :-1]
    return Untrained(
        (factor * net.target_embedding(words)).std().item(),
        logits.std().item(),
        cross_entropy(logits.mT, words[:, 1:]).item(),
        (logits.argmax(2) == read).float().mean().item(),
    )


# --8<-- [end:untrained]


# --8<-- [start:learn]
def learn(
    model: Whole,
    batches: Iterable[Int[np.ndarray, "batch time"]],
    warmup: int,
    epsilon: float = 0.1,
) -> Iterator[float]:
    """Learn to copy: one update for each batch, and its loss in nats.

    Adam and its rate as in section 5.3, label smoothing as in 5.4.
    """
    d_model = model.stacks.d_model
    adam = torch.optim.Adam(
        model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(  # its steps count from 0
        adam, lambda n: float(rate(np.array([n + 1]), d_model, warmup)[0])
    )
    model.train()
    for batch in batches:
        tokens = torch.tensor(batch)
        logits = model(tokens, tokens[:, :-1])
        loss = cross_entropy(
            logits.flatten(0, 1),
            tokens[:, 1:].flatten(),
            ignore_index=model.pad,
            label_smoothing=epsilon,
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        yield loss.item()


# --8<-- [end:learn]


# --8<-- [start:mixed]
def moved(batch: int, time: int, batch_first: bool) -> tuple[float, float]:
    """How far the first sentence's output moves: when the last word of
    its own source changes, and when another sentence does.

    Arrays are [batch, time, d_model], whatever `batch_first` says.
    """
    torch.manual_seed(0)
    with warnings.catch_warnings(action="ignore"):  # no fast way: fine
        net = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=batch_first)
    x, y = torch.randn(2, batch, time, 8)
    own, other = x.clone(), x.clone()
    own[0, -1] = other[-1] = 0.0
    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    was, *now = (
        net(z, y, tgt_mask=future)[0, :-1].detach() for z in (x, own, other)
    )
    first, second = ((was - a).abs().max().item() for a in now)
    return first, second


# --8<-- [end:mixed]
