import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError

from snippets.transformer.sampling import (
    adjust,
    entropy,
    gumbel_max,
    inverse_cdf,
    sample,
    temperature,
    top_k,
    top_p,
)
from snippets.transformer.scaled_dot_product_attention import softmax

SEEDS = st.integers(0, 2**31 - 1)
LAST = np.nextafter(1.0, 0.0)  # the largest u that a generator gives
FILTERS = {
    "temperature": lambda z: temperature(z, 0.7),
    "top_k": lambda z: top_k(z, 3),
    "top_p": lambda z: top_p(z, 0.8),
    "adjust": lambda z: adjust(z, 2.0, 4, 0.9),
}


@st.composite
def some_logits(draw, smallest=1):
    """One row or more, with ties, -inf and huge numbers, never all -inf."""
    numbers = st.sampled_from([0.0, 1, 1.5, -3, 1e4, -1e4, -np.inf, 700])
    shape = draw(st.sampled_from([(), (1,), (2, 3)]))
    vocab = draw(st.integers(smallest, 7))
    z = draw(arrays(float, (*shape, vocab), elements=numbers))
    z[np.isneginf(z).all(axis=-1), -1] = 0.0
    return z


def kept(logits):
    return np.flatnonzero(np.isfinite(logits)).tolist()


def misses(counts, p):
    expected = counts.sum() * p
    return ((counts - expected) ** 2 / expected).sum()


# One draw


def test_a_word_is_the_piece_of_the_line_that_u_hits():
    p = np.array([0.25, 0.0, 0.5, 0.25])
    for u, word in ((0, 0), (0.2, 0), (0.25, 2), (0.74, 2), (0.75, 3)):
        assert inverse_cdf(p, np.array(float(u))) == word
    rows = inverse_cdf(np.stack([p, p[::-1]]), np.array([0.5, 0.1]))
    assert rows.tolist() == [2, 0]


@given(some_logits(), st.sampled_from([0.0, 0.5, LAST]))
def test_a_word_without_probability_is_never_drawn(z, u):
    p = softmax(z)
    words = inverse_cdf(p, np.full(z.shape[:-1], u))
    assert (np.take_along_axis(p, words[..., None], -1) > 0).all()


@given(SEEDS, st.integers(1, 3000), st.sampled_from(["f4", "f8"]))
@settings(max_examples=30)
def test_no_rounded_sum_puts_a_word_out_of_range(seed, vocab, kind):
    z = np.random.default_rng(seed).normal(size=vocab).astype(kind)
    z = np.append(z, np.full(3, -np.inf, dtype=kind))
    assert inverse_cdf(softmax(z), np.array(LAST)) < vocab


def test_a_float32_sum_below_one_is_the_danger():
    p = softmax(np.append(np.zeros(94_000), -np.inf).astype(np.float32))
    ends, u = p.cumsum(), np.array(0.999)
    assert ends.dtype == np.float32
    assert ends[-1] < u
    assert np.searchsorted(ends, u, side="right") == len(p)
    late = inverse_cdf(p, u)
    assert late < 94_000
    assert p[late] > 0


@pytest.mark.parametrize("u", [-0.1, 1.0, np.nan])
def test_u_outside_of_its_range_is_refused(u):
    with pytest.raises(ValueError, match="^u must be at least 0 and below"):
        inverse_cdf(np.array([0.5, 0.5]), np.array(u))


@pytest.mark.parametrize("draw", [sample, gumbel_max])
@given(z=some_logits(), seed=SEEDS)
def test_a_draw_gives_one_possible_word_a_row(draw, z, seed):
    words = draw(z, np.random.default_rng(seed))
    assert words.shape == z.shape[:-1]
    chosen = np.take_along_axis(z, words[..., None], -1)
    assert np.isfinite(chosen).all()


@pytest.mark.parametrize("draw", [sample, gumbel_max])
def test_frequencies_follow_the_distribution(draw):
    z = np.array([0.0, 1.0, -1.0, 2.0, -np.inf, 0.5])
    p = softmax(z)
    rng = np.random.default_rng(0)
    counts = np.bincount(draw(np.tile(z, (20_000, 1)), rng), minlength=6)
    assert counts[4] == 0
    some = p > 0
    drawn = rng.multinomial(20_000, p[some], size=2000)
    bound = np.quantile([misses(c, p[some]) for c in drawn], 0.999)
    assert misses(counts[some], p[some]) < bound
    for wrong in (softmax(temperature(z, 1.15)), np.full(6, 1 / 6)):
        assert misses(counts[some], wrong[some]) > bound


