import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import alice_split, encode
from snippets.rnn.recurrence import (
    RNN,
    cell,
    initial,
    log_probabilities,
    run,
    trained,
)
from snippets.rnn.recurrence_torch import to_torch
from snippets.rnn.short_term_dependency import (
    by_lag,
    each_exchanged,
    exchange,
    influence,
    jacobian_step,
    over_seeds,
    push,
    read,
    recall,
    total_variation,
)

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(["tanh", "relu"])


def drawn(rng, features, hidden):
    """Weights large enough that states are neither all 0 nor all 1."""
    return RNN(
        rng.normal(size=(hidden, features)),
        rng.normal(size=(hidden, hidden)) / hidden**0.5,
        rng.normal(size=hidden),
    )


def orthogonal(hidden, rng):
    return np.linalg.qr(rng.normal(size=(hidden, hidden)))[0]


def last_state(rnn, x, h, activation="tanh"):
    return run(rnn, x, h, activation)[:, -1]


# C12: one factor of slopes and weights for each step back to h_0


@given(SMALL, st.integers(1, 9), SMALL, SMALL, NAMES, SEEDS)
def test_the_influences_are_those_of_autograd_on_the_librarys_rnn(
    batch, time, features, hidden, activation, seed
):
    rng = np.random.default_rng(seed)
    rnn = drawn(rng, features, hidden)
    x = rng.normal(size=(batch, time, features))
    h = rng.normal(size=(batch, hidden))
    ours = influence(rnn, run(rnn, x, h, activation), activation)
    net = to_torch([rnn], activation)

    def of_all(x, h):  # a sum over the batch: rows do not mix
        return net(x, h[None])[1][0].sum(0)

    of_inputs, of_start = torch.autograd.functional.jacobian(
        of_all, (torch.tensor(x), torch.tensor(h))
    )
    np.testing.assert_allclose(
        ours.of_inputs, of_inputs.permute(1, 2, 0, 3), atol=1e-10
    )
    np.testing.assert_allclose(
        ours.of_start, of_start.permute(1, 0, 2), atol=1e-10
    )


def test_h_0_is_wrapped_in_one_factor_of_weights_for_each_step():
    rng = np.random.default_rng(0)
    rnn, T = drawn(rng, features=2, hidden=3), 6
    x, h_0 = rng.normal(size=(1, T, 2)), rng.normal(size=(1, 3))
    h, nested = run(rnn, x, h_0), h_0
    for t in range(T):  # phi(W_x x + W_h phi(... W_h h_0 ...))
        nested = np.tanh(x[:, t] @ rnn.W_x.T + nested @ rnn.W_h.T + rnn.b)
    np.testing.assert_allclose(h[:, -1], nested, atol=1e-12)

    factors = [
        np.diag(1 - h[0, t] ** 2) @ rnn.W_h for t in reversed(range(T))
    ]
    found = influence(rnn, h).of_start[0]
    torch_found = torch.autograd.functional.jacobian(
        lambda h: to_torch([rnn])(torch.tensor(x), h)[1][0, 0],
        torch.tensor(h_0)[None],
    )[:, 0, 0]
    product = np.linalg.multi_dot(factors)
    np.testing.assert_allclose(found, product, atol=1e-12)
    np.testing.assert_allclose(torch_found, product, atol=1e-10)
    # neither the weights alone, nor the other way round, nor one fewer
    for other in (
        np.linalg.matrix_power(rnn.W_h, T),
        np.linalg.multi_dot(factors[::-1]),
        np.linalg.multi_dot(factors[1:]),
    ):
        assert np.abs(found - other).max() > 1e-3


@given(st.integers(1, 9), SMALL, SEEDS)
def test_with_all_units_on_the_influence_of_h_0_is_a_power_of_the_weights(
    time, hidden, seed
):
    rng = np.random.default_rng(seed)
    W_h = orthogonal(hidden, rng)
    base = np.full(hidden, 1e3)
    rnn = RNN(rng.normal(size=(hidden, 2)), W_h, base - W_h @ base)
    h = run(rnn, rng.normal(size=(1, time, 2)), base[None], "relu")
    assert (h > 0).all()
    found = influence(rnn, h, "relu")
    np.testing.assert_allclose(
        found.of_start[0], np.linalg.matrix_power(W_h, time), atol=1e-12
    )


def test_one_unit_by_hand():
    rnn = RNN(np.ones((1, 1)), np.array([[2.0]]), np.zeros(1))
    h = np.array([[[0.5], [0.6], [0.8]]])
    found = influence(rnn, h)
    np.testing.assert_allclose(found.of_start, [[[1.5 * 1.28 * 0.72]]])
    np.testing.assert_allclose(
        found.of_inputs[0, :, 0, 0], [0.75 * 1.28 * 0.72, 0.64 * 0.72, 0.36]
    )


# C11: the past fades at the usual weights; it depends on the weights


def mean_sizes(change):
    sizes, _ = over_seeds(change, seeds=5, hidden=32)
    return np.exp(np.log(sizes).mean(axis=0))


