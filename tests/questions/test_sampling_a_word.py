from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import dates
from snippets.questions.sampling_a_word import chi_square, write_means
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.generation import (
    DATES,
    all_logits,
    beam_search,
    encode_source,
    greedy,
    load,
    next_logits,
    predictor,
)
from snippets.transformer.overview import EXAMPLE, SOURCE, TARGET, tokens
from snippets.transformer.sampling import generate, sample, temperature
from snippets.transformer.scaled_dot_product_attention import softmax
from tests.transformer.generation_models import random_model

START, END = dates.START, dates.END
SEEDS = st.integers(0, 2**31 - 1)
ONE_IN_A_HUNDRED = 2 * np.log(100)  # for two degrees of freedom


@pytest.fixture(scope="module")
def model():
    return load(DATES)


@pytest.fixture(scope="module")
def source():
    return dates.encode("10/12/1980")


@pytest.fixture(scope="module")
def memory(model, source):
    return encode_source(model, source, None, pre_norm)


def after(model, memory, written):
    words = dates.encode_iso(written)[:-1]
    return next_logits(model, words, memory, arrange=pre_norm)


# The statistic


def test_chi_square_by_hand():
    counts, p = np.array([30, 50, 20]), np.array([0.25, 0.5, 0.25])
    fit = chi_square(counts, p)  # 25, 50, 25 expected
    assert fit.statistic == pytest.approx(1 + 0 + 1)
    assert fit.freedom == 2


def test_rare_words_are_one_kind():
    p = np.array([0.5, 0.46, 0.02, 0.02])
    fit = chi_square(np.array([50, 44, 5, 1]), p)
    assert fit.freedom == 2
    assert fit.statistic == pytest.approx(4 / 46 + 2**2 / 4)
    assert chi_square(np.array([50, 44, 5, 1]), p, least=0).freedom == 3


def test_a_word_that_cannot_come_counts_only_if_it_came():
    p = np.array([0.5, 0.5, 0.0])
    assert chi_square(np.array([10, 10, 0]), p) == (0.0, 1)
    assert chi_square(np.array([10, 9, 1]), p) == (np.inf, 2)


