import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import sunspots
from snippets.sequence_models.autoregressive_model import (
    Weights,
    companion,
    fit,
    fit_by_correlations,
    fixed_point,
    free_errors,
    free_run,
    line,
    nearest,
    one_step,
    order_errors,
    predict_next,
    rmse,
    roots,
    solve,
    split_gaps,
    windows,
)
from snippets.sequence_models.autoregressive_model_torch import (
    as_conv1d,
    as_linear,
    make_mlp,
    train,
)

YEARS, NUMBERS = sunspots()
SPLIT = int(np.flatnonzero(YEARS == 1900)[0])
PAST = NUMBERS[:SPLIT]

orders = st.integers(0, 6)
seeds = st.integers(0, 2**32 - 1)


def random_weights(rng: np.random.Generator, order: int) -> Weights:
    return Weights(rng.normal(size=order), float(rng.normal()))


@given(st.integers(1, 30), orders)
def test_each_window_is_followed_by_its_target(length, order):
    assume(order < length)
    series = np.arange(float(length))
    rows, targets = windows(series, order)
    assert rows.shape == (length - order, order)
    for window, target in zip(rows, targets, strict=True):
        np.testing.assert_array_equal(
            window, np.arange(target - order, target)
        )


# The next three are C04: the model has a window, and nothing else.
@given(orders, st.integers(0, 9), seeds)
def test_a_change_older_than_the_window_moves_nothing(order, older, seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, order)
    past = rng.normal(size=order + older + 1)
    changed = past.copy()
    changed[: len(past) - order] += 1e6
    assert predict_next(weights, changed) == predict_next(weights, past)
    free = free_run(weights, past, 5)
    np.testing.assert_array_equal(free_run(weights, changed, 5), free)


@given(st.integers(1, 6), st.data(), seeds)
def test_a_change_inside_moves_the_prediction_by_its_weight(
    order, data, seed
):
    lag = data.draw(st.integers(1, order))
    rng = np.random.default_rng(seed)
    weights, past = random_weights(rng, order), rng.normal(size=order + 4)
    changed = past.copy()
    changed[-lag] += 10.0
    moved = predict_next(weights, changed) - predict_next(weights, past)
    assert moved == pytest.approx(10.0 * weights.w[-lag], abs=1e-9)


def test_training_error_never_rises_with_the_order_held_out_error_does():
    errors = order_errors(NUMBERS, SPLIT, range(21))
    assert np.all(np.diff(errors.train) <= 0)
    assert errors.held_out.argmin() in (9, 10)
    assert errors.held_out[20] > errors.held_out[9] + 0.5
    persistence = rmse(np.diff(NUMBERS)[SPLIT - 1 :])
    assert errors.held_out[2] < errors.held_out[1] < persistence
    assert persistence < errors.held_out[0]


@given(st.integers(16, 40), seeds)
def test_training_error_never_rises_on_any_series(split, seed):
    series = np.random.default_rng(seed).normal(size=split + 5)
    errors = order_errors(series, split, [0, 1, 2, 4, 5])
    assert np.all(np.diff(errors.train) <= 1e-12)


def test_order_errors_score_the_same_targets_for_every_order():
    errors = order_errors(NUMBERS, SPLIT, [2, 9])
    for place, order in enumerate([2, 9]):
        rows, targets = windows(NUMBERS[9 - order :], order)
        known = SPLIT - 9
        gaps = line(rows[:known], targets[:known], rows) - targets
        assert errors.train[place] == pytest.approx(rmse(gaps[:known]))
        assert errors.held_out[place] == pytest.approx(rmse(gaps[known:]))


@given(orders, seeds)
def test_a_series_made_by_a_model_without_noise_gives_it_back(order, seed):
    rng = np.random.default_rng(seed)
    weights = Weights(rng.uniform(-1, 1, order) / max(order, 1), 1.0)
    rows = rng.normal(size=(3 * order + 5, order))
    found = solve(rows, rows @ weights.w + weights.b)
    np.testing.assert_allclose(found.w, weights.w, atol=1e-8)
    assert found.b == pytest.approx(1.0)


def test_a_constant_series_is_predicted_though_its_weights_are_not_unique():
    weights = fit(np.full(9, 3.0), 2)
    assert predict_next(weights, np.full(2, 3.0)) == pytest.approx(3.0)


