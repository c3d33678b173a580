"""The claims C45 to C53; the functions are tested in the other file."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snippets.transformer.queries_keys_values import (
    dot_scores,
)
from snippets.transformer.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
    softmax,
    softmax_jacobian,
)
from snippets.transformer.scaled_dot_product_attention_torch import train
from tests.transformer.weights import first_head, projected

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


# C45, C46, C47: what a score is, what weights do


@given(SMALL, SMALL, SEEDS)
def test_a_score_is_an_inner_product_with_every_key_its_own_included(
    time, d_k, seed
):
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, time, d_k))
    logs = np.log(attention_weights(q, k))
    for i in range(time):
        scores = np.array([q[i] @ k[j] for j in range(time)])
        expected = scores / d_k**0.5
        np.testing.assert_allclose(  # weights are scores up to a shift
            logs[i] - logs[i].max(), expected - expected.max(), atol=1e-9
        )


def test_scores_are_a_fit_that_was_learnt_not_a_symmetric_similarity():
    queries, keys, _ = first_head()
    s = dot_scores(queries, keys)
    assert s[2, 1] == 1  # bank and river
    assert s[1, 2] == -1
    weights = attention_weights(queries, keys)
    assert (weights.argmax(axis=1) != np.arange(3)).all()
    # equal words, and still no fit: it depends on the projections
    q, k, _ = first_head("bank bank")
    assert q[0] @ k[1] == -1


def test_a_query_gets_what_it_looks_at_and_nothing_of_what_it_may_not():
    rng = np.random.default_rng(0)
    q, k, v = projected(rng, (), 3, 4, 2, 2)
    mask = np.ones((3, 4), dtype=bool)
    mask[1, 2] = False
    before = scaled_dot_product_attention(q, k, v, mask).output
    v[2] += 1.0
    moved = scaled_dot_product_attention(q, k, v, mask)
    np.testing.assert_array_equal(moved.output[1], before[1])
    np.testing.assert_allclose(  # the others move by their weight
        moved.output - before,
        np.tile(moved.weights[:, 2:3], 2),
        atol=1e-12,
    )
    assert (moved.weights[[0, 2], 2] > 0).all()


# C48: the scale


def test_the_variance_of_scores_is_d_k_and_unscaled_they_saturate():
    rng = np.random.default_rng(0)
    for d_k in (4, 64, 512):
        q, k, _ = projected(rng, (400,), 1, 16, d_k, 1)
        s = dot_scores(q, k)[:, 0]
        assert abs(s.var() / d_k - 1) < 0.1
        scaled = attention_weights(q, k)[:, 0]
        assert 0.2 < scaled.max(axis=1).mean() < 0.3
    plain = softmax(s)
    assert plain.max(axis=1).mean() > 0.9
    sizes = [
        np.linalg.norm(f * softmax_jacobian(a) @ k, axis=(1, 2))
        for a, f in ((plain, 1.0), (scaled, d_k**-0.5))
    ]
    assert np.median(sizes[0]) < 0.1 * np.median(sizes[1])
    assert sizes[0].mean() > sizes[1].mean()  # the mean hides it


# C50: the softmax and its axis


def test_the_softmax_runs_over_the_keys_and_over_queries_it_only_trains():
    rng = np.random.default_rng(0)
    q, k, v = projected(rng, (), 3, 4, 5, 2)
    np.testing.assert_allclose(attention_weights(q, k).sum(axis=-1), 1.0)
    moved = q.copy()
    moved[2] += 1.0  # another query
    s, s_moved = dot_scores(q, k), dot_scores(moved, k)
    np.testing.assert_array_equal(
        attention_weights(q, k)[:2], attention_weights(moved, k)[:2]
    )
    wrong, wrong_moved = softmax(s, axis=0), softmax(s_moved, axis=0)
    assert np.abs(wrong[:2] - wrong_moved[:2]).max() > 1e-3
    assert np.abs(wrong.sum(axis=-1) - 1).max() > 0.1

    right, wrong_run = train(-1, seed=0), train(-2, seed=0)
    assert right.together == right.alone == 1.0
    assert wrong_run.last_loss < 0.2 * wrong_run.first_loss
    assert wrong_run.together > 0.9
    assert wrong_run.alone < 0.6


# C51, C53: what the weights are


def test_different_weights_can_give_one_output_and_a_large_one_nothing():
    money = first_head("the money bank")
    a = attention_weights(money.queries, money.keys)[2]
    b = a + 0.07 * np.array([3.0, 1.0, -4.0])
    assert (b >= 0).all()
    assert abs(b.sum() - 1) < 1e-12
    assert np.abs(a - b).max() > 0.25
    np.testing.assert_allclose(a @ money.values, b @ money.values)

    padded = first_head("the river bank <pad>")
    a = attention_weights(padded.queries, padded.keys)[2]
    assert a[3] > 0.25
    np.testing.assert_allclose(  # its value is 0: leave it out
        a[:3] @ padded.values[:3], a @ padded.values
    )


@given(SMALL, st.integers(1, 4), SEEDS)
def test_with_more_than_d_v_plus_one_keys_weights_are_never_unique(
    extra, d_v, seed
):
    rng = np.random.default_rng(seed)
    source = d_v + 1 + extra
    q, k, v = projected(rng, (), 1, source, 3, d_v)
    out = scaled_dot_product_attention(q, k, v)
    free = np.linalg.svd(np.hstack([v, np.ones((source, 1))]).T)[2][-1]
    step = 0.5 * out.weights.min() / np.abs(free).max()
    other = out.weights[0] + step * free
    assert (other > 0).all()
    np.testing.assert_allclose(other.sum(), 1.0)
    np.testing.assert_allclose(other @ v, out.output[0], atol=1e-10)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_the_output_is_a_convex_combination_of_the_values(
    target, source, d_k, d_v, seed
):
    rng = np.random.default_rng(seed)
    q, k, v = projected(rng, (), target, source, 3 * d_k, d_v)
    out = scaled_dot_product_attention(q, k, v)
    assert (out.output >= v.min(axis=0) - 1e-12).all()
    assert (out.output <= v.max(axis=0) + 1e-12).all()
    for i in range(target):  # weights times values, added
        total = sum(out.weights[i, j] * v[j] for j in range(source))
        np.testing.assert_allclose(out.output[i], total, atol=1e-12)
