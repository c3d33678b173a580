"""Random weights for the tests of this part."""

import functools

import numpy as np
import torch

from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    Attention,
    EncoderLayer,
    Linear,
    tokens,
)
from snippets.transformer.overview_torch import from_encoder_layer, stack
from snippets.transformer.queries_keys_values import (
    Projected,
    head,
    project,
)


def drawn(
    rng: np.random.Generator,
    n_heads: int,
    d_model: int,
    d_k: int,
    d_v: int,
    d_source: int = 0,
) -> Attention:
    """Scores stay near 1 at any width; without d_source, self-attention."""
    d_source = d_source or d_model

    def layer(out: int, features: int) -> Linear:
        W = rng.normal(size=(out, features)) / features**0.5
        return Linear(W, rng.normal(size=out))

    return Attention(
        layer(n_heads * d_k, d_model),
        layer(n_heads * d_k, d_source),
        layer(n_heads * d_v, d_source),
        layer(d_model, n_heads * d_v),
        n_heads,
    )


@functools.cache
def layers(n: int, d_model: int) -> list[EncoderLayer]:
    """A stack as PyTorch draws it with seed 0."""
    torch.manual_seed(0)
    return [
        from_encoder_layer(x) for x in stack(n, d_model).double().layers
    ]


def first_head(words: str = "the river bank") -> Projected:
    """Queries, keys and values of the running example."""
    first = head(EXAMPLE.encoder[0].self_attention, 0)
    x = EXAMPLE.source_embedding[tokens(words, SOURCE)]
    return project(first, x, x)


def projected(
    rng: np.random.Generator,
    lead: tuple[int, ...],
    target: int,
    source: int,
    d_k: int,
    d_v: int,
) -> Projected:
    """Random ones, with the axes `lead` in front."""
    return Projected(
        rng.normal(size=(*lead, target, d_k)),
        rng.normal(size=(*lead, source, d_k)),
        rng.normal(size=(*lead, source, d_v)),
    )
