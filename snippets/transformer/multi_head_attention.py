"""Multi-head attention, and the encoder with its attention inside.

Source: Vaswani et al. (2017), section 3.2.2. Counted from 0, as
everywhere in code, head 0 is the first head of the formulas.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.transformer.encoder import (
    Arrange,
    Sublayer,
    encoder,
    position_influence,
    post_norm,
)
from snippets.transformer.overview import (
    Attention,
    EncoderLayer,
    Linear,
    Norm,
    linear,
)
from snippets.transformer.queries_keys_values import (
    dot_scores,
    head,
    project,
)
from snippets.transformer.scaled_dot_product_attention import (
    Attended,
    Mask,
    attention_weights,
    masked,
    scaled_dot_product_attention,
    softmax,
)


# --8<-- [start:split]
def split_heads(
    x: Float[np.ndarray, "*batch time features"], n_heads: int
) -> Float[np.ndarray, "*batch {n_heads} time {x.shape[-1]//n_heads}"]:
    """[time, n_heads * d] becomes [n_heads, time, d].

    First the features are cut, then the axes change places. Raises
    ValueError if the features cannot be shared evenly.
    """
    if n_heads < 1 or x.shape[-1] % n_heads:
        raise ValueError(
            f"n_heads must divide {x.shape[-1]} features, not {n_heads}"
        )
    cut = x.reshape(*x.shape[:-1], n_heads, x.shape[-1] // n_heads)
    return np.swapaxes(cut, -2, -3)


def merge_heads(
    x: Float[np.ndarray, "*batch heads time d"],
) -> Float[np.ndarray, "*batch time {x.shape[-3]*x.shape[-1]}"]:
    """The way back: the heads side by side in the last axis."""
    together = np.swapaxes(x, -2, -3)
    width = x.shape[-3] * x.shape[-1]
    return together.reshape(*together.shape[:-2], width)


# --8<-- [end:split]


# --8<-- [start:attention]
def attend_in_heads(
    attention: Attention,
    x: Float[np.ndarray, "*batch target d_model"],
    source: Float[np.ndarray, "*batch source d_source"],
    mask: Mask = None,
) -> Attended:
    """All heads before W_O: output [..., n_heads, target, d_v]."""
    projected = project(attention, x, source)
    if mask is not None:
        mask = mask[..., None, :, :]  # the same for every head
    queries, keys, values = (
        split_heads(part, attention.n_heads) for part in projected
    )
    return scaled_dot_product_attention(queries, keys, values, mask)


def multi_head_attention(
    attention: Attention,
    x: Float[np.ndarray, "*batch target d_model"],
    source: Float[np.ndarray, "*batch source d_source"],
    mask: Mask = None,
) -> Attended:
    """Queries from `x`, keys and values from `source`, in all heads.

    The output is [..., target, d_model], the weights are [..., n_heads,
    target, source]. The mask is [..., target, source], without an axis
    for heads. A boolean one says True where a query may look; one of
    floats is added to the scores. Raises ValueError for widths that the
    heads cannot share evenly, or that do not fit the weights.
    """
    heads = attend_in_heads(attention, x, source, mask)
    output = linear(attention.output, merge_heads(heads.output))
    return Attended(output, heads.weights)


# --8<-- [end:attention]


# --8<-- [start:loop]
def contributions(
    attention: Attention,
    x: Float[np.ndarray, "*batch target d_model"],
    source: Float[np.ndarray, "*batch source d_source"],
    mask: Mask = None,
) -> list[Float[np.ndarray, "*batch target d_model"]]:
    """What each head adds to the output, computed head after head.

    The output is their sum and the bias of W_O, which is no head's.
    """
    parts = []
    for number in range(attention.n_heads):
        one = head(attention, number)
        seen = scaled_dot_product_attention(*project(one, x, source), mask)
        parts.append(linear(one.output, seen.output))
    return parts


# --8<-- [end:loop]


# --8<-- [start:copies]
def copied(one: Attention, n_heads: int) -> Attention:
    """The same head several times; W_O adds the copies up."""

    def stacked(layer: Linear) -> Linear:
        W, b = layer
        return Linear(np.tile(W, (n_heads, 1)), np.tile(b, n_heads))

    query, key, value = map(stacked, one[:3])
    output = Linear(np.tile(one.output.W, (1, n_heads)), one.output.b)
    return Attention(query, key, value, output, n_heads)


# --8<-- [end:copies]


# --8<-- [start:encode]
def attend_by(attention: Attention, mask: Mask = None) -> Sublayer:
    """Self-attention as a function of the vectors alone."""
    return lambda z: multi_head_attention(attention, z, z, mask).output


def encode(
    layers: Sequence[EncoderLayer],
    x: Float[np.ndarray, "*batch time d_model"],
    mask: Mask = None,
    norm: Norm | None = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch time d_model"]:
    """The whole encoder: in the decoder's words, the memory.

    One mask for all layers, such as [..., 1, time] with False at padding.
    `norm` comes after the last layer.
    """
    attends = [attend_by(layer.self_attention, mask) for layer in layers]
    return encoder(layers, x, attends, norm, arrange)


# --8<-- [end:encode]


# --8<-- [start:slices]
def in_blocks(attention: Attention) -> Attention:
    """The same, with W_Q, W_K and W_V zero outside of diagonal blocks."""

    def blocks(layer: Linear) -> Linear:
        rows, columns = (size // n_heads for size in layer.W.shape)
        block = np.ones((rows, columns))
        return Linear(layer.W * np.kron(np.eye(n_heads), block), layer.b)

    n_heads = attention.n_heads
    query, key, value = map(blocks, attention[:3])
    return attention._replace(query=query, key=key, value=value)


def sliced(
    attention: Attention,
    x: Float[np.ndarray, "*batch time d_model"],
    mask: Mask = None,
) -> Float[np.ndarray, "*batch time d_model"]:
    """Self-attention with the input cut up: each head reads one slice.

    Of its rows of W_Q, W_K and W_V, a head needs the block that meets
    its slice, and no other number. Raises ValueError if the features
    cannot be shared evenly.
    """
    n_heads, outputs = attention.n_heads, []
    slices = split_heads(x, n_heads)
    for number in range(n_heads):
        part, one = slices[..., number, :, :], head(attention, number)
        query, key, value = (
            Linear(split_heads(W, n_heads)[number], b) for W, b in one[:3]
        )
        one = one._replace(query=query, key=key, value=value)
        seen = project(one, part, part)
        outputs.append(scaled_dot_product_attention(*seen, mask).output)
    return linear(attention.output, np.concatenate(outputs, axis=-1))


# --8<-- [end:slices]


# --8<-- [start:two_places]
class Marked(NamedTuple):
    """One word asks; of the words it sees, one is marked A, one B."""

    asking: Float[np.ndarray, "size one d_model"]
    words: Float[np.ndarray, "size time d_model"]
    difference: Float[np.ndarray, "size contents"]


def marked_words(
    size: int, time: int, contents: int, rng: np.random.Generator
) -> Marked:
    """Words with random contents, and what A holds less what B holds.

    The numbers of a word: 1 if it is marked A, 1 if B, 1 if it asks, a 0
    that no one uses, and its contents.
    """
    words = np.zeros((size, time, 4 + contents))
    words[..., 4:] = rng.normal(size=(size, time, contents))
    order = rng.permuted(np.tile(np.arange(time), (size, 1)), axis=1)
    each = np.arange(size)
    words[each, order[:, 0], 0] = 1.0
    words[each, order[:, 1], 1] = 1.0
    asking = np.zeros((size, 1, 4 + contents))
    asking[..., 2] = 1.0
    found = words[each, order[:, 0], 4:] - words[each, order[:, 1], 4:]
    return Marked(asking, words, found)


def two_places(contents: int, sharpness: float = 100.0) -> Attention:
    """Two heads with d_k = 1: one finds A, one finds B; W_O subtracts."""

    def rows(*places: int) -> Linear:
        return Linear(np.eye(width)[list(places)], np.zeros(len(places)))

    width = 4 + contents
    query, held = rows(2, 2), range(4, width)
    subtract = np.zeros((width, 2 * contents))
    subtract[4:] = np.hstack([np.eye(contents), -np.eye(contents)])
    return Attention(
        query=query._replace(W=sharpness * query.W),
        key=rows(0, 1),
        value=rows(*held, *held),
        output=Linear(subtract, np.zeros(width)),
        n_heads=2,
    )


# --8<-- [end:two_places]


# --8<-- [start:mistakes]
Weigh = Callable[[np.ndarray, np.ndarray, Mask], np.ndarray]
Broken = Callable[[Attention, np.ndarray, Mask], Attended]


def _split_by_view(x: np.ndarray, n_heads: int) -> np.ndarray:
    *batch, time, width = x.shape
    return x.reshape(*batch, n_heads, time, width // n_heads)


def _merge_by_view(x: np.ndarray) -> np.ndarray:
    *batch, n_heads, time, d = x.shape
    return x.reshape(*batch, time, n_heads * d)


def _scaled_by_d_model(
    queries: np.ndarray, keys: np.ndarray, mask: Mask
) -> np.ndarray:
    d_model = queries.shape[-3] * queries.shape[-1]
    return softmax(masked(dot_scores(queries, keys) / d_model**0.5, mask))


def _over_heads(
    queries: np.ndarray, keys: np.ndarray, mask: Mask
) -> np.ndarray:
    scores = dot_scores(queries, keys) / queries.shape[-1] ** 0.5
    return softmax(masked(scores, mask), axis=-3)


def _wired(
    split: Callable[[np.ndarray, int], np.ndarray] = split_heads,
    weigh: Weigh = attention_weights,
    merge: Callable[[np.ndarray], np.ndarray] = merge_heads,
) -> Broken:
    def attend(attention: Attention, x: np.ndarray, mask: Mask) -> Attended:
        if mask is not None:
            mask = mask[..., None, :, :]
        queries, keys, values = (
            split(part, attention.n_heads)
            for part in project(attention, x, x)
        )
        weights = weigh(queries, keys, mask)
        merged = merge(weights @ values)
        return Attended(linear(attention.output, merged), weights)

    return attend


def reads(f: Sublayer, x: Float[np.ndarray, "time d_model"]) -> str:
    """For each word in turn, an x for each word that it reads."""
    rows = position_influence(f, x) > 1e-6
    return " ".join(
        "".join(".x"[int(cell)] for cell in row) for row in rows
    )


MISTAKES: dict[str, Broken] = {
    "none": _wired(),
    "no transpose": _wired(split=_split_by_view, merge=_merge_by_view),
    "no transpose back": _wired(merge=_merge_by_view),
    "root of d_model": _wired(weigh=_scaled_by_d_model),
    "softmax over heads": _wired(weigh=_over_heads),
}
# --8<-- [end:mistakes]