def test_the_past_fades_at_the_usual_weights_and_not_at_all_weights():
    usual_sizes = mean_sizes(lambda W_h, rng: W_h)
    assert usual_sizes[20] < 1e-4 * usual_sizes[0]
    rates = (usual_sizes[[20, 30, 40]] / usual_sizes[[10, 20, 30]]) ** 0.1
    assert (np.abs(rates - 3**-0.5) < 0.08).all()  # about geometric

    larger = mean_sizes(lambda W_h, rng: 5 * W_h)
    assert larger[40] > 100 * larger[0]

    rng = np.random.default_rng(0)
    rnn, base = initial(3, 32, rng), np.full(32, 1e3)
    Q = orthogonal(32, rng)
    rnn = RNN(rnn.W_x, Q, base - Q @ base)
    h = run(rnn, rng.normal(size=(1, 41, 3)), base[None], "relu")
    kept = by_lag(influence(rnn, h, "relu").of_inputs)[0]
    np.testing.assert_allclose(kept, kept[0])


def test_a_large_state_may_no_longer_depend_on_what_is_far_back():
    rng = np.random.default_rng(0)
    rnn, x = initial(3, 32, rng), rng.normal(size=(1, 41, 3))
    other = x.copy()
    other[0, 0] += 1.0
    start = np.zeros((1, 32))
    first, second = last_state(rnn, x, start), last_state(rnn, other, start)
    assert np.linalg.norm(first - second) < 1e-8
    assert np.linalg.norm(first) > 0.5


def test_the_guess_of_the_rate_is_close_where_weights_are_random():
    for factor in (1.0, 2.0, 4.0):
        sizes, guesses = over_seeds(lambda W, rng, f=factor: f * W, seeds=5)
        rate = (sizes[:, 40] / sizes[:, 10]).prod() ** (1 / 150)
        assert abs(rate / guesses.mean() - 1) < 0.1


# The functions


@given(SMALL, SMALL, SMALL, NAMES, SEEDS)
def test_a_step_is_the_derivative_of_the_cell(
    batch, features, hidden, activation, seed
):
    rng = np.random.default_rng(seed)
    rnn = drawn(rng, features, hidden)
    x, h = (
        rng.normal(size=(batch, features)),
        rng.normal(size=(batch, hidden)),
    )
    a = x @ rnn.W_x.T + h @ rnn.W_h.T + rnn.b
    step = jacobian_step(rnn, cell(rnn, x, h, activation), activation)
    for j in range(hidden):
        change = np.zeros(hidden)
        change[j] = 1e-6
        ends = [cell(rnn, x, h + s * change, activation) for s in (1, -1)]
        slope = (ends[0] - ends[1]) / 2e-6
        smooth = np.abs(a) > 1e-4  # a ReLU has no derivative at 0
        gap = np.where(smooth, step[:, :, j] - slope, 0.0)
        assert np.abs(gap).max() < 1e-7


@given(SMALL, st.integers(1, 6), SMALL, SMALL, NAMES, SEEDS)
def test_pushing_a_change_forward_is_the_sum_over_the_influences(
    batch, time, features, hidden, activation, seed
):
    rng = np.random.default_rng(seed)
    rnn = drawn(rng, features, hidden)
    x, change = rng.normal(size=(2, batch, time, features))
    h = run(rnn, x, np.zeros((batch, hidden)), activation)
    found = influence(rnn, h, activation).of_inputs
    np.testing.assert_allclose(
        push(rnn, h, change, activation),
        np.einsum("bthf,btf->bh", found, change),
        atol=1e-10,
    )


@given(SMALL, st.integers(1, 5), SMALL, SMALL, SEEDS)
def test_no_change_is_stretched_by_more_than_the_size_of_the_influence(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    of_inputs = rng.normal(size=(batch, time, hidden, features))
    sizes = by_lag(of_inputs)
    assert sizes.shape == (batch, time)
    change = rng.normal(size=features)
    change /= np.linalg.norm(change)
    moved = np.linalg.norm(of_inputs @ change, axis=-1)
    assert (moved <= sizes[:, ::-1] + 1e-12).all()  # lag 0 comes first
    stretches = np.linalg.svd(of_inputs[0, -1], compute_uv=False)
    np.testing.assert_allclose(sizes[0, 0], stretches.max())


def test_nothing_has_passed_when_no_step_was_taken():
    rnn = initial(3, 4, np.random.default_rng(0))
    found = influence(rnn, np.zeros((2, 0, 4)))
    assert found.of_inputs.shape == (2, 0, 4, 3)
    np.testing.assert_array_equal(found.of_start, [np.eye(4)] * 2)


def test_saturated_and_silent_units_have_no_influence_at_all():
    rnn = RNN(np.full((3, 1), 1e6), np.ones((3, 3)), np.zeros(3))
    for activation, value in (("tanh", 1e300), ("relu", -1e300)):
        x = np.full((1, 4, 1), value)
        h = run(rnn, x, np.zeros((1, 3)), activation)
        found = influence(rnn, h, activation)
        np.testing.assert_array_equal(found.of_inputs, 0.0)
        np.testing.assert_array_equal(found.of_start, 0.0)
    h = np.zeros((1, 2, 3))  # exactly at the kink: 0, as in PyTorch
    np.testing.assert_array_equal(influence(rnn, h, "relu").of_start, 0.0)


def test_the_spectral_radius_of_large_usual_weights_is_near_theory():
    W_h = initial(1, 400, np.random.default_rng(0)).W_h
    assert abs(np.abs(np.linalg.eigvals(W_h)).max() - 3**-0.5) < 0.04
    assert abs(np.linalg.norm(W_h, 2) - 2 * 3**-0.5) < 0.04


def test_a_delay_line_recalls_as_many_steps_as_it_has_units():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, size=600)
    line = RNN(np.eye(5)[:, :1], np.eye(5, k=-1), np.zeros(5))
    h = run(line, x[None, :, None], np.zeros((1, 5)), "relu")[0]
    r2 = recall(h, x, 12)
    assert r2.shape == (13,)
    np.testing.assert_allclose(r2[:5], 1.0)
    assert r2[5:].max() < 0.1


