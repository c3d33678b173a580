"""Generation: one word at a time, each from all words before it.

Sources: Vaswani et al. (2017), sections 3 and 6.1; Shazeer (2019) for what
is kept from step to step; Wu et al. (2016), section 7, for beam search.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from snippets.transformer.encoder import (
    Arrange,
    layer_norm,
    post_norm,
)
from snippets.transformer.encoder_to_decoder import (
    decode,
    decoder_sublayers,
)
from snippets.transformer.masking import causal_mask, padding_mask
from snippets.transformer.multi_head_attention import (
    encode,
    merge_heads,
    split_heads,
)
from snippets.transformer.overview import (
    Attention,
    DecoderLayer,
    EncoderLayer,
    Linear,
    Norm,
    Transformer,
    linear,
)
from snippets.transformer.positional_encoding import embed, sinusoids
from snippets.transformer.scaled_dot_product_attention import (
    Mask,
    log_softmax,
    scaled_dot_product_attention,
)

DATES = Path(__file__).with_name("dates.npz")  # the weights of lab 5


# --8<-- [start:load]
def load(path: Path) -> Transformer:
    """A model of one layer each from arrays whose names are its parts."""
    with np.load(path) as stored:
        arrays = dict(stored)

    def part(kind: Any, name: str) -> Any:
        if kind is int:
            return int(arrays["n_heads"])
        if not hasattr(kind, "_fields"):  # an array, not a NamedTuple
            return arrays[name].astype(float)
        parts = kind.__annotations__.items()
        return kind(*(part(k, f"{name}.{field}") for field, k in parts))

    return Transformer(
        part(np.ndarray, "source_embedding"),
        part(np.ndarray, "target_embedding"),
        (part(EncoderLayer, "encoder.0"),),
        (part(DecoderLayer, "decoder.0"),),
        part(Linear, "output"),
        part(Norm, "encoder_norm"),
        part(Norm, "decoder_norm"),
    )


# --8<-- [end:load]


# --8<-- [start:next]
def encode_source(
    model: Transformer,
    source: Int[np.ndarray, "*batch source"],
    source_mask: Mask = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch source d_model"]:
    """The memory: all that the decoder learns of the source."""
    x = embed(model.source_embedding, source)
    return encode(
        model.encoder, x, source_mask, model.encoder_norm, arrange
    )


def all_logits(
    model: Transformer,
    words: Int[np.ndarray, "*batch target"],
    memory: Float[np.ndarray, "*batch source d_model"],
    memory_mask: Mask = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch target vocab"]:
    """Logits of what follows each word, in one pass: as in training."""
    y = decode(
        model.decoder,
        embed(model.target_embedding, words),
        memory,
        causal_mask(words.shape[-1]),
        memory_mask,
        model.decoder_norm,
        arrange,
    )
    return linear(model.output, y)


def next_logits(
    model: Transformer,
    prefix: Int[np.ndarray, "*batch target"],
    memory: Float[np.ndarray, "*batch source d_model"],
    memory_mask: Mask = None,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch vocab"]:
    """Logits of the word after the prefix: of all rows, the last."""
    rows = all_logits(model, prefix, memory, memory_mask, arrange)
    return rows[..., -1, :]


# --8<-- [end:next]


# --8<-- [start:greedy]
def extend(
    written: Int[np.ndarray, "*batch target"],
    words: Int[np.ndarray, "*batch 1"],
    end: int,
    pad: int = 0,
) -> Int[np.ndarray, "*batch target+1"]:
    """One more word a row; rows that have ended get padding instead."""
    words = np.where(has_ended(written, end), pad, words)
    return np.concatenate([written, words], axis=-1)


def has_ended(
    written: Int[np.ndarray, "*batch target"], end: int
) -> Bool[np.ndarray, "*batch 1"]:
    """Whether `end` was written, at any place behind the first."""
    return (written[..., 1:] == end).any(axis=-1, keepdims=True)


Choose = Callable[[np.ndarray], np.ndarray]  # a word for each row of logits


def write(
    model: Transformer,
    source: Int[np.ndarray, "*batch source"],
    start: int,
    end: int,
    longest: int,
    choose: Choose,
    arrange: Arrange = post_norm,
    pad: int = 0,
) -> Int[np.ndarray, "*batch target"]:
    """From `start`, a chosen word at a time, until all rows have `end`.

    At most `longest` words after `start`. Raises ValueError for a source
    without a word, a negative length, and a word not in the vocabulary.
    """
    vocab = len(model.target_embedding)
    if not (0 <= start < vocab and 0 <= end < vocab):
        raise ValueError(f"start and end must be 0 to {vocab - 1}")
    if longest < 0:
        raise ValueError(f"longest must not be negative: {longest}")
    if not (source != pad).any(axis=-1).all():
        raise ValueError("source must have a word that is not padding")
    mask = padding_mask(source, pad)
    memory = encode_source(model, source, mask, arrange)
    written = np.full((*source.shape[:-1], 1), start)
    for _ in range(longest):
        if has_ended(written, end).all():
            break
        logits = next_logits(model, written, memory, mask, arrange)
        words = choose(logits)[..., None]
        written = extend(written, words, end, pad)
    return written


def greedy(
    model: Transformer,
    source: Int[np.ndarray, "*batch source"],
    start: int,
    end: int,
    longest: int,
    arrange: Arrange = post_norm,
    pad: int = 0,
) -> Int[np.ndarray, "*batch target"]:
    """Always the likeliest word; of equal logits the lowest word wins."""

    def likeliest(logits: np.ndarray) -> np.ndarray:
        return np.asarray(logits.argmax(axis=-1))

    return write(
        model, source, start, end, longest, likeliest, arrange, pad
    )


# --8<-- [end:greedy]


# --8<-- [start:cache]
class Kept(NamedTuple):
    """What one decoder layer keeps: one row a word, heads apart."""

    keys: Float[np.ndarray, "*batch heads target d_k"]
    values: Float[np.ndarray, "*batch heads target d_v"]
    memory_keys: Float[np.ndarray, "*batch heads source d_k"]
    memory_values: Float[np.ndarray, "*batch heads source d_v"]


class Cache(NamedTuple):
    """The same for all layers; nothing else of the past is needed."""

    layers: tuple[Kept, ...]
    memory_mask: Mask = None


def _keys_and_values(
    attention: Attention, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    key, value = (
        split_heads(linear(layer, x), attention.n_heads)
        for layer in (attention.key, attention.value)
    )
    return key, value


def start_cache(
    model: Transformer,
    memory: Float[np.ndarray, "*batch source d_model"],
    memory_mask: Mask = None,
) -> Cache:
    """No word yet; the memory's keys and values, made once for all."""
    nothing = memory[..., :0, :]
    return Cache(
        tuple(
            Kept(
                *_keys_and_values(layer.self_attention, nothing),
                *_keys_and_values(layer.cross_attention, memory),
            )
            for layer in model.decoder
        ),
        memory_mask,
    )


