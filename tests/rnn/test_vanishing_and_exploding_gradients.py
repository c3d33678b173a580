import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.rnn.recurrence import RNN, run
from snippets.rnn.short_term_dependency import influence, jacobian_step
from snippets.rnn.vanishing_and_exploding_gradients import (
    bound,
    carry,
    clip_norm,
    clip_value,
    drawn,
    latch,
    luck,
    products,
    sigmoid,
    sweep,
    tanh_twin,
    total_norm,
)
from snippets.rnn.vanishing_and_exploding_gradients_torch import (
    first_sign,
    five_paths,
    gradient_by_step,
    initial_network,
    lstm_gradient,
    sigmoid_jacobian,
    torch_clipped,
    train,
)

sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(["sigmoid", "tanh", "relu"])


def random_copies(hidden, features, steps, seed):
    rng = np.random.default_rng(seed)
    copies = [
        RNN(
            2.0 * rng.normal(size=(hidden, features)),
            2.0 * rng.normal(size=(hidden, hidden)),
            rng.normal(size=hidden),
        )
        for _ in range(steps)
    ]
    x = rng.normal(size=(1, steps, features))
    return copies, x, rng.random((1, hidden))


def unit(w, b):
    """One unit without input, as the weights of a network."""
    return RNN(np.zeros((1, 1)), np.array([[w]]), np.array([b]))


def norms(found):
    return np.linalg.norm(found[0], 2, axis=(1, 2))


def test_the_sigmoid_is_the_logistic_function_and_never_overflows():
    a = np.array([-2.0, 0.0, 0.5, 3.0])
    np.testing.assert_allclose(sigmoid(a), 1 / (1 + np.exp(-a)), atol=1e-15)
    np.testing.assert_array_equal(sigmoid(np.array([-1e9, 1e9])), [0, 1])


@given(sizes, sizes, sizes, seeds)
def test_a_sigmoid_network_is_a_tanh_network(hidden, features, steps, seed):
    copies, x, h = random_copies(hidden, features, steps, seed)
    rnn, g = copies[0], run(tanh_twin(copies[0]), x, 2 * h - 1)
    for t in range(steps):
        h = sigmoid(x[:, t] @ rnn.W_x.T + h @ rnn.W_h.T + rnn.b)
        np.testing.assert_allclose((g[:, t] + 1) / 2, h, atol=1e-12)


@given(sizes, sizes, sizes, seeds, kinds)
def test_the_products_are_those_of_automatic_differentiation(
    hidden, features, steps, seed, kind
):
    copies, x, h0 = random_copies(hidden, features, steps, seed)
    found = products(copies, x, h0, kind)[0]
    assert found.shape == (steps, hidden, hidden)

    def last_state(h):
        for t in range(steps):
            W_x, W_h, b = map(torch.tensor, copies[t])
            a = torch.tensor(x[:, t]) @ W_x.T + h @ W_h.T + b
            h = getattr(torch, kind)(a)
        return h[0]

    by_torch = torch.autograd.functional.jacobian(
        last_state, torch.tensor(h0)
    )
    gap = np.abs(found[-1] - by_torch[:, 0].numpy())
    assert gap.max() <= 1e-10 * max(1.0, np.abs(found).max())


