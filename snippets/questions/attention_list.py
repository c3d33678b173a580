"""The attention maps of every layer, collected while an image passes.

Sources: Dosovitskiy et al. (2021), section 3.1, for an image as a
sequence; Abnar and Zuidema (2020) for the rollout.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.encoder import (
    Arrange,
    Sublayer,
    encoder,
    post_norm,
    pre_norm,
)
from snippets.transformer.multi_head_attention import multi_head_attention
from snippets.transformer.overview import (
    Attention,
    EncoderLayer,
    Linear,
    Norm,
    linear,
)
from snippets.transformer.scaled_dot_product_attention import Mask

# --8<-- [start:pictures]
SIDE = 4  # of a patch, in pixels; a picture has 3 x 3 patches
SYMBOLS = np.array(
    [
        [[pixel == "#" for pixel in row] for row in symbol.split()]
        for symbol in (
            ".... .... .### ....",
            ".... ..#. ..#. ..#.",
            ".... .#.. ..#. ...#",
            ".... ...# ..#. .#..",
        )
    ],
    dtype=float,
)


class Pictures(NamedTuple):
    """Pictures, and the answers to two questions about each."""

    pixels: Float[np.ndarray, "size height width"]
    marked: Int[np.ndarray, " size"]  # the patch with a dot in its corner
    symbol: Int[np.ndarray, " size"]  # question 1: the symbol in it?
    light: Int[np.ndarray, " size"]  # question 2: bright on the whole?
    brightness: Float[np.ndarray, "size patches"]


def pictures(size: int, rng: np.random.Generator) -> Pictures:
    """In each of nine patches, a symbol of random kind and brightness."""
    kinds = rng.integers(len(SYMBOLS), size=(size, 9))
    brightness = rng.uniform(0.2, 1.0, size=(size, 9))
    marked, each = rng.integers(9, size=size), np.arange(size)
    patches = SYMBOLS[kinds] * brightness[..., None, None]
    patches[each, marked, 0, 0] = 1.0
    grid = patches.reshape(size, 3, 3, SIDE, SIDE).swapaxes(2, 3)
    return Pictures(
        grid.reshape(size, 3 * SIDE, 3 * SIDE),
        marked,
        kinds[each, marked],
        (brightness.mean(axis=1) > 0.6).astype(int),
        brightness,
    )


# --8<-- [end:pictures]


# --8<-- [start:vision]
class Vision(NamedTuple):
    """An encoder that reads patches and answers at its first place."""

    patch: Linear
    class_token: Float[np.ndarray, " d_model"]
    positions: Float[np.ndarray, "tokens d_model"]
    layers: tuple[EncoderLayer, ...]
    norm: Norm
    output: Linear


def cut(
    pixels: Float[np.ndarray, "*batch height width"], side: int
) -> Float[np.ndarray, "*batch patches {side*side}"]:
    """Squares of `side` pixels, row by row; each as one row of numbers.

    Raises ValueError for a side that does not divide the picture.
    """
    *batch, height, width = pixels.shape
    if height % side or width % side:
        raise ValueError(f"side must divide {height} and {width}: {side}")
    rows, columns = height // side, width // side
    squares = pixels.reshape(*batch, rows, side, columns, side)
    squares = squares.swapaxes(-2, -3)
    return squares.reshape(*batch, rows * columns, side * side)


def embed_picture(
    model: Vision, pixels: Float[np.ndarray, "*batch height width"]
) -> Float[np.ndarray, "*batch tokens d_model"]:
    """The class token first, then the patches; positions added to all."""
    patches = linear(model.patch, cut(pixels, SIDE))
    *batch, _, d_model = patches.shape
    first = np.broadcast_to(model.class_token, (*batch, 1, d_model))
    return np.concatenate([first, patches], axis=-2) + model.positions


# --8<-- [end:vision]


# --8<-- [start:list]
Map = Float[np.ndarray, "*batch heads tokens tokens"]


class Encoded(NamedTuple):
    """The encoder's output, and one map for each layer."""

    output: Float[np.ndarray, "*batch tokens d_model"]
    maps: list[Map]


def encode_with_maps(
    layers: Sequence[EncoderLayer],
    x: Float[np.ndarray, "*batch tokens d_model"],
    mask: Mask = None,
    norm: Norm | None = None,
    arrange: Arrange = post_norm,
) -> Encoded:
    """`encode`, and the attention list: what each layer looked at."""
    maps: list[np.ndarray] = []

    def noting(attention: Attention) -> Sublayer:
        def attend(z: np.ndarray) -> np.ndarray:
            seen = multi_head_attention(attention, z, z, mask)
            maps.append(seen.weights)
            return seen.output

        return attend

    attends = [noting(layer.self_attention) for layer in layers]
    return Encoded(encoder(layers, x, attends, norm, arrange), maps)


class Answer(NamedTuple):
    """What the model says of a picture, and what it looked at."""

    logits: Float[np.ndarray, "*batch classes"]
    maps: list[Map]


def view(
    model: Vision, pixels: Float[np.ndarray, "*batch height width"]
) -> Answer:
    """Logits from the class token's last vector; pre-norm, as in ViT."""
    x = embed_picture(model, pixels)
    output, maps = encode_with_maps(
        model.layers, x, norm=model.norm, arrange=pre_norm
    )
    return Answer(linear(model.output, output[..., 0, :]), maps)


# --8<-- [end:list]


# --8<-- [start:rollout]
def rollout(
    maps: Sequence[Map],
) -> Float[np.ndarray, "*batch tokens tokens"]:
    """The product of (A + I) / 2 over the layers, the last one leftmost.

    A is the mean map of a layer's heads, I the residual connection. Row
    i: the share of each input in place i at the end, if all that is added
    counted by its weight alone. Raises ValueError for no maps.
    """
    if not maps:
        raise ValueError("maps must hold at least one layer")
    product = same = np.eye(maps[0].shape[-1])
    for layer in maps:
        product = (layer.mean(axis=-3) + same) / 2 @ product
    return product


# --8<-- [end:rollout]


# --8<-- [start:effects]
def effects(
    model: Vision, pixels: Float[np.ndarray, "*batch height width"]
) -> Float[np.ndarray, "*batch patches"]:
    """How far the logits move if one patch is made black.

    The Euclidean length of the change, less its mean over the classes,
    which changes no probability.
    """
    rows, columns = (size // SIDE for size in pixels.shape[-2:])
    before, moved = view(model, pixels).logits, []
    for row in range(rows):
        for column in range(columns):
            black = pixels.copy()
            down, along = (
                slice(SIDE * n, SIDE * n + SIDE) for n in (row, column)
            )
            black[..., down, along] = 0.0
            change = view(model, black).logits - before
            change -= change.mean(axis=-1, keepdims=True)
            moved.append(np.linalg.norm(change, axis=-1))
    return np.stack(moved, axis=-1)


def rank_correlation(
    a: Float[np.ndarray, "*batch n"], b: Float[np.ndarray, "*batch n"]
) -> Float[np.ndarray, "*batch"]:
    """Spearman's: 1 for the same order, -1 for the reverse one.

    For values without ties. Raises ValueError for fewer than two.
    """
    n = a.shape[-1]
    if n < 2:
        raise ValueError(f"a must have two values or more, not {n}")
    d = (a.argsort(axis=-1).argsort(axis=-1)
         - b.argsort(axis=-1).argsort(axis=-1))  # fmt: skip
    return np.asarray(1.0 - 6.0 * (d**2).sum(axis=-1) / (n**3 - n))


# --8<-- [end:effects]
