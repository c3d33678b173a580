"""The whole LSTM, backward: equal to autograd, and over many steps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.lstm.forget_gate import along, forget_gate
from snippets.lstm.overview import EXAMPLE, LSTM, c_last, h_last, x_t
from snippets.lstm.whole_lstm import (
    backward,
    initial,
    run,
    stack,
    stack_backward,
    step,
    step_backward,
)
from snippets.lstm.whole_lstm_torch import compare, gradients, to_torch

SMALL, SEEDS = st.integers(1, 4), st.integers(0, 10**6)


@settings(max_examples=50)
@given(
    SMALL, SMALL, SMALL, SMALL, st.integers(1, 3), st.integers(1, 2), SEEDS
)
def test_the_gradients_are_those_of_autograd(
    b, t, f, n, layers, sides, seed
):
    found = compare(b, t, f, n, layers, sides, seed)
    assert max(found.values()) < 1e-10, found


@settings(max_examples=25)
@given(SMALL, SMALL, SMALL, SMALL, st.integers(1, 2), SEEDS)
def test_they_are_without_lengths_too(b, t, f, n, sides, seed):
    rng = np.random.default_rng(seed)
    nets = [[initial(f, n, rng) for _ in range(sides)]]
    x, (h, c) = (
        rng.normal(size=(b, t, f)),
        rng.normal(size=(2, sides, b, n)),
    )
    grads = tuple(rng.normal(size=a.shape) for a in stack(nets, x, h, c))
    _, wanted, _ = gradients(to_torch(nets), x, h, c, grads)
    grad_x, rows = stack_backward(nets, x, h, c, grads)
    found = grad_x, [row.h for row in rows], [row.c for row in rows]
    for a, their in zip(found, wanted, strict=True):
        assert np.abs(np.array(a) - their).max() < 1e-10


@given(SMALL, SMALL, SMALL, SEEDS)
def test_one_step_back_agrees_with_finite_differences(b, f, n, seed):
    rng = np.random.default_rng(seed)
    lstm, x = initial(f, n, rng), rng.normal(size=(b, f))
    h, c, grad_h, grad_c = rng.normal(size=(4, b, n))
    ours = step_backward(lstm, x, h, c, grad_h, grad_c)
    moves = [rng.normal(size=a.shape) for a in (x, h, c)]

    def loss(size):
        at = (a + size * m for a, m in zip((x, h, c), moves, strict=True))
        h_next, c_next = step(lstm, *at)
        return (grad_h * h_next + grad_c * c_next).sum()

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    inner = sum((g * m).sum() for g, m in zip(ours[1:], moves, strict=True))
    assert abs(slope - inner) < 1e-6 * (1 + abs(inner))


def test_the_worked_example_can_be_checked_by_hand():
    ones = np.ones((1, 2))
    back = step_backward(EXAMPLE, x_t, h_last, c_last, ones, 0 * ones)
    h, c = step(EXAMPLE, x_t, h_last, c_last)
    o = h / np.tanh(c)
    f = 1 / (1 + np.exp([-2.25, 1.25]))
    assert np.abs(back.c - o * (1 - np.tanh(c) ** 2) * f).max() < 1e-12
    delta = np.tanh(c) * o * (1 - o)
    assert np.abs(back.lstm.output.b - delta).max() < 1e-12


def wide(scale, more=0.0):
    """Weights as drawn by PyTorch, W_h scaled, the forget bias raised."""
    rng = np.random.default_rng(0)
    lstm = initial(4, 32, rng)
    lstm = LSTM(*(g._replace(W_h=scale * g.W_h) for g in lstm))
    bias = lstm.forget.b + more
    lstm = lstm._replace(forget=lstm.forget._replace(b=bias))
    return lstm, rng.normal(size=(2, 40, 4)), np.zeros((2, 32))


def reach(lstm, x, zeros):
    """The gradient for c_0 of the sum of the last cell state."""
    grads = np.zeros((*x.shape[:2], 32)), zeros, np.ones_like(zeros)
    return backward(lstm, x, zeros, zeros, grads).c


@pytest.mark.parametrize("more", [0.0, 5.0])
def test_without_recurrent_weights_it_is_the_product_of_forget_gates(more):
    lstm, x, zeros = wide(0.0, more)
    product = along(forget_gate, lstm.forget, x).prod(axis=1)
    assert np.allclose(reach(lstm, x, zeros), product, rtol=1e-12, atol=0)


def test_it_vanishes_as_drawn_and_explodes_with_large_recurrent_weights():
    sizes = {
        scale: np.linalg.norm(reach(*wide(scale))) for scale in (1.0, 16.0)
    }
    assert sizes[1.0] < 1e-5
    assert sizes[16.0] > 1e2
    opened = np.linalg.norm(reach(*wide(0.0, 5.0)))
    assert opened > 0.5 * np.sqrt(64)


def test_padding_gets_no_gradient_and_gives_none():
    rng = np.random.default_rng(0)
    lstm, x = initial(3, 4, rng), rng.normal(size=(2, 5, 3))
    h, c = rng.normal(size=(2, 2, 4))
    lengths = np.array([5, 2])
    ends = rng.normal(size=(2, 2, 4))
    for reverse in False, True:
        grads = rng.normal(size=(2, 5, 4)), *ends
        short = grads[0].copy()
        short[1, 2:] = 0.0
        x[1, 2:] = np.nan
        found, same = (
            backward(lstm, x, h, c, (one, *ends), lengths, reverse=reverse)
            for one in (grads[0], short)
        )
        assert not found.x[1, 2:].any()
        assert np.isfinite(found.x).all()
        assert np.array_equal(found.h, same.h)
        for gate, other in zip(found.lstm, same.lstm, strict=True):
            assert np.array_equal(gate.W_x, other.W_x)


def test_each_of_the_two_biases_of_pytorch_gets_the_whole_gradient():
    rng = np.random.default_rng(0)
    lstm, x = initial(3, 4, rng), rng.normal(size=(2, 5, 3))
    zeros = np.zeros((2, 4))
    grads = rng.normal(size=(2, 5, 4)), zeros, zeros
    module = to_torch([[lstm]])
    (torch.tensor(grads[0]) * module(torch.tensor(x))[0]).sum().backward()
    ours = backward(lstm, x, zeros, zeros, grads).lstm
    b = np.concatenate([gate.b for gate in ours])
    for name in "bias_ih_l0", "bias_hh_l0":
        assert np.abs(getattr(module, name).grad.numpy() - b).max() < 1e-10


def test_arguments_are_left_as_they_were():
    rng = np.random.default_rng(0)
    lstm, x = initial(3, 4, rng), rng.normal(size=(2, 5, 3))
    h, c = rng.normal(size=(2, 2, 4))
    grads = tuple(rng.normal(size=a.shape) for a in run(lstm, x, h, c))
    arrays = [x, h, c, *grads, *(w for gate in lstm for w in gate)]
    before = [a.copy() for a in arrays]
    run(lstm, x, h, c, np.array([5, 1]))
    backward(lstm, x, h, c, grads, np.array([5, 1]))
    stack_backward(
        [[lstm]], x, h[None], c[None],
        (grads[0], grads[1][None], grads[2][None]),
    )  # fmt: skip
    for a, b in zip(arrays, before, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_inputs_have_finite_gradients(size):
    rng = np.random.default_rng(0)
    lstm, x = initial(3, 4, rng), size * rng.normal(size=(2, 5, 3))
    h, c = size * rng.normal(size=(2, 2, 4))
    grads = tuple(np.ones_like(a) for a in run(lstm, x, h, c))
    found = backward(lstm, x, h, c, grads)
    assert all(np.isfinite(a).all() for a in found[1:])
    assert all(np.isfinite(w).all() for gate in found.lstm for w in gate)


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    lstm, x, zeros = (
        initial(3, 4, rng),
        np.zeros((2, 5, 3)),
        np.zeros((2, 4)),
    )
    grads = np.zeros((2, 5, 4)), zeros, zeros
    with pytest.raises(ValueError, match="x must have 3 features, got 2"):
        backward(lstm, x[:, :, :2], zeros, zeros, grads)
    with pytest.raises(ValueError, match="x must have at least one step"):
        backward(
            lstm, x[:, :0], zeros, zeros, (grads[0][:, :0], *grads[1:])
        )
    with pytest.raises(ValueError, match="lengths must be 1 to 5"):
        backward(lstm, x, zeros, zeros, grads, np.array([6, 1]))
