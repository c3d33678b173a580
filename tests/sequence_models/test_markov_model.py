from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import LETTERS, alice_split, encode
from snippets.sequence_models.markov_model import (
    Chain,
    alone,
    blended,
    blended_perplexity,
    count,
    counts_after,
    dependence,
    lift,
    log_joint,
    make_chain,
    nats,
    next_probabilities,
    perplexity,
    sample,
    shuffle_within,
    smoothed,
    stationary,
    triples,
    walk,
)
from snippets.sequence_models.markov_model_torch import Decoder, fit_table

SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
TEXTS = st.text("ab c", min_size=6, max_size=40)
WEATHER = np.array([[0.9, 0.1], [0.3, 0.7]])


def random_chain(states: int, seed: int) -> Chain:
    rows = np.random.default_rng(seed).dirichlet(
        np.ones(states), size=states + 1
    )
    return make_chain(rows[0], rows[1:])


def three_steps(chain: Chain) -> np.ndarray:
    """The joint distribution of the first three elements."""
    a, A = chain
    return a[:, None, None] * A[:, :, None] * A[None, :, :]


@pytest.fixture(scope="module")
def alice() -> tuple[str, str]:
    return alice_split()


# Claims


def test_given_the_last_element_the_past_is_irrelevant_in_a_chain_only(
    alice,
):
    """C05: exact, on samples, and not so in English."""
    rng = np.random.default_rng(1)
    for states, seed in product((2, 3, 5), range(5)):
        joint = three_steps(random_chain(states, seed))
        assert abs(dependence(joint)) < 1e-12
        assert alone(joint) > 1e-4  # dependent, if x[t-1] is not known

    weather = make_chain(stationary(WEATHER), WEATHER)
    for _ in range(10):
        x = walk(weather, 10_000, rng)
        table = triples(x[:-2], x[1:-1], x[2:], 2)
        assert dependence(table) < 10 / table.sum()
        assert alone(table) == pytest.approx(0.0595, abs=0.015)

    codes = encode(alice[0])
    before, now, following = codes[:-2], codes[1:-1], codes[2:]
    shuffled = shuffle_within(before, now, rng)
    floor = dependence(triples(shuffled, now, following, 27))
    english = dependence(triples(before, now, following, 27))
    assert floor < 0.03
    assert english > 0.5


def test_the_whole_past_loses_nothing_and_the_last_element_does():
    """C05: read literally, the sentence holds for every distribution."""
    joint = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    pair, single = joint.sum(2), joint.sum((1, 2))
    whole = single[:, None, None] * (pair / single[:, None])[..., None]
    whole = whole * (joint / pair[..., None])
    np.testing.assert_allclose(whole, joint, atol=1e-15)
    last_pair = joint.sum(0)
    last = pair[..., None] * last_pair / last_pair.sum(1)[:, None]
    assert abs(last - joint).max() > 0.01
    assert abs(dependence(last)) < 1e-12


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 3), st.integers(1, 6), SEEDS)
def test_the_probabilities_of_all_sequences_of_a_chain_sum_to_one(
    states, length, seed
):
    """C06, with the numbers that a chain and a table need."""
    chain = random_chain(states, seed)
    total = sum(
        np.exp(log_joint(chain, np.array(x)))
        for x in product(range(states), repeat=length)
    )
    assert total == pytest.approx(1, abs=1e-12)
    K = 27
    free = chain.initial.size - 1 + chain.transition.size - states
    assert free == states * (states - 1) + (states - 1)
    assert [K * (K - 1) + K - 1, K**2 - 1, K**3 - 1] == [728, 728, 19_682]


def test_prefixes_with_the_same_last_token_differ_for_a_decoder_only(alice):
    """C07: a first-order model cannot tell them apart."""
    prefixes = ["the red", "we said"]
    chain = count(alice[0], 1)
    p, q = (
        next_probabilities(chain, prefix[-chain.order :], 0.1)
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


# Chains


def test_rows_of_a_transition_matrix_must_be_distributions():
    half = np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="^transition must have rows"):
        make_chain(half, WEATHER.T)
    with pytest.raises(ValueError, match="^initial must have rows"):
        make_chain(np.array([1.5, -0.5]), WEATHER)
    with pytest.raises(TypeCheckError, match="transition"):
        make_chain(half, np.eye(3))


@given(SIZES, st.integers(1, 8), SEEDS)
def test_log_joint_is_the_log_of_the_product(states, length, seed):
    chain = random_chain(states, seed)
    x = walk(chain, length, np.random.default_rng(seed))
    p = chain.initial[x[0]]
    for last, following in pairwise(x):
        p *= chain.transition[last, following]
    assert log_joint(chain, x) == pytest.approx(np.log(p), rel=1e-12)


