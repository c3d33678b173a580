"""One decoding step in the open: which tensor comes from which side.

Source: Vaswani et al. (2017), section 3.2.3.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.encoder import (
    Arrange,
    layer_norm,
    post_norm,
)
from snippets.transformer.encoder_to_decoder import decoder_sublayers
from snippets.transformer.generation import extend, has_ended
from snippets.transformer.masking import causal_mask
from snippets.transformer.multi_head_attention import (
    multi_head_attention,
    split_heads,
)
from snippets.transformer.overview import (
    Attention,
    DecoderLayer,
    Transformer,
    linear,
)
from snippets.transformer.positional_encoding import embed
from snippets.transformer.queries_keys_values import dot_scores, project
from snippets.transformer.scaled_dot_product_attention import Mask


# --8<-- [start:opened]
class Opened(NamedTuple):
    """All that an attention makes on its way, heads apart."""

    queries: Float[np.ndarray, "*batch heads target d_k"]
    keys: Float[np.ndarray, "*batch heads source d_k"]
    values: Float[np.ndarray, "*batch heads source d_v"]
    scores: Float[np.ndarray, "*batch heads target source"]
    weights: Float[np.ndarray, "*batch heads target source"]
    output: Float[np.ndarray, "*batch target d_model"]


def opened(
    attention: Attention,
    x: Float[np.ndarray, "*batch target d_model"],
    source: Float[np.ndarray, "*batch source d_source"],
    mask: Mask = None,
) -> Opened:
    """`multi_head_attention`, with nothing thrown away.

    The scores are scaled and not yet masked.
    """
    queries, keys, values = (
        split_heads(part, attention.n_heads)
        for part in project(attention, x, source)
    )
    scores = dot_scores(queries, keys) / queries.shape[-1] ** 0.5
    output, weights = multi_head_attention(attention, x, source, mask)
    return Opened(queries, keys, values, scores, weights, output)


# --8<-- [end:opened]


# --8<-- [start:sides]
Sides = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# What queries are made of, and what keys and values are made of.
SIDES: dict[str, Sides] = {
    "as it should be": lambda z, memory: (z, memory),
    "K, V of the target": lambda z, memory: (z, z),
    "Q of the memory": lambda z, memory: (memory, z),
    "Q, K, V of the memory": lambda z, memory: (memory, memory),
}


# --8<-- [end:sides]


# --8<-- [start:trace]
class LayerTrace(NamedTuple):
    """Both attentions of one decoder layer, and what leaves it."""

    own: Opened  # self-attention: all three from the target
    cross: Opened  # queries from the target, the rest from the memory
    y: Float[np.ndarray, "*batch target d_model"]


class Trace(NamedTuple):
    """From the words written so far to the logits of the next ones."""

    layers: tuple[LayerTrace, ...]
    logits: Float[np.ndarray, "*batch target vocab"]


def _layer(
    layer: DecoderLayer,
    y: np.ndarray,
    memory: np.ndarray,
    memory_mask: Mask,
    arrange: Arrange,
    sides: Sides,
) -> LayerTrace:
    seen = []

    def at_target(z: np.ndarray) -> np.ndarray:
        look_back = causal_mask(z.shape[-2])
        seen.append(opened(layer.self_attention, z, z, look_back))
        return seen[-1].output

    def at_memory(z: np.ndarray) -> np.ndarray:
        x, source = sides(z, memory)
        seen.append(opened(layer.cross_attention, x, source, memory_mask))
        return seen[-1].output

    y = decoder_sublayers(layer, y, at_target, at_memory, arrange)
    own, cross = seen
    return LayerTrace(own, cross, y)


def trace(
    model: Transformer,
    words: Int[np.ndarray, "*batch target"],
    memory: Float[np.ndarray, "*batch source d_model"],
    memory_mask: Mask = None,
    arrange: Arrange = post_norm,
    sides: Sides = SIDES["as it should be"],
) -> Trace:
    """`all_logits`, and all that its attentions make on the way."""
    y, layers = embed(model.target_embedding, words), []
    for layer in model.decoder:
        layers.append(_layer(layer, y, memory, memory_mask, arrange, sides))
        y = layers[-1].y
    if model.decoder_norm is not None:
        y = layer_norm(model.decoder_norm, y)
    return Trace(tuple(layers), linear(model.output, y))


# --8<-- [end:trace]


# --8<-- [start:write]
def write_from(
    model: Transformer,
    memory: Float[np.ndarray, "*batch source d_model"],
    start: int,
    end: int,
    longest: int,
    arrange: Arrange = post_norm,
    sides: Sides = SIDES["as it should be"],
) -> Int[np.ndarray, "*batch written"]:
    """`greedy` from any memory, wired in any way, without padding."""
    words = np.full((*memory.shape[:-2], 1), start)
    while words.shape[-1] <= longest and not has_ended(words, end).all():
        made = trace(model, words, memory, None, arrange, sides)
        best = made.logits[..., -1, :].argmax(axis=-1, keepdims=True)
        words = extend(words, best, end)
    return words


# --8<-- [end:write]
