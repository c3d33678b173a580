"""Gradients down a deep stack of PyTorch's encoder layers, wired anew."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from snippets.transformer.encoder_torch import Wiring


# --8<-- [start:wired]
def wired(
    layer: nn.TransformerEncoderLayer, x: Tensor, wiring: Wiring
) -> Tensor:
    """The layer's own parts, with sum and norm where `wiring` has them."""

    def attend(z: Tensor) -> Tensor:
        return layer.self_attn(z, z, z, need_weights=False)[0]

    def feed_forward(z: Tensor) -> Tensor:
        return layer.linear2(layer.linear1(z).relu())

    x = wiring(layer.norm1, x, attend)
    return wiring(layer.norm2, x, feed_forward)


def skip_alone(wiring: Wiring) -> Wiring:
    """The same numbers, but no gradient goes through a sub-layer."""
    return lambda norm, x, f: wiring(norm, x, lambda z: f(z).detach())


# --8<-- [end:wired]


# --8<-- [start:descend]
def drawn(
    seed: int, n_layers: int = 20, gain: float = 1.0
) -> list[nn.TransformerEncoderLayer]:
    """Layers as PyTorch draws them; then all matrices times `gain`."""
    torch.manual_seed(seed)
    layers = [
        nn.TransformerEncoderLayer(
            32, 4, 128, dropout=0.0, batch_first=True, dtype=torch.float64
        )
        for _ in range(n_layers)
    ]
    for layer in layers:
        for parameter in layer.parameters():
            parameter.data *= gain if parameter.ndim == 2 else 1.0
    return layers


class Sizes(NamedTuple):
    """Root mean squares after 0, 1, … layers."""

    vectors: Float[np.ndarray, " depths"]
    gradients: Float[np.ndarray, " depths"]


def descend(
    layers: Sequence[nn.TransformerEncoderLayer], wiring: Wiring
) -> Sizes:
    """Random vectors up the stack, and a random gradient down again."""
    torch.manual_seed(0)
    x = torch.randn(1, 8, 32, dtype=torch.float64, requires_grad=True)
    v = torch.randn_like(x).sign()  # of size 1
    states = [x]
    for layer in layers:
        states.append(wired(layer, states[-1], wiring))
    gradients = torch.autograd.grad(states[-1], states, v)
    return Sizes(_rms(states), _rms(gradients))


def _rms(tensors: Sequence[Tensor]) -> np.ndarray:
    return np.array([t.square().mean().sqrt().item() for t in tensors])


# --8<-- [end:descend]