@given(sizes, sizes, sizes, seeds)
def test_sigmoid_jacobian_and_influence_agree_with_the_products(
    hidden, features, steps, seed
):
    copies, x, h = random_copies(hidden, features, steps, seed)
    shared = copies[:1] * steps
    gap = sigmoid_jacobian(copies[0], x, h)
    gap = gap - products(shared, x, h, "sigmoid")[0, -1]
    assert np.abs(gap).max() < 1e-10
    of_start = influence(copies[0], run(copies[0], x, h)).of_start
    end = products(shared, x, h)[:, -1]
    np.testing.assert_allclose(end, of_start, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("steps, copies", [(2, 1), (2, 3), (0, 0)])
def test_products_need_one_copy_a_step(steps, copies):
    rnn, h = unit(1.0, 0.0), np.zeros((1, 1))
    with pytest.raises(ValueError, match="copies must be one a step"):
        products([rnn] * copies, np.zeros((1, steps, 1)), h)


def test_unknown_activations_are_refused():
    rnn, h = unit(1.0, 0.0), np.zeros((1, 1))
    with pytest.raises(ValueError, match="activation must be one of"):
        products([rnn], np.zeros((1, 1, 1)), h, "swish")
    with pytest.raises(ValueError, match="activation must be one of"):
        bound(rnn.W_h, 1, "swish")


@given(sizes, sizes, seeds, kinds)
def test_no_product_exceeds_the_bound(hidden, steps, seed, kind):
    copies, x, h = random_copies(hidden, 2, steps, seed)
    found = norms(products(copies[:1] * steps, x, h, kind))
    limit = bound(copies[0].W_h, steps, kind)
    assert (found <= limit * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    "kind, w, h, steepest",
    [("sigmoid", 5.0, 0.5, 0.25), ("tanh", 1.5, 0.0, 1.0),
     ("relu", 0.7, 1.0, 1.0)],
)  # fmt: skip
def test_one_unit_attains_the_bound(kind, w, h, steepest):
    b = -w / 2 if kind == "sigmoid" else 0.0
    rnn, x = unit(w, b), np.zeros((1, 30, 1))
    found = norms(products([rnn] * 30, x, np.array([[h]]), kind))
    np.testing.assert_allclose(found, bound(rnn.W_h, 30, kind), rtol=1e-9)
    np.testing.assert_allclose(found[-1], (steepest * w) ** 30)


def test_with_a_sigmoid_the_influence_vanishes_but_not_the_state():
    """C13: for certain below 4, and not in general above."""
    x = np.zeros((1, 200, 4))
    for scale in (0.5, 1.0, 1.8):
        rng = np.random.default_rng(0)
        rnn, h0 = drawn(scale, 64, rng), rng.random((1, 64))
        limit = bound(rnn.W_h, 200, "sigmoid")
        assert np.linalg.norm(rnn.W_h, 2) < 4
        assert limit[-1] < 0.3 * limit[0]
        found = norms(products([rnn] * 200, x, h0, "sigmoid"))
        assert (found <= limit).all()
        assert found[-1] < 1e-12
        h = (run(tanh_twin(rnn), x, 2 * h0 - 1) + 1) / 2
        assert np.linalg.norm(h[0, -1]) > 1.0
        np.testing.assert_allclose(h[0, -1], h[0, -2], atol=1e-12)

    rnn, x = unit(5.0, -2.5), np.zeros((1, 200, 1))
    found = norms(products([rnn] * 200, x, np.array([[0.5]]), "sigmoid"))
    np.testing.assert_allclose(found, 1.25 ** np.arange(1, 201))
    beside = norms(products([rnn] * 200, x, np.array([[0.51]]), "sigmoid"))
    assert beside.max() > 10
    assert beside[-1] < 1e-20


def test_with_relu_it_depends_on_the_weights_and_the_active_units():
    """C14: explodes, vanishes, is kept, or is exactly 0."""
    rng, x = np.random.default_rng(0), np.zeros((1, 50, 1))
    h0 = np.abs(rng.normal(size=(1, 8))) + 0.1
    for factor, low, high in ((1.1, 100, 130), (0.9, 0, 0.01), (1, 1, 1)):
        rnn = RNN(np.zeros((8, 1)), factor * np.eye(8), np.zeros(8))
        found = products([rnn] * 50, x, h0, "relu")
        states = run(rnn, x, h0, "relu")
        assert low <= norms(found)[-1] <= high
        value = np.linalg.norm(states[0, -1]) / np.linalg.norm(h0)
        np.testing.assert_allclose(value, norms(found)[-1])
        np.testing.assert_allclose(states[0, -1], found[0, -1] @ h0[0])
    dying = RNN(np.zeros((8, 1)), 1.1 * np.eye(8), np.full(8, -1.0))
    assert norms(products([dying] * 50, x, h0, "relu"))[-1] == 0.0


def test_one_matrix_spreads_with_time_and_own_matrices_with_its_root():
    own, shared = (
        np.log10(luck(shared, 24)).std(axis=0, ddof=1)
        for shared in (False, True)
    )
    assert 1.3 < own[1] / own[0] < 2.7
    assert 3.0 < shared[1] / shared[0] < 5.5
    assert shared[1] > 4 * own[1]


def test_drawn_weights_have_the_spectral_radius_and_norm_they_say():
    rnn = drawn(0.5, 300, np.random.default_rng(0))
    radius = np.abs(np.linalg.eigvals(rnn.W_h)).max()
    assert radius == pytest.approx(0.5, rel=0.08)
    assert np.linalg.norm(rnn.W_h, 2) == pytest.approx(1.0, rel=0.04)
    assert rnn.W_x.shape == (300, 4)
    assert not rnn.b.any()


def test_the_sweep_is_the_product_and_lies_below_the_bound():
    found = sweep(np.array([1.0, 4.0]), 2, "sigmoid")
    assert found.influence.shape == found.bound.shape == (2, 2)
    assert (found.influence < found.bound).all()
    rng = np.random.default_rng(1)
    rnn, x = drawn(4.0, 64, rng), rng.normal(size=(1, 50, 4))
    start = np.zeros((1, 64))
    end = norms(products([rnn] * 50, x, start, "sigmoid"))[-1]
    assert found.influence[1, 1] == pytest.approx(np.log10(end))
    log = found.bound[1, 1]
    assert log == pytest.approx(np.log10(bound(rnn.W_h, 50, "sigmoid")[-1]))


def random_grads(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    shapes = [(1,), (2, 3), (4,)]
    return [scale * rng.normal(size=shape) for shape in shapes]


def clipped_by_value(grads, limit):
    leaves = [torch.nn.Parameter(torch.tensor(g)) for g in grads]
    for leaf in leaves:
        leaf.grad = leaf.detach().clone()
    torch.nn.utils.clip_grad_value_(leaves, limit)
    return [leaf.grad.numpy() for leaf in leaves]


@given(seeds, st.floats(1e-9, 1e9), st.floats(1e-6, 1e6))
def test_clipping_is_that_of_pytorch(seed, scale, limit):
    grads = random_grads(seed, scale)
    for ours, theirs in (
        (clip_norm(grads, limit), torch_clipped(grads, limit)),
        (clip_value(grads, limit), clipped_by_value(grads, limit)),
    ):
        for mine, other in zip(ours, theirs, strict=True):
            gap = np.abs(mine - other).max()
            assert gap <= 1e-10 * max(1.0, np.abs(other).max())


@given(seeds, st.floats(1e-3, 1e3))
def test_clipping_by_norm_keeps_the_direction_and_the_limit(seed, limit):
    grads = random_grads(seed, 100.0)
    before = np.concatenate([g.ravel() for g in grads])
    after = np.concatenate([g.ravel() for g in clip_norm(grads, limit)])
    assert np.linalg.norm(after) <= limit
    share = after @ before / np.linalg.norm(after) / np.linalg.norm(before)
    assert share == pytest.approx(1.0, abs=1e-12)
    cut = clip_value(grads, limit)
    assert max(np.abs(g).max() for g in cut) <= limit


def test_small_zero_and_unlimited_gradients_stay():
    for grads, limit in (
        (random_grads(0, 1e-9), 1.0),
        ([np.zeros((2, 2)), np.zeros(1)], 1.0),
        (random_grads(0, 1e9), np.inf),
        ([np.zeros(0)], 1.0),
    ):
        for clip in (clip_norm, clip_value):
            for kept, grad in zip(clip(grads, limit), grads, strict=True):
                np.testing.assert_array_equal(kept, grad)
    single = [np.full(3, 7.0, dtype=np.float32)]
    assert clip_norm(single, 1.0)[0].dtype == np.float32


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_norm_neither_overflows_nor_underflows(scale):
    grads = [np.array([3.0 * scale]), np.array([[4.0 * scale]])]
    assert total_norm(grads) == pytest.approx(5.0 * scale)
    assert total_norm(clip_norm(grads, 1.0)) == pytest.approx(
        min(1.0, 5.0 * scale)
    )


@pytest.mark.parametrize("clip", [clip_norm, clip_value])
def test_clipping_refuses_what_it_cannot_repair(clip):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="grads must be finite"):
            clip([np.ones(2), np.array([bad])], 1.0)
    spread = torch_clipped([np.array([np.inf]), np.ones(1)], 1.0)
    assert [float(g) for g in spread[1]] == [0.0]  # PyTorch goes on
    for limit in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="limit must be above 0"):
            clip([np.ones(2)], limit)


