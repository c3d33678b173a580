"""PyTorch's attention and encoder beside ours, and its heads, trained."""

import numpy as np
import torch
from torch import nn

from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.multi_head_attention import (
    encode,
    marked_words,
    multi_head_attention,
)
from snippets.transformer.overview_torch import (
    array,
    from_attention,
    from_encoder_layer,
    from_norm,
)


# --8<-- [start:gap]
def redraw(module: nn.Module) -> nn.Module:
    """All numbers drawn anew, in float64: biases start as 0, gains as 1,
    and the layers of an encoder as copies of each other."""
    for parameter in module.double().eval().parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def library_gap(
    d_model: int,
    n_heads: int,
    width: int | None = None,
    bias: bool = True,
    seed: int = 0,
) -> float:
    """The largest difference in outputs, and in each head's weights.

    Two sentences of four words look at themselves or, with a `width`, at
    six vectors of that width. Each query may look at one place or more.
    """
    torch.manual_seed(seed)
    net = redraw(
        nn.MultiheadAttention(
            d_model,
            n_heads,
            bias=bias,
            kdim=width,
            vdim=width,
            batch_first=True,
        )
    )
    x = source = torch.randn(2, 4, d_model).double()
    if width is not None:
        source = torch.randn(2, 6, width).double()
    mask = torch.rand(4, source.shape[1]) < 0.5
    real = torch.rand(2, source.shape[1]) < 0.5
    mask[:, 0] = real[:, 0] = True
    theirs = net(
        x,
        source,
        source,
        key_padding_mask=~real,
        attn_mask=~mask,
        average_attn_weights=False,
    )
    ours = multi_head_attention(
        from_attention(net),
        x.numpy(),
        source.numpy(),
        (mask & real[:, None]).numpy(),
    )
    pairs = zip(ours, map(array, theirs), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


# --8<-- [end:gap]


# --8<-- [start:encoder_gap]
def encoder_gap(
    norm_first: bool, n_layers: int, d_model: int, n_heads: int
) -> float:
    """Our encoder against PyTorch's, on five words and on three."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        d_model,
        n_heads,
        2 * d_model,
        batch_first=True,
        norm_first=norm_first,
    )
    net = nn.TransformerEncoder(
        layer,
        n_layers,
        norm=nn.LayerNorm(d_model),
        enable_nested_tensor=False,
    )
    redraw(net)
    x = torch.randn(2, 5, d_model).double()
    real = torch.arange(5) < torch.tensor([[5], [3]])
    theirs = array(net(x, src_key_padding_mask=~real))
    ours = encode(
        [from_encoder_layer(layer) for layer in net.layers],
        x.numpy(),
        real[:, None].numpy(),
        from_norm(net.norm),
        pre_norm if norm_first else post_norm,
    )
    return float(np.abs(ours - theirs)[real.numpy()].max())


# --8<-- [end:encoder_gap]


# --8<-- [start:missed]
def missed(n_heads: int, seed: int, updates: int = 300) -> float:
    """What trained heads miss of A less B, as a share of its variance.

    Six words of four random numbers each, drawn anew for each update;
    then 4000 sequences for the test.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = nn.MultiheadAttention(8, n_heads, batch_first=True)

    def errors(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        task = (torch.tensor(a) for a in marked_words(size, 6, 4, rng))
        asking, words, wanted = (part.float() for part in task)
        found = net(asking, words, words, need_weights=False)[0]
        return found[:, 0, 4:] - wanted, wanted

    adam = torch.optim.Adam(net.parameters(), lr=0.02)
    slower = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, updates)
    for _ in range(updates):
        adam.zero_grad()
        errors(64)[0].square().mean().backward()
        adam.step()
        slower.step()
    with torch.no_grad():
        off, wanted = errors(4000)
    return float(off.square().mean() / wanted.square().mean())


# --8<-- [end:missed]
