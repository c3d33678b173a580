import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.datasets import dates
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.generation import (
    DATES,
    beam_search,
    greedy,
    length_penalty,
    load,
    predictor,
)
from snippets.transformer.scaled_dot_product_attention import log_softmax
from tests.transformer.generation_models import VOCAB, random_model

SEEDS = st.integers(0, 2**31 - 1)
START, END, K = 0, 1, 4
ALPHAS = st.sampled_from([0.0, 0.6, 2.0])


def table_model(seed, sharpness=1.0):
    """What follows depends on the last word, and on the length."""
    rng = np.random.default_rng(seed)
    tables = log_softmax(sharpness * rng.normal(size=(12, K, K)))
    return lambda prefixes: tables[prefixes.shape[1], prefixes[:, -1]]


def everything(predict, longest):
    """Every sequence that ends within the length, by brute force."""
    found = {}
    for n in range(longest):
        for middle in itertools.product((0, 2, 3), repeat=n):
            words, total = (START, *middle, END), 0.0
            for t in range(1, len(words)):
                total += predict(np.array([words[:t]]))[0, words[t]]
            found[words] = total
    return found


@settings(max_examples=15)
@given(SEEDS, ALPHAS, st.integers(1, 4))
def test_a_beam_of_everything_is_an_exhaustive_search(seed, alpha, longest):
    predict = table_model(seed)
    every = everything(predict, longest)
    found = beam_search(predict, START, END, longest, K**longest, alpha)
    ended = [h for h in found if h.words[-1] == END]
    assert len(ended) == len(every)
    for h in ended:
        total = every[tuple(h.words.tolist())]
        assert abs(h.log_probability - total) < 1e-10
        penalty = ((5 + len(h.words) - 1) / 6) ** alpha
        assert abs(h.score - total / penalty) < 1e-10
    scores = [h.score for h in ended]
    assert scores == sorted(scores, reverse=True)
    assert found[: len(ended)] == ended  # what was cut off comes last
    mass = sum(np.exp(h.log_probability) for h in found)
    assert abs(mass - 1) < 1e-10


@settings(max_examples=8)
@given(SEEDS, st.sampled_from([post_norm, pre_norm]), st.integers(0, 6))
def test_one_beam_is_greedy(seed, arrange, longest):
    source = np.random.default_rng(seed).integers(1, VOCAB, size=3)
    model = random_model(seed)
    (found,) = beam_search(
        predictor(model, source, arrange), 1, 2, longest, 1
    )
    alone = greedy(model, source, 1, 2, longest, arrange)
    np.testing.assert_array_equal(found.words, alone)


@settings(max_examples=100)
@given(SEEDS, st.integers(1, 6), st.sampled_from([1.0, 3.0]))
def test_width_times_probability_of_one_proves_the_maximum(
    seed, width, sharpness
):
    predict = table_model(seed, sharpness)
    best = beam_search(predict, START, END, 5, width)[0]
    if best.words[-1] == END and (
        width * np.exp(best.log_probability) >= 1
    ):
        top = max(everything(predict, 5).values())
        assert best.log_probability >= top - 1e-10


@settings(max_examples=50)
@given(SEEDS, st.integers(2, 4), ALPHAS)
def test_a_beam_that_keeps_the_greedy_words_is_no_worse(seed, width, alpha):
    predict = table_model(seed)
    alone = beam_search(predict, START, END, 5, 1, alpha)[0]
    found = beam_search(predict, START, END, 5, width, alpha)
    kept = any(np.array_equal(h.words, alone.words) for h in found)
    if kept and alone.words[-1] == END:
        assert found[0].score >= alone.score


def by_last_word(table):
    with np.errstate(divide="ignore"):
        logs = np.log(table)
    return lambda prefixes: logs[prefixes[:, -1]]