# --8<-- [end:cache]


# --8<-- [start:step]
def _look(
    attention: Attention,
    z: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    mask: Mask = None,
) -> np.ndarray:
    queries = split_heads(linear(attention.query, z), attention.n_heads)
    if mask is not None:
        mask = mask[..., None, :, :]  # the same for every head
    seen = scaled_dot_product_attention(queries, keys, values, mask)
    return linear(attention.output, merge_heads(seen.output))


def _layer_step(
    layer: DecoderLayer,
    kept: Kept,
    y: np.ndarray,
    memory_mask: Mask,
    arrange: Arrange,
) -> tuple[np.ndarray, Kept]:
    """`y` is one row: that of the new word."""
    grown = kept

    def at_target(z: np.ndarray) -> np.ndarray:
        nonlocal grown
        key, value = _keys_and_values(layer.self_attention, z)
        grown = kept._replace(
            keys=np.concatenate([kept.keys, key], axis=-2),
            values=np.concatenate([kept.values, value], axis=-2),
        )
        return _look(layer.self_attention, z, grown.keys, grown.values)

    def at_memory(z: np.ndarray) -> np.ndarray:
        return _look(layer.cross_attention, z, *kept[2:], memory_mask)

    y = decoder_sublayers(layer, y, at_target, at_memory, arrange)
    return y, grown


