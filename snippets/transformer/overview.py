"""The parts of a Transformer, and the example that all its pages share.

Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.
Weights are laid out as in PyTorch: one row for each output.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


# --8<-- [start:linear]
class Linear(NamedTuple):
    """A matrix and a bias: one row of W for each output."""

    W: Float[np.ndarray, "out features"]
    b: Float[np.ndarray, " out"]


def linear(
    layer: Linear, x: Float[np.ndarray, "*batch features"]
) -> Float[np.ndarray, "*batch out"]:
    """The same matrix for the last axis at every place of the others.

    Raises ValueError if x has another width than the layer reads.
    """
    if x.shape[-1] != layer.W.shape[1]:
        raise ValueError(
            f"x must have {layer.W.shape[1]} features, not {x.shape[-1]}"
        )
    return x @ layer.W.T + layer.b


# --8<-- [end:linear]


# --8<-- [start:parts]
class Attention(NamedTuple):
    """Three projections in, one out; used in `n_heads` heads."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    n_heads: int


class FeedForward(NamedTuple):
    """From d_model up to d_ff, and back."""

    inner: Linear
    outer: Linear


class Norm(NamedTuple):
    """Layer normalisation: a factor and a shift for each feature."""

    gain: Float[np.ndarray, " d_model"]
    shift: Float[np.ndarray, " d_model"]


# --8<-- [end:parts]


# --8<-- [start:layers]
class EncoderLayer(NamedTuple):
    """Two sub-layers, and a norm for each."""

    self_attention: Attention
    norm_1: Norm
    feed_forward: FeedForward
    norm_2: Norm


class DecoderLayer(NamedTuple):
    """Three sub-layers, and a norm for each."""

    self_attention: Attention
    norm_1: Norm
    cross_attention: Attention
    norm_2: Norm
    feed_forward: FeedForward
    norm_3: Norm


class Transformer(NamedTuple):
    """Two embeddings, two stacks, and the layer that makes logits.

    A last norm after a stack belongs to pre-norm models, and to
    `torch.nn.Transformer`; the paper has none.
    """

    source_embedding: Float[np.ndarray, "source_vocab d_model"]
    target_embedding: Float[np.ndarray, "target_vocab d_model"]
    encoder: tuple[EncoderLayer, ...]
    decoder: tuple[DecoderLayer, ...]
    output: Linear
    encoder_norm: Norm | None = None
    decoder_norm: Norm | None = None


# --8<-- [end:layers]


# --8<-- [start:count]
def arrays(part: object) -> list[np.ndarray]:
    """The arrays of a part, in order; one that is used twice, once."""
    if isinstance(part, np.ndarray):
        return [part]
    pieces = part if isinstance(part, tuple) else ()
    found = {id(array): array for p in pieces for array in arrays(p)}
    return list(found.values())


def count(part: object) -> int:
    """How many numbers a part learns: a tied matrix counts once."""
    return sum(array.size for array in arrays(part))


# --8<-- [end:count]


# --8<-- [start:sizes]
class Sizes(NamedTuple):
    """Numbers that the two stacks learn, by the kind of part."""

    attention: int
    feed_forward: int
    norms: int


def sizes(d_model: int, d_ff: int, n_encoder: int, n_decoder: int) -> Sizes:
    """By formula, with biases; the number of heads does not matter.

    Without the last norm of each stack, which the paper does not have.
    """
    attention = 4 * (d_model**2 + d_model)
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    norm = 2 * d_model
    return Sizes(
        attention * (n_encoder + 2 * n_decoder),
        feed_forward * (n_encoder + n_decoder),
        norm * (2 * n_encoder + 3 * n_decoder),
    )


# --8<-- [end:sizes]


# --8<-- [start:example]
SOURCE = ["<pad>", "the", "river", "money", "bank"]
TARGET = ["<pad>", "<start>", "<end>", "la", "rive", "banque"]


def tokens(words: str, vocabulary: list[str]) -> Int[np.ndarray, " time"]:
    """The number of each word; ValueError for a word not in the list."""
    unknown = set(words.split()) - set(vocabulary)
    if unknown:
        raise ValueError(f"words not in the vocabulary: {sorted(unknown)}")
    return np.array([vocabulary.index(w) for w in words.split()], int)


