from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import LETTERS, alice_split, encode
from snippets.sequence_models import markov_model as mm
from snippets.sequence_models.markov_model_torch import Decoder, fit_table
from snippets.sequence_models.naive_sequence_model import (
    conditionals,
    multiply_back,
)

SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
TEXTS = st.text("ab c", min_size=6, max_size=40)
TRAIN, HELD_OUT = alice_split()
WORD = mm.count("abracadabra", 1)
RNG = np.random.default_rng(0)
WEATHER = np.array([[0.9, 0.1], [0.3, 0.7]])
HALF, ONES = np.array([0.5, 0.5]), np.ones(4, dtype=int)
NEGATIVE = np.array([1.5, -0.5])
SWITCH = mm.make_chain(HALF, np.eye(2)[::-1])


def random_chain(states: int, seed: int) -> mm.Chain:
    rows = np.random.default_rng(seed).dirichlet(
        np.ones(states), size=states + 1
    )
    return mm.make_chain(rows[0], rows[1:])


def test_given_the_last_element_the_past_is_irrelevant_in_a_chain_only():
    """C05: exact, on samples, and not so in English."""
    rng = np.random.default_rng(1)
    for states, seed in product((2, 3, 5), range(5)):
        a, A = random_chain(states, seed)
        joint = a[:, None, None] * A[:, :, None] * A
        assert abs(mm.dependence(joint)) < 1e-12

    weather = mm.make_chain(mm.stationary(WEATHER), WEATHER)
    for _ in range(10):
        x = mm.walk(weather, 10_000, rng)
        table = mm.triples(x[:-2], x[1:-1], x[2:], 2)
        assert mm.dependence(table) < 10 / table.sum()
        assert mm.alone(table) == pytest.approx(0.0595, abs=0.015)

    codes = encode(TRAIN)
    before, now, following = codes[:-2], codes[1:-1], codes[2:]
    shuffled = mm.shuffle_within(before, now, rng)
    floor = mm.dependence(mm.triples(shuffled, now, following, 27))
    english = mm.dependence(mm.triples(before, now, following, 27))
    assert floor < 0.03
    assert english > 0.5


def test_the_whole_past_loses_nothing_and_the_last_element_does():
    """C05: read literally, the sentence holds for every distribution."""
    joint = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    whole = multiply_back(conditionals(joint))
    np.testing.assert_allclose(whole, joint, atol=1e-15)
    pair, last_pair = joint.sum(2), joint.sum(0)
    last = pair[..., None] * last_pair / last_pair.sum(1)[:, None]
    assert abs(last - joint).max() > 0.01
    assert abs(mm.dependence(last)) < 1e-12


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(1, 6), SEEDS)
def test_the_probabilities_of_all_sequences_of_a_chain_sum_to_one(
    states, length, seed
):
    """C06."""
    chain = random_chain(states, seed)
    total = sum(
        np.exp(mm.log_joint(chain, np.array(x)))
        for x in product(range(states), repeat=length)
    )
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("states", [1, 2, 3])
@pytest.mark.parametrize("length", [2, 3, 4])
def test_chains_fill_as_many_dimensions_as_they_have_free_numbers(
    states, length
):
    """C06: the rank of the joint's derivative by the rows' free entries."""
    chain, step = random_chain(states, 0), 1e-4
    rows = np.vstack([chain.initial, chain.transition])
    words = [np.array(x) for x in product(range(states), repeat=length)]

    def joint(rows: np.ndarray) -> np.ndarray:
        moved = mm.make_chain(rows[0], rows[1:])
        return np.exp([mm.log_joint(moved, x) for x in words])

    slopes = [np.zeros(len(words))]
    for row, entry in product(range(states + 1), range(states - 1)):
        change = np.zeros_like(rows)
        change[row, [entry, -1]] = step, -step  # the row still sums to 1
        ends = joint(rows + change), joint(rows - change)
        slopes.append((ends[0] - ends[1]) / (2 * step))
    free = states * (states - 1) + (states - 1)
    assert np.linalg.matrix_rank(np.array(slopes), tol=1e-6) == free
    assert (free == states**length - 1) == (length == 2 or states == 1)


