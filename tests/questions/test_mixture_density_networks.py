import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MixtureSameFamily

from snippets.questions.mixture_density_networks import (
    GRID,
    NOISE,
    Mixture,
    as_log_variances,
    component_log_probs,
    conditional_mean,
    curve,
    distance,
    draw,
    equal_weights,
    exact_log_prob,
    forward,
    log_prob,
    log_sum_exp,
    mean_of_draws,
    moments,
    odd,
    one_gaussian,
    possible,
    sample,
)
from snippets.questions.mixture_density_networks_torch import (
    Network,
    Outputs,
    library,
    nll,
    squared_error,
    sum_of_logs,
    to_numpy,
    train,
)

SIZES = st.integers(1, 6)
SEEDS = st.integers(0, 2**32 - 1)
ROOTS = (np.log([0.49, 0.02, 0.49]), [-2.0, 0.0, 2.0], np.log([0.25] * 3))


def mixture_of(seed, *shape):
    """Random weights, means and sigmas, and a y for each row."""
    rng = np.random.default_rng(seed)
    logits, means, log_sigmas = rng.normal(size=(3, *shape))
    log_weights = logits - log_sum_exp(logits)[..., None]
    log_sigmas = log_sigmas.clip(-2.0, 1.0)  # for sums over a grid
    y = np.asarray(rng.normal(size=shape[:-1]) * 10)
    return Mixture(log_weights, 3 * means, log_sigmas), y


def roots_of_4(count=20_000):
    return Mixture(*(np.ones((count, 1)) * part for part in ROOTS))


def torch_of(mixture) -> MixtureSameFamily:
    return library(Outputs(*(torch.tensor(part) for part in mixture)))


def integral(mixture):
    """The mass of one mixture between -60 and 60, and its moments."""
    y = np.linspace(-60.0, 60.0, 120_001)
    step = y[1] - y[0]
    rows = Mixture(*(np.broadcast_to(p, (len(y), len(p))) for p in mixture))
    p = np.exp(log_prob(rows, y)) * step
    return p.sum(), (p * y).sum(), (p * y**2).sum() - (p * y).sum() ** 2


# C73: the shapes


@given(SIZES, SIZES, SIZES, SIZES, SEEDS)
def test_the_hidden_layer_goes_to_n_gaussians_three_times(
    batch, features, hidden, n_gaussians, seed
):
    torch.manual_seed(seed)
    net = Network(features, hidden, n_gaussians).double()
    x = torch.randn(batch, features, dtype=torch.float64)
    out, ours = net(x), forward(to_numpy(net), x.numpy())
    for part in (*out, *ours):
        assert tuple(part.shape) == (batch, n_gaussians)
    np.testing.assert_allclose(np.exp(ours.log_weights).sum(1), 1.0)
    wanted = out.logits.log_softmax(-1), out.means, out.log_sigmas
    for theirs, part in zip(wanted, ours, strict=True):
        np.testing.assert_allclose(part, theirs.detach(), atol=1e-10)
    layers = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
    heads = [(m.in_features, m.out_features) for m in layers[1:]]
    assert heads == [(hidden, n_gaussians)] * 3


@given(SIZES, SIZES, SEEDS)
def test_a_time_axis_is_taken_as_it_is(batch, time, seed):
    torch.manual_seed(seed)
    net = to_numpy(Network(2, 4, 3))
    x = np.random.default_rng(seed).normal(size=(batch, time, 2))
    steps = forward(net, x)
    assert steps.means.shape == (batch, time, 3)
    assert sample(steps, np.random.default_rng(0)).shape == (batch, time)
    last = forward(net, x[:, -1])
    np.testing.assert_allclose(steps.means[:, -1], last.means, atol=1e-12)


# The density


