"""A small vision encoder in PyTorch: trained, converted, listened to."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from snippets.questions.attention_list import SIDE, Vision, cut, pictures
from snippets.transformer.overview_torch import (
    array,
    from_encoder_layer,
    from_linear,
    from_norm,
)


# --8<-- [start:viewer]
class Viewer(nn.Module):
    """Two pre-norm layers of two heads over nine patches and a class."""

    def __init__(self, classes: int, d_model: int = 16) -> None:
        super().__init__()
        self.patch = nn.Linear(SIDE * SIDE, d_model)
        self.class_token = nn.Parameter(0.1 * torch.randn(d_model))
        self.positions = nn.Parameter(0.5 * torch.randn(10, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, 2, d_model, 0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, 2, nn.LayerNorm(d_model), enable_nested_tensor=False
        )
        self.output = nn.Linear(d_model, classes)
        nn.init.normal_(self.patch.weight, std=0.5)
        for parameter in self.encoder.parameters():  # copies of one layer
            if parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)

    def embed(
        self, pixels: Float[np.ndarray, "batch height width"]
    ) -> Float[Tensor, "batch tokens d_model"]:
        patches = self.patch(torch.tensor(cut(pixels, SIDE)))
        first = self.class_token.expand(len(patches), 1, -1)
        return torch.cat([first, patches], dim=1) + self.positions

    def forward(
        self, pixels: Float[np.ndarray, "batch height width"]
    ) -> Float[Tensor, "batch classes"]:
        return self.output(self.encoder(self.embed(pixels))[:, 0])


def trained(question: str, seed: int, updates: int = 130) -> Viewer:
    """Learn to answer "symbol" or "light", from 32 pictures an update."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Viewer(classes={"symbol": 4, "light": 2}[question]).double()
    adam = torch.optim.Adam(net.parameters(), lr=0.02, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, 0.02, total_steps=updates, pct_start=0.2
    )
    for _ in range(updates):
        batch = pictures(32, rng)
        right = torch.tensor(getattr(batch, question))
        loss = nn.functional.cross_entropy(net(batch.pixels), right)
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
    return net.eval()


def from_viewer(net: Viewer) -> Vision:
    """The same weights as the book's parts."""
    return Vision(
        from_linear(net.patch),
        array(net.class_token),
        array(net.positions),
        tuple(from_encoder_layer(layer) for layer in net.encoder.layers),
        from_norm(net.encoder.norm),
        from_linear(net.output),
    )


# --8<-- [end:viewer]


# --8<-- [start:collect]
def collect(
    net: nn.TransformerEncoder,
    x: Float[Tensor, "batch tokens d_model"],
    keep_graph: bool = False,
) -> list[Float[Tensor, "batch heads tokens tokens"]]:
    """One map for each layer, by two hooks on each self-attention.

    The first asks for the weights of each head, which the layer does not;
    the second keeps them. `keep_graph` leaves the gradient's record on.
    """
    maps, hooks = [], []

    def ask(module: nn.Module, args: tuple, kwargs: dict) -> tuple:
        asked = {"need_weights": True, "average_attn_weights": False}
        return args, kwargs | asked

    def keep(module: nn.Module, args: tuple, output: tuple) -> None:
        maps.append(output[1] if keep_graph else output[1].detach())

    for layer in net.layers:
        part = layer.self_attn
        hooks.append(part.register_forward_pre_hook(ask, with_kwargs=True))
        hooks.append(part.register_forward_hook(keep))
    try:
        net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


# --8<-- [end:collect]