def test_prefixes_with_the_same_last_token_differ_for_a_decoder_only():
    """C07: a first-order model cannot tell them apart."""
    prefixes = ["the red", "we said"]
    chain = mm.count(TRAIN, 1)
    p, q = (
        mm.next_probabilities(chain, prefix[-chain.order :], 0.1)
        for prefix in prefixes
    )
    assert abs(p - q).sum() == 0

    codes = torch.tensor(np.stack([encode(prefix) for prefix in prefixes]))
    for seed in range(5):
        torch.manual_seed(seed)
        decoder = Decoder(27, 16, 2).double().eval()
        p, q = decoder(codes)[:, -1].softmax(dim=-1)
        assert abs(p - q).sum() / 2 > 0.01
        p, q = decoder(codes[:, -1:])[:, -1].softmax(dim=-1)
        assert abs(p - q).sum() / 2 < 1e-12


def test_a_wrong_shape_is_refused_by_name():
    with pytest.raises(TypeCheckError, match="transition"):
        mm.make_chain(np.array([0.5, 0.5]), np.eye(3))
    with pytest.raises(TypeCheckError, match="probabilities"):
        mm.nats(WORD, np.ones(27))


@given(SIZES, st.integers(1, 8), SEEDS)
def test_log_joint_is_the_log_of_the_product(states, length, seed):
    chain = random_chain(states, seed)
    x = mm.walk(chain, length, np.random.default_rng(seed))
    p = chain.initial[x[0]]
    for last, following in pairwise(x):
        p *= chain.transition[last, following]
    assert mm.log_joint(chain, x) == pytest.approx(np.log(p), rel=1e-12)


def test_log_joint_survives_long_and_impossible_sequences():
    fair = mm.make_chain(HALF, np.full((2, 2), 0.5))
    zeros = np.zeros(10_000, dtype=int)
    expected = 10_000 * np.log(0.5)
    assert mm.log_joint(fair, zeros) == pytest.approx(expected)
    assert mm.log_joint(SWITCH, np.array([0, 0])) == -np.inf


def test_a_walk_visits_states_as_often_as_the_matrix_says():
    start_wet = mm.make_chain(np.array([0.0, 1.0]), WEATHER)
    x = mm.walk(start_wet, 20_000, np.random.default_rng(0))
    assert x[0] == 1
    for last in 0, 1:
        after = x[1:][x[:-1] == last]
        p = WEATHER[last, 1]
        assert abs(after.mean() - p) < 4 * np.sqrt(p * (1 - p) / len(after))


def test_a_walk_never_takes_a_step_of_probability_zero():
    turn = mm.make_chain(np.eye(3)[2], np.roll(np.eye(3), 1, axis=1))
    x = mm.walk(turn, 100, RNG)
    np.testing.assert_array_equal(x, (np.arange(100) + 2) % 3)


@given(SIZES, SEEDS)
def test_one_step_leaves_the_stationary_distribution_unchanged(
    states, seed
):
    transition = random_chain(states, seed).transition
    pi = mm.stationary(transition)
    np.testing.assert_allclose(pi @ transition, pi, atol=1e-10)
    assert pi.sum() == pytest.approx(1)
    assert pi.min() > -1e-10
    late = np.linalg.matrix_power(transition, 10_000)
    np.testing.assert_allclose(late, np.tile(pi, (states, 1)), atol=1e-6)


def test_a_stationary_distribution_may_be_unique_or_not():
    np.testing.assert_allclose(mm.stationary(WEATHER), [0.75, 0.25])
    cycle = np.roll(np.eye(3), 1, axis=1)  # period 3, still one
    np.testing.assert_allclose(mm.stationary(cycle), np.ones(3) / 3)


@given(SIZES, SIZES, SIZES, SEEDS)
def test_dependence_is_a_difference_of_entropies(before, now, after, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(before * now * after))
    p = p.reshape(before, now, after)

    def entropy(*gone: int) -> float:
        q = p.sum(gone).ravel()
        return -(q * np.log(np.where(q > 0, q, 1))).sum()

    expected = entropy(2) + entropy(0) - entropy(0, 2) - entropy()
    assert mm.dependence(p) == pytest.approx(expected, abs=1e-10)
    assert mm.dependence(9 * p) == pytest.approx(expected, abs=1e-10)
    assert mm.dependence(p) > -1e-12
    expected = entropy(1, 2) + entropy(0, 1) - entropy(1)
    assert mm.alone(p) == pytest.approx(expected, abs=1e-10)