def test_clipping_saves_the_unit_that_explosion_throws_off():
    thrown, wild, norms_ = latch(np.inf, 60)
    kept, tame, _ = latch(1.0, 60)
    assert norms_.max() > 10
    assert thrown.W_h.item() < 1.0 < kept.W_h.item()
    assert wild[-1] == pytest.approx(0.81, abs=1e-3)
    assert tame[-1] < 0.01
    np.testing.assert_array_equal(wild[:20], tame[:20])
    ends = run(kept, np.zeros((2, 50, 1)), np.array([[0.5], [-0.5]]))
    assert ends[0, -1].item() > 0.8
    assert ends[1, -1].item() < -0.8


@given(sizes, sizes, sizes, seeds)
def test_the_influence_on_the_additive_path_is_the_product_of_gates(
    batch, steps, hidden, seed
):
    rng = np.random.default_rng(seed)
    forget = rng.random((batch, steps, hidden))
    new_, c = rng.normal(size=(2, batch, steps, hidden))
    moved = carry(forget, new_, c[:, 0] + 1) - carry(forget, new_, c[:, 0])
    np.testing.assert_allclose(moved, forget.cumprod(axis=1), atol=1e-12)
    kept = carry(np.ones_like(forget), new_, c[:, 0])
    total = c[:, 0] + new_.sum(axis=1)
    np.testing.assert_allclose(kept[:, -1], total, atol=1e-12)