def test_log_joint_survives_long_and_impossible_sequences():
    half = np.full(2, 0.5)
    fair = make_chain(half, np.full((2, 2), 0.5))
    x = np.zeros(10_000, dtype=int)
    assert log_joint(fair, x) == pytest.approx(10_000 * np.log(0.5))
    assert (
        log_joint(make_chain(half, np.eye(2)), np.array([0, 1])) == -np.inf
    )


def test_a_walk_visits_states_as_often_as_the_matrix_says():
    x = walk(make_chain(np.array([0.0, 1.0]), WEATHER), 20_000,
             np.random.default_rng(0))  # fmt: skip
    assert x[0] == 1
    for last in 0, 1:
        after = x[1:][x[:-1] == last]
        margin = 4 * np.sqrt(WEATHER[last, 1] * 0.9 / len(after))
        assert abs(after.mean() - WEATHER[last, 1]) < margin


def test_a_walk_never_takes_a_step_of_probability_zero():
    turn = np.roll(np.eye(3), 1, axis=1)
    x = walk(make_chain(np.eye(3)[2], turn), 100, np.random.default_rng(0))
    np.testing.assert_array_equal(x, (np.arange(100) + 2) % 3)
    with pytest.raises(ValueError, match="^length must be at least 1"):
        walk(make_chain(np.eye(3)[2], turn), 0, np.random.default_rng(0))


@given(SIZES, SEEDS)
def test_one_step_leaves_the_stationary_distribution_unchanged(
    states, seed
):
    transition = random_chain(states, seed).transition
    pi = stationary(transition)
    np.testing.assert_allclose(pi @ transition, pi, atol=1e-10)
    assert pi.sum() == pytest.approx(1)
    assert pi.min() > -1e-10
    late = np.linalg.matrix_power(transition, 10_000)
    np.testing.assert_allclose(late, np.tile(pi, (states, 1)), atol=1e-6)


def test_a_stationary_distribution_may_be_unique_or_not():
    np.testing.assert_allclose(stationary(WEATHER), [0.75, 0.25])
    cycle = np.roll(np.eye(3), 1, axis=1)  # period 3, still one
    np.testing.assert_allclose(stationary(cycle), np.ones(3) / 3)
    with pytest.raises(ValueError, match="^transition has several"):
        stationary(np.eye(2))


# Dependence


@given(SIZES, SIZES, SIZES, SEEDS)
def test_dependence_is_a_difference_of_entropies(before, now, after, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(before * now * after))
    p = p.reshape(before, now, after)

    def entropy(*gone: int) -> float:
        q = p.sum(gone).ravel()
        return -(q * np.log(np.where(q > 0, q, 1))).sum()

    expected = entropy(2) + entropy(0) - entropy(0, 2) - entropy()
    assert dependence(p) == pytest.approx(expected, abs=1e-10)
    assert dependence(1000 * p) == pytest.approx(dependence(p), abs=1e-10)
    assert dependence(p) > -1e-12
    expected = entropy(1, 2) + entropy(0, 1) - entropy(1)
    assert alone(p) == pytest.approx(expected, abs=1e-10)


def test_knowing_the_middle_can_also_create_dependence():
    parity = np.zeros((2, 2, 2))
    for before, after in product((0, 1), repeat=2):
        parity[before, before ^ after, after] = 0.25
    assert alone(parity) == pytest.approx(0, abs=1e-12)
    assert dependence(parity) == pytest.approx(np.log(2))


def test_triples_are_counted_one_by_one():
    x = np.random.default_rng(0).integers(0, 3, size=50)
    table = triples(x[:-2], x[1:-1], x[2:], 3)
    counted = Counter(zip(x, x[1:], x[2:], strict=False))
    assert table.sum() == 48
    assert all(table[place] == n for place, n in counted.items())
    with pytest.raises(ValueError, match="^symbols must be above"):
        triples(x, x, x, 2)
    with pytest.raises(TypeCheckError, match="now"):
        triples(x, x[1:], x, 3)


@given(SEEDS, st.integers(1, 60))
def test_a_shuffle_within_groups_keeps_what_each_group_holds(seed, length):
    rng = np.random.default_rng(seed)
    values, groups = rng.integers(0, 4, size=(2, length))
    shuffled = shuffle_within(values, groups, rng)
    assert Counter(zip(shuffled, groups, strict=True)) == Counter(
        zip(values, groups, strict=True)
    )


