from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snippets.labs.trimmed_omitted_permuted import (
    in_pairs,
    whole,
    with_gaps,
)

SEEDS = st.integers(0, 2**32 - 1)


def chain(states, rng):
    """A chain with equally frequent states: rows and columns sum to 1."""
    turns = [np.roll(np.eye(states), k, axis=1) for k in range(states)]
    return np.tensordot(rng.dirichlet(np.ones(states)), turns, 1)


def probability(sequence, P):
    return np.prod(P[sequence[:-1], sequence[1:]]) / len(P)


@given(st.integers(1, 4), st.integers(1, 4), SEEDS)
def test_without_gaps_it_is_the_chains_probability(states, time, seed):
    rng = np.random.default_rng(seed)
    P, x = chain(states, rng), rng.integers(0, states, (3, time))
    expected = [probability(row, P) * states for row in x]
    np.testing.assert_allclose(whole(x, P), expected)


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), SEEDS)
def test_with_gaps_it_sums_over_all_sequences_and_places(
    states, kept, lost, seed
):
    rng = np.random.default_rng(seed)
    length = min(kept + lost, 6)
    kept = min(kept, length)
    P, x = chain(states, rng), rng.integers(0, states, (2, kept))
    expected = np.zeros(len(x))
    for full in product(range(states), repeat=length):
        full = np.array(full)
        for places in combinations(range(length), kept):
            match = (full[list(places)] == x).all(axis=1)
            expected += match * probability(full, P) * states
    np.testing.assert_allclose(with_gaps(x, P, length), expected)


@given(st.integers(1, 4), st.integers(1, 3), SEEDS)
def test_in_pairs_it_sums_over_both_orders_of_each_pair(
    states, pairs, seed
):
    rng = np.random.default_rng(seed)
    P, x = chain(states, rng), rng.integers(0, states, (3, 2 * pairs))
    expected = np.zeros(len(x))
    for flips in product((1, -1), repeat=pairs):
        order = [
            x[:, 2 * i : 2 * i + 2][:, ::f] for i, f in enumerate(flips)
        ]
        expected += whole(np.hstack(order), P)
    np.testing.assert_allclose(in_pairs(x, P), expected)


def test_without_gaps_both_ways_agree():
    rng = np.random.default_rng(0)
    P, x = chain(3, rng), rng.integers(0, 3, (5, 4))
    np.testing.assert_allclose(with_gaps(x, P, 4), whole(x, P))


def test_a_chain_that_prefers_a_state_is_an_error():
    P, x = np.array([[0.5, 0.5], [1.0, 0.0]]), np.zeros((1, 2), int)
    for likelihood in (whole, in_pairs, lambda x, P: with_gaps(x, P, 3)):
        with pytest.raises(ValueError, match="P must have rows and col"):
            likelihood(x, P)


def test_a_length_that_cannot_be_is_an_error():
    x, P = np.zeros((1, 3), int), np.ones((1, 1))
    with pytest.raises(ValueError, match="length must be 3 or more"):
        with_gaps(x, P, 2)
    with pytest.raises(
        ValueError, match="x must have an even length, got 3"
    ):
        in_pairs(x, P)