def test_knowing_the_middle_can_also_create_dependence():
    parity = np.zeros((2, 2, 2))
    for before, after in product((0, 1), repeat=2):
        parity[before, before ^ after, after] = 0.25
    assert mm.alone(parity) == pytest.approx(0, abs=1e-12)
    assert mm.dependence(parity) == pytest.approx(np.log(2))


def test_triples_are_counted_one_by_one():
    x = np.random.default_rng(0).integers(0, 3, size=50)
    table = mm.triples(x[:-2], x[1:-1], x[2:], 3)
    counted = Counter(zip(x, x[1:], x[2:], strict=False))
    assert table.sum() == 48
    assert all(table[place] == n for place, n in counted.items())


@given(SEEDS, st.integers(1, 60))
def test_a_shuffle_within_groups_keeps_what_each_group_holds(seed, length):
    rng = np.random.default_rng(seed)
    values, groups = rng.integers(0, 4, size=(2, length))
    shuffled = mm.shuffle_within(values, groups, rng)
    assert Counter(zip(shuffled, groups, strict=True)) == Counter(
        zip(values, groups, strict=True)
    )


def test_a_shuffle_within_groups_moves_values_to_every_place():
    values, groups = np.arange(4), np.array([0, 1, 0, 0])
    draws = [mm.shuffle_within(values, groups, RNG) for _ in range(3000)]
    third = [1 / 3, 0, 1 / 3, 1 / 3]
    for place in 0, 2, 3:
        shares = np.bincount(np.array(draws)[:, place]) / 3000
        np.testing.assert_allclose(shares, third, atol=0.05)


@given(TEXTS, st.integers(0, 4))
def test_counting_looks_at_every_symbol_and_its_context(text, order):
    counts = mm.count(text, order)
    found = Counter(
        (text[at - order : at], text[at]) for at in range(order, len(text))
    )
    for context, row in counts.table.items():
        for symbol, times in zip(LETTERS, row, strict=True):
            assert times == found.pop((context, symbol), 0)
    assert not found


@pytest.mark.parametrize(
    "message, function, arguments",
    [
        ("transition must have rows", mm.make_chain, (HALF, WEATHER.T)),
        ("initial must have rows", mm.make_chain, (NEGATIVE, WEATHER)),
        ("length must be at least 1", mm.walk, (SWITCH, 0, RNG)),
        ("transition has several", mm.stationary, (np.eye(2),)),
        ("symbols must be above", mm.triples, (ONES, ONES, ONES, 1)),
        ("order must be at least 0", mm.count, ("abc", 3)),
        ("order must be at least 0", mm.count, ("abc", -1)),
        ("text has symbols not in LETTERS", mm.count, ("A cat", 1)),
        ("contexts must have 1 symbols", mm.counts_after, (WORD, ["ab"])),
        ("context 'z' was", mm.next_probabilities, (WORD, "z", 0.0)),
        ("alpha must be at least 0", mm.perplexity, (WORD, "ab", -1.0)),
        ("strength must be above 0", mm.blended, ([], ["a"], 0.0)),
        ("length must be at least 1", mm.sample, (WORD, 0, RNG)),
        ("conditional must have 2", mm.lift, (np.ones(3),)),
        ("conditional must have 2", mm.lift, (np.ones((2, 3)),)),
        ("counts must have a", fit_table, (torch.zeros(1, 3), 1)),
    ],
)
def test_a_wrong_value_is_refused_by_name(message, function, arguments):
    with pytest.raises(ValueError, match="^" + message):
        function(*arguments)


@given(TEXTS, st.integers(0, 3), st.floats(0.01, 10))
def test_next_probabilities_are_distributions(text, order, alpha):
    counts = mm.count(text, order)
    for context in [*counts.table, "z" * order]:
        p = mm.next_probabilities(counts, context, alpha)
        assert p.sum() == pytest.approx(1)
        assert p.min() > 0
    for context, row in counts.table.items():
        p = mm.next_probabilities(counts, context, 0.0)
        np.testing.assert_allclose(p, row / row.sum())
    if order:  # a context never seen
        p = mm.next_probabilities(counts, "z" * order, alpha)
        np.testing.assert_allclose(p, np.full(27, 1 / 27))


