"""The claims C61 to C64; the functions are tested in the other file."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snippets.transformer.multi_head_attention import (
    encode,
    multi_head_attention,
)
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    Attention,
    Linear,
    linear,
    tokens,
)
from snippets.transformer.positional_encoding import (
    embed,
    score_terms,
    sinusoids,
    which_first,
)
from snippets.transformer.positional_encoding_torch import train
from snippets.transformer.queries_keys_values import dot_scores, project
from tests.transformer.weights import layers

SMALL = st.integers(1, 6)
SEEDS = st.integers(0, 2**32 - 1)
LEADS = st.sampled_from([(), (1,), (3,), (2, 3)])


def one_head(rng, d_model, d_k):
    parts = [
        Linear(rng.normal(size=size), rng.normal(size=size[0]))
        for size in [(d_k, d_model)] * 3 + [(d_model, d_k)]
    ]
    return Attention(*parts, n_heads=1)


# C61: a bias that depends on the position


@given(LEADS, SMALL, SMALL, SMALL, SEEDS)
def test_a_position_is_a_bias_of_its_own_in_queries_keys_and_values(
    lead, time, d_model, d_k, seed
):
    rng = np.random.default_rng(seed)
    one = one_head(rng, d_model, d_k)
    x = rng.normal(size=(*lead, time, d_model))
    p = sinusoids(time, d_model)
    for layer in (one.query, one.key, one.value):
        biases = layer.b + p @ layer.W.T
        np.testing.assert_allclose(
            linear(layer, x + p), x @ layer.W.T + biases, atol=1e-10
        )
    q, k, _ = project(one, x + p, x + p)
    terms = score_terms(one, x, p)
    np.testing.assert_allclose(sum(terms), dot_scores(q, k), atol=1e-10)
    words_only = project(one, x, x)
    np.testing.assert_allclose(
        terms.word_word,
        dot_scores(words_only.queries, words_only.keys),
        atol=1e-10,
    )
    other = score_terms(one, rng.normal(size=x.shape), p)
    np.testing.assert_array_equal(  # it knows no word
        terms.position_position, other.position_position
    )


def test_appending_is_the_same_with_a_matrix_for_each():
    rng = np.random.default_rng(0)
    x, p, (W_x, W_p) = (
        rng.normal(size=(5, 4)),
        sinusoids(5, 4),
        rng.normal(size=(2, 3, 4)),
    )
    for second in (W_p, W_x):
        side = np.hstack([x, p]) @ np.hstack([W_x, second]).T
        np.testing.assert_allclose(side, x @ W_x.T + p @ second.T)
    np.testing.assert_allclose(side, (x + p) @ W_x.T)


# C62: equivariant, not invariant; a causal stack sees the order


@given(LEADS, st.integers(2, 7), SEEDS)
def test_an_encoder_without_mask_is_equivariant_and_not_invariant(
    lead, time, seed
):
    rng = np.random.default_rng(seed)
    nets, x = layers(3, 8), rng.normal(size=(*lead, time, 8))
    order = np.roll(rng.permutation(time), 1)
    z, permuted = encode(nets, x), encode(nets, x[..., order, :])
    np.testing.assert_allclose(permuted, z[..., order, :], atol=1e-10)
    np.testing.assert_allclose(
        permuted.mean(axis=-2), z.mean(axis=-2), atol=1e-10
    )
    moved = order != np.arange(time)
    if moved.any():
        assert np.abs(permuted - z)[..., moved, :].max() > 1e-3
    attention = nets[0].self_attention
    one = multi_head_attention(attention, x, x)
    other = multi_head_attention(attention, x[..., order, :], x)
    np.testing.assert_allclose(  # a query alone moves: rows only
        other.output, one.output[..., order, :], atol=1e-10
    )


@given(st.integers(3, 7), SEEDS)
def test_the_second_causal_layer_sees_the_order_of_what_came_before(
    time, seed
):
    rng = np.random.default_rng(seed)
    nets, x = layers(2, 8), rng.normal(size=(time, 8))
    back = np.tri(time, dtype=bool)
    order = np.append(np.roll(np.arange(time - 1), 1), time - 1)
    gaps = [
        np.abs(encode(net, x, back) - encode(net, x[order], back))[-1].max()
        for net in (nets[:1], nets)
    ]
    assert gaps[0] < 1e-10
    assert gaps[1] > 1e-7


def test_positions_make_the_encoder_depend_on_the_order():
    z, other = (
        encode(
            EXAMPLE.encoder,
            embed(EXAMPLE.source_embedding, tokens(words, SOURCE)),
        )
        for words in ("the river bank", "the bank river")
    )
    assert np.abs(z[[0, 2, 1]] - other).max() > 0.05
    assert np.abs(z[1] - other[2]).max() > 0.05


def test_the_librarys_transformer_has_no_positions_of_its_own():
    torch.manual_seed(0)
    net = nn.Transformer(16, 2, 2, 2, 32, batch_first=True).double().eval()
    source, target = torch.randn(2, 2, 7, 16, dtype=torch.float64)
    with torch.no_grad():
        same = net(source.flip(1), target) - net(source, target)
        other = net(source, target.flip(1)) - net(source, target)
    assert same.abs().max() < 1e-10
    assert other.abs().max() > 1e-3


# C63 and C64: a task that needs the order


@given(SMALL, st.integers(3, 9), SEEDS)
def test_twins_hold_the_same_symbols_and_have_opposite_answers(
    size, time, seed
):
    twins = which_first(size, time, np.random.default_rng(seed))
    one, other = np.split(twins.tokens, 2)
    np.testing.assert_array_equal(np.sort(one), np.sort(other))
    assert (one[:, -1] == 0).all()
    np.testing.assert_array_equal(
        twins.a_first[:size], 1 - twins.a_first[size:]
    )
    for row, answer in zip(
        twins.tokens.tolist(), twins.a_first, strict=True
    ):
        assert row.count(1) == row.count(2) == 1
        assert answer == (row.index(1) < row.index(2))


@given(SEEDS)
def test_without_positions_twins_get_the_same_answer_whatever_the_weights(
    seed,
):
    rng = np.random.default_rng(seed)
    words = which_first(4, 6, rng).tokens
    nets, table = layers(2, 8), rng.normal(size=(6, 8))
    one, other = np.split(encode(nets, table[words])[:, -1], 2)
    np.testing.assert_allclose(one, other, atol=1e-10)
    one, other = np.split(encode(nets, embed(table, words))[:, -1], 2)
    assert np.abs(one - other).max(axis=-1).min() > 1e-6


def test_the_same_model_learns_the_order_with_positions_alone():
    without, with_positions = train("none"), train("sinusoids")
    assert without.lowest_loss > math.log(2) - 1e-3
    assert with_positions.lowest_loss < 0.1
    for share in without.right.values():
        assert abs(share - 0.5) < 0.01
    assert with_positions.right[8] > 0.97


def test_a_causal_mask_is_a_way_to_the_order_from_two_layers_on():
    one, two = (train("none", causal=True, n_layers=n) for n in (1, 2))
    assert abs(one.right[8] - 0.5) < 0.01
    assert min(two.right.values()) > 0.97


def test_learned_positions_are_of_no_use_where_training_did_not_reach():
    run = train("learned")
    assert run.right[8] > 0.9
    assert run.right[16] < 0.8
