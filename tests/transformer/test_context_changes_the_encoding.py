import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.transformer.context_changes_the_encoding import (
    change,
    explained,
    left_out,
    votes,
    word_parts,
)
from snippets.transformer.encoder import feed_forward
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    linear,
    tokens,
)
from snippets.transformer.overview_torch import from_attention
from snippets.transformer.queries_keys_values import (
    dot_scores,
    drawn,
    head,
    project,
)
from snippets.transformer.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
)

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
LEADS = st.sampled_from([(), (1,), (2, 3)])
FIRST = head(EXAMPLE.encoder[0].self_attention, 0)


def attend(words, one=FIRST):
    x = EXAMPLE.source_embedding[tokens(words, SOURCE)]
    p = project(one, x, x)
    return p, scaled_dot_product_attention(*p)


def drawn_seen(rng, lead, target, source, d_v):
    q = rng.normal(size=(*lead, target, 3))
    k = rng.normal(size=(*lead, source, 3))
    v = rng.normal(size=(*lead, source, d_v))
    return q, k, v, scaled_dot_product_attention(q, k, v)


# C55: one embedding, two encodings


def test_one_embedding_gets_two_encodings_only_where_words_are_mixed():
    ff = EXAMPLE.encoder[0].feed_forward
    x, y = (
        EXAMPLE.source_embedding[tokens(words, SOURCE)]
        for words in ("the river bank", "the money bank")
    )
    np.testing.assert_array_equal(x[2], y[2])
    np.testing.assert_array_equal(
        feed_forward(ff, x)[2], feed_forward(ff, y)[2]
    )
    river, money = (
        attend(words)[1].output[2]
        for words in ("the river bank", "the money bank")
    )
    np.testing.assert_allclose(river, [-1.822, -1.467], atol=1e-3)
    np.testing.assert_allclose(money, [0.588, 0.0], atol=1e-3)
    # river pulls towards its own value, money towards its own
    assert river[0] < attend("the bank")[1].output[1, 0] < money[0]


def test_without_positions_the_context_is_a_bag_of_words():
    expected = attend("the river bank")[1].output[2]
    for words in ("the bank river", "bank river the", "river bank the"):
        place = words.split().index("bank")
        np.testing.assert_allclose(
            attend(words)[1].output[place], expected, atol=1e-12
        )


def test_the_drawing_shows_the_weights_and_encodings_of_the_example():
    svg = Path("docs/en/transformer/context-changes-the-encoding.svg")
    shown = re.findall(r">([−\d.]+)</text>", svg.read_text("utf-8"))
    weights = [
        f"{weight:.2f}"
        for words in ("the river bank", "the money bank")
        for weight in attend(words)[1].weights[2]
    ]
    assert shown == weights


# Parts


@given(LEADS, SMALL, SMALL, SMALL, SEEDS)
def test_parts_add_up_to_the_output(lead, target, source, d_v, seed):
    rng = np.random.default_rng(seed)
    *_, v, seen = drawn_seen(rng, lead, target, source, d_v)
    parts = word_parts(seen.weights, v)
    assert parts.shape == (*lead, target, source, d_v)
    np.testing.assert_allclose(parts.sum(axis=-2), seen.output, atol=1e-12)
    np.testing.assert_allclose(  # the first query and the last word
        parts[..., 0, -1, :],
        seen.weights[..., 0, -1, None] * v[..., -1, :],
    )


@given(SMALL, st.sampled_from([1, 2, 4]), st.booleans(), SEEDS)
def test_parts_of_all_heads_and_the_bias_are_the_librarys_output(
    time, n_heads, bias, seed
):
    torch.manual_seed(seed % 1000)
    net = torch.nn.MultiheadAttention(
        8, n_heads, bias=bias, batch_first=True
    ).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, time, 8).double()
    ours = from_attention(net)
    total = np.tile(ours.output.b, (time, 1))
    for number in range(n_heads):
        one = head(ours, number)
        p = project(one, x[0].numpy(), x[0].numpy())
        values = linear(one.output, p.values)
        weights = attention_weights(p.queries, p.keys)
        total += word_parts(weights, values).sum(axis=1)
    expected = net(x, x, x)[0][0].detach().numpy()
    np.testing.assert_allclose(total, expected, atol=1e-10)


# The change between two sentences


@given(LEADS, SMALL, SMALL, SMALL, SEEDS)
def test_values_and_weights_explain_the_whole_move(
    lead, target, source, d_v, seed
):
    rng = np.random.default_rng(seed)
    q, k, v, before = drawn_seen(rng, lead, target, source, d_v)
    k_2, v_2 = rng.normal(size=k.shape), rng.normal(size=v.shape)
    after = scaled_dot_product_attention(q, k_2, v_2)
    why = change(before.weights, v, after.weights, v_2)
    np.testing.assert_allclose(
        why.by_values + why.by_weights,
        after.output - before.output,
        atol=1e-10,
    )
    back = change(after.weights, v_2, before.weights, v)  # the way back
    np.testing.assert_allclose(back.by_values, -why.by_values, atol=1e-12)
    same_keys = scaled_dot_product_attention(q, k, v_2)
    same = change(before.weights, v, same_keys.weights, v_2)
    assert not same.by_weights.any()
    same_values = scaled_dot_product_attention(q, k_2, v)
    same = change(before.weights, v, same_values.weights, v)
    assert not same.by_values.any()


