import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.forget_gate import (
    along,
    bias_for,
    fixed,
    forget,
    forget_gate,
    share,
    share_slope,
    time_scale,
)
from snippets.lstm.forget_gate_torch import (
    initial_gates,
    set_forget_bias,
    to_cell,
    train,
)
from snippets.lstm.overview import (
    EXAMPLE,
    Gate,
    c_last,
    h_last,
    sigmoid,
    x_t,
)
from snippets.rnn.vanishing_and_exploding_gradients import carry
from tests.lstm.weights import random_gate, random_lstm

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, batch, features, hidden):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    sizes = (features, hidden, hidden)
    return lstm, *(rng.normal(size=(batch, size)) for size in sizes)


def in_torch(lstm, x, h, c):
    with torch.no_grad():
        x, h, c = map(torch.tensor, (x, h, c))
        return [state.numpy() for state in to_cell(lstm)(x, (h, c))]


# C18: what is thrown away


@given(SMALL, SMALL, SMALL, SEEDS)
def test_a_gate_of_zero_erases_and_a_gate_of_one_keeps_to_the_bit(
    batch, features, hidden, seed
):
    _, x, h, c = drawn(seed, batch, features, hidden)
    ends = {b: fixed(np.full(hidden, b), features) for b in (-800.0, 800.0)}
    f = {b: forget_gate(gate, x, h) for b, gate in ends.items()}
    np.testing.assert_array_equal(f[-800.0], 0.0)
    np.testing.assert_array_equal(f[800.0], 1.0)
    np.testing.assert_array_equal(forget(f[-800.0], c), 0.0)
    np.testing.assert_array_equal(forget(f[800.0], c), c)


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_gate_only_shrinks_it_writes_restores_and_turns_nothing(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    c[:, 0] = 0.0
    f = forget_gate(lstm.forget, x, h)
    assert ((f > 0) & (f < 1)).all()
    kept = forget(f, c)
    np.testing.assert_array_equal(np.sign(kept), np.sign(c))
    assert (np.abs(kept) <= np.abs(c)).all()
    assert (kept[:, 0] == 0).all()


# C19: one number for each unit


@given(SMALL, SMALL, st.integers(2, 5), SEEDS)
def test_two_units_do_opposite_things_at_one_step_as_no_scalar_can(
    batch, features, hidden, seed
):
    _, x, h, c = drawn(seed, batch, features, hidden)
    biases = np.full(hidden, 40.0)
    biases[1] = -40.0
    f = forget_gate(fixed(biases, features), x, h)
    assert f.shape == c.shape
    kept = forget(f, c)
    np.testing.assert_array_equal(kept[:, 0], c[:, 0])
    np.testing.assert_array_equal(kept[:, 1], 0.0)
    # the nearest multiple of c misses by the part that must go, or stay
    s = (c * kept).sum(1, keepdims=True) / (c * c).sum(1, keepdims=True)
    missed = np.linalg.norm(s * c - kept, axis=1)
    least = np.abs(c[:, :2]).prod(axis=1) / np.linalg.norm(c, axis=1)
    assert (missed >= least - 1e-12).all()


@given(SMALL, SMALL, st.integers(2, 5), SEEDS)
def test_each_unit_has_a_row_of_weights_of_its_own(
    batch, features, hidden, seed
):
    lstm, x, h, _ = drawn(seed, batch, features, hidden)
    before = forget_gate(lstm.forget, x, h)
    lstm.forget.b[0] += 1.0
    after = forget_gate(lstm.forget, x, h)
    assert (after[:, 0] > before[:, 0]).all()
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


def test_one_number_for_several_units_is_refused_by_name():
    with pytest.raises(TypeCheckError, match="'c'"):
        forget(np.array([[0.8]]), c_last)


# C20: kept and dropped, as in PyTorch


@given(SMALL, SMALL, SMALL, SEEDS)
def test_what_is_kept_is_pytorchs_cell_with_its_input_gate_shut(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    shut = lstm._replace(input=fixed(np.full(hidden, -1e9), features))
    kept = forget(forget_gate(lstm.forget, x, h), c)
    np.testing.assert_allclose(kept, in_torch(shut, x, h, c)[1], atol=1e-12)


def test_the_example_by_hand():
    f = forget_gate(EXAMPLE.forget, x_t, h_last)
    by_hand = 1 / (1 + np.exp([-2.25, 1.25]))
    np.testing.assert_allclose(f, [by_hand], atol=1e-15)
    kept = forget(f, c_last)
    np.testing.assert_allclose(kept, [[1.809, -0.223]], atol=5e-4)


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_copied_cell_computes_the_equations_of_all_gates(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    a = {
        name: x @ g.W_x.T + h @ g.W_h.T + g.b
        for name, g in lstm._asdict().items()
    }
    c_next = sigmoid(a["forget"]) * c
    c_next = c_next + sigmoid(a["input"]) * np.tanh(a["candidate"])
    h_next = sigmoid(a["output"]) * np.tanh(c_next)
    theirs = in_torch(lstm, x, h, c)
    np.testing.assert_allclose(h_next, theirs[0], atol=1e-12)
    np.testing.assert_allclose(c_next, theirs[1], atol=1e-12)


# A gate over a sequence


@given(SMALL, st.integers(0, 6), SMALL, SMALL, SEEDS)
def test_all_steps_at_once_are_the_steps_one_by_one(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    gate = random_gate(rng, features, hidden)
    gate.W_h[:] = 0.0
    x = rng.normal(size=(batch, time, features))
    f = along(forget_gate, gate, x)
    assert f.shape == (batch, time, hidden)
    for t in range(time):
        h = rng.normal(size=(batch, hidden))  # not read
        np.testing.assert_allclose(f[:, t], forget_gate(gate, x[:, t], h))


def test_a_gate_that_reads_the_state_cannot_be_computed_at_once():
    with pytest.raises(ValueError, match="gate must have W_h = 0"):
        along(forget_gate, EXAMPLE.forget, np.zeros((1, 3, 1)))


def test_a_stream_grows_without_a_gate_settles_or_is_reset_on_a_flag():
    flag = np.zeros((1, 400, 1))
    flag[0, ::40] = 1.0
    on_flag = Gate(np.array([[-20.0]]), np.zeros((1, 1)), np.array([10.0]))
    new, start = np.full((1, 400, 1), 0.5), np.zeros((1, 1))
    f = along(forget_gate, on_flag, flag)
    resets = carry(f, new, start)[0, :, 0]
    np.testing.assert_allclose(resets[40::40], 0.5, atol=0.01)
    np.testing.assert_allclose(resets[39::40], 20.0, rtol=0.01)
    np.testing.assert_array_equal(
        carry(np.ones_like(new), new, start)[0, :, 0],
        0.5 * np.arange(1, 401),
    )
    settled = carry(np.full_like(new, 0.9), new, start)[0, -1, 0]
    assert abs(settled - 0.5 / (1 - 0.9)) < 1e-12


# Time scales


@given(st.floats(-5.0, 9.0))
def test_the_time_scale_is_the_sum_of_all_shares_and_has_its_bias(bias):
    f = sigmoid(np.array([bias]))
    ages = np.arange(1 + int(40 * (1 + np.exp(bias))))
    np.testing.assert_allclose(time_scale(f), (f**ages).sum(), rtol=1e-9)
    np.testing.assert_allclose(time_scale(f), 1 + np.exp(bias), rtol=1e-9)
    np.testing.assert_allclose(bias_for(time_scale(f)), bias, atol=1e-9)


@given(st.floats(-3.0, 12.0), st.integers(1, 1000))
def test_the_slope_of_the_share_is_its_derivative(bias, lag):
    step = 1e-6
    up, down = (share(np.array([bias + s]), lag) for s in (step, -step))
    found = share_slope(np.array([bias]), lag)
    np.testing.assert_allclose(found, (up - down) / 2e-6, atol=1e-7)
    at_log = share_slope(np.array([np.log(lag)]), lag)
    assert (found <= at_log + 1e-12).all()


def test_a_hundred_steps_at_the_usual_biases():
    left = share(np.array([0.0, 1.0, 5.0]), 100)
    np.testing.assert_allclose(left, [0.5**100, 2.47e-14, 0.511], rtol=1e-2)


def test_wrong_values_are_refused_by_name():
    for f in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match="f must be"):
            time_scale(np.array([0.5, f]))
    for steps in (1.0, 0.0, np.nan):
        with pytest.raises(ValueError, match="steps must be"):
            bias_for(np.array([2.0, steps]))
    with pytest.raises(ValueError, match="lag must be"):
        share(np.zeros(1), -1)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_the_shape_of_what_is_asked_is_the_shape_of_the_answer(shape):
    f, bias = np.full(shape, 0.5), np.zeros(shape)
    for found, expected in (
        (time_scale(f), 2.0),
        (bias_for(np.full(shape, 2.0)), 0.0),
        (share(bias, 3), 0.125),
        (share_slope(bias, 3), 0.1875),
    ):
        assert found.shape == shape
        np.testing.assert_allclose(found, expected)


# PyTorch's first values


def test_the_forget_bias_of_every_layer_is_set_and_no_other():
    net = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    before = {
        name: p.detach().clone() for name, p in net.named_parameters()
    }
    set_forget_bias(net, 1.5)
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        b_x, b_h = (getattr(net, f"bias_{k}_{layer}") for k in ("ih", "hh"))
        assert ((b_x + b_h)[3:6] == 1.5).all()
    for name, parameter in net.named_parameters():
        changed = (parameter != before[name]).reshape(12, -1).any(dim=1)
        if name.startswith("bias"):
            changed[3:6] = False
        assert not changed.any()


@pytest.mark.parametrize("block, name", [(0, "input"), (1, "forget")])
def test_the_first_gates_are_those_of_a_new_lstm(block, name):
    hidden, seed = 6, 3
    found = initial_gates(hidden, seed, block, time=20)
    torch.manual_seed(seed)
    net = torch.nn.LSTM(4, hidden, batch_first=True).double()
    x = torch.randn(1, 20, 4).double()
    h = net(x)[0].detach().numpy()[0]
    h = np.concatenate([np.zeros((1, hidden)), h[:-1]])
    W_x, W_h, b_x, b_h = (
        p.detach().numpy().reshape(4, hidden, -1)[block]
        for p in net.parameters()
    )
    gate = Gate(W_x, W_h, (b_x + b_h)[:, 0])
    np.testing.assert_allclose(found, forget_gate(gate, x[0].numpy(), h))


def test_new_gates_of_large_networks_are_near_one_half():
    spread = [initial_gates(n, 0).std() for n in (4, 32, 256)]
    assert spread[0] > 2 * spread[1] > 2 * spread[2]
    assert abs(initial_gates(256, 0) - 0.5).max() < 0.15


def test_a_long_lag_is_learnt_only_with_a_bias_for_it():
    drawn_loss, long_loss = (
        train(bias, seed=0, steps=20, updates=50)[-10:].mean()
        for bias in (None, bias_for(np.array(20.0)).item())
    )
    assert drawn_loss > 0.6 > 0.4 > long_loss