@pytest.mark.parametrize("gate", [-0.1, 1.1, np.nan])
def test_a_gate_outside_zero_to_one_is_refused(gate):
    with pytest.raises(ValueError, match="forget must be between 0 and 1"):
        carry(
            np.full((1, 1, 1), gate), np.zeros((1, 1, 1)), np.ones((1, 1))
        )


def test_an_additive_path_keeps_what_a_plain_network_has_lost():
    """C15: what the LSTM was built for, and what it does not exclude."""
    for seed in range(5):
        found = five_paths(seed)
        plain, path, low, high, wild = found.values()
        assert plain < 1e-15
        assert 0.2 < path < 1.0
        assert low < 1e-15
        assert 0.1 < high < 100
        assert wild > 10 * high


def test_the_lstm_gradient_is_the_product_of_gates_without_other_paths():
    torch.manual_seed(0)
    x = torch.zeros(1, 20, 4, dtype=torch.float64)
    v = torch.tensor([0.6, 0.8], dtype=torch.float64)
    alone = lstm_gradient(x, v, forget_bias=2.0, scale=0.0)
    assert alone == pytest.approx(sigmoid(np.array(2.0)) ** 20)


def test_the_first_sign_is_the_answer_and_the_rest_is_noise():
    torch.manual_seed(0)
    x, y = first_sign(200, 7)
    assert x.shape == (200, 7, 1)
    np.testing.assert_array_equal(x[:, 0, 0].sign(), 2 * y - 1)
    assert set(y.tolist()) == {0.0, 1.0}
    assert x[:, 1:].std().item() == pytest.approx(0.1, rel=0.1)


@settings(max_examples=20)
@given(sizes, st.integers(1, 6), seeds)
def test_the_logged_gradients_are_those_of_the_jacobians(
    batch, steps, seed
):
    torch.manual_seed(seed)
    net, readout = initial_network(orthogonal=False)
    x, y = first_sign(batch, steps)
    logged = gradient_by_step(net, readout, x, y)

    W_x, W_h, *biases = (p.detach().numpy() for p in net.parameters())
    rnn = RNN(W_x, W_h, sum(biases))
    states = run(rnn, x.numpy(), np.zeros((batch, 32)))
    weight, bias = (p.detach().numpy() for p in readout.parameters())
    p = sigmoid(states[:, -1] @ weight.T + bias)
    grad = (p - y.numpy()[:, None]) / batch * weight
    for t in reversed(range(steps)):
        assert logged[t] == pytest.approx(np.linalg.norm(grad), rel=1e-9)
        J = jacobian_step(rnn, states[:, t])
        grad = np.einsum("bi,bij->bj", grad, J)


def test_the_network_of_orthogonal_weights_learns_where_the_usual_fails():
    losses, firsts = {}, {}
    for orthogonal in (False, True):
        torch.manual_seed(0)
        rnn, readout = initial_network(orthogonal)
        log = gradient_by_step(rnn, readout, *first_sign(64, 50))
        losses[orthogonal] = train(rnn, readout, steps=50, updates=60)
        firsts[orthogonal] = log[0]
    assert firsts[False] < 1e-9 < 1e-6 < firsts[True]
    assert abs(losses[False][-1] - np.log(2)) < 0.02
    assert losses[True][-1] < 0.1
