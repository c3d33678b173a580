import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snippets.transformer.sampling import adjust, temperature, top_k, top_p
from snippets.transformer.scaled_dot_product_attention import softmax
from tests.transformer.test_sampling import kept, some_logits

SEEDS = st.integers(0, 2**31 - 1)
FOUR = np.log([0.4, 0.3, 0.2, 0.1])


# Top-k


@given(some_logits(), st.integers(1, 9))
def test_top_k_keeps_exactly_k_of_those_that_can_come(z, k):
    found = top_k(z, k)
    possible = np.isfinite(z).sum(axis=-1)
    np.testing.assert_array_equal(
        np.isfinite(found).sum(axis=-1), np.minimum(k, possible)
    )
    chosen = np.isfinite(found)
    np.testing.assert_array_equal(found[chosen], z[chosen])
    lowest = np.where(chosen, z, np.inf).min(axis=-1)
    highest = np.where(chosen, -np.inf, z).max(axis=-1)
    assert (highest <= lowest).all()


def test_of_equal_logits_the_lowest_ids_are_kept():
    assert kept(top_k(np.array([1.0, 2, 2, 2]), 2)) == [1, 2]
    assert kept(top_k(np.zeros(5), 3)) == [0, 1, 2]
    assert kept(top_p(np.array([1.0, 2, 2, 2]), 0.5)) == [1, 2]
    assert kept(top_p(np.zeros(4), 0.6)) == [0, 1, 2]


def test_a_threshold_keeps_all_that_tie():
    z = torch.tensor([1.0, 2, 2, 2])
    assert (z >= z.topk(2).values[-1]).sum() == 3


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_word_is_refused(k):
    with pytest.raises(ValueError, match=f"^k must be at least 1, not {k}"):
        top_k(FOUR, k)


def test_more_words_than_there_are_is_all_of_them():
    np.testing.assert_array_equal(top_k(FOUR, 100), FOUR)


# Top-p


@given(some_logits(), st.floats(0, 1))
def test_top_p_keeps_the_fewest_words_that_reach_p(z, p):
    found, shares = top_p(z, p), softmax(z)
    for row, chances in zip(
        np.isfinite(found).reshape(-1, z.shape[-1]),
        shares.reshape(-1, z.shape[-1]),
        strict=True,
    ):
        falling = np.sort(chances)[::-1]
        mass, n = chances[row].sum(), row.sum()
        assert n >= 1
        assert mass > p - 1e-12
        if p < 1:  # no smaller set reaches p
            assert n == 1 or falling[: n - 1].sum() < p + 1e-12
        assert mass == pytest.approx(falling[:n].sum())


def test_the_word_that_crosses_p_is_kept():
    assert kept(top_p(np.log([0.5, 0.41, 0.09]), 0.9)) == [0, 1]
    assert kept(top_p(np.log([0.95, 0.05]), 0.9)) == [0]


def test_p_of_zero_keeps_the_most_probable_word():
    assert kept(top_p(FOUR[::-1], 0.0)) == [3]
    assert kept(top_p(np.zeros(3), 0.0)) == [0]


def test_p_of_one_keeps_even_what_rounding_would_lose():
    z = np.array([0.0, -40.0, -800.0])
    assert softmax(z)[0] == 1
    assert softmax(z)[1] > 0
    assert kept(top_p(z, 1.0)) == [0, 1, 2]
    assert kept(top_p(z, 0.999999)) == [0]


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_p_that_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="^p must be between 0 and 1"):
        top_p(FOUR, p)


# Both


@given(SEEDS, st.integers(1, 8), st.floats(0.01, 0.99))
def test_the_distance_is_the_mass_that_was_removed(seed, k, p):
    z = 2 * np.random.default_rng(seed).normal(size=8)
    before = softmax(z)
    for found in (top_k(z, k), top_p(z, p)):
        after, M = softmax(found), before[np.isfinite(found)].sum()
        distance = np.abs(after - before).sum() / 2
        assert distance == pytest.approx(1 - M, abs=1e-12)
        np.testing.assert_allclose(
            after[np.isfinite(found)], before[np.isfinite(found)] / M
        )


def test_the_order_is_temperature_then_k_then_p():
    assert kept(adjust(FOUR, k=3, p=0.72)) == [0, 1]
    assert kept(top_k(top_p(FOUR, 0.72), 3)) == [0, 1, 2]
    assert kept(adjust(FOUR, t=0.5, p=0.72)) == [0, 1]
    assert kept(temperature(top_p(FOUR, 0.72), 0.5)) == [0, 1, 2]
    np.testing.assert_array_equal(softmax(adjust(FOUR)), softmax(FOUR))


@given(SEEDS, st.floats(0.1, 5), st.integers(1, 12), st.floats(0.01, 0.99))
def test_all_equal_the_same_steps_in_pytorch(seed, t, k, p):
    z = np.random.default_rng(seed).normal(size=(4, 10))
    x = torch.tensor(z) / t
    np.testing.assert_allclose(
        softmax(temperature(z, t)), x.softmax(-1), atol=1e-10
    )
    border = x.topk(min(k, 10)).values[:, -1:]
    x = x.masked_fill(x < border, -torch.inf)
    falling, ids = x.sort(descending=True)
    shares = falling.softmax(-1)
    gone = shares.cumsum(-1) - shares >= p
    x = x.masked_fill(gone.scatter(1, ids, gone), -torch.inf)
    np.testing.assert_allclose(
        softmax(adjust(z, t, k, p)), x.softmax(-1), atol=1e-10
    )