@given(TEXTS, TEXTS, st.integers(0, 3), st.floats(0.01, 10))
def test_perplexity_is_that_of_the_symbols_one_by_one(
    train, text, order, alpha
):
    counts = mm.count(train, order)
    logs = []
    for at in range(order, len(text)):
        p = mm.next_probabilities(counts, text[at - order : at], alpha)
        logs.append(np.log(p[LETTERS.index(text[at])]))
    expected = np.exp(-np.mean(logs))
    assert mm.perplexity(counts, text, alpha) == pytest.approx(expected)


def test_perplexity_by_hand_and_at_its_ends():
    assert mm.perplexity(WORD, "abracadabra", 0.0) == pytest.approx(2**0.6)
    assert mm.perplexity(WORD, "abz", 0.0) == np.inf  # a symbol
    assert mm.perplexity(WORD, "zab", 0.0) == np.inf  # a context
    assert mm.perplexity(mm.count("a", 0), "xyz", 1e12) == pytest.approx(27)


def test_on_real_text_a_longer_context_memorises_then_fails():
    models = [mm.count(TRAIN, order) for order in range(6)]
    seen = [mm.perplexity(model, TRAIN, 0.0) for model in models]
    new = [mm.perplexity(model, HELD_OUT, 0.1) for model in models]
    assert seen == sorted(seen, reverse=True)
    assert np.argmin(new) == 3
    assert 4.1 < new[3] < 4.4
    assert new[5] > 5
    assert mm.perplexity(models[1], HELD_OUT, 0.0) == np.inf
    mixed = mm.blended_perplexity(models[:4], HELD_OUT, 5.0)
    assert mm.blended_perplexity(models, HELD_OUT, 5.0) < mixed < new[3]


def test_conditional_dependence_is_what_a_second_letter_saves():
    codes = encode(TRAIN)
    table = mm.triples(codes[:-2], codes[1:-1], codes[2:], 27)
    one, two = (mm.perplexity(mm.count(TRAIN, k), TRAIN, 0) for k in (1, 2))
    saved = np.log(one / two)
    assert mm.dependence(table) == pytest.approx(saved, abs=1e-4)


def test_a_sample_holds_only_what_was_counted():
    text = "the cat sat on the mat and the rat ran "
    for order in 0, 1:
        drawn = mm.sample(
            mm.count(text, order), 200, np.random.default_rng(0)
        )
        pieces = {drawn[at - order : at + 1] for at in range(order, 200)}
        assert len(drawn) == 200
        assert all(piece in text for piece in pieces)


def test_a_sample_starts_again_where_the_text_ended():
    # `c` is never followed: after it comes a context again, a or b.
    drawn = mm.sample(mm.count("abc", 1), 300, np.random.default_rng(0))
    assert set(zip(drawn, drawn[1:], strict=False)) == {
        ("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")}  # fmt: skip
    assert mm.sample(mm.count("abc", 2), 1, np.random.default_rng(0)) == "a"


@given(TEXTS, st.floats(0.1, 50))
def test_blended_rows_are_distributions_and_fall_back(text, strength):
    ladder = [mm.count(text, order) for order in range(3)]
    p = mm.blended(ladder, [*ladder[2].table, "zz"], strength)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    unseen = mm.blended(ladder, ["zz"], strength)
    shorter = mm.blended(ladder[:1], [""], strength)
    np.testing.assert_allclose(unseen, shorter)
    added = mm.smoothed(mm.counts_after(ladder[0], [""]), strength / 27)
    np.testing.assert_allclose(shorter, added)
    assert mm.blended_perplexity(ladder, text, strength) >= 1


@given(st.integers(1, 3), st.integers(1, 3), SEEDS)
def test_a_chain_of_order_k_is_a_chain_of_order_one_over_contexts(
    symbols, order, seed
):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(symbols), size=symbols**order)
    conditional = rows.reshape((symbols,) * (order + 1))
    lifted = mm.lift(conditional)
    np.testing.assert_allclose(lifted.sum(axis=1), 1)
    x = rng.integers(0, symbols, size=order + 6)
    p = [conditional[tuple(x[at : at + order + 1])] for at in range(6)]
    place = symbols ** np.arange(order)[::-1]
    states = np.array([x[at : at + order] @ place for at in range(7)])
    chain = mm.Chain(np.eye(symbols**order)[states[0]], lifted)
    assert mm.log_joint(chain, states) == pytest.approx(np.log(p).sum())
