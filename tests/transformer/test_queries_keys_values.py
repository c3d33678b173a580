import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    Attention,
    Linear,
    linear,
    tokens,
)
from snippets.transformer.overview_torch import from_attention
from snippets.transformer.queries_keys_values import (
    dot_scores,
    drawn,
    head,
    project,
    soft_lookup,
)

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def with_biases(attention, rng):
    layers = [
        Linear(layer.W, rng.normal(size=len(layer.b)))
        for layer in attention[:4]
    ]
    return Attention(*layers, n_heads=attention.n_heads)


def embedded(words):
    return EXAMPLE.source_embedding[tokens(words, SOURCE)]


# C43: three projections of the same input


@given(SMALL, SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_each_word_gets_a_query_a_key_and_a_value_by_weights_of_their_own(
    time, d_model, d_k, d_v, batch, seed
):
    rng = np.random.default_rng(seed)
    attention = with_biases(drawn(rng, d_model, d_k, d_v), rng)
    x = rng.normal(size=(batch, time, d_model))
    made = project(attention, x, x)
    for i in range(time):  # word by word, from its own vector alone
        for rows, layer in zip(made, attention[:3], strict=True):
            for b in range(batch):
                one = layer.W @ x[b, i] + layer.b
                np.testing.assert_allclose(rows[b, i], one, atol=1e-12)
    for changed in range(3):
        layers = list(attention)
        layers[changed] = Linear(
            layers[changed].W + 1, layers[changed].b + 1e3
        )
        others = project(Attention(*layers), x, x)
        for number, (old, new) in enumerate(zip(made, others, strict=True)):
            assert np.array_equal(old, new) == (number != changed)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_in_cross_attention_keys_and_values_come_from_the_other_sequence(
    target, source, d_model, d_source, seed
):
    rng = np.random.default_rng(seed)
    attention = drawn(rng, d_model, 3, 2)._replace(
        key=drawn(rng, d_source, 3, 2).key,
        value=drawn(rng, d_source, 3, 2).value,
    )
    y = rng.normal(size=(target, d_model))
    m = rng.normal(size=(source, d_source))
    made = project(attention, y, m)
    assert [part.shape for part in made] == [
        (target, 3),
        (source, 3),
        (source, 2),
    ]
    moved = project(attention, y + 1e3, m)
    np.testing.assert_array_equal(moved.keys, made.keys)
    np.testing.assert_array_equal(moved.values, made.values)
    assert not np.allclose(moved.queries, made.queries)
    moved = project(attention, y, m + 1e3)
    np.testing.assert_array_equal(moved.queries, made.queries)
    assert not np.allclose(moved.keys, made.keys)
    assert not np.allclose(moved.values, made.values)


@given(SMALL, SMALL, SMALL, st.sampled_from([1, 2, 3]), SEEDS)
def test_the_projections_are_those_of_the_library(
    batch, time, d_head, n_heads, seed
):
    torch.manual_seed(seed)
    width = d_head * n_heads
    module = torch.nn.MultiheadAttention(
        width, n_heads, batch_first=True
    ).double()
    torch.nn.init.normal_(module.in_proj_bias)
    x = torch.randn(batch, time, width).double()
    theirs = torch.nn.functional.linear(
        x, module.in_proj_weight, module.in_proj_bias
    ).chunk(3, dim=-1)
    ours = project(from_attention(module), x.numpy(), x.numpy())
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other.detach(), atol=1e-10)


@given(SMALL, st.sampled_from([1, 2, 3]), SMALL, SEEDS)
def test_a_head_owns_its_rows_and_the_heads_add_up(
    d_head, n_heads, d_v, seed
):
    rng = np.random.default_rng(seed)
    whole = with_biases(
        drawn(rng, 4, d_head * n_heads, d_v * n_heads), rng
    )._replace(n_heads=n_heads)
    x = rng.normal(size=(5, 4))
    parts = [head(whole, number) for number in range(n_heads)]
    made = [project(part, x, x) for part in parts]
    for place, rows in enumerate(project(whole, x, x)):
        np.testing.assert_allclose(
            np.concatenate([one[place] for one in made], axis=-1), rows
        )
    values = [one.values for one in made]
    sums = [
        linear(part.output, v)
        for part, v in zip(parts, values, strict=True)
    ]
    together = linear(whole.output, np.concatenate(values, axis=-1))
    np.testing.assert_allclose(
        sum(sums) + whole.output.b, together, atol=1e-12
    )


def test_the_example_by_hand():
    x = embedded("the river bank")
    both = EXAMPLE.encoder[0].self_attention
    made = project(head(both, 0), x, x)
    np.testing.assert_array_equal(made.queries, [[0, 2], [-1, 0], [0, 1]])
    np.testing.assert_array_equal(made.keys, [[2, -2], [2, 1], [1, -1]])
    np.testing.assert_array_equal(made.values, [[-2, 0], [-2, -2], [-1, 0]])
    np.testing.assert_array_equal(
        dot_scores(made.queries, made.keys),
        [[-4, 2, -2], [-2, -2, -1], [-2, 1, -1]],
    )
    assert project(both, x, x).queries.shape == (3, 4)


# C44: a new vector


def test_one_embedding_becomes_different_vectors_beside_different_words():
    first = head(EXAMPLE.encoder[0].self_attention, 0)
    new = {}
    for words in ("the river bank", "the money bank"):
        x = embedded(words)
        new[words] = soft_lookup(*project(first, x, x), 2**-0.5)[2]
    np.testing.assert_allclose(
        new["the river bank"], [-1.822, -1.467], atol=1e-3
    )
    np.testing.assert_allclose(new["the money bank"], [0.588, 0], atol=1e-3)
    # without queries and keys, or without neighbours, nothing would differ
    alone = [
        soft_lookup(*project(first, x[2:], x[2:]), 2**-0.5)
        for x in map(embedded, new)
    ]
    np.testing.assert_array_equal(*alone)


