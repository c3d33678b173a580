"""The width of the values: what it costs, and what it limits.

Sources: Vaswani et al. (2017), section 3.2.2; Elhage et al. (2021) for
W_O W_V as one matrix.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.transformer.overview import (
    Attention,
    Linear,
    Transformer,
)
from snippets.transformer.queries_keys_values import drawn, head


# --8<-- [start:widths]
class Widths(NamedTuple):
    """The four sizes of multi-head attention: none follows from others."""

    d_model: int
    n_heads: int
    d_k: int
    d_v: int


def size(widths: Widths) -> int:
    """How many numbers one attention learns, biases among them."""
    d_model, n_heads, d_k, d_v = widths
    to_scores = 2 * n_heads * d_k * (d_model + 1)  # W_Q, W_K
    to_values = n_heads * d_v * (d_model + 1)  # W_V
    return to_scores + to_values + d_model * (n_heads * d_v + 1)  # W_O


def attention_of(widths: Widths, rng: np.random.Generator) -> Attention:
    """Random weights in any widths, for self-attention."""
    d_model, n_heads, d_k, d_v = widths
    one = drawn(rng, d_model, n_heads * d_k, n_heads * d_v)
    return one._replace(n_heads=n_heads)


# --8<-- [end:widths]


# --8<-- [start:rewidened]
def rewidened(
    model: Transformer, d_k: int, d_v: int, rng: np.random.Generator
) -> Transformer:
    """The model with random attentions of other widths, all else kept."""

    def anew(part: Attention) -> Attention:
        d_model = len(part.output.W)
        return attention_of(Widths(d_model, part.n_heads, d_k, d_v), rng)

    return model._replace(
        encoder=tuple(
            layer._replace(self_attention=anew(layer.self_attention))
            for layer in model.encoder
        ),
        decoder=tuple(
            layer._replace(
                self_attention=anew(layer.self_attention),
                cross_attention=anew(layer.cross_attention),
            )
            for layer in model.decoder
        ),
    )


# --8<-- [end:rewidened]


# --8<-- [start:value_path]
def value_path(
    attention: Attention, number: int
) -> Float[np.ndarray, "d_model d_source"]:
    """W_O W_V of one head: from a word that is seen to what is added."""
    one = head(attention, number)
    return one.output.W @ one.value.W


def narrowed(attention: Attention, d_v: int) -> Attention:
    """Each head with d_v values: W_O W_V, or the nearest of that rank.

    The bias of the values moves into that of W_O: weights sum to 1, so it
    reaches the output undivided. (Not so for a query that may look
    nowhere.) Raises ValueError for a d_v that no rank can need.
    """
    paths = [value_path(attention, n) for n in range(attention.n_heads)]
    most = min(paths[0].shape)
    if not 1 <= d_v <= most:
        raise ValueError(f"d_v must be 1 to {most}, not {d_v}")
    values, outputs = [], []
    for path in paths:
        U, s, V = np.linalg.svd(path, full_matrices=False)
        values.append(s[:d_v, None] * V[:d_v])
        outputs.append(U[:, :d_v])
    W_V, W_O = np.concatenate(values), np.concatenate(outputs, axis=1)
    b_O = attention.output.b + attention.output.W @ attention.value.b
    return attention._replace(
        value=Linear(W_V, np.zeros(len(W_V))), output=Linear(W_O, b_O)
    )


# --8<-- [end:value_path]


# --8<-- [start:padded]
def padded(attention: Attention) -> Attention:
    """The same function with one width for all, and zeros in between.

    Inputs and outputs get `n_heads * width` numbers: pad the inputs with
    zeros, and read the first d_model numbers of the output.
    """
    n_heads = attention.n_heads
    d_k, d_v = (len(part.W) // n_heads for part in attention[1:3])
    d_model, _ = attention.output.W.shape
    ends = max(d_model, attention.key.W.shape[1])
    width = max(d_k, d_v, -(-ends // n_heads))
    total = n_heads * width

    def rows(layer: Linear, factor: float = 1.0) -> Linear:
        out, features = layer.W.shape
        d = out // n_heads
        more = (0, width - d)
        W = layer.W.reshape(n_heads, d, features)
        W = np.pad(W, ((0, 0), more, (0, total - features)))
        b = np.pad(layer.b.reshape(n_heads, d), ((0, 0), more))
        return Linear(factor * W.reshape(total, total), factor * b.ravel())

    W_O = attention.output.W.reshape(d_model, n_heads, d_v)
    bottom = (0, total - d_model)
    W_O = np.pad(W_O, (bottom, (0, 0), (0, width - d_v)))
    return Attention(
        rows(attention.query, (width / d_k) ** 0.5),  # the wider scale
        rows(attention.key),
        rows(attention.value),
        Linear(
            W_O.reshape(total, total), np.pad(attention.output.b, bottom)
        ),
        n_heads,
    )


# --8<-- [end:padded]