def test_a_shuffle_within_groups_moves_values_to_every_place():
    rng = np.random.default_rng(0)
    values, groups = np.arange(6), np.array([0, 1, 0, 1, 0, 1])
    draws = np.array(
        [shuffle_within(values, groups, rng) for _ in range(3000)]
    )
    for place in range(6):
        shares = np.bincount(draws[:, place], minlength=6) / 3000
        expected = np.where(groups == groups[place], 1 / 3, 0)
        np.testing.assert_allclose(shares, expected, atol=0.04)


# Characters


@given(TEXTS, st.integers(0, 4))
def test_counting_looks_at_every_symbol_and_the_context_before_it(
    text, order
):
    counts = count(text, order)
    for context, row in counts.table.items():
        for symbol, times in zip(LETTERS, row, strict=True):
            found = [
                text[at - order : at] == context and text[at] == symbol
                for at in range(order, len(text))
            ]
            assert times == sum(found)
    total = sum(row.sum() for row in counts.table.values())
    assert total == len(text) - order


def test_wrong_orders_symbols_and_contexts_are_refused_by_name():
    with pytest.raises(ValueError, match="^order must be at least 0"):
        count("abc", 3)
    with pytest.raises(ValueError, match="^order must be at least 0"):
        count("abc", -1)
    with pytest.raises(ValueError, match="^text has symbols not in LETT"):
        count("A cat", 1)
    counts = count("abracadabra", 1)
    with pytest.raises(ValueError, match="^contexts must have 1 symbols"):
        counts_after(counts, ["ab"])
    with pytest.raises(ValueError, match="^context 'z' was never seen"):
        next_probabilities(counts, "z", 0.0)
    with pytest.raises(ValueError, match="^alpha must be at least 0"):
        next_probabilities(counts, "a", -1.0)
    with pytest.raises(ValueError, match="^strength must be above 0"):
        blended([count("ab", 0)], [""], 0.0)
    with pytest.raises(ValueError, match="^length must be at least 1"):
        sample(counts, 0, np.random.default_rng(0))
    with pytest.raises(TypeCheckError, match="probabilities"):
        nats(counts, np.ones(27))


@given(TEXTS, st.integers(0, 3), st.floats(0.01, 10))
def test_next_probabilities_are_distributions(text, order, alpha):
    counts = count(text, order)
    for context in [*counts.table, "z" * order]:
        p = next_probabilities(counts, context, alpha)
        assert p.sum() == pytest.approx(1)
        assert p.min() > 0
    for context, row in counts.table.items():
        p = next_probabilities(counts, context, 0.0)
        np.testing.assert_allclose(p, row / row.sum())


def test_a_context_never_seen_gets_the_uniform_distribution():
    p = next_probabilities(count("abracadabra", 1), "z", 0.5)
    np.testing.assert_allclose(p, np.full(27, 1 / 27))


@given(TEXTS, TEXTS, st.integers(0, 3), st.floats(0.01, 10))
def test_perplexity_is_that_of_the_symbols_one_by_one(
    train, text, order, alpha
):
    counts = count(train, order)
    logs = [
        np.log(
            next_probabilities(counts, text[at - order : at], alpha)[
                LETTERS.index(text[at])
            ]
        )
        for at in range(order, len(text))
    ]
    expected = np.exp(-np.mean(logs))
    assert perplexity(counts, text, alpha) == pytest.approx(expected)


def test_perplexity_by_hand_and_at_its_ends():
    word = count("abracadabra", 1)
    assert perplexity(word, "abracadabra", 0.0) == pytest.approx(2**0.6)
    assert perplexity(word, "abz", 0.0) == np.inf  # a symbol
    assert perplexity(word, "zab", 0.0) == np.inf  # a context
    assert perplexity(count("a", 0), "xyz", 1e12) == pytest.approx(27)


def test_on_real_text_a_longer_context_memorises_then_fails(alice):
    train, held_out = alice
    models = [count(train, order) for order in range(6)]
    seen = [perplexity(model, train, 0.0) for model in models]
    new = [perplexity(model, held_out, 0.1) for model in models]
    assert seen == sorted(seen, reverse=True)
    assert np.argmin(new) == 3
    assert 4.1 < new[3] < 4.4
    assert new[5] > 5
    assert perplexity(models[1], held_out, 0.0) == np.inf
    mixed = [
        blended_perplexity(models[: k + 1], held_out, 5.0) for k in (3, 5)
    ]
    assert mixed[1] < mixed[0] < new[3]


def test_conditional_dependence_is_what_a_second_letter_saves(alice):
    codes = encode(alice[0])
    table = triples(codes[:-2], codes[1:-1], codes[2:], 27)
    saved = [perplexity(count(alice[0], k), alice[0], 0.0) for k in (1, 2)]
    assert dependence(table) == pytest.approx(
        np.log(saved[0] / saved[1]), abs=1e-4
    )


