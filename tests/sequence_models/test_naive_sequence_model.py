import math
from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snippets.datasets import alice_split
from snippets.sequence_models.naive_sequence_model import (
    conditionals,
    contexts,
    fit,
    free_parameters,
    generate,
    log_likelihood,
    multiply_back,
    probability,
    rows,
    unseen_share,
)

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)
texts = st.text("ab ", min_size=1, max_size=12)


def random_joint(shape, seed, zeros=False):
    rng = np.random.default_rng(seed)
    joint = rng.random(shape)
    if zeros:
        joint = joint * rng.integers(0, 2, shape)
        joint.flat[0] += 1e-3  # at least one outcome is possible
    return joint / joint.sum()


def all_text(alphabet, longest):
    for length in range(1, longest + 1):
        yield from map("".join, product(alphabet, repeat=length))


@given(shapes, seeds, st.booleans())
def test_the_conditionals_multiply_back_to_any_joint(shape, seed, zeros):
    joint = random_joint(shape, seed, zeros)
    tables = conditionals(joint)
    assert [table.ndim for table in tables] == list(
        range(1, len(shape) + 1)
    )
    assert np.abs(multiply_back(tables) - joint).max() < 1e-12


@given(shapes, seeds)
def test_every_row_sums_to_one_and_possible_rows_are_ratios(shape, seed):
    joint = random_joint(shape, seed, zeros=True)
    for t, table in enumerate(conditionals(joint), start=1):
        np.testing.assert_allclose(table.sum(axis=-1), 1.0, atol=1e-12)
        upto = joint.sum(axis=tuple(range(t, joint.ndim)))
        past = upto.sum(axis=-1)
        for context in np.argwhere(past > 0):
            place = tuple(context)
            np.testing.assert_allclose(
                table[place], upto[place] / past[place], atol=1e-12
            )


def test_the_row_of_an_impossible_context_is_uniform():
    joint = np.array([[0.25, 0.75], [0.0, 0.0]])
    first, second = conditionals(joint)
    np.testing.assert_array_equal(first, [1.0, 0.0])
    np.testing.assert_array_equal(second, [[0.25, 0.75], [0.5, 0.5]])


def test_a_sequence_of_no_step_has_no_table():
    assert conditionals(np.ones(())) == []
    np.testing.assert_array_equal(multiply_back([]), np.ones(()))


def test_worked_numbers_by_hand():
    first, second = conditionals(np.array([[0.3, 0.1], [0.2, 0.4]]))
    np.testing.assert_allclose(first, [0.4, 0.6])
    np.testing.assert_allclose(second, [[0.75, 0.25], [1 / 3, 2 / 3]])


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), seeds)
def test_the_chain_rule_is_exact_in_every_order(shape, seed):
    joint = random_joint(shape, seed)
    for order in permutations(range(joint.ndim)):
        tables = conditionals(joint.transpose(order))
        back = multiply_back(tables).transpose(np.argsort(order))
        assert np.abs(back - joint).max() < 1e-12


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), seeds)
def test_the_first_tables_do_not_depend_on_where_the_end_is(shape, seed):
    joint = random_joint(shape, seed)
    longer, shorter = conditionals(joint), conditionals(joint.sum(axis=-1))
    for mine, other in zip(longer[:-1], shorter, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)


@pytest.mark.parametrize("joint", [[0.5, 0.6], [1.5, -0.5], []])
def test_what_is_no_distribution_is_refused(joint):
    with pytest.raises(ValueError, match="joint must be at least 0"):
        conditionals(np.array(joint, dtype=float))


@given(st.integers(1, 4), st.integers(1, 5))
def test_rows_and_free_parameters_are_those_of_real_tables(K, T):
    joint = np.full((K,) * T, K**-T)
    tables = conditionals(joint)
    counted = [table[..., 0].size for table in tables]
    assert counted == [rows(K, t) for t in range(1, T + 1)]
    free = sum(table.size - table[..., 0].size for table in tables)
    assert free == free_parameters(K, T) == joint.size - 1


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_chain_rule_needs_as_many_numbers_as_the_joint(K, T):
    assert free_parameters(K, T) == K**T - 1


