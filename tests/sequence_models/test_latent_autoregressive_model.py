"""Tests of the page Latent autoregressive model."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.sequence_models.autoregressive_model import (
    fit,
    one_step,
    predict,
    solve,
)
from snippets.sequence_models.latent_autoregressive_model import (
    BUS,
    EVEN,
    HMM,
    advance,
    carry,
    every_word,
    influence,
    log_likelihood,
    make_hmm,
    next_symbol,
    order_gap,
    run,
    shift,
    smooth,
    smoothing_weights,
    sum_over_paths,
    three_steps,
)
from snippets.sequence_models.latent_autoregressive_model_torch import (
    log_forward,
)

seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.01, 1.0)


def random_hmm(seed: int, states: int, symbols: int) -> HMM:
    rng = np.random.default_rng(seed)
    return make_hmm(
        rng.dirichlet(np.ones(states)),
        rng.dirichlet(np.ones(states), size=states),
        rng.dirichlet(np.ones(symbols), size=states),
    )


def random_case(seed, states, symbols, time):
    """A random model, and a sequence of its symbols."""
    x = np.random.default_rng(seed).integers(0, symbols, size=time)
    return random_hmm(seed, states, symbols), x


def words(symbols: int, length: int) -> list[np.ndarray]:
    return [
        np.array(word, dtype=int)
        for word in product(range(symbols), repeat=length)
    ]


def posterior(model: HMM, x: np.ndarray) -> np.ndarray:
    """p(s_t | x_1, ..., x_T) from the sum over all paths."""
    start, A, B = model
    total = np.zeros((len(x), len(start)))
    for s in words(len(start), len(x)):
        p = start[s[0]] * A[s[:-1], s[1:]].prod() * B[s, x].prod()
        total[np.arange(len(x)), s] += p
    return total / total.sum(axis=1, keepdims=True)


# The loop


@given(seeds, st.integers(0, 6), st.integers(1, 3))
def test_a_state_depends_on_earlier_values_only(seed, time, size):
    rng = np.random.default_rng(seed)
    x, matrix = rng.normal(size=time + 1), rng.normal(size=(size, size))

    def f(h, value):
        return np.tanh(matrix @ h + value)

    changed = x.copy()
    changed[time] += 1.0
    before, after = (
        run(f, np.zeros(size), x),
        run(f, np.zeros(size), changed),
    )
    assert before.shape == (time + 2, size)
    np.testing.assert_array_equal(before[: time + 1], after[: time + 1])
    assert not np.array_equal(before[time + 1], after[time + 1])


def test_no_values_leave_the_start_alone():
    h = run(shift, np.array([1.0, 2.0]), np.zeros(0))
    np.testing.assert_array_equal(h, [[1.0, 2.0]])


@given(seeds, st.integers(1, 4), st.integers(12, 20))
def test_a_window_as_a_state_is_the_autoregressive_model(seed, order, time):
    x = np.random.default_rng(seed).normal(size=time)
    h = run(shift, np.zeros(order), x)[:-1]
    weights = solve(h[order:], x[order:])
    np.testing.assert_allclose(
        predict(weights, h)[order:], one_step(fit(x, order), x), atol=1e-9
    )


# Exponential smoothing


@given(seeds, shares, st.integers(1, 60))
def test_smoothing_is_a_weighted_sum_of_the_whole_past(seed, a, time):
    rng = np.random.default_rng(seed)
    x, start = rng.normal(size=time), rng.normal(size=1)
    h = run(partial(smooth, a), start, x)[-1, 0]
    unrolled = smoothing_weights(a, time) @ x[::-1]
    unrolled += (1 - a) ** time * start[0]
    assert abs(h - unrolled) < 1e-12


@given(shares, st.integers(0, 50))
def test_smoothing_weights_and_the_start_share_a_weight_of_one(a, steps):
    total = smoothing_weights(a, steps).sum() + (1 - a) ** steps
    assert abs(total - 1) < 1e-12


def test_share_one_keeps_the_last_value():
    x = np.array([3.0, 1.0, 2.0])
    h = run(partial(smooth, 1.0), np.zeros(1), x)
    np.testing.assert_array_equal(h[1:, 0], x)


@pytest.mark.parametrize("a", [0.0, -0.1, 1.1, np.nan])
def test_a_share_outside_its_range_is_refused(a):
    with pytest.raises(ValueError, match="^a must be above 0"):
        smooth(a, np.zeros(1), 1.0)


def test_one_smoothed_number_fails_where_a_window_of_two_is_exact():
    x = np.tile([0.0, 0.0, 1.0, 1.0], 100)
    tail = x[200:]
    for a in np.arange(1, 21) / 20:
        h = run(partial(smooth, a), np.zeros(1), x)[200:-1]
        error = predict(solve(h, tail), h) - tail
        assert np.sqrt(np.mean(error**2)) > 0.35
    h = run(shift, np.zeros(2), x)[200:-1]
    error = predict(solve(h, tail), h) - tail
    assert np.abs(error).max() < 1e-12


# The hidden Markov model


@settings(max_examples=30)
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_the_state_gives_the_probability_of_the_sum_over_all_paths(
    seed, states, symbols, time
):
    model = random_hmm(seed, states, symbols)
    total = 0.0
    for x, alpha in zip(
        words(symbols, time), every_word(model, time), strict=True
    ):
        p = np.exp(log_likelihood(model, x))
        assert abs(p - sum_over_paths(model, x)) < 1e-12
        assert abs(p - alpha.sum()) < 1e-12
        total += p
    assert abs(total - 1) < 1e-12


def test_every_bus_sequence_up_to_length_six_agrees_with_all_paths():
    for time in range(7):
        for x in words(2, time):
            gap = np.exp(log_likelihood(BUS, x)) - sum_over_paths(BUS, x)
            assert abs(gap) < 1e-15


@given(seeds, st.integers(1, 5), st.integers(1, 4), st.integers(1, 30))
def test_beliefs_are_distributions(seed, states, symbols, time):
    model, x = random_case(seed, states, symbols, time)
    h = run(partial(advance, model), model.initial, x)
    assert (h >= 0).all()
    np.testing.assert_allclose(h.sum(axis=1), 1, atol=1e-12)


@given(seeds, st.integers(1, 4), st.integers(1, 4), st.integers(1, 8))
def test_advance_is_carry_divided_by_its_sum(seed, states, symbols, time):
    model, x = random_case(seed, states, symbols, time)
    alpha = run(partial(carry, model), model.initial, x)
    h = run(partial(advance, model), model.initial, x)
    np.testing.assert_allclose(h, alpha / alpha.sum(1, keepdims=True))


def test_the_worked_numbers():
    h = run(partial(advance, BUS), BUS.initial, np.array([1, 1, 0]))
    expected = [[1 / 2, 1 / 2], [3 / 10, 7 / 10], [1 / 5, 4 / 5]]
    np.testing.assert_allclose(h[:3], expected, atol=1e-15)
    np.testing.assert_allclose(h[3], [11 / 30, 19 / 30], atol=1e-15)


def test_a_long_sequence_underflows_without_division_and_not_with_it():
    x = np.arange(2000) % 2
    alpha = run(partial(carry, BUS), BUS.initial, x).sum(axis=1)
    assert alpha[0] == 1.0
    assert alpha[-1] == 0.0
    assert -2000 < log_likelihood(BUS, x) < -1400


def test_a_state_that_has_seen_its_target_sums_to_more_than_one():
    total = 0.0
    for x in words(2, 6):
        h = run(partial(advance, BUS), BUS.initial, x)[1:]
        total += (h @ BUS.emission)[np.arange(6), x].prod()
    assert total > 1.9


@pytest.mark.parametrize("name", ["initial", "transition", "emission"])
@pytest.mark.parametrize("change", [0.5, -2.0])
def test_rows_that_are_no_distributions_are_refused_by_name(name, change):
    tables = {key: table.copy() for key, table in BUS._asdict().items()}
    tables[name].flat[0] += change
    with pytest.raises(ValueError, match=f"^{name} must have rows"):
        make_hmm(**tables)


def test_a_negative_entry_is_refused_even_where_the_row_sums_to_one():
    with pytest.raises(ValueError, match="^initial must have rows"):
        make_hmm(np.array([1.5, -0.5]), BUS.transition, BUS.emission)


def test_tables_that_do_not_fit_together_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="'transition'"):
        make_hmm(BUS.initial, EVEN.transition, BUS.emission)


@pytest.mark.parametrize("x", [-1, 2])
def test_an_unknown_symbol_is_refused(x):
    with pytest.raises(ValueError, match="^x must be a symbol"):
        advance(BUS, BUS.initial, x)


def test_an_impossible_symbol_has_no_belief_after_it():
    with pytest.raises(ValueError, match="^x = 0 is impossible"):
        log_likelihood(EVEN, np.array([0, 1, 0]))


def test_words_shorter_than_nothing_are_refused():
    with pytest.raises(ValueError, match="^length must be at least 0"):
        every_word(BUS, -1)


# C08


def test_hidden_states_and_pairs_are_markov_but_observations_are_not():
    joint = three_steps(BUS)
    assert abs(joint.sum() - 1) < 1e-12
    assert order_gap(joint.sum(axis=(1, 3, 5))) < 1e-12
    assert order_gap(joint.reshape(4, 4, 4)) < 1e-12
    assert abs(order_gap(joint.sum(axis=(0, 2, 4))) - 64 / 975) < 1e-12
    # and the belief, which is computed from the past, knows what it misses
    for x in words(2, 5):
        told = sum_over_paths(BUS, x) / sum_over_paths(BUS, x[:-1])
        assert abs(next_symbol(BUS, x[:-1])[x[-1]] - told) < 1e-12


@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_hidden_states_and_pairs_of_any_model_are_markov(seed, k, m):
    joint = three_steps(random_hmm(seed, k, m))
    assert order_gap(joint.sum(axis=(1, 3, 5))) < 1e-9
    assert order_gap(joint.reshape(k * m, k * m, k * m)) < 1e-9


def test_observations_that_show_the_state_are_markov():
    seen = make_hmm(BUS.initial, BUS.transition, np.eye(2))
    assert order_gap(three_steps(seen).sum(axis=(0, 2, 4))) < 1e-12
    assert influence(seen, 1) > 0.5
    assert influence(seen, 2) < 1e-12


def test_impossible_pasts_do_not_count():
    joint = np.zeros((2, 2, 2))
    joint[0, 0] = [0.25, 0.25]
    joint[1, 1] = [0.5, 0.0]
    assert order_gap(joint) == 0.0


def test_the_bus_line_forgets_within_its_bound_and_never_completely():
    gaps = np.array([influence(BUS, lag) for lag in range(1, 13)])
    assert (gaps > 0.005).all()
    assert (np.diff(gaps) < 0).all()
    assert (gaps < 0.1 * np.log(6) * 0.8 ** np.arange(1, 13)).all()


@settings(max_examples=20)
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_influence_is_the_largest_move_of_a_prediction(seed, k, m, lag):
    model = random_hmm(seed, k, m)
    largest = 0.0
    for tail in words(m, lag - 1):
        told = []
        for oldest in range(m):
            told.append(next_symbol(model, np.append(oldest, tail)))
        largest = max(largest, float(np.ptp(told, axis=0).max()))
    assert abs(influence(model, lag) - largest) < 1e-12


def test_a_lag_of_zero_is_refused():
    with pytest.raises(ValueError, match="^lag must be at least 1"):
        influence(BUS, 0)


def test_no_window_is_enough_for_ones_in_pairs():
    for ones in range(1, 40):
        # the last symbols are the same, as many as there are ones
        short, long = np.array([0] + [1] * ones), np.ones(ones + 2, int)
        long[0] = 0
        moved = next_symbol(EVEN, short) - next_symbol(EVEN, long)
        np.testing.assert_allclose(np.abs(moved), 0.5, atol=1e-9)


def test_one_bit_predicts_ones_in_pairs_like_the_whole_past():
    checked = 0
    for x, alpha in zip(words(2, 10), every_word(EVEN, 10), strict=True):
        if x[0] == 0 and alpha.sum() > 0:
            bit = run(lambda h, v: (1 - h) * v, np.zeros(1), x)[-1, 0]
            p_one = alpha @ EVEN.emission[:, 1] / alpha.sum()
            assert abs(p_one - (1.0 if bit else 0.5)) < 1e-12
            checked += 1
    assert checked > 50


@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_past_and_future_have_a_matrix_of_limited_rank(seed, states, half):
    table = every_word(random_hmm(seed, states, 2), 2 * half).sum(axis=1)
    table = table.reshape(2**half, 2**half)
    values = np.linalg.svd(table, compute_uv=False)
    assert (values[states:] < 1e-12).all()


# PyTorch


def logs(model: HMM) -> list[torch.Tensor]:
    return [torch.tensor(table).log() for table in model]


@settings(max_examples=30)
@given(seeds, st.integers(1, 4), st.integers(1, 4), st.integers(0, 40))
def test_log_space_gives_the_same_log_likelihood(seed, k, m, time):
    model, x = random_case(seed, k, m, time)
    log_pi, log_A, log_B = logs(model)
    found = float(log_forward(log_pi, log_A, log_B.T[x]))
    assert abs(found - log_likelihood(model, x)) < 1e-10


def test_log_space_knows_what_is_impossible():
    log_pi, log_A, log_B = logs(EVEN)
    x = np.array([0, 1, 0])
    assert log_forward(log_pi, log_A, log_B.T[x]) == -torch.inf


@settings(max_examples=20)
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_the_gradient_of_the_scores_is_the_posterior(seed, k, m, time):
    model, x = random_case(seed, k, m, time)
    log_pi, log_A, log_B = logs(model)
    scores = log_B.T[x].requires_grad_()
    log_forward(log_pi, log_A, scores).backward()
    assert scores.grad is not None
    np.testing.assert_allclose(
        scores.grad.numpy(), posterior(model, x), atol=1e-10
    )


def test_gradients_pass_the_numerical_check():
    inputs = [part.requires_grad_() for part in logs(BUS)]
    inputs[2] = inputs[2].detach().T[[0, 1, 1, 0]].requires_grad_()
    assert torch.autograd.gradcheck(log_forward, inputs)
