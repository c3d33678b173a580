"""The weights of PyTorch's Transformer modules, as the book's parts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from snippets.transformer.overview import (
    Attention,
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    Linear,
    Norm,
)


# --8<-- [start:pieces]
def array(parameter: torch.Tensor) -> np.ndarray:
    """A float64 copy that shares no memory with the module."""
    return parameter.detach().double().numpy().copy()


def from_linear(module: nn.Linear) -> Linear:
    """A Linear without bias gets a bias of zeros."""
    W = array(module.weight)
    b = np.zeros(len(W)) if module.bias is None else array(module.bias)
    return Linear(W, b)


def from_norm(module: nn.LayerNorm) -> Norm:
    """A norm without bias gets a shift of zeros."""
    gain = array(module.weight)
    if module.bias is None:
        return Norm(gain, np.zeros_like(gain))
    return Norm(gain, array(module.bias))


# --8<-- [end:pieces]


# --8<-- [start:attention]
def from_attention(module: nn.MultiheadAttention) -> Attention:
    """PyTorch stacks the three projections if all widths are equal.

    Raises ValueError for a module that adds keys of its own.
    """
    if module.bias_k is not None or module.add_zero_attn:
        raise ValueError("module must have no add_bias_kv, add_zero_attn")
    if module.in_proj_weight is not None:
        W_q, W_k, W_v = array(module.in_proj_weight).reshape(
            3, module.embed_dim, -1
        )
    else:
        W_q, W_k, W_v = (
            array(weight)
            for weight in (
                module.q_proj_weight,
                module.k_proj_weight,
                module.v_proj_weight,
            )
        )
    b = np.zeros((3, module.embed_dim))
    if module.in_proj_bias is not None:
        b = array(module.in_proj_bias).reshape(3, -1)
    return Attention(
        Linear(W_q, b[0]),
        Linear(W_k, b[1]),
        Linear(W_v, b[2]),
        from_linear(module.out_proj),
        module.num_heads,
    )


# --8<-- [end:attention]


# --8<-- [start:layers]
def from_encoder_layer(layer: nn.TransformerEncoderLayer) -> EncoderLayer:
    """Post- and pre-norm layers have the same parts."""
    return EncoderLayer(
        from_attention(layer.self_attn),
        from_norm(layer.norm1),
        FeedForward(from_linear(layer.linear1), from_linear(layer.linear2)),
        from_norm(layer.norm2),
    )


def from_decoder_layer(layer: nn.TransformerDecoderLayer) -> DecoderLayer:
    """`multihead_attn` is PyTorch's name for the cross-attention."""
    return DecoderLayer(
        from_attention(layer.self_attn),
        from_norm(layer.norm1),
        from_attention(layer.multihead_attn),
        from_norm(layer.norm2),
        FeedForward(from_linear(layer.linear1), from_linear(layer.linear2)),
        from_norm(layer.norm3),
    )


# --8<-- [end:layers]


# --8<-- [start:one_position]
def one_position(
    layer: nn.TransformerEncoderLayer,
    x: Float[torch.Tensor, "batch time d_model"],
    t: int,
) -> Float[torch.Tensor, "batch d_model"]:
    """One position of a layer's output, from the layer's input alone.

    For post-norm with ReLU and without dropout.
    """
    here = x[:, t : t + 1]
    found, _ = layer.self_attn(here, x, x, need_weights=False)
    u = layer.norm1(here + found)
    inner = torch.relu(layer.linear1(u))
    return layer.norm2(u + layer.linear2(inner))[:, 0]


# --8<-- [end:one_position]


# --8<-- [start:longest_chain]
def longest_chain(result: torch.Tensor) -> int:
    """Operations of PyTorch that had to wait for each other.

    The longest way through the record that PyTorch keeps of a
    computation to differentiate it; an operation on a whole array is one.
    """
    if result.grad_fn is None:
        raise ValueError("result must be computed from what has a gradient")
    length: dict[object, int] = {}
    waiting = [result.grad_fn]
    while waiting:
        operation = waiting[-1]
        before = [b for b, _ in operation.next_functions if b is not None]
        missing = [b for b in before if b not in length]
        if missing:
            waiting += missing
        else:
            lengths = [length[b] for b in before]
            length[waiting.pop()] = 1 + max(lengths, default=0)
    return length[result.grad_fn]


# --8<-- [end:longest_chain]


# --8<-- [start:stack]
def stack(
    n_layers: int, d_model: int, dtype: torch.dtype = torch.float32
) -> nn.TransformerEncoder:
    """An encoder with two heads and no dropout, each layer made anew."""

    def layer() -> nn.TransformerEncoderLayer:
        return nn.TransformerEncoderLayer(
            d_model, 2, 16, dropout=0, batch_first=True, dtype=dtype
        )

    encoder = nn.TransformerEncoder(layer(), 1)
    encoder.layers.extend(layer() for _ in range(n_layers - 1))
    encoder.num_layers = n_layers
    return encoder


# --8<-- [end:stack]


# --8<-- [start:forecaster]
class Forecaster(NamedTuple):
    """A trained function of windows, and how many numbers it learnt."""

    predict: Callable[[torch.Tensor], torch.Tensor]
    learnt: int


def forecaster(
    past: Float[torch.Tensor, "windows time"],
    following: Float[torch.Tensor, " windows"],
    d_model: int = 16,
    steps: int = 60,
) -> Forecaster:
    """An encoder that has learnt to tell what follows a window.

    Random weights are drawn from PyTorch's own generator.
    """
    dtype, time = past.dtype, past.shape[1]
    read = nn.Linear(1, d_model, dtype=dtype)  # a number to a vector
    encoder = stack(1, d_model, dtype)
    write = nn.Linear(d_model, 1, dtype=dtype)  # a vector to a number
    positions = 0.3 * torch.randn(time, d_model, dtype=dtype)
    parts = nn.ModuleList([read, encoder, write])
    learnt = [nn.Parameter(positions), *parts.parameters()]

    def predict(past: torch.Tensor) -> torch.Tensor:
        x = read(past[..., None]) + learnt[0]
        return write(encoder(x)[:, -1])[:, 0]

    optimizer = torch.optim.Adam(learnt)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.03, total_steps=steps
    )
    for _ in range(steps):
        optimizer.zero_grad()
        (predict(past) - following).square().mean().backward()
        optimizer.step()
        schedule.step()
    return Forecaster(predict, sum(p.numel() for p in learnt))


# --8<-- [end:forecaster]