@given(orders, st.integers(1, 12), seeds)
def test_one_step_is_predict_next_at_every_place(order, targets, seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, order)
    series = rng.normal(size=order + targets)
    singly = [
        predict_next(weights, series[:t]) for t in range(order, len(series))
    ]
    np.testing.assert_allclose(one_step(weights, series), singly)


@given(orders, st.integers(1, 8), st.integers(0, 5), seeds)
def test_free_errors_are_free_runs_against_the_truth(
    order, steps, more, seed
):
    rng = np.random.default_rng(seed)
    weights = Weights(rng.normal(size=order) / 3, 0.5)
    series = rng.normal(size=order + steps + more)
    errors = free_errors(weights, series, order, steps)
    assert errors.shape == (more + 1, steps)
    for start, row in enumerate(errors, start=order):
        run = free_run(weights, series[:start], steps)
        np.testing.assert_allclose(row, run - series[start:][:steps])


def test_a_free_run_of_no_steps_is_empty():
    assert free_run(Weights(np.ones(1), 0.0), np.ones(1), 0).shape == (0,)


@given(st.integers(1, 6), seeds)
def test_the_companion_matrix_is_one_step_of_a_free_run(order, seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, order)._replace(b=0.0)
    start = rng.normal(size=order)
    moved = start
    for _ in range(order):
        moved = companion(weights) @ moved
    np.testing.assert_allclose(moved, free_run(weights, start, order))


def test_roots_solve_the_characteristic_equation_largest_first():
    weights = Weights(np.array([-0.65504, 1.34254]), 0.0)
    found = roots(weights)
    np.testing.assert_allclose(found**2, 1.34254 * found - 0.65504)
    sizes = np.abs(roots(Weights(np.array([0.5, 0.2, -0.7]), 0.0)))
    assert np.all(np.diff(sizes) <= 0)


def test_a_model_of_order_0_has_no_roots_and_predicts_its_intercept():
    weights = fit(np.array([1.0, 2.0, 6.0]), 0)
    assert roots(weights).shape == (0,)
    assert fixed_point(weights) == pytest.approx(3.0)
    np.testing.assert_allclose(free_run(weights, np.ones(1), 3), 3.0)


def test_a_stable_free_run_ends_at_the_fixed_point_an_unstable_explodes():
    stable = fit(PAST, 9)
    assert np.abs(roots(stable)[0]) < 1
    end = free_run(stable, PAST, 1000)[-1]
    assert end == pytest.approx(fixed_point(stable))
    unstable = fit(NUMBERS[:30], 12)
    assert np.abs(roots(unstable)[0]) > 1
    assert np.abs(free_run(unstable, NUMBERS[:30], 400)[-1]) > 1e15


def test_free_runs_lose_their_lead_over_the_mean():
    runs = free_errors(fit(PAST, 9), NUMBERS, SPLIT, 50)
    mean = free_errors(fit(PAST, 0), NUMBERS, SPLIT, 50)
    share = [rmse(runs[:, h]) / rmse(mean[:, h]) for h in (0, 4, 19, 49)]
    assert np.all(np.diff(share) > 0.05)
    assert share[0] < 0.4 < 0.9 < share[-1] < 1


def test_yules_way_comes_near_his_published_coefficients():
    his = NUMBERS[(YEARS >= 1749) & (YEARS <= 1924)]
    assert len(his) == 176  # as many as he had
    found = fit_by_correlations(his)
    np.testing.assert_allclose(found.w, [-0.65504, 1.34254], atol=1e-3)
    period = 2 * np.pi / abs(np.angle(roots(found)[0]))
    assert period == pytest.approx(10.600, abs=0.01)
    np.testing.assert_allclose(fit(his, 2).w, found.w, atol=0.01)


@given(seeds)
def test_shuffling_windows_with_their_targets_leaves_the_fit(seed):
    rows, targets = windows(PAST, 5)
    mixed = np.random.default_rng(seed).permutation(len(rows))
    shuffled, weights = solve(rows[mixed], targets[mixed]), fit(PAST, 5)
    np.testing.assert_allclose(shuffled.w, weights.w, atol=1e-10)


