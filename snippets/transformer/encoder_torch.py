"""An encoder in PyTorch whose mixing and whose wiring can be exchanged."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from snippets.transformer.encoder import (
    Build,
    Task,
    encoder,
    encoder_layer,
    feed_forward,
    layer_norm,
    lookup_task,
    post_norm,
    pre_norm,
)
from snippets.transformer.overview import FeedForward
from snippets.transformer.overview_torch import (
    from_encoder_layer,
    from_norm,
)


# --8<-- [start:convolution]
def as_convolution(
    ff: FeedForward, x: Float[np.ndarray, "time d_model"]
) -> Float[np.ndarray, "time d_model"]:
    """The feed-forward part as two convolutions with kernels of width 1."""
    W_n, b_n, W_o, b_o = map(torch.tensor, (*ff.inner, *ff.outer))
    y = torch.tensor(x.T[None])  # a convolution wants [1, features, time]
    y = torch.conv1d(y, W_n[..., None], b_n).relu()
    return torch.conv1d(y, W_o[..., None], b_o)[0].T.numpy()


# --8<-- [end:convolution]


# --8<-- [start:box]
def box(
    module: nn.MultiheadAttention,
) -> Callable[[np.ndarray], np.ndarray]:
    """A module's self-attention as a closed box: arrays in, arrays out."""

    def attend(x: np.ndarray) -> np.ndarray:
        t = torch.tensor(x)
        with torch.no_grad():
            return module(t, t, t, need_weights=False)[0].numpy()

    return attend


def shaken(net: nn.Module, scale: float = 0.3) -> nn.Module:
    """The net with every number drawn, norms too, and without dropout.

    Fresh gains are 1 and fresh shifts 0: they hide mistakes.
    """
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=scale)
    return net.eval()


def library_gap(
    norm_first: bool, layers: int, d_model: int, n_heads: int, d_ff: int
) -> float:
    """The largest difference to PyTorch's stack on the same weights."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        d_model, n_heads, d_ff, norm_first=norm_first, batch_first=True
    )
    net = nn.TransformerEncoder(
        layer, layers, nn.LayerNorm(d_model), enable_nested_tensor=False
    )
    shaken(net.double())
    x = torch.randn(2, 7, d_model, dtype=torch.float64)
    ours = encoder(
        [from_encoder_layer(part) for part in net.layers],
        x.numpy(),
        [box(part.self_attn) for part in net.layers],
        from_norm(net.norm),
        pre_norm if norm_first else post_norm,
    )
    return float(np.abs(ours - net(x).detach().numpy()).max())


def part_maps(
    net: nn.TransformerEncoderLayer,
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The parts of a post-norm layer, each as a function of arrays."""
    layer, attend = from_encoder_layer(net), box(net.self_attn)
    return {
        "attention": attend,
        "feed-forward": lambda x: feed_forward(layer.feed_forward, x),
        "layer norm": lambda x: layer_norm(layer.norm_1, x),
        "whole layer": lambda x: encoder_layer(layer, x, attend),
    }


# --8<-- [end:box]

# --8<-- [start:block]
Wiring = Callable[[nn.Module, Tensor, Callable[[Tensor], Tensor]], Tensor]
WIRINGS: dict[str, Wiring] = {
    "neither": lambda norm, x, f: f(x),
    "norm only": lambda norm, x, f: norm(f(x)),
    "residual only": lambda norm, x, f: x + f(x),
    "post-norm": lambda norm, x, f: norm(x + f(x)),
    "pre-norm": lambda norm, x, f: x + f(norm(x)),
}


class Block(nn.Module):
    """An encoder layer with one head.

    `mixing` chooses the weights with which a position takes the values of
    all: those of attention, equal ones, or 1 for itself alone.
    """

    def __init__(
        self, d_model: int, d_ff: int, mixing: str, wiring: str
    ) -> None:
        super().__init__()
        if mixing not in ("attention", "average", "alone"):
            raise ValueError(f"mixing is unknown: {mixing}")
        self.mixing, self.wiring = mixing, WIRINGS[wiring]
        self.query, self.key, self.value, self.output = (
            nn.Linear(d_model, d_model) for _ in range(4)
        )
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)
        self.norm_1, self.norm_2 = (nn.LayerNorm(d_model) for _ in "12")

    def weights(self, x: Tensor) -> Tensor:
        time, d_model = x.shape[-2:]
        if self.mixing == "attention":
            scores = self.query(x) @ self.key(x).mT / d_model**0.5
            return scores.softmax(dim=-1)
        if self.mixing == "average":
            return torch.full((time, time), 1 / time, dtype=x.dtype)
        return torch.eye(time, dtype=x.dtype)

    def mix(self, x: Tensor) -> Tensor:
        return self.output(self.weights(x) @ self.value(x))

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        x = self.wiring(self.norm_1, x, self.mix)
        return self.wiring(self.norm_2, x, self.feed_forward)


