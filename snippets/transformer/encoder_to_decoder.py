"""From the encoder to the decoder: cross-attention, the decoder's stack.

Source: Vaswani et al. (2017), sections 3.1 and 3.2.3. The memory is the
output of the encoder's last layer; all decoder layers read the same one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from snippets.transformer.encoder import (
    Arrange,
    Sublayer,
    feed_forward,
    layer_norm,
    post_norm,
)
from snippets.transformer.multi_head_attention import (
    attend_by,
    multi_head_attention,
)
from snippets.transformer.overview import Attention, DecoderLayer, Norm
from snippets.transformer.queries_keys_values import Projected, project
from snippets.transformer.scaled_dot_product_attention import Mask

# --8<-- [start:layer]
TargetMask = (
    Bool[np.ndarray, "*#batch #target #target"]
    | Float[np.ndarray, "*#batch #target #target"]
    | None
)


def read_by(
    attention: Attention,
    memory: Float[np.ndarray, "*batch source d_model"],
    mask: Mask = None,
) -> Sublayer:
    """Cross-attention as a function of the target's vectors alone."""
    return lambda z: multi_head_attention(attention, z, memory, mask).output


def decoder_sublayers(
    layer: DecoderLayer,
    y: Float[np.ndarray, "*batch target d_model"],
    at_target: Sublayer,
    at_memory: Sublayer,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch target d_model"]:
    """Look at the target, then at the memory; then each on its own."""
    y = arrange(layer.norm_1, y, at_target)
    y = arrange(layer.norm_2, y, at_memory)
    return arrange(
        layer.norm_3, y, lambda z: feed_forward(layer.feed_forward, z)
    )


def decoder_layer(
    layer: DecoderLayer,
    y: Float[np.ndarray, "*batch target d_model"],
    memory: Float[np.ndarray, "*batch source d_model"],
    target_mask: TargetMask = None,
    memory_mask: Mask = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch target d_model"]:
    """The three sub-layers, with attention in the first two.

    `target_mask` is [..., target, target], `memory_mask` [..., target,
    source], or with 1 for target. True is where a query may look.
    """
    at_target = attend_by(layer.self_attention, target_mask)
    at_memory = read_by(layer.cross_attention, memory, memory_mask)
    return decoder_sublayers(layer, y, at_target, at_memory, arrange)


# --8<-- [end:layer]


# --8<-- [start:decode]
def decode(
    layers: Sequence[DecoderLayer],
    y: Float[np.ndarray, "*batch target d_model"],
    memory: Float[np.ndarray, "*batch source d_model"],
    target_mask: TargetMask,
    memory_mask: Mask = None,
    norm: Norm | None = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch target d_model"]:
    """The whole decoder: one memory, and the same masks, in each layer.

    The target's mask has no default, so that no one forgets it; None
    lets every position see all. `norm` comes after the last layer.
    """
    for layer in layers:
        y = decoder_layer(
            layer, y, memory, target_mask, memory_mask, arrange
        )
    return y if norm is None else layer_norm(norm, y)


# --8<-- [end:decode]


# --8<-- [start:meet]
def cross_projections(
    layers: Sequence[DecoderLayer],
    y: Float[np.ndarray, "*batch target d_model"],
    memory: Float[np.ndarray, "*batch source d_model"],
    target_mask: TargetMask,
) -> list[Projected]:
    """What meets in the cross-attention of each layer, heads together.

    For post-norm, and a memory without padding.
    """
    found = []
    for layer in layers:
        at_target = attend_by(layer.self_attention, target_mask)
        u = post_norm(layer.norm_1, y, at_target)
        found.append(project(layer.cross_attention, u, memory))
        y = decoder_layer(layer, y, memory, target_mask)
    return found


# --8<-- [end:meet]


# --8<-- [start:mistakes]
Cross = Callable[[Attention, np.ndarray, np.ndarray], np.ndarray]


def crossed(
    cross: Cross,
    layer: DecoderLayer,
    y: Float[np.ndarray, "*batch target d_model"],
    memory: Float[np.ndarray, "*batch source d_model"],
    target_mask: TargetMask,
) -> Float[np.ndarray, "*batch target d_model"]:
    """A decoder layer, post-norm, whose cross-attention is `cross`."""
    at_target = attend_by(layer.self_attention, target_mask)
    return decoder_sublayers(
        layer,
        y,
        at_target,
        lambda z: cross(layer.cross_attention, z, memory),
    )


MISTAKES: dict[str, Cross] = {
    "none": lambda a, z, m: multi_head_attention(a, z, m).output,
    "K, V of the target": lambda a, z, m: (
        multi_head_attention(a, z, z).output
    ),
    "Q of the memory": lambda a, z, m: multi_head_attention(a, m, z).output,
    "Q, K, V of the memory": lambda a, z, m: (
        multi_head_attention(a, m, m).output
    ),
}
# --8<-- [end:mistakes]