@given(SIZES, SIZES, SEEDS)
@settings(max_examples=50)
def test_density_and_loss_and_moments_are_those_of_the_library(
    batch, n_gaussians, seed
):
    mixture, y = mixture_of(seed, batch, n_gaussians)
    theirs, wanted = torch_of(mixture), torch.tensor(y)
    found = log_prob(mixture, y)
    np.testing.assert_allclose(
        found, theirs.log_prob(wanted), rtol=1e-10, atol=1e-10
    )
    out = Outputs(*(torch.tensor(part) for part in mixture))
    assert nll(out, wanted).item() == pytest.approx(-found.mean(), 1e-10)
    mean, within, between = moments(mixture)
    np.testing.assert_allclose(mean, theirs.mean, atol=1e-10)
    np.testing.assert_allclose(within + between, theirs.variance)


@given(SIZES, SEEDS)
@settings(max_examples=10)
def test_a_density_has_mass_one_and_the_moments_that_are_told(
    n_gaussians, seed
):
    mixture, _ = mixture_of(seed, n_gaussians)
    mass, mean, variance = integral(mixture)
    told, within, between = moments(mixture)
    assert mass == pytest.approx(1.0, abs=1e-6)
    assert mean == pytest.approx(told, abs=1e-5)
    assert variance == pytest.approx(within + between, abs=1e-4)


def test_a_log_sum_exp_neither_overflows_nor_underflows():
    a = np.array([[-1e4, -1e4], [1e4, 1e4], [0.0, -np.inf]])
    wanted = [-1e4 + np.log(2), 1e4 + np.log(2), 0.0]
    np.testing.assert_allclose(log_sum_exp(a), wanted)
    assert log_sum_exp(np.array([-np.inf, -np.inf])) == -np.inf
    far = roots_of_4(1)
    y = np.array([12.0])  # 40 sigmas from the nearest
    parts = far.log_weights + component_log_probs(far, y)
    assert (np.exp(parts) == 0).all()
    assert log_prob(far, y)[0] == pytest.approx(-800.246, abs=1e-3)


@given(SIZES, st.integers(2, 6), SEEDS)
def test_a_sum_of_logs_is_never_above_the_log_of_the_sum(
    batch, n_gaussians, seed
):
    mixture, y = mixture_of(seed, batch, n_gaussians)
    out = Outputs(*(torch.tensor(part) for part in mixture))
    assert sum_of_logs(out, torch.tensor(y)) > nll(out, torch.tensor(y))


def test_a_density_above_one_makes_the_loss_negative():
    narrow = Mixture(np.zeros((1, 1)), np.zeros((1, 1)), np.log([[0.1]]))
    assert log_prob(narrow, np.zeros(1))[0] == pytest.approx(1.3836, 1e-4)


# C72: drawing, and what goes wrong with it


@given(st.integers(1, 4), SEEDS)
@settings(max_examples=10)
def test_draws_have_the_distribution_of_the_mixture(n_gaussians, seed):
    one, _ = mixture_of(seed, n_gaussians)
    rows = Mixture(*(np.tile(part, (10_000, 1)) for part in one))
    y = np.sort(sample(rows, np.random.default_rng(seed)))
    cdf = torch_of(rows).cdf(torch.tensor(y)).numpy()
    assert np.abs(cdf - np.arange(1, 10_001) / 10_000).max() < 0.03


def test_one_gaussian_chosen_gives_few_odd_values_and_each_mistake_many():
    roots, rng = roots_of_4(), np.random.default_rng(0)

    def share(values):
        return (np.abs(values) < 1).mean()

    assert share(sample(roots, rng)) == pytest.approx(0.02, abs=0.005)
    assert share(moments(roots).mean) == 1.0
    assert share(mean_of_draws(roots, rng)) > 0.999
    assert share(one_gaussian(roots, rng)) == pytest.approx(0.39, abs=0.02)
    wide, equal = as_log_variances(roots), equal_weights(roots)
    np.testing.assert_allclose(np.exp(wide.log_sigmas), 0.5)
    np.testing.assert_allclose(np.exp(equal.log_weights), 1 / 3)
    assert share(sample(wide, rng)) == pytest.approx(0.042, abs=0.006)
    assert share(sample(equal, rng)) == pytest.approx(1 / 3, abs=0.02)