def test_draws_of_different_rows_and_steps_are_independent():
    two = np.zeros((2, 2))
    rng = np.random.default_rng(1)
    pairs = np.array([sample(two, rng) for _ in range(4000)])
    for column in (pairs[:, 0] ^ pairs[:, 1], pairs[1:, 0] ^ pairs[:-1, 0]):
        assert abs(column.mean() - 0.5) < 4 * 0.5 / 4000**0.5


@given(SEEDS)
@settings(max_examples=20)
def test_gumbel_noise_and_argmax_have_exactly_the_softmax(seed):
    z = 2 * np.random.default_rng(seed).normal(size=5)
    m = np.linspace(-20, 60, 8001)[:, None]
    below = np.exp(-np.exp(z - m)).prod(axis=1, keepdims=True)
    shares = np.trapezoid(np.exp(z - m) * below, m, axis=0)
    np.testing.assert_allclose(shares, softmax(z), atol=1e-10)


# Temperature


@given(SEEDS, st.floats(0.05, 20))
def test_temperature_raises_probabilities_to_a_power(seed, t):
    z = np.random.default_rng(seed).normal(size=(3, 5))
    power = softmax(z) ** (1 / t)
    np.testing.assert_allclose(
        softmax(temperature(z, t)),
        power / power.sum(axis=-1, keepdims=True),
        atol=1e-12,
    )


@given(some_logits())
def test_low_temperatures_end_at_the_largest_logits_in_equal_parts(z):
    top = z == z.max(axis=-1, keepdims=True)
    cold = softmax(temperature(z, 1e-300))
    np.testing.assert_array_equal(
        cold, top / top.sum(axis=-1, keepdims=True)
    )


@given(some_logits())
def test_high_temperatures_make_all_finite_logits_equal(z):
    finite = np.isfinite(z)
    warm = softmax(temperature(z, 1e12))
    np.testing.assert_allclose(
        warm, finite / finite.sum(axis=-1, keepdims=True), atol=1e-7
    )


def test_entropy_rises_with_temperature_from_nothing_to_the_logarithm():
    z = np.array([[0.0, 1.0, 3.0, -np.inf]])
    found = [
        float(entropy(temperature(z, t))[0]) for t in (1e-9, 1, 2, 1e9)
    ]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[-1] == pytest.approx(np.log(3))
    assert entropy(z).shape == (1,)
    assert entropy(z[0]).shape == ()
    p = torch.distributions.Categorical(logits=torch.tensor(z))
    assert entropy(z)[0] == pytest.approx(p.entropy().item(), abs=1e-12)


@pytest.mark.parametrize("t", [0, 0.0, -1.0, np.inf, np.nan])
def test_a_temperature_that_is_none_is_refused(t):
    with pytest.raises(ValueError, match="^t must be above 0 and finite"):
        temperature(np.zeros(3), t)
    with pytest.raises(ValueError, match="^t must be above 0 and finite"):
        adjust(np.zeros(3), t=t)


# What all have in common


@pytest.mark.parametrize("name", FILTERS)
@given(z=some_logits())
def test_no_filter_changes_the_most_probable_word(name, z):
    found = FILTERS[name](z)
    assert found.shape == z.shape
    assert found.dtype == z.dtype
    np.testing.assert_array_equal(found.argmax(-1), z.argmax(-1))
    assert np.isneginf(found[np.isneginf(z)]).all()
    np.testing.assert_allclose(softmax(found).sum(axis=-1), 1)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_the_type_and_the_argument_as_they_are(name):
    z = np.linspace(0, 3, 6).astype(np.float32)
    before = z.copy()
    assert FILTERS[name](z).dtype == np.float32
    np.testing.assert_array_equal(z, before)
    assert FILTERS[name](z) is not z


@pytest.mark.parametrize(
    "use", [*FILTERS.values(), entropy, lambda z: top_p(z, 1.0)]
)
def test_what_is_no_distribution_is_refused_by_name(use):
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="^logits must be numbers"):
            use(np.array([0.0, bad]))
    nothing = np.array([[0.0, 1.0], [-np.inf, -np.inf]])
    for empty in (nothing, np.zeros((2, 0))):
        with pytest.raises(
            ValueError, match="^logits must not all be -inf"
        ):
            use(empty)


@pytest.mark.parametrize("draw", [sample, gumbel_max])
def test_there_is_no_draw_from_no_distribution(draw):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="^logits must be numbers"):
        draw(np.array([0.0, np.nan]), rng)
    with pytest.raises(ValueError, match="no word is left"):
        draw(np.full(4, -np.inf), rng)
    with pytest.raises(TypeCheckError, match="logits"):
        draw(np.array([1, 2]), rng)