@pytest.mark.parametrize(
    "counts, p, message",
    [
        ([0, 0], [0.5, 0.5], "counts must not be negative, nor all 0"),
        ([-1, 9], [0.5, 0.5], "counts must not be negative, nor all 0"),
        ([1, 9], [0.5, 0.6], "p must be probabilities"),
        ([1, 9], [-0.5, 1.5], "p must be probabilities"),
    ],
)
def test_what_is_no_count_or_no_distribution_is_refused(counts, p, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        chi_square(np.array(counts), np.array(p))


def test_counts_of_another_vocabulary_are_refused():
    with pytest.raises(TypeCheckError):
        chi_square(np.array([1, 2]), np.array([0.2, 0.3, 0.5]))


def test_the_bound_without_a_table_is_passed_once_in_a_hundred_times():
    rng, p = np.random.default_rng(0), np.array([0.604, 0.3955, 0.0005])
    rows = rng.multinomial(10_000, p, size=4000)
    above = [
        chi_square(row, p).statistic > ONE_IN_A_HUNDRED for row in rows
    ]
    assert np.mean(above) == pytest.approx(0.01, abs=0.006)


@given(SEEDS, st.integers(1, 9))
def test_counts_as_expected_have_the_statistic_0(seed, vocab):
    counts = np.random.default_rng(seed).integers(5, 50, size=vocab)
    fit = chi_square(counts, counts / counts.sum())
    assert fit.statistic == pytest.approx(0, abs=1e-9)
    assert fit.freedom == vocab - 1


# Q5: a distribution, a draw, and the draw is read


def test_draws_follow_the_distribution_and_are_read_by_the_next_step(
    model, source, memory
):
    """Q5: words one after another are whole texts by their product."""
    n, rng = 10_000, np.random.default_rng(0)
    z = after(model, memory, "1980-1")
    p = softmax(z)
    assert p.sum() == pytest.approx(1)
    many = np.broadcast_to(z, (n, len(z)))
    draws = {
        "sample": sample(many, rng),
        "torch": torch.multinomial(
            torch.tensor(p), n, True, generator=torch.manual_seed(0)
        ).numpy(),
        "warmer": sample(temperature(many, 1.5), rng),
        "greedy": many.argmax(axis=-1),
    }
    fits = {
        name: chi_square(np.bincount(words, minlength=len(p)), p).statistic
        < ONE_IN_A_HUNDRED
        for name, words in draws.items()
    }
    assert fits == {
        "sample": True,
        "torch": True,
        "warmer": False,
        "greedy": False,
    }
    # Whole texts: drawn after each other, and each place for itself.
    found = beam_search(
        predictor(model, source, pre_norm), START, END, 14, 32
    )
    products = {
        dates.decode(h.words): np.exp(h.log_probability) for h in found
    }
    rows = generate(
        model, np.tile(source, (1000, 1)), START, END, 11, rng,
        arrange=pre_norm,
    )  # fmt: skip
    kinds = list(products)[:4]
    expected = np.array([products[iso] for iso in kinds])
    rest = 1 - expected.sum()
    for texts, agree in ((rows, True), (rng.permuted(rows, axis=0), False)):
        came = Counter(dates.decode(row) for row in texts)
        counts = np.array([came[iso] for iso in kinds])
        fit = chi_square(
            np.append(counts, 1000 - counts.sum()),
            np.append(expected, rest),
        )
        assert (fit.statistic < 13.3) is agree  # 1 %, four degrees


def test_the_day_depends_on_the_month_that_was_drawn(model, memory):
    ten, twelve = (
        softmax(after(model, memory, f"1980-{month}-1"))
        for month in ("10", "12")
    )
    assert ten.argmax() == 5  # the character 2
    assert twelve.argmax() == 3  # the character 0
    assert min(ten.max(), twelve.max()) > 0.8


def test_greedy_and_beam_search_never_give_the_second_reading(
    model, source
):
    one = greedy(model, source, START, END, 14, pre_norm)
    best = beam_search(
        predictor(model, source, pre_norm), START, END, 14, 4
    )[0]
    assert dates.decode(one) == dates.decode(best.words) == "1980-10-12"
    rows = generate(
        model, np.tile(source, (100, 1)), START, END, 11,
        np.random.default_rng(0), arrange=pre_norm,
    )  # fmt: skip
    came = Counter(dates.decode(row) for row in rows)
    assert min(came["1980-10-12"], came["1980-12-10"]) > 15


# Not the mean


def sharpened(net):
    """So sure of each word that mean and word are one vector."""
    W, b = net.output
    return net._replace(output=net.output._replace(W=1e6 * W, b=1e6 * b))


@settings(max_examples=15)
@given(SEEDS, st.sampled_from([post_norm, pre_norm]), st.booleans())
def test_where_the_model_is_sure_the_mean_is_the_word(seed, arrange, norms):
    net = sharpened(random_model(seed, last_norms=norms))
    memory = np.random.default_rng(seed).normal(size=(3, 6))
    told = write_means(net, memory, 1, 4, arrange)
    assert told.shape == (4, 7)
    if told.max(axis=1).min() == 1:
        words = np.append([1], told.argmax(axis=1))
        rows = all_logits(net, words[:-1], memory, None, arrange)
        np.testing.assert_allclose(softmax(rows), told, atol=1e-9)


def test_the_first_step_is_that_of_the_decoder_and_rows_sum_to_1():
    memory = encode_source(EXAMPLE, tokens("the bank", SOURCE))
    told = write_means(EXAMPLE, memory, TARGET.index("<start>"), 3)
    first = next_logits(EXAMPLE, tokens("<start>", TARGET), memory)
    np.testing.assert_allclose(told[0], softmax(first), atol=1e-12)
    np.testing.assert_allclose(told.sum(axis=1), 1)


def test_after_a_mean_nothing_is_decided(model, memory):
    told = write_means(model, memory, START, 11, pre_norm)
    for place in (6, 9):  # the second digits of month and day
        assert min(told[place, [3, 5]]) > 0.3
    text = dates.decode(told.argmax(axis=1))
    assert text not in ("1980-10-12", "1980-12-10")


def test_no_step_at_all_is_refused(model, memory):
    with pytest.raises(ValueError, match="^longest must be at least 1"):
        write_means(model, memory, START, 0)