@given(SIZES, SEEDS)
@settings(max_examples=10)
def test_the_one_gaussian_has_mean_and_variance_of_the_mixture(k, seed):
    one, _ = mixture_of(seed, k)
    rows = Mixture(*(np.tile(part, (20_000, 1)) for part in one))
    y = one_gaussian(rows, np.random.default_rng(seed))
    mean, within, between = moments(one)
    spread = np.sqrt(within + between)
    assert y.mean() == pytest.approx(mean, abs=0.05 * spread)
    assert y.std() == pytest.approx(spread, rel=0.05)
    blended = mean_of_draws(rows, np.random.default_rng(seed))
    assert blended.mean() == pytest.approx(mean, abs=0.05 * spread)
    assert blended.std() < 1.05 * spread


def test_a_softmax_over_a_batch_of_one_gives_every_gaussian_weight_one():
    out = Outputs(*torch.randn(3, 1, 4, dtype=torch.float64))
    y = torch.zeros(1, dtype=torch.float64)
    weights = out.logits.softmax(dim=0)
    torch.testing.assert_close(weights, torch.ones_like(weights))
    equal = out._replace(logits=torch.zeros_like(out.logits))
    gap = nll(equal, y) - nll(out, y, dim=0)
    assert gap.item() == pytest.approx(np.log(4))  # a mass of 4, not of 1


# C71: several right answers


def test_the_data_come_from_the_curve_and_its_noise():
    x, y = draw(2000, np.random.default_rng(0))
    assert x.shape == (2000, 1)
    assert (y >= 0).all()
    assert (y <= 1).all()
    assert np.abs(curve(y) - x[:, 0]).max() <= NOISE
    assert not odd(x[:, 0], y).any()
    assert distance(x[:, 0], y).max() < 0.001


def test_the_exact_density_is_one_over_what_is_possible():
    x = np.array([0.1, 0.37, 0.5])
    mass = possible(x).mean(1) * np.exp(exact_log_prob(x))
    np.testing.assert_allclose(mass, 1.0)
    with pytest.raises(ValueError, match="x must be a value that"):
        possible(np.array([0.5, 1.2]))


def test_the_mean_is_best_by_squared_error_and_can_be_impossible():
    x, y = draw(20_000, np.random.default_rng(0))
    near = np.abs(x[:, 0] - 0.37) < 0.005
    mean = conditional_mean(np.array([0.37]))
    assert y[near].mean() == pytest.approx(mean[0], abs=0.05)
    errors = ((y[near, None] - GRID) ** 2).mean(0)
    assert abs(GRID[errors.argmin()] - mean[0]) < 0.05
    assert distance(np.array([0.37]), mean)[0] > 0.1
    assert odd(np.array([0.37]), mean)[0]
    assert not odd(np.array([0.5]), conditional_mean(np.array([0.5])))[0]


def test_a_mixture_has_peaks_at_the_answers_and_other_losses_have_not():
    x, y = draw(300, np.random.default_rng(0))
    start = {"seed": 3, "updates": 150}
    half, at = np.array([[0.5]]), np.array([0.21, 0.35, 0.5, 0.65, 0.79])
    rows = half.repeat(5, axis=0)
    right = forward(to_numpy(train(nll, 3, x, y, **start)), rows)
    density = np.exp(log_prob(right, at))
    assert density[[0, 2, 4]].min() > 4 * density[[1, 3]].max()
    wrong = forward(to_numpy(train(sum_of_logs, 3, x, y, **start)), half)
    assert np.ptp(wrong.means) < 0.2
    assert np.abs(wrong.means - 0.5).max() < 0.2
    net = to_numpy(train(squared_error, 1, x, y, **start))
    at_037 = forward(net, np.array([[0.37]])).means[0]
    assert distance(np.array([0.37]), at_037)[0] > 0.05
