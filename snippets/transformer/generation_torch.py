"""Greedy generation with `nn.Transformer`, on weights of the book."""

import warnings

import numpy as np
import torch
from jaxtyping import Int
from torch import nn
from torch.nn.functional import linear

from snippets.transformer.encoder import Arrange, post_norm, pre_norm
from snippets.transformer.overview import (
    Attention,
    DecoderLayer,
    EncoderLayer,
    Norm,
    Transformer,
)
from snippets.transformer.positional_encoding import embed


# --8<-- [start:copy]
def _copy(module: nn.Module, *arrays: np.ndarray) -> None:
    parameters = list(module.parameters(recurse=False))
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.data.copy_(torch.from_numpy(array))


def _attention(module: nn.MultiheadAttention, part: Attention) -> None:
    W, b = zip(*part[:3], strict=True)
    _copy(module, np.concatenate(W), np.concatenate(b))
    _copy(module.out_proj, *part.output)


def to_torch(
    model: Transformer, arrange: Arrange = post_norm
) -> nn.Transformer:
    """The two stacks in float64; it has no place for the other parts.

    Raises ValueError for a model without the last norm of each stack.
    """
    if model.encoder_norm is None or model.decoder_norm is None:
        raise ValueError("model must have a norm after each stack")
    first = model.encoder[0]
    with warnings.catch_warnings(action="ignore"):  # no fast way: fine
        net = nn.Transformer(
            d_model=len(first.norm_1.gain),
            nhead=first.self_attention.n_heads,
            num_encoder_layers=len(model.encoder),
            num_decoder_layers=len(model.decoder),
            dim_feedforward=len(first.feed_forward.inner.b),
            dropout=0.0,
            batch_first=True,
            norm_first=arrange is pre_norm,
            dtype=torch.float64,
        )
    _copy(net.encoder.norm, *model.encoder_norm)
    _copy(net.decoder.norm, *model.decoder_norm)
    modules = [*net.encoder.layers, *net.decoder.layers]
    layers: list[EncoderLayer | DecoderLayer] = [
        *model.encoder,
        *model.decoder,
    ]
    for module, layer in zip(modules, layers, strict=True):
        _attention(module.self_attn, layer.self_attention)
        norms = [part for part in layer if isinstance(part, Norm)]
        for number, norm in enumerate(norms, start=1):
            _copy(getattr(module, f"norm{number}"), *norm)
        _copy(module.linear1, *layer.feed_forward.inner)
        _copy(module.linear2, *layer.feed_forward.outer)
    for module, layer in zip(
        net.decoder.layers, model.decoder, strict=True
    ):
        _attention(module.multihead_attn, layer.cross_attention)
    return net


# --8<-- [end:copy]


# --8<-- [start:greedy]
@torch.no_grad()
def greedy_torch(
    net: nn.Transformer,
    model: Transformer,
    source: Int[np.ndarray, " source"],
    start: int,
    end: int,
    longest: int,
) -> Int[np.ndarray, " target"]:
    """The loop has to be written: `net` only knows one pass.

    Embeddings, positions and the output layer are those of `model`.
    """
    W, b = map(torch.from_numpy, model.output)
    x = torch.from_numpy(embed(model.source_embedding, source))
    memory = net.encoder(x[None])
    words = [start]
    while len(words) <= longest and end not in words[1:]:
        y = torch.from_numpy(embed(model.target_embedding, np.array(words)))
        mask = net.generate_square_subsequent_mask(
            len(words), dtype=torch.float64
        )
        rows = net.decoder(y[None], memory, tgt_mask=mask)
        words.append(int(linear(rows[0, -1], W, b).argmax()))
    return np.array(words)


# --8<-- [end:greedy]