def test_a_sample_holds_only_what_was_counted():
    text = "the cat sat on the mat and the rat ran"
    rng = np.random.default_rng(0)
    for order in range(4):
        counts = count(text + " ", order)
        drawn = sample(counts, 200, rng)
        assert len(drawn) == 200
        known = {context + LETTERS[code] for context, row in
                 counts.table.items() for code in np.flatnonzero(row)}  # fmt: skip
        pieces = (drawn[i : i + order + 1] for i in range(200 - order))
        if order < 2:  # longer contexts may end in the text's end
            assert known.issuperset(pieces)


def test_a_sample_starts_again_where_the_text_ended():
    # `c` is never followed: after it comes a context again, a or b.
    drawn = sample(count("abc", 1), 300, np.random.default_rng(0))
    assert set(zip(drawn, drawn[1:], strict=False)) == {
        ("a", "b"), ("b", "c"), ("c", "a"), ("c", "b")}  # fmt: skip
    assert sample(count("abc", 2), 1, np.random.default_rng(0)) == "a"


def test_a_sample_has_the_frequencies_of_the_text(alice):
    drawn = sample(count(alice[0], 1), 5_000, np.random.default_rng(0))
    expected = Counter(alice[0])
    for symbol in " eta":
        share = expected[symbol] / len(alice[0])
        assert drawn.count(symbol) / 5_000 == pytest.approx(share, abs=0.02)


@given(TEXTS, st.floats(0.1, 50))
def test_blended_rows_are_distributions_and_fall_back(text, strength):
    ladder = [count(text, order) for order in range(3)]
    p = blended(ladder, [*ladder[2].table, "zz"], strength)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    unseen = blended(ladder, ["zz"], strength)
    shorter = blended(ladder[:1], [""], strength)
    np.testing.assert_allclose(unseen, shorter)
    added = smoothed(counts_after(ladder[0], [""]), strength / 27)
    np.testing.assert_allclose(shorter, added)
    assert blended_perplexity(ladder, text, strength) >= 1


@given(st.integers(1, 3), st.integers(1, 3), SEEDS)
def test_a_chain_of_order_k_is_a_chain_of_order_one_over_contexts(
    symbols, order, seed
):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(symbols), size=symbols**order)
    conditional = rows.reshape((symbols,) * (order + 1))
    lifted = lift(conditional)
    np.testing.assert_allclose(lifted.sum(axis=1), 1)
    x = rng.integers(0, symbols, size=order + 6)
    p = [conditional[tuple(x[at : at + order + 1])] for at in range(6)]
    place = symbols ** np.arange(order)[::-1]
    states = np.array([x[at : at + order] @ place for at in range(7)])
    chain = Chain(np.eye(symbols**order)[states[0]], lifted)
    assert log_joint(chain, states) == pytest.approx(np.log(p).sum())


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_lift_wants_one_axis_of_equal_length_for_each_symbol(shape):
    with pytest.raises(
        ValueError, match="^conditional must have 2 or more"
    ):
        lift(np.ones(shape))


# PyTorch


def test_gradient_descent_finds_the_normalised_counts():
    n = np.random.default_rng(0).integers(1, 50, size=(4, 6)).astype(float)
    trained = fit_table(torch.tensor(n), 1000).exp().numpy()
    np.testing.assert_allclose(trained, smoothed(n, 0.0), atol=1e-6)


def test_cross_entropy_loss_is_the_nats_per_character(alice):
    counts = count(alice[0], 1)
    p = smoothed(counts_after(counts, list(LETTERS)), 0.1)
    x = torch.tensor(encode(alice[1]))
    loss = torch.nn.CrossEntropyLoss()(
        torch.tensor(np.log(p))[x[:-1]], x[1:]
    )
    ours = np.log(perplexity(counts, alice[1], 0.1))
    assert loss.item() == pytest.approx(ours, abs=1e-10)


def test_the_decoder_does_not_look_ahead():
    torch.manual_seed(0)
    decoder = Decoder(27, 8, 2).double().eval()
    x = torch.randint(0, 27, (3, 6))
    changed = x.clone()
    changed[:, 4] = (x[:, 4] + 1) % 27
    p, q = decoder(x), decoder(changed)
    assert p.shape == (3, 6, 27)
    torch.testing.assert_close(p[:, :4], q[:, :4], atol=1e-12, rtol=0)
    assert (p[:, 4] - q[:, 4]).abs().max() > 0.01