def test_nearest_gives_the_target_of_the_window_that_is_most_alike():
    rows = np.array([[0.0, 0.0], [5.0, 5.0], [9.0, 0.0]])
    told = nearest(rows, np.array([1.0, 2.0, 3.0]), rows[::-1] + 0.4)
    np.testing.assert_array_equal(told, [3.0, 2.0, 1.0])


@pytest.mark.parametrize("model", [line, nearest])
def test_split_gaps_are_nan_where_the_model_was_fitted(model):
    rows, targets = windows(PAST, 2)
    part = np.arange(0, len(rows), 2)
    gaps = split_gaps(model, rows, targets, part)
    assert np.isnan(gaps[part]).all()
    told = model(rows[part], targets[part], rows[1::2])
    np.testing.assert_allclose(gaps[1::2], told - targets[1::2])


@pytest.mark.parametrize("order", [1, 2, 9, 20])
def test_fit_is_torchs_least_squares(order):
    rows, targets = windows(NUMBERS, order)
    table = np.column_stack([rows, np.ones(len(rows))])
    found = torch.linalg.lstsq(
        torch.from_numpy(table), torch.from_numpy(targets[:, None])
    ).solution.numpy()[:, 0]
    weights = fit(NUMBERS, order)
    ours = np.append(weights.w, weights.b)
    np.testing.assert_allclose(ours, found, atol=1e-10)


@given(st.integers(1, 6), st.integers(1, 9), seeds)
def test_one_step_is_a_linear_layer_and_a_convolution(order, more, seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, order)
    series = rng.normal(size=order + more)
    rows = torch.from_numpy(windows(series, order)[0])
    whole = torch.from_numpy(series)[None, None]
    with torch.no_grad():
        linear = as_linear(weights)(rows)[:, 0].numpy()
        slid = as_conv1d(weights)(whole)[0, 0].numpy()
    ours = one_step(weights, series)
    np.testing.assert_allclose(linear, ours, atol=1e-10)
    np.testing.assert_allclose(slid[:-1], ours, atol=1e-10)
    assert slid[-1] == pytest.approx(predict_next(weights, series))


def test_gradient_descent_brings_a_linear_layer_to_least_squares():
    layer = as_linear(Weights(np.zeros(2), 0.0))
    reached = train(layer, NUMBERS, SPLIT, 2, 1500)
    exact = order_errors(NUMBERS, SPLIT, [2])
    assert reached[0] == pytest.approx(exact.train[0], abs=1e-4)
    assert reached[1] == pytest.approx(exact.held_out[0], abs=1e-2)


def test_a_network_learns_a_rule_that_no_line_can():
    logistic = np.full(300, 0.3)
    for t in range(1, 300):
        logistic[t] = 4 * logistic[t - 1] * (1 - logistic[t - 1])
    exact = order_errors(logistic, 200, [1])
    assert exact.held_out[0] > 0.3
    net = make_mlp(1, 8, np.random.default_rng(1))
    assert train(net, logistic, 200, 1, 300)[1] < 0.1


def test_wrong_values_are_refused_by_name():
    series, weights = np.arange(9.0), Weights(np.ones(3), 0.0)
    with pytest.raises(ValueError, match="order must be 0 to 8: 9"):
        windows(series, 9)
    with pytest.raises(ValueError, match="order must be 0 to 8: -1"):
        fit(series, -1)
    with pytest.raises(ValueError, match="order must be at most 4"):
        fit(series, 5)
    with pytest.raises(ValueError, match="past must have 3 values: 2"):
        predict_next(weights, series[:2])
    with pytest.raises(ValueError, match="split must be in the series"):
        order_errors(series, 9, [1])
    with pytest.raises(ValueError, match="split must be in the series"):
        order_errors(series, 2, [2])
    with pytest.raises(ValueError, match="first must leave room"):
        free_errors(weights, series, 7, 3)
    with pytest.raises(ValueError, match="first must leave room"):
        free_errors(weights, series, 2, 3)
    with pytest.raises(ValueError, match="weights must not have"):
        fixed_point(Weights(np.array([0.5, 0.5]), 1.0))
    with pytest.raises(TypeCheckError, match="'series'"):
        windows(np.ones((2, 2)), 1)
