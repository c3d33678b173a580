import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.lstm.cell_update_torch import reach
from snippets.lstm.forget_gate import fixed
from snippets.lstm.gru import GRU, Candidate, step
from snippets.lstm.overview import LSTM, Gate, sigmoid
from snippets.lstm.whole_lstm import loop
from snippets.lstm.whole_lstm_torch import to_torch
from snippets.questions.lstm_and_residual_connections import (
    branch,
    drawn,
    highway,
    open_lstm,
    size,
    slopes,
    stack,
)
from snippets.transformer.overview import Linear
from tests.lstm.weights import random_gate

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
@settings(max_examples=30)
def test_an_lstm_with_open_gates_is_a_residual_network(
    batch, depth, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    layer = random_gate(rng, features, hidden)
    x = rng.normal(size=(batch, depth, features))
    c = rng.normal(size=(batch, hidden))
    wanted = c
    for t in range(depth):  # the residual layer, written out
        a = x[:, t] @ layer.W_x.T + np.tanh(wanted) @ layer.W_h.T + layer.b
        wanted = wanted + np.tanh(a)
    np.testing.assert_allclose(
        stack([layer] * depth, x, c)[:, -1], wanted, atol=1e-12
    )
    lstm, h = open_lstm(layer), np.tanh(c)
    np.testing.assert_allclose(loop(lstm, x, h, c)[2], wanted, atol=1e-12)
    first = torch.tensor(c[None], requires_grad=True)
    last = to_torch([[lstm]])(torch.tensor(x), (first.tanh(), first))[1][1]
    np.testing.assert_allclose(last[0].detach(), wanted, atol=1e-10)
    v = rng.normal(size=(batch, hidden))
    (last[0] * torch.tensor(v)).sum().backward()
    product = slopes([layer] * depth, x, c)[:, -1]
    by_c = np.einsum("bi,bij->bj", v, product)
    np.testing.assert_allclose(first.grad[0], by_c, rtol=1e-10, atol=1e-10)


@given(SMALL, SMALL, st.floats(0, 1), st.floats(0, 1), SEEDS)
@settings(max_examples=30)
def test_the_slopes_are_those_of_autograd_for_any_dials(
    depth, hidden, keep, write, seed
):
    rng = np.random.default_rng(seed)
    layers, x = drawn(depth, hidden, rng)
    c = rng.normal(size=(1, hidden))
    found = stack(layers, x, c, keep, write)

    def last(c: torch.Tensor) -> torch.Tensor:
        for t, layer in enumerate(layers):
            W_x, W_h, b = map(torch.tensor, layer)
            a = torch.tensor(x[0, t]) @ W_x.T + c.tanh() @ W_h.T + b
            c = keep * c + write * a.tanh()
        return c

    first = torch.tensor(c[0])
    np.testing.assert_allclose(found[0, -1], last(first), atol=1e-12)
    jacobian = torch.autograd.functional.jacobian(last, first)
    np.testing.assert_allclose(
        slopes(layers, x, c, keep, write)[0, -1], jacobian, atol=1e-10
    )


@given(SMALL, SMALL, st.floats(0, 1), SEEDS)
def test_past_all_weights_a_skip_of_1_leaves_the_identity(
    depth, hidden, keep, seed
):
    rng = np.random.default_rng(seed)
    layers, x = drawn(depth, hidden, rng)
    c = rng.normal(size=(1, hidden))
    silent = [layer._replace(W_h=0 * layer.W_h) for layer in layers]
    for factor in (keep, 1.0):
        skip = slopes(silent, x, c, keep=factor)[0, -1]
        np.testing.assert_allclose(
            skip, factor**depth * np.eye(hidden), atol=1e-12
        )


def test_an_open_forget_gate_has_a_residual_stacks_gradient():
    zeros = np.zeros((1, 32))
    for seed in range(3):
        layers, x = drawn(50, 32, np.random.default_rng(seed))
        plain, residual = (
            size(slopes(layers, x, zeros, keep))[0, -1] for keep in (0, 1.0)
        )
        assert plain < 1e-13
        assert 1 < residual < 40
        sizes = []
        for bias in (0.0, 1.0, 5.0):
            cell = LSTM(*layers[:4])
            gate = cell.forget._replace(b=np.full(32, bias))
            full = reach(cell._replace(forget=gate), x, zeros, zeros)
            sizes.append(float(size(full)))
        assert plain < sizes[0] < 1e-9 < sizes[1] < 1e-2
        assert 0.25 < sizes[2] / residual < 4


def test_a_skip_below_1_decays_and_shared_weights_amplify():
    zeros = np.zeros((1, 32))
    for seed in range(3):
        layers, x = drawn(100, 32, np.random.default_rng(seed))
        leaky = size(slopes(layers, x, zeros, 0.9, 0.1))[0, -1]
        kept = size(slopes(layers, x, zeros, 1.0, 0.1))[0, -1]
        shared = size(slopes(layers[:1] * 100, x, zeros, 1.0, 0.1))[0, -1]
        assert leaky < 1e-4 < 0.9 < kept < 1.3 < 5 < shared


@given(SMALL, SMALL, SEEDS)
def test_a_highway_layer_is_a_gru_step_and_open_gates_make_it_residual(
    batch, hidden, seed
):
    rng = np.random.default_rng(seed)
    gates = [random_gate(rng, 1, hidden) for _ in "12"]
    transform, change = (Linear(gate.W_h, gate.b) for gate in gates)
    c = rng.normal(size=(batch, hidden))
    none = np.zeros((hidden, 0))
    gru = GRU(
        reset=fixed(np.full(hidden, 50.0), features=0),
        update=Gate(none, -transform.W, -transform.b),
        candidate=Candidate(none, change.W, change.b, np.zeros(hidden)),
    )
    np.testing.assert_allclose(
        highway(transform, change, c),
        step(gru, np.zeros((batch, 0)), c),
        atol=1e-12,
    )
    H = np.tanh(c @ change.W.T + change.b)
    T = sigmoid(c @ transform.W.T + transform.b)
    np.testing.assert_allclose(
        highway(transform, change, c, carry=change),
        sigmoid(c @ change.W.T + change.b) * c + T * H,
        atol=1e-12,
    )
    gate = Linear(np.zeros((hidden, hidden)), np.full(hidden, 50.0))
    np.testing.assert_allclose(
        highway(gate, change, c, carry=gate), c + H, atol=1e-12
    )
    np.testing.assert_allclose(highway(gate, change, c), H, atol=1e-12)


@given(SMALL, SEEDS)
def test_a_plain_stack_keeps_nothing_and_a_size_is_1_for_rotations(n, seed):
    rng = np.random.default_rng(seed)
    layers, x = drawn(2, n, rng)
    c = rng.normal(size=(1, n))
    inner = branch(layers[0], x[:, 0], c)
    plain = stack(layers, x, c, keep=0.0)
    np.testing.assert_array_equal(plain[:, 0], inner)
    rotation = np.linalg.qr(rng.normal(size=(n, n)))[0]
    np.testing.assert_allclose(size(3 * rotation[None]), [3.0], atol=1e-12)