# --8<-- [end:example]


# --8<-- [start:write]
def _rows(text: str) -> np.ndarray:
    return np.array([row.split() for row in text.split(";")], float)


def _linear(W: str, b: str = "") -> Linear:
    matrix = _rows(W)
    return Linear(matrix, _rows(b)[0] if b else np.zeros(len(matrix)))


def _norm() -> Norm:
    return Norm(np.ones(4), np.zeros(4))


# --8<-- [end:write]


# --8<-- [start:weights]
_TARGET = _rows(
    "0 0 0 0; 0 0 -1 -1; 0 0 -1 2; -2 0 1 0; 1 -1 0 -2; 2 -1 1 1"
)
EXAMPLE = Transformer(
    source_embedding=_rows(
        "0 0 0 0; 0 1 0 -2; 1 0 -1 0; -1 1 0 0; 0 1 0 -1"
    ),
    target_embedding=_TARGET,
    encoder=(
        EncoderLayer(
            Attention(
                _linear("0 0 1 0; 0 0 0 -1; -1 0 0 1; 0 0 -1 1"),
                _linear("1 0 -1 -1; 0 0 -1 1; -1 0 -1 0; 0 -1 0 0"),
                _linear("-2 0 0 1; 0 0 2 0; -1 0 0 1; 0 -1 0 0"),
                _linear("1 0 0 0; 0 1 -1 0; 0 -2 0 1; 1 2 0 0"),
                n_heads=2,
            ),
            _norm(),
            FeedForward(
                _linear(
                    "0 0 -1 0; 1 0 -2 0; 0 -1 0 0; -1 0 0 1; "
                    "0 0 1 -1; -1 0 0 0; 0 -1 -2 -1; 0 -2 0 0",
                    "0 0 0 0 1 0 0 0",
                ),
                _linear(
                    "-1 0 0 -2 -1 1 0 0; 0 0 0 -2 -1 0 0 0; "
                    "-1 -1 0 -2 0 -1 -2 0; 1 1 -1 0 1 0 0 -2",
                    "-1 0 0 0",
                ),
            ),
            _norm(),
        ),
    ),
    decoder=(
        DecoderLayer(
            Attention(
                _linear("0 1 2 2; 0 0 -1 1; -1 0 0 0; 0 -2 0 0"),
                _linear("1 0 1 0; 0 0 2 0; -1 0 0 0; 2 0 0 0"),
                _linear("0 0 0 1; 0 -1 1 -1; 0 -1 1 1; 0 0 -1 0"),
                _linear("0 1 0 -1; -1 0 0 0; 0 0 0 -1; -1 0 -1 0"),
                n_heads=2,
            ),
            _norm(),
            Attention(
                _linear("-1 -1 1 0; -1 -1 2 1; 0 0 0 2; 2 0 0 0"),
                _linear("-1 0 0 0; 0 -1 2 -2; 1 0 0 0; 1 0 -1 2"),
                _linear("0 0 1 0; 0 -1 1 0; 1 1 0 0; 0 1 0 0"),
                _linear("0 0 -1 -1; 1 0 -1 0; 1 0 0 0; 0 -1 0 0"),
                n_heads=2,
            ),
            _norm(),
            FeedForward(
                _linear(
                    "-2 -1 1 0; -1 1 1 -1; 1 -2 0 0; 0 -2 0 0; "
                    "1 0 0 0; 0 -1 -2 0; 0 2 -2 1; 2 -2 0 -1",
                    "0 0 0 0 0 0 1 1",
                ),
                _linear(
                    "1 1 1 -1 1 -2 -2 0; -2 -1 1 -1 -2 0 -1 1; "
                    "0 2 -2 0 0 2 2 -2; 0 -1 2 2 0 1 -1 1",
                    "2 1 0 0",
                ),
            ),
            _norm(),
        ),
    ),
    output=Linear(_TARGET, np.zeros(len(_TARGET))),  # tied
)
# --8<-- [end:weights]