@pytest.mark.parametrize("K, t", [(0, 1), (3, 0), (-1, 2)])
def test_rows_refuses_no_symbols_and_no_step(K, t):
    with pytest.raises(ValueError, match="K and t must be at least 1"):
        rows(K, t)


@given(texts)
def test_a_table_of_one_text_gives_that_text_probability_one(text):
    table = fit([text])
    assert len(table) == len(text)
    for other in all_text("ab ", 3):
        expected = 0.0 if text.startswith(other) else -math.inf
        assert log_likelihood(table, other) == expected
    assert log_likelihood(table, text) == 0.0
    assert log_likelihood(table, text + "a") == -math.inf


words = st.lists(st.text("ab", max_size=3), min_size=1, max_size=8)


@given(words)
def test_a_naive_model_of_words_is_their_relative_frequency(found):
    ended = [word + " " for word in found]
    table = fit(ended)
    for word in ended:
        share = ended.count(word) / len(ended)
        likelihood = math.exp(log_likelihood(table, word))
        assert likelihood == pytest.approx(share, rel=1e-12)


@given(words, seeds)
def test_a_naive_model_generates_nothing_but_what_it_has_read(found, seed):
    ended = [word + " " for word in found]
    assert generate(fit(ended), np.random.default_rng(seed)) in ended


def test_generated_words_come_as_often_as_the_table_says():
    rng = np.random.default_rng(0)
    table = fit(["a ", "a ", "ab ", "b "])
    drawn = Counter(generate(table, rng) for _ in range(4000))
    shares = [drawn[word] / 4000 for word in ("a ", "ab ", "b ")]
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.04)


def test_counts_make_the_training_text_more_probable_than_others_do():
    found = ["a ", "a ", "ab ", "b "]
    best = sum(log_likelihood(fit(found), word) for word in found)
    for extra in ("a ", "ab ", "b "):
        other = fit([*found, extra])
        assert sum(log_likelihood(other, w) for w in found) < best


def test_an_empty_table_knows_only_the_empty_sequence():
    table = fit([])
    assert table == {}
    assert log_likelihood(table, "") == 0.0
    assert probability(table, "", "a") == 0.0
    assert generate(table, np.random.default_rng(0)) == ""


def test_a_sum_of_logs_survives_where_the_product_is_zero():
    text = "ab" * 1000
    table = {text[:t]: Counter("ab") for t in range(len(text))}
    nats = log_likelihood(table, text)
    assert math.exp(nats) == 0.0
    assert nats == pytest.approx(2000 * math.log(0.5), rel=1e-12)


def test_contexts_end_before_the_symbol_that_they_predict():
    assert contexts("abcd", 2) == ["ab", "bc"]
    assert contexts("abcd", 0) == ["", "", "", ""]
    assert contexts("abcd", 3) == ["abc"]


@pytest.mark.parametrize("n", [-1, 4, 5])
def test_contexts_longer_than_the_text_are_refused(n):
    with pytest.raises(ValueError, match="n must be at least 0"):
        contexts("abcd", n)


@given(texts, texts)
def test_once_unseen_a_context_stays_unseen_when_it_grows(train, held_out):
    seen = [
        round((1 - unseen_share(train, held_out, n)) * (len(held_out) - n))
        for n in range(min(len(train), len(held_out)))
    ]
    assert seen[0] == len(held_out)
    assert seen == sorted(seen, reverse=True)


def test_pasts_multiply_with_time_until_none_was_seen_before():
    """C03: what has to be taken into account grows with t."""
    joint = random_joint((3,) * 6, seed=0)
    counted = [table[..., 0].size for table in conditionals(joint)]
    assert counted == [1, 3, 9, 27, 81, 243]

    text = alice_split()[0][:500]
    assert sorted(map(len, fit([text]))) == list(range(500))

    train, held_out = alice_split()
    shares = {
        n: unseen_share(train, held_out, n)
        for n in (0, 2, 4, 8, 16, 32, 64)
    }
    assert list(shares.values()) == sorted(shares.values())
    assert shares[0] == 0.0
    assert shares[4] < 0.05
    assert 0.4 < shares[8] < 0.55
    assert 0.9 < shares[16] < 1.0
    assert shares[64] == 1.0
