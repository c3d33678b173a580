"""Whole models with random weights, for the tests of generation."""

import numpy as np

from snippets.transformer.overview import (
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    Linear,
    Norm,
    Transformer,
)
from tests.transformer.weights import drawn

VOCAB = 7


def random_model(
    seed: int,
    n_layers: int = 2,
    n_heads: int = 2,
    d_k: int = 3,
    last_norms: bool = True,
) -> Transformer:
    """Every number is random, those of norms and biases too."""
    rng = np.random.default_rng(seed)
    d_model = n_heads * d_k

    def dense(out: int, features: int) -> Linear:
        W = rng.normal(size=(out, features)) / features**0.5
        return Linear(W, rng.normal(size=out))

    def norm() -> Norm:
        return Norm(rng.normal(size=d_model), rng.normal(size=d_model))

    def attention():
        return drawn(rng, n_heads, d_model, d_k, d_k)

    def feed_forward() -> FeedForward:
        return FeedForward(dense(5, d_model), dense(d_model, 5))

    encoder = tuple(
        EncoderLayer(attention(), norm(), feed_forward(), norm())
        for _ in range(n_layers)
    )
    decoder = tuple(
        DecoderLayer(
            attention(), norm(), attention(), norm(), feed_forward(), norm()
        )
        for _ in range(n_layers)
    )
    return Transformer(
        rng.normal(size=(VOCAB, d_model)),
        rng.normal(size=(VOCAB, d_model)),
        encoder,
        decoder,
        dense(VOCAB, d_model),
        norm() if last_norms else None,
        norm() if last_norms else None,
    )
