"""Attention of any widths, computed by PyTorch's two attentions."""

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from snippets.questions.value_dimension import padded
from snippets.transformer.multi_head_attention import (
    merge_heads,
    split_heads,
)
from snippets.transformer.overview import Attention, linear
from snippets.transformer.queries_keys_values import project


# --8<-- [start:library]
def by_function(
    attention: Attention, x: Float[np.ndarray, "batch time d_model"]
) -> Float[np.ndarray, "batch time d_model"]:
    """Our projections; scores, softmax and sum are the library's."""
    in_heads = (
        torch.tensor(split_heads(part, attention.n_heads))
        for part in project(attention, x, x)
    )
    z = nn.functional.scaled_dot_product_attention(*in_heads)
    return linear(attention.output, merge_heads(z.numpy()))


def by_module(
    attention: Attention, x: Float[np.ndarray, "batch time d_model"]
) -> Float[np.ndarray, "batch time d_model"]:
    """All by nn.MultiheadAttention, with zeros where it is too wide."""
    wide = padded(attention)
    total = len(wide.output.W)
    net = nn.MultiheadAttention(total, wide.n_heads, batch_first=True)
    net.double().load_state_dict(
        {
            "in_proj_weight": torch.tensor(
                np.concatenate([part.W for part in wide[:3]])
            ),
            "in_proj_bias": torch.tensor(
                np.concatenate([part.b for part in wide[:3]])
            ),
            "out_proj.weight": torch.tensor(wide.output.W),
            "out_proj.bias": torch.tensor(wide.output.b),
        }
    )
    d_model = x.shape[-1]
    z = torch.tensor(np.pad(x, ((0, 0), (0, 0), (0, total - d_model))))
    with torch.no_grad():
        return net(z, z, z)[0][..., :d_model].numpy()


# --8<-- [end:library]