@settings(max_examples=20)
@given(st.integers(1, 6), st.floats(0.1, 3.0), SEEDS)
def test_no_network_recalls_more_than_it_has_units(hidden, factor, seed):
    rng = np.random.default_rng(seed)
    rnn, x = initial(1, hidden, rng), rng.uniform(-1, 1, size=400)
    rnn = rnn._replace(W_h=factor * rnn.W_h)
    h = run(rnn, x[None, :, None], np.zeros((1, hidden)))[0]
    assert recall(h, x, 20).clip(0).sum() <= hidden + 0.5


@given(st.integers(1, 6), SEEDS)
def test_total_variation_is_the_largest_difference_of_an_event(n, seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(n), size=2)
    found = total_variation(p, q)
    events = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    assert math.isclose(found, (events @ (p - q)).max(), abs_tol=1e-12)
    np.testing.assert_allclose(found, total_variation(q, p))
    assert total_variation(p[None], p[None]).shape == (1,)
    one, two = np.eye(3)[:2]
    assert total_variation(one, two) == 1.0


# On text


def small_changes(model, codes, others, size):
    """p of the next symbol, where the inputs move a little only."""
    (x, _), (x_others, _) = read(model, codes), read(model, others)
    start = np.zeros((len(codes), len(model.rnn.b)))
    both = (x, x + size * (x_others - x))
    ends = [run(model.rnn, inputs, start)[:, -1] for inputs in both]
    return [np.exp(log_probabilities(model, h)) for h in ends]


def test_an_exchange_is_measured_on_the_prediction_and_by_its_derivative():
    model, rng = trained(), np.random.default_rng(0)
    codes, others = rng.integers(0, 27, size=(2, 5, 8))
    found = exchange(model, codes, others)
    p, q = small_changes(model, codes, others, size=1.0)
    np.testing.assert_allclose(found.measured, np.abs(p - q).sum(1) / 2)
    p, q = small_changes(model, codes, others, size=1e-7)
    np.testing.assert_allclose(
        found.first_order, np.abs(p - q).sum(1) / 2e-7, rtol=1e-4
    )
    same = exchange(model, codes, codes)
    np.testing.assert_array_equal(same.measured, 0.0)
    np.testing.assert_array_equal(same.first_order, 0.0)


def test_the_trained_network_is_moved_most_by_what_is_near():
    text = alice_split()[1]
    means = np.mean(
        [each_exchanged(trained(), encode(text[at : at + 30]))
         for at in (100, 500, 900)], axis=0,
    )  # fmt: skip
    assert means.shape == (30,)
    assert means[:3].mean() > 0.2 > 0.1 > means[10:].mean()
    codes = encode(text[:5])
    others = [codes.copy() for _ in range(27)]
    for symbol, row in enumerate(others):
        row[-2] = symbol
    moves = exchange(trained(), np.tile(codes, (27, 1)), np.array(others))
    np.testing.assert_allclose(
        each_exchanged(trained(), codes)[1], moves.measured.sum() / 26
    )


# Errors


def test_wrong_values_are_refused_by_name():
    with pytest.raises(ValueError, match="activation must be"):
        jacobian_step(initial(1, 2, np.random.default_rng(0)),
                      np.zeros((1, 2)), "sigmoid")  # fmt: skip
    for longest, steps in ((-1, 100), (3, 14)):
        with pytest.raises(ValueError, match="longest must be"):
            recall(np.zeros((steps, 2)), np.zeros(steps), longest)
    with pytest.raises(ValueError, match="x must vary"):
        recall(np.zeros((40, 2)), np.full(40, 0.1), 3)


def test_arrays_that_do_not_fit_are_refused_by_name():
    rnn = initial(3, 4, np.random.default_rng(0))
    with pytest.raises(TypeCheckError, match="'states'"):
        influence(rnn, np.zeros((5, 4)))
    with pytest.raises(TypeCheckError, match="'change'"):
        push(rnn, np.zeros((1, 5, 4)), np.zeros((1, 6, 3)))
    with pytest.raises(TypeCheckError, match="'q'"):
        total_variation(np.ones(2) / 2, np.ones(3) / 3)