def step(
    model: Transformer,
    cache: Cache,
    words: Int[np.ndarray, "*batch 1"],
    arrange: Arrange = post_norm,
) -> tuple[Float[np.ndarray, "*batch vocab"], Cache]:
    """Logits of what follows one more word, and the cache with it.

    Only the row of this word is computed. Raises ValueError for a word
    without a row in the embedding.
    """
    vocab, d_model = model.target_embedding.shape
    if not ((words >= 0) & (words < vocab)).all():
        raise ValueError(f"words must be 0 to {vocab - 1}")
    here = cache.layers[0].keys.shape[-2]  # so many words were before it
    y = model.target_embedding[words] * d_model**0.5
    y = y + sinusoids(here + 1, d_model)[here:]
    layers = []
    for layer, kept in zip(model.decoder, cache.layers, strict=True):
        y, grown = _layer_step(layer, kept, y, cache.memory_mask, arrange)
        layers.append(grown)
    if model.decoder_norm is not None:
        y = layer_norm(model.decoder_norm, y)
    logits = linear(model.output, y[..., 0, :])
    return logits, cache._replace(layers=tuple(layers))


# --8<-- [end:step]


# --8<-- [start:beam]
Predict = Callable[[np.ndarray], np.ndarray]


def predictor(
    model: Transformer,
    source: Int[np.ndarray, " source"],
    arrange: Arrange = post_norm,
) -> Predict:
    """From prefixes [beams, target] to log-probabilities [beams, vocab]."""
    memory = encode_source(model, source, arrange=arrange)

    def predict(prefixes: np.ndarray) -> np.ndarray:
        seen = np.broadcast_to(memory, (len(prefixes), *memory.shape))
        logits = next_logits(model, prefixes, seen, arrange=arrange)
        return log_softmax(logits)

    return predict


class Hypothesis(NamedTuple):
    """The words with `start`, their log-probability, and the score."""

    words: Int[np.ndarray, " target"]
    log_probability: float
    score: float


def length_penalty(written: int, alpha: float) -> float:
    """What log-probabilities are divided by: Wu et al. (2016), eq. 14."""
    return ((5 + written) / 6) ** alpha


def beam_search(
    predict: Predict,
    start: int,
    end: int,
    longest: int,
    width: int,
    alpha: float = 0.0,
) -> list[Hypothesis]:
    """At most `width` sequences, the one with the best score first.

    Each step keeps the `width` likeliest of all continuations; those with
    `end` are done. Stops when no other can get among the `width` best, or
    after `longest` words; sequences cut off there come last. Of equals the
    one with the earlier parent, then the lower word, comes first.
    """
    if width < 1 or longest < 0 or alpha < 0:
        raise ValueError("width must be at least 1, longest and alpha 0")
    live, done = [Hypothesis(np.array([start]), 0.0, 0.0)], []
    for written in range(1, longest + 1):
        told = predict(np.stack([h.words for h in live]))
        sums = np.array([[h.log_probability] for h in live]) + told
        best = np.argsort(-sums, axis=None, kind="stable")[:width]
        penalty, made = length_penalty(written, alpha), []
        for place in best[sums.flat[best] > -np.inf]:  # what can follow
            parent, word = np.unravel_index(place, sums.shape)
            words = np.append(live[parent].words, word)
            total = float(sums[parent, word])
            made.append(Hypothesis(words, total, total / penalty))
        done += [h for h in made if h.words[-1] == end]
        live = [h for h in made if h.words[-1] != end]
        done.sort(key=lambda h: h.score, reverse=True)
        if not live:
            break
        hope = live[0].log_probability / length_penalty(longest, alpha)
        if len(done) >= width and done[width - 1].score >= hope:
            return done[:width]
    return (done + live)[:width]


# --8<-- [end:beam]