# --8<-- [end:block]


# --8<-- [start:probe]
class Probe(NamedTuple):
    """What 20 layers do to vectors on the way up and to gradients down."""

    size: float  # root mean square of the last layer's vectors
    apart: float  # the share of it by which positions differ
    gradient: float  # root mean square of the gradient at the input
    by_layer: np.ndarray  # its norm for the inner matrix of each layer


def probe(
    wiring: str,
    mixing: str = "attention",
    *,
    library: bool = False,
    last_norm: bool = False,
    n_layers: int = 20,
    seed: int = 0,
) -> Probe:
    """One run with random weights, input and gradient of the output.

    The weights keep the size of what passes through a matrix, and biases
    are 0; or, with `library`, all are drawn as `nn.Linear` draws them.
    """
    torch.manual_seed(seed)
    d_model = 64
    blocks = [
        Block(d_model, 4 * d_model, mixing, wiring).double()
        for _ in range(n_layers)
    ]
    linears = [
        part
        for block in blocks
        for part in block.modules()
        if isinstance(part, nn.Linear) and not library
    ]
    for part in linears:
        relu = 2.0 if part.in_features > d_model else 1.0  # halves it
        nn.init.normal_(part.weight, std=(relu / part.in_features) ** 0.5)
        nn.init.zeros_(part.bias)
    x = torch.randn(8, 16, d_model, dtype=torch.float64, requires_grad=True)
    z = nn.Sequential(*blocks)(x)
    if last_norm:
        z = nn.functional.layer_norm(z, z.shape[-1:])
    z.backward(torch.randn(z.shape, dtype=z.dtype))
    own = z - z.mean(dim=1, keepdim=True)
    norms = [block.inner.weight.grad.norm().item() for block in blocks]
    return Probe(
        _rms(z), _rms(own) / _rms(z), _rms(x.grad), np.array(norms)
    )


def _rms(values: Tensor | None) -> float:
    assert values is not None
    return values.square().mean().sqrt().item()


# --8<-- [end:probe]


# --8<-- [start:ablation]
class Reader(nn.Module):
    """A number for name, value and question each, one block, a guess."""

    def __init__(self, mixing: str, time: int, n_values: int) -> None:
        super().__init__()
        d_model = 24
        self.tables = nn.ModuleList(
            nn.Embedding(size, d_model) for size in (time, n_values, time)
        )
        self.block = Block(d_model, 2 * d_model, mixing, "post-norm")
        self.output = nn.Linear(d_model, n_values)  # `high` needs two

    def forward(self, task: Task) -> Tensor:
        vectors = [
            table(torch.from_numpy(column))
            for table, column in zip(self.tables, task[:3], strict=True)
        ]
        return self.output(self.block(sum(vectors)))


def accuracy(
    mixing: str, question: str, updates: int = 100, seed: int = 0
) -> float:
    """Train a Reader on `found` or `high`; its accuracy on new ones."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader = Reader(mixing, time=8, n_values=4).double()
    optimiser = torch.optim.Adam(reader.parameters(), lr=1e-2)
    for _ in range(updates):
        task = lookup_task(32, 8, 4, rng)
        answers = torch.from_numpy(getattr(task, question))
        loss = nn.functional.cross_entropy(reader(task).mT, answers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    task = lookup_task(1000, 8, 4, rng)
    with torch.no_grad():
        guesses = reader(task).argmax(dim=-1).numpy()
    return float((guesses == getattr(task, question)).mean())


# --8<-- [end:ablation]


# --8<-- [start:gaps]
def gaps(
    build: Build, net: nn.TransformerEncoderLayer, x: np.ndarray
) -> list[float]:
    """The largest difference of a layer built from the weights of `net`
    to `net` itself; then the same with all weights drawn again."""
    torch.manual_seed(0)
    found = []
    for module in (net, shaken(copy.deepcopy(net))):
        ours = build(from_encoder_layer(module), x, box(module.self_attn))
        theirs = module(torch.tensor(x[None])).detach().numpy()[0]
        found.append(float(np.abs(ours - theirs).max()))
    return found


# --8<-- [end:gaps]