# Why three


@given(SMALL, SMALL, SMALL, SEEDS)
def test_with_queries_as_keys_scores_are_symmetric_and_peak_on_the_diagonal(
    time, d_model, d_k, seed
):
    rng = np.random.default_rng(seed)
    own = drawn(rng, d_model, d_k, 1)
    x = rng.normal(size=(time, d_model))
    made = project(own._replace(key=own.query), x, x)
    scores = dot_scores(made.queries, made.keys)
    np.testing.assert_allclose(scores, scores.T, atol=1e-12)
    diagonal = scores.diagonal()
    means = (diagonal[:, None] + diagonal) / 2
    assert (scores <= means + 1e-9).all()
    assert scores.max() <= diagonal.max() + 1e-9


def test_with_projections_of_their_own_scores_need_not_be_symmetric():
    x, rng = np.eye(4), np.random.default_rng(0)
    made = project(drawn(rng, 4, 4, 1), x, x)
    scores = dot_scores(made.queries, made.keys)
    assert np.abs(scores - scores.T).max() > 0.1
    assert scores.max() > scores.diagonal().max()


@given(SMALL, SMALL, SEEDS)
def test_turned_queries_and_keys_have_the_same_scores(time, d_k, seed):
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, time, d_k))
    A = np.linalg.qr(rng.normal(size=(d_k, d_k)))[0] * 3.0
    np.testing.assert_allclose(
        dot_scores(q @ A.T, k @ np.linalg.inv(A)),
        dot_scores(q, k),
        atol=1e-10,
    )


# C49: the width is free, and it matters


@given(st.integers(1, 12), SEEDS)
def test_any_key_width_runs_and_bounds_the_rank_of_the_scores(d_k, seed):
    rng = np.random.default_rng(seed)
    attention, x = drawn(rng, 8, d_k, 3), rng.normal(size=(16, 8))
    made = project(attention, x, x)
    scores = dot_scores(made.queries, made.keys)
    assert scores.shape == (16, 16)
    assert np.linalg.matrix_rank(scores) == min(d_k, 8)
    assert attention.query.W.size + attention.key.W.size == 16 * d_k
    assert soft_lookup(*made, 1.0).shape == (16, 3)


def test_with_keys_of_one_number_only_the_two_outermost_can_win():
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(16, 1))
    wins = dot_scores(rng.normal(size=(2000, 1)), keys).argmax(axis=1)
    assert set(wins) == {keys.argmin(), keys.argmax()}
    keys = rng.normal(size=(16, 16))
    wins = dot_scores(rng.normal(size=(20_000, 16)), keys).argmax(axis=1)
    assert len(set(wins)) == 16


# C52: queries and keys must be equally wide


@given(st.integers(1, 6), st.integers(1, 6), SMALL, SEEDS)
def test_queries_and_keys_of_two_widths_are_refused_values_are_free(
    d_q, d_k, d_v, seed
):
    rng = np.random.default_rng(seed)
    attention = drawn(rng, 4, d_q, d_v)._replace(
        key=drawn(rng, 4, d_k, d_v).key
    )
    x = rng.normal(size=(3, 4))
    if d_q == d_k:
        made = project(attention, x, x)
        assert soft_lookup(*made, 1.0).shape == (3, d_v)
        return
    with pytest.raises(ValueError, match=f"not {d_q} and {d_k}"):
        project(attention, x, x)
    with pytest.raises(TypeCheckError, match="'keys'"):
        dot_scores(rng.normal(size=(3, d_q)), rng.normal(size=(3, d_k)))


# The soft dictionary


@given(SMALL, SMALL, SMALL, SEEDS)
def test_a_soft_lookup_goes_from_the_mean_to_the_exact_dictionary(
    target, source, d_v, seed
):
    rng = np.random.default_rng(seed)
    keys, values = np.eye(source), rng.normal(size=(source, d_v))
    asked = rng.integers(source, size=target)
    means = soft_lookup(keys[asked], keys, values, 0.0)
    np.testing.assert_allclose(means, [values.mean(axis=0)] * target)
    for sharpness in (40.0, np.inf):
        found = soft_lookup(keys[asked], keys, values, sharpness)
        np.testing.assert_allclose(found, values[asked], atol=1e-12)


def test_equal_scores_share_the_hard_lookup():
    keys, values = np.eye(2), np.array([[1.0], [3.0]])
    found = soft_lookup(np.array([[0.5, 0.5]]), keys, values, np.inf)
    np.testing.assert_array_equal(found, [[2.0]])


def test_huge_scores_do_not_overflow():
    keys, values = np.array([[1e4], [-1e4]]), np.array([[1.0], [2.0]])
    found = soft_lookup(np.array([[1e4], [-1e4]]), keys, values, 1.0)
    np.testing.assert_array_equal(found, values)


# Errors


def test_wrong_values_are_refused_by_name():
    both = EXAMPLE.encoder[0].self_attention
    for number in (-1, 2):
        with pytest.raises(ValueError, match="number must be 0 to 1"):
            head(both, number)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="attention must have widths"):
        head(drawn(rng, 4, 3, 4)._replace(n_heads=2), 0)
    for sharpness in (-1.0, np.nan):
        with pytest.raises(ValueError, match="sharpness must not"):
            soft_lookup(np.eye(2), np.eye(2), np.eye(2), sharpness)
    with pytest.raises(ValueError, match="x must have 4 features"):
        project(both, np.zeros((3, 5)), np.zeros((3, 4)))