def test_greedy_can_miss_and_two_beams_can_be_worse_than_one():
    def best(table, width):
        found = beam_search(by_last_word(np.array(table)), 0, 1, 9, width)[
            0
        ]
        return found.words.tolist()

    # 0 is the start, 1 the end; 2 is likelier, but has no good follower
    table = [[0, 0, 0.6, 0.4], [0, 1, 0, 0], [0, 0.5, 0.25, 0.25]]
    table.append([0, 1, 0, 0])
    assert best(table, 1) == [0, 2, 1]
    assert best(table, 2) == [0, 3, 1]
    # 4 and 5 after 3 push the sequence 0 2 1 out of two beams
    table = np.zeros((6, 6))
    table[0, [2, 3]] = 0.55, 0.45
    table[2, [1, 2, 3]] = 0.4, 0.3, 0.3
    table[3, [4, 5]] = 0.5
    table[[4, 5], 1:5] = 0.25
    table[1, 1] = 1.0
    assert best(table, 1) == [0, 2, 1]
    assert best(table, 2) == [0, 3, 4, 1]
    assert best(table, 3) == [0, 2, 1]


def without_stopping(predict, longest, width, alpha):
    """The scores of the best, from a search that always goes on."""
    live, scores = [((START,), 0.0)], []
    for n in range(1, longest + 1):
        both = [
            ((*words, w), total + p)
            for words, total in live
            for w, p in enumerate(predict(np.array([words]))[0])
        ]
        both = sorted(both, key=lambda h: -h[1])[:width]
        penalty = ((5 + n) / 6) ** alpha
        scores += [p / penalty for words, p in both if words[-1] == END]
        live = [h for h in both if h[0][-1] != END]
    return sorted(scores, reverse=True)[:width]


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 3), st.sampled_from([0.0, 0.6, 2.0, 5.0]))
def test_stopping_early_loses_nothing(seed, width, alpha):
    predict = table_model(seed, 2.0)
    found = beam_search(predict, START, END, 7, width, alpha)
    scores = [h.score for h in found if h.words[-1] == END]
    right = without_stopping(predict, 7, width, alpha)
    np.testing.assert_allclose(scores, right, atol=1e-10)


def test_a_search_that_stops_early_finds_what_a_longer_one_finds():
    calls = []

    def predict(prefixes):
        calls.append(len(prefixes))
        return log_softmax(
            np.tile([0.0, 5.0, 1.0, 0.0], (len(prefixes), 1))
        )

    for alpha in (0.0, 0.6):
        calls.clear()
        best = beam_search(predict, START, END, 50, 2, alpha)[0]
        assert best.words.tolist() == [START, END]
        assert len(calls) < 50


def test_a_length_penalty_can_prefer_the_longer():
    assert length_penalty(1, 0.6) == 1.0
    assert abs(length_penalty(11, 0.6) - (16 / 6) ** 0.6) < 1e-12
    predict = predictor(load(DATES), dates.encode("Monday"), pre_norm)
    short, long = (
        dates.decode(beam_search(predict, 1, 2, 14, 7, alpha)[0].words)
        for alpha in (0.0, 0.6)
    )
    assert len(short) < len(long) == 10


def test_of_equals_the_earlier_parent_and_the_lower_word_come_first():
    def even(prefixes):
        return np.log(np.full((len(prefixes), 4), 0.25))

    found = beam_search(even, START, END, 2, 3)
    assert [h.words.tolist() for h in found] == [
        [0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]
    one = beam_search(even, START, END, 2, 1)[0]
    assert one.words.tolist() == [0, 0, 0]


def test_extremes_of_width_and_length():
    predict = table_model(0)
    wide = beam_search(predict, START, END, 1, 1000)
    assert len(wide) == K
    (none,) = beam_search(predict, START, END, 0, 3)
    assert none.words.tolist() == [START]
    assert none.score == 0.0


def test_words_that_cannot_follow_are_never_written():
    def sure(prefixes):
        row = [-np.inf, -np.inf, 0.0, -np.inf]
        if prefixes.shape[1] == 3:
            row = [-np.inf, 0.0, -np.inf, -np.inf]
        return np.tile(row, (len(prefixes), 1))

    (only,) = beam_search(sure, START, END, 9, 5)
    assert only.words.tolist() == [0, 2, 2, 1]


def test_wrong_values_are_refused_by_name():
    for width, longest, alpha in ((0, 3, 0.0), (1, -1, 0.0), (1, 3, -0.1)):
        with pytest.raises(ValueError, match="width must be at least 1"):
            beam_search(table_model(0), START, END, longest, width, alpha)
