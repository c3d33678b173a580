import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.datasets import dates
from snippets.questions.decoder_queries_encoder_memory import (
    SIDES,
    opened,
    trace,
    write_from,
)
from snippets.transformer.encoder import layer_norm, post_norm, pre_norm
from snippets.transformer.generation import (
    DATES,
    all_logits,
    encode_source,
    greedy,
    load,
    start_cache,
)
from snippets.transformer.generation_torch import to_torch
from snippets.transformer.masking import causal_mask, padding_mask
from snippets.transformer.multi_head_attention import multi_head_attention
from snippets.transformer.overview import linear
from snippets.transformer.positional_encoding import embed
from tests.transformer.generation_models import VOCAB, random_model
from tests.transformer.weights import drawn

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**31 - 1)
ARRANGES = st.sampled_from([post_norm, pre_norm])
START, END = dates.START, dates.END


@pytest.fixture(scope="module")
def model():
    return load(DATES)


@pytest.fixture(scope="module")
def eleven():
    """Some held-out dates as texts of one length, and their targets."""
    some = dates.pairs_in("2019년 5월 3일", dates.split().held_out)
    kept = [(t, i) for t, i in zip(*some, strict=True) if len(t) == 11][
        ::40
    ]
    source, target = (
        np.stack([code(row) for row in rows])
        for code, rows in zip(
            (dates.encode, dates.encode_iso),
            zip(*kept, strict=True),
            strict=True,
        )
    )
    return source, target


def words_and_memory(seed, d_model, target, source, batch=()):
    rng = np.random.default_rng(seed)
    words = rng.integers(1, VOCAB, size=(*batch, target))
    return words, rng.normal(size=(*batch, source, d_model))


# Nothing is thrown away, nothing is changed


