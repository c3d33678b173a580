"""The whole Transformer, from tokens to logits, and what trains it.

Source: Vaswani et al. (2017), sections 3, 5.3 and 5.4.
"""

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.encoder import Arrange, post_norm
from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.generation import greedy
from snippets.transformer.masking import (
    causal_mask,
    combine,
    cross_entropy,
    padding_mask,
)
from snippets.transformer.multi_head_attention import (
    encode,
    multi_head_attention,
    split_heads,
)
from snippets.transformer.overview import Transformer, linear
from snippets.transformer.positional_encoding import embed
from snippets.transformer.queries_keys_values import project
from snippets.transformer.scaled_dot_product_attention import log_softmax


# --8<-- [start:transformer]
def transformer(
    model: Transformer,
    source: Int[np.ndarray, "*batch source"],
    target: Int[np.ndarray, "*batch target"],
    pad: int = 0,
    arrange: Arrange = post_norm,
) -> Float[np.ndarray, "*batch target vocab"]:
    """For each place of the target, logits of the word that follows it.

    The masks are made here: no place looks ahead in the target, and none
    looks at a token equal to `pad`. With a `pad` that is no token, such
    as -1, nothing counts as padding. Raises ValueError for a token
    without a row in its embedding.
    """
    source_mask = padding_mask(source, pad)
    target_mask = combine(
        causal_mask(target.shape[-1]), padding_mask(target, pad)
    )
    x = embed(model.source_embedding, source)
    memory = encode(
        model.encoder, x, source_mask, model.encoder_norm, arrange
    )
    y = embed(model.target_embedding, target)
    y = decode(
        model.decoder,
        y,
        memory,
        target_mask,
        source_mask,
        model.decoder_norm,
        arrange,
    )
    return linear(model.output, y)


# --8<-- [end:transformer]


# --8<-- [start:tensors]
def tensors(
    model: Transformer,
    source: Int[np.ndarray, "batch source"],
    target: Int[np.ndarray, "batch target"],
    pad: int = 0,
) -> dict[str, tuple[str, np.ndarray]]:
    """What is computed on the way, in order, each with its axes' names.

    For post-norm; of each stack, the first layer. Weights, queries, keys
    and values are those of all heads.
    """
    enc, dec = model.encoder[0], model.decoder[0]
    M_s, ahead = padding_mask(source, pad), causal_mask(target.shape[1])
    M_t = combine(ahead, padding_mask(target, pad))
    x = embed(model.source_embedding, source)
    y = embed(model.target_embedding, target)
    looked = multi_head_attention(enc.self_attention, x, x, M_s)
    u = post_norm(enc.norm_1, x, lambda _: looked.output)
    m = encode(model.encoder, x, M_s, model.encoder_norm)
    own = multi_head_attention(dec.self_attention, y, y, M_t)
    v = post_norm(dec.norm_1, y, lambda _: own.output)
    cross = dec.cross_attention
    Q, K, V = (split_heads(a, cross.n_heads) for a in project(cross, v, m))
    read = multi_head_attention(cross, v, m, M_s)
    out = decode(model.decoder, y, m, M_t, M_s, model.decoder_norm)
    return {
        "source tokens": ("batch source", source),
        "source mask": ("batch 1 source", M_s),
        "x, with positions": ("batch source d_model", x),
        "encoder: weights": ("batch n_heads source source", looked.weights),
        "  after attention": ("batch source d_model", u),
        "  in feed-forward": (
            "batch source d_ff",
            linear(enc.feed_forward.inner, u),
        ),
        "memory": ("batch source d_model", m),
        "target tokens": ("batch target", target),
        "target mask": ("batch target target", M_t),
        "y, with positions": ("batch target d_model", y),
        "decoder: weights": ("batch n_heads target target", own.weights),
        "  cross: queries": ("batch n_heads target d_k", Q),
        "         keys": ("batch n_heads source d_k", K),
        "         values": ("batch n_heads source d_v", V),
        "         weights": ("batch n_heads target source", read.weights),
        "  after the stack": ("batch target d_model", out),
        "logits": ("batch target vocab", linear(model.output, out)),
    }


# --8<-- [end:tensors]


# --8<-- [start:rate]
def rate(
    step: Int[np.ndarray, " steps"], d_model: int, warmup: int = 4000
) -> Float[np.ndarray, " steps"]:
    """The learning rate of section 5.3; the first step is number 1.

    Raises ValueError for a step 0, or a warm-up without steps.
    """
    if warmup < 1:
        raise ValueError(f"warmup must be positive, not {warmup}")
    if (step < 1).any():
        raise ValueError(f"step must count from 1, not from {step.min()}")
    rising, falling = step * warmup**-1.5, step**-0.5
    return d_model**-0.5 * np.minimum(rising, falling)


# --8<-- [end:rate]


# --8<-- [start:smoothing]
def smoothed_cross_entropy(
    logits: Float[np.ndarray, "*batch vocab"],
    labels: Int[np.ndarray, "*batch"],
    ignore: int,
    epsilon: float,
) -> float:
    """Cross-entropy with labels of which `epsilon` goes to all words alike.

    In nats, over labels other than `ignore`; with epsilon 0 it is
    `cross_entropy`. Raises ValueError for the same labels as that, and
    for an epsilon that is no share.
    """
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon must be 0 to 1, not {epsilon}")
    hard = cross_entropy(logits, labels, ignore)
    uniform = -log_softmax(logits[labels != ignore]).mean()
    return float((1.0 - epsilon) * hard + epsilon * uniform)


def smoothing_floor(vocab: int, epsilon: float) -> float:
    """The lowest loss there is: the entropy of one smoothed label.

    Reached when the model's probabilities are the smoothed label. Raises
    ValueError for an epsilon that is no share, or for no words.
    """
    if vocab < 1:
        raise ValueError(f"vocab must be positive, not {vocab}")
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon must be 0 to 1, not {epsilon}")
    label = np.full(vocab, epsilon / vocab)
    label[0] += 1.0 - epsilon
    told = label[label > 0]  # 0 log 0 is 0
    return float(-(told * np.log(told)).sum())


# --8<-- [end:smoothing]


# --8<-- [start:copy]
def copy_task(
    rng: np.random.Generator,
    size: int,
    time: int = 10,
    symbols: int = 11,
    held_out: bool = False,
) -> Int[np.ndarray, "{size} {time}"]:
    """Random tokens, to be copied: 1 at first, and never 0, the padding.

    One sequence in five, by its sum, is held out: two calls with another
    `held_out` have no sequence in common. Raises ValueError for fewer
    than two tokens, or fewer than five to draw from.
    """
    if time < 2:
        raise ValueError(f"time must be at least 2, not {time}")
    if symbols < 6:
        raise ValueError(f"symbols must be at least 6, not {symbols}")
    tokens = np.ones((size, time), dtype=int)
    wrong = np.full(size, True)
    while wrong.any():
        drawn = rng.integers(1, symbols, size=(wrong.sum(), time - 1))
        tokens[wrong, 1:] = drawn
        wrong = (tokens.sum(axis=1) % 5 == 0) != held_out
    return tokens


def copied(
    model: Transformer,
    tokens: Int[np.ndarray, "size time"],
    arrange: Arrange = post_norm,
) -> float:
    """The share of sequences that greedy decoding copies in full."""
    longest = tokens.shape[1] - 1
    told = greedy(model, tokens, 1, 0, longest, arrange)
    if told.shape != tokens.shape:  # all rows ended too early
        return 0.0
    return float((told == tokens).all(axis=1).mean())


# --8<-- [end:copy]