def test_river_and_money_differ_mostly_by_their_values():
    (p, river), (p_2, money) = (
        attend("the river bank"),
        attend("the money bank"),
    )
    why = change(river.weights, p.values, money.weights, p_2.values)
    by_values, by_weights = (np.linalg.norm(part[2]) for part in why)
    assert by_values > 10 * by_weights


# Removal


@given(LEADS, SMALL, st.integers(2, 5), SMALL, SEEDS)
def test_removal_is_a_mask_and_follows_its_formula(
    lead, target, source, d_v, seed
):
    rng = np.random.default_rng(seed)
    q, k, v, seen = drawn_seen(rng, lead, target, source, d_v)
    found = left_out(seen.weights, v)
    assert found.shape == (*lead, target, source, d_v)
    for j in range(source):
        mask = np.arange(source)[None] != j
        without = scaled_dot_product_attention(q, k, v, mask).output
        np.testing.assert_allclose(found[..., j, :], without, atol=1e-10)
        a = seen.weights[..., j, None]
        moves = a / (1 - a) * (v[..., None, j, :] - seen.output)
        np.testing.assert_allclose(seen.output - without, moves, atol=1e-8)


def test_removal_survives_a_weight_near_one_and_refuses_one():
    values = np.array([[5.0], [1.0], [2.0]])
    weights = np.array([[1.0 - 2e-18, 1e-18, 1e-18]])
    found = left_out(weights, values)[0, :, 0]
    np.testing.assert_allclose(found, [1.5, 5.0, 5.0])
    for alone in (np.ones((2, 1)), np.array([[0.0, 1.0]])):
        with pytest.raises(ValueError, match="weights must leave some"):
            left_out(alone, values[: alone.shape[1]])


# The share that the word explains


@given(st.integers(2, 40), SMALL, SEEDS)
def test_the_explained_share_is_the_between_part_of_the_variance(
    places, d, seed
):
    rng = np.random.default_rng(seed)
    words = rng.integers(3, size=places) * 2  # with numbers not used
    vectors = rng.normal(size=(places, d))
    share = explained(vectors, words)
    means = np.array([vectors[words == w].mean(axis=0) for w in words])
    between = ((means - vectors.mean(axis=0)) ** 2).sum()
    total = ((vectors - vectors.mean(axis=0)) ** 2).sum()
    np.testing.assert_allclose(share, between / total, atol=1e-10)
    np.testing.assert_allclose(
        explained(3.0 * vectors + 1.0, words), share, atol=1e-10
    )


def test_the_explained_share_at_its_ends():
    table, words = np.eye(3), np.array([0, 1, 2, 1, 0])
    assert explained(table[words], words) == 1.0
    both = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert explained(both, np.array([0, 0, 1, 1])) == 0.0
    for number in (1.0, 0.1):  # the mean of four times 0.1 may be rounded
        with pytest.raises(ValueError, match="vectors must not all be"):
            explained(np.full((4, 2), number), np.array([0, 0, 1, 1]))


# Votes


@given(SMALL, SMALL, SMALL, SEEDS)
def test_votes_have_the_sign_of_the_decision(target, source, d_v, seed):
    rng = np.random.default_rng(seed)
    q, k, v, seen = drawn_seen(rng, (2,), target, source, d_v)
    r, c = rng.normal(size=d_v), rng.normal()
    total = votes(dot_scores(q, k) / 3**0.5, v, r, c).sum(axis=-1)
    margins = seen.output @ r - c
    clear = np.abs(margins) > 1e-9
    np.testing.assert_array_equal((total > 0)[clear], (margins > 0)[clear])


@given(SEEDS)
def test_no_single_head_decides_that_exactly_one_neighbour_is_river(seed):
    rng = np.random.default_rng(seed)
    one = drawn(rng, 4, 3, 3)
    position = rng.normal(size=(3, 4))  # even if it knows the places
    r, c = rng.normal(size=3), rng.normal()
    sums, yes = [], []
    for words in (
        "river money bank",
        "money river bank",
        "river river bank",
        "money money bank",
    ):
        x = EXAMPLE.source_embedding[tokens(words, SOURCE)] + position
        p = project(one, x, x)
        s = dot_scores(p.queries, p.keys) / 3**0.5
        sums.append(votes(s, p.values, r, c)[2].sum())
        z = scaled_dot_product_attention(*p).output[2]
        yes.append(bool(z @ r > c))
    np.testing.assert_allclose(sums[0] + sums[1], sums[2] + sums[3])
    assert yes != [True, True, False, False]
    assert yes != [False, False, True, True]


def test_arrays_that_do_not_fit_are_refused_by_name():
    weights, values = np.ones((2, 3)) / 3, np.ones((4, 2))
    for function in (word_parts, left_out):
        with pytest.raises(TypeCheckError, match="'values'"):
            function(weights, values)
    with pytest.raises(TypeCheckError, match="'new_weights'"):
        change(weights, values[:3], weights[:1], values[:3])
    with pytest.raises(TypeCheckError, match="'read_out'"):
        votes(weights, values[:3], np.ones(5), 0.0)
    with pytest.raises(TypeCheckError, match="'words'"):
        explained(values, np.zeros(3, int))