@given(SMALL, SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_an_opened_attention_gives_what_the_closed_one_gives(
    n_heads, d_k, d_v, target, source, seed
):
    rng = np.random.default_rng(seed)
    part = drawn(rng, n_heads, 5, d_k, d_v, 3)
    x, m = rng.normal(size=(2, target, 5)), rng.normal(size=(2, source, 3))
    mask = rng.random((2, target, source)) < 0.7
    for here in (None, mask):
        made = opened(part, x, m, here)
        closed = multi_head_attention(part, x, m, here)
        np.testing.assert_allclose(made.output, closed.output, atol=1e-12)
        np.testing.assert_allclose(made.weights, closed.weights, atol=1e-12)
        assert made.queries.shape == (2, n_heads, target, d_k)
        assert made.keys.shape == (2, n_heads, source, d_k)
        assert made.values.shape == (2, n_heads, source, d_v)
        assert made.scores.shape == (2, n_heads, target, source)
    expected = made.queries @ np.swapaxes(made.keys, -1, -2) / d_k**0.5
    np.testing.assert_allclose(made.scores, expected, atol=1e-12)


@settings(max_examples=1500)
@given(SMALL, SMALL, SMALL, st.booleans(), ARRANGES, SEEDS)
def test_a_trace_ends_in_the_logits_of_the_decoder(
    n_layers, target, source, norms, arrange, seed
):
    net = random_model(seed, n_layers, last_norms=norms)
    words, memory = words_and_memory(seed, 6, target, source, (2,))
    tokens = np.full((2, source), 1)
    tokens[1, 1:] = 0  # padding
    mask = padding_mask(tokens, 0)
    made = trace(net, words, memory, mask, arrange)
    expected = all_logits(net, words, memory, mask, arrange)
    np.testing.assert_allclose(made.logits, expected, atol=1e-12)
    assert len(made.layers) == n_layers
    cache = start_cache(net, memory).layers
    for layer, kept in zip(made.layers, cache, strict=True):
        np.testing.assert_array_equal(layer.cross.keys, kept.memory_keys)
        np.testing.assert_array_equal(
            layer.cross.values, kept.memory_values
        )


def test_the_library_gives_its_cross_attention_the_memory_twice(model):
    memory = encode_source(
        model, dates.encode("3 May 2019"), None, pre_norm
    )
    words = dates.encode_iso("2019-0")[:-1]
    net, caught = to_torch(model, pre_norm), []
    net.decoder.layers[0].multihead_attn.register_forward_pre_hook(
        lambda module, args: caught.append(args)
    )
    m = torch.tensor(memory)[None]
    y = torch.tensor(embed(model.target_embedding, words))[None]
    with torch.no_grad():
        out = net.decoder(y, m, tgt_mask=torch.tensor(~causal_mask(7)))
    query, key, value = caught[0]
    assert key is value is m
    cross = trace(model, words, memory, None, pre_norm).layers[0].cross
    part = model.decoder[0].cross_attention
    np.testing.assert_allclose(
        linear(part.query, query[0].numpy()),
        np.concatenate(cross.queries, axis=-1),
        atol=1e-10,
    )
    ours = trace(model, words, memory, None, pre_norm).layers[0].y
    ours = layer_norm(model.decoder_norm, ours)
    np.testing.assert_allclose(ours, out[0], atol=1e-10)


# Q4: who asks, and who answers


@settings(max_examples=1500)
@given(st.integers(2, 5), SMALL, st.integers(1, 3), ARRANGES, SEEDS)
def test_words_written_ask_and_the_whole_memory_answers(
    target, source, n_layers, arrange, seed
):
    """Q4: a later word moves no earlier query; the source no first one."""
    net = random_model(seed, n_layers)
    words, memory = words_and_memory(seed, 6, target, source)
    base = trace(net, words, memory, None, arrange).layers
    place = seed % (target - 1) + 1
    other = words.copy()
    other[place] = other[place] % (VOCAB - 1) + 1
    later = trace(net, other, memory, None, arrange).layers
    for old, new in zip(base, later, strict=True):
        moved = (old.cross.queries != new.cross.queries).any(axis=(0, 2))
        assert not moved[:place].any()
        assert moved[place]
        np.testing.assert_array_equal(old.cross.keys, new.cross.keys)
        np.testing.assert_array_equal(old.cross.values, new.cross.values)
    moved = trace(net, words, memory[::-1] + 1, None, arrange).layers
    assert (base[0].cross.keys != moved[0].cross.keys).any()
    assert (base[0].cross.values != moved[0].cross.values).any()
    for kind in ("own", "cross"):
        first = getattr(base[0], kind).queries
        np.testing.assert_array_equal(
            first, getattr(moved[0], kind).queries
        )
    if n_layers > 1:  # the layer below has read the source
        assert (base[1].cross.queries != moved[1].cross.queries).any()


@settings(max_examples=1500)
@given(st.integers(1, 5), SMALL, ARRANGES, SEEDS)
def test_a_step_adds_a_query_and_no_key_of_the_memory(
    target, source, arrange, seed
):
    net = random_model(seed)
    words, memory = words_and_memory(seed, 6, target + 1, source)
    for old, new in zip(
        trace(net, words[:-1], memory, None, arrange).layers,
        trace(net, words, memory, None, arrange).layers,
        strict=True,
    ):
        assert new.cross.queries.shape[1] == target + 1
        assert new.own.keys.shape[1] == target + 1
        assert new.cross.keys.shape[1] == source
        np.testing.assert_allclose(
            old.cross.queries, new.cross.queries[:, :-1], atol=1e-10
        )
        np.testing.assert_array_equal(old.cross.keys, new.cross.keys)


def test_one_character_of_the_source_moves_every_key(model):
    words = dates.encode_iso("2019-05-03")[:-1]
    keys = [
        trace(
            model,
            words,
            encode_source(model, dates.encode(text), None, pre_norm),
            None,
            pre_norm,
        )
        .layers[0]
        .cross.keys
        for text in ("2019년 5월 3일", "2019년 5월 8일")
    ]
    assert (keys[0] != keys[1]).any(axis=(0, 2)).all()


# "Last" is the last layer, and all its rows


def told(model, memory, target, sides=SIDES["as it should be"]):
    rows = write_from(model, memory, START, END, 11, pre_norm, sides)
    return (rows == target).all(axis=1).mean()


def test_only_all_rows_of_the_last_layer_make_the_model_write(
    model, eleven
):
    source, target = eleven
    memory = encode_source(model, source, None, pre_norm)
    assert told(model, memory, target) == 1
    first = layer_norm(
        model.encoder_norm, embed(model.source_embedding, source)
    )
    for wrong in (memory[:, -1:], first):
        assert told(model, wrong, target) < 0.1
    swapped = np.roll(memory, 1, axis=0)
    assert told(model, swapped, np.roll(target, 1, axis=0)) == 1


def test_writing_from_the_memory_is_greedy_generation(model, eleven):
    source, _ = eleven
    memory = encode_source(model, source, None, pre_norm)
    for longest in (0, 5, 14):
        np.testing.assert_array_equal(
            write_from(model, memory, START, END, longest, pre_norm),
            greedy(model, source, START, END, longest, pre_norm),
        )


# Wired wrongly


def test_with_keys_of_the_target_the_source_has_no_way_in(model, eleven):
    source, target = eleven
    memory = encode_source(model, source, None, pre_norm)
    sides = SIDES["K, V of the target"]
    rows = write_from(model, memory, START, END, 11, pre_norm, sides)
    assert len(np.unique(rows, axis=0)) == 1
    assert told(model, memory, target, sides) < 0.1


@pytest.mark.parametrize(
    "name", ["Q of the memory", "Q, K, V of the memory"]
)
def test_queries_of_the_memory_pass_unseen_where_lengths_are_equal(
    model, eleven, name
):
    source, target = eleven
    memory = encode_source(model, source, None, pre_norm)
    assert target[:, :-1].shape == source.shape
    sides = SIDES[name]
    trace(model, target[:, :-1], memory, None, pre_norm, sides)
    with pytest.raises(ValueError, match="change must have the shape"):
        trace(model, target[:, :-2], memory, None, pre_norm, sides)
    with pytest.raises(ValueError, match="change must have the shape"):
        told(model, memory, target, sides)
