import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.questions.how_many_queries_keys_values import (
    attend_each,
    attend_in_groups,
    attend_one,
    merged,
)
from snippets.transformer.masking import causal_mask
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)

library = torch.nn.functional.scaled_dot_product_attention
SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def some(seed, m, n, d_k=3, d_v=2):
    rng = np.random.default_rng(seed)
    sizes = (m, d_k), (n, d_k), (n, d_v)
    return [rng.normal(size=size) for size in sizes]


# C75: one weight and one value for each key; any number of queries


@given(st.integers(0, 6), SMALL, SMALL, SMALL, SEEDS)
def test_each_query_gets_a_row_from_one_weight_for_each_pair(
    m, n, d_k, d_v, seed
):
    q, k, v = some(seed, m, n, d_k, d_v)
    output, weights = scaled_dot_product_attention(q, k, v)
    assert weights.shape == (m, n)  # a column for each pair
    assert output.shape == (m, d_v)  # a row for each query
    np.testing.assert_allclose(attend_each(q, k, v), output, atol=1e-10)
    theirs = library(*(torch.tensor(part[None]) for part in (q, k, v)))
    np.testing.assert_allclose(theirs[0].numpy(), output, atol=1e-10)


@given(SMALL, SMALL, SMALL, SEEDS)
def test_unequal_numbers_of_keys_and_values_are_refused(m, n, more, seed):
    q, k, v = some(seed, m, n + more)
    for keys, values in ((k[:n], v), (k, v[:n])):
        for attend in (scaled_dot_product_attention, attend_each):
            with pytest.raises(TypeCheckError, match="values"):
                attend(q, keys, values)
        tensors = [torch.tensor(part[None]) for part in (q, keys, values)]
        with pytest.raises(RuntimeError):
            library(*tensors)
    net = torch.nn.MultiheadAttention(3, 1, batch_first=True)
    y, x = torch.ones(1, m, 3), torch.ones(1, n + more, 3)
    with pytest.raises(AssertionError, match="does not match value shape"):
        net(y, x[:, :n], x)


@given(st.integers(2, 6), SMALL, SEEDS)
def test_a_query_does_not_know_of_the_others(m, n, seed):
    q, k, v = some(seed, m, n)
    whole = scaled_dot_product_attention(q, k, v).output
    for row in range(m):
        alone = scaled_dot_product_attention(q[row : row + 1], k, v)
        np.testing.assert_allclose(alone.output[0], whole[row], atol=1e-12)


# A bag of pairs


@given(SMALL, st.integers(2, 6), SEEDS)
def test_pairs_have_no_order_but_keys_alone_have(m, n, seed):
    q, k, v = some(seed, m, n)
    right = scaled_dot_product_attention(q, k, v).output
    order = np.roll(np.arange(n), 1)
    both = scaled_dot_product_attention(q, k[order], v[order]).output
    np.testing.assert_allclose(both, right, atol=1e-12)
    alone = scaled_dot_product_attention(q, k[order], v).output
    assert np.abs(alone - right).max() > 1e-9


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), SEEDS)
def test_a_pair_that_occurs_n_times_has_log_n_more_score(times, seed):
    q, k, v = some(seed, 3, len(times))
    many_k, many_v = (np.repeat(part, times, axis=0) for part in (k, v))
    many = scaled_dot_product_attention(q, many_k, many_v).output
    few = merged(many_k, many_v)
    assert sorted(few.times) == sorted(times)
    same = scaled_dot_product_attention(
        q, few.keys, few.values, np.log(few.times)[None]
    )
    np.testing.assert_allclose(same.output, many, atol=1e-10)


def test_pairs_with_equal_keys_and_other_values_are_not_merged():
    k, v = np.ones((3, 2)), np.array([[1.0], [1.0], [2.0]])
    few = merged(k, v)
    assert few.values.tolist() == [[1.0], [2.0]]
    assert few.times.tolist() == [2, 1]


def test_no_pair_is_refused():
    q, k, v = some(0, 2, 1)
    with pytest.raises(ValueError, match="pairs must not be empty"):
        attend_each(q, k[:0], v[:0])
    with pytest.raises(ValueError, match="pairs must not be empty"):
        attend_one(q[0], [])
    with pytest.raises(ValueError, match="scores must not be empty"):
        scaled_dot_product_attention(q, k[:0], v[:0])
    assert attend_each(q[:0], k[:0], v[:0]).shape == (0, 2)


@given(SMALL, SEEDS)
def test_one_query_and_a_growing_cache_equal_the_masked_rows(time, seed):
    q, k, v = some(seed, time, time)
    rows = scaled_dot_product_attention(q, k, v, causal_mask(time)).output
    for t in range(time):
        step = attend_each(q[t : t + 1], k[: t + 1], v[: t + 1])
        np.testing.assert_allclose(step[0], rows[t], atol=1e-10)


def test_is_causal_lets_one_query_see_the_oldest_pair_alone():
    q, k, v = (torch.tensor(part[None]) for part in some(0, 1, 5))
    seen = library(q, k, v, is_causal=True)
    assert torch.allclose(seen[0, 0], v[0, 0])
    assert not torch.allclose(seen, library(q, k, v))


# Heads that share


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_groups_equal_repeated_heads_and_pytorch(m, n, groups, share, seed):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(2, groups * share, m, 3))
    k, v = rng.normal(size=(2, 2, groups, n, 3))
    ours = attend_in_groups(q, k, v)
    assert ours.weights.shape == (2, groups * share, m, n)
    theirs = library(*map(torch.tensor, (q, k, v)), enable_gqa=True)
    np.testing.assert_allclose(ours.output, theirs.numpy(), atol=1e-10)
    for head in range(groups * share):
        alone = scaled_dot_product_attention(
            q[:, head], k[:, head // share], v[:, head // share]
        )
        np.testing.assert_allclose(
            ours.output[:, head], alone.output, atol=1e-12
        )


@given(SMALL, SMALL, SEEDS)
def test_a_mask_holds_for_each_head_of_a_group(m, n, seed):
    rng = np.random.default_rng(seed)
    q, mask = rng.normal(size=(4, m, 3)), rng.random((m, n)) < 0.6
    k, v = rng.normal(size=(2, 2, n, 3))
    seen = attend_in_groups(q, k, v, mask).weights
    assert (seen[:, ~mask] == 0).all()


def test_heads_that_the_groups_cannot_share_are_refused():
    k = np.ones((2, 5, 4))
    with pytest.raises(
        ValueError, match="queries must have a multiple of 2"
    ):
        attend_in_groups(np.ones((3, 1, 4)), k, k)
