import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm import gru_torch, whole_lstm
from snippets.lstm.gru import (
    EXAMPLE_GRU,
    GRU,
    Candidate,
    after,
    before,
    flipped,
    held,
    initial,
    register,
    reset_gate,
    run,
    step,
    update_gate,
)
from snippets.lstm.gru_torch import to_torch
from snippets.lstm.overview import EXAMPLE, LSTM, Gate, h_last, x_t
from snippets.rnn.recurrence import RNN
from snippets.rnn.recurrence import run as run_rnn

SMALL = st.integers(1, 4)
STEPS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)
FORMS = pytest.mark.parametrize("form", [before, after])


def random_gru(rng, features, hidden, scale=3.0):
    gru = initial(features, hidden, rng)
    return GRU(*(type(part)(*(scale * w for w in part)) for part in gru))


# C28: two gates, and each of them matters


def test_there_are_two_gates_and_each_one_matters():
    assert GRU._fields == ("reset", "update", "candidate")
    module = torch.nn.GRU(3, 5)
    assert module.weight_ih_l0.shape == (3 * 5, 3)  # and the candidate
    rng = np.random.default_rng(0)
    gru, x = random_gru(rng, 3, 5), rng.normal(size=(9, 3))
    h = rng.normal(size=(9, 5))
    r, z = reset_gate(gru, x, h), update_gate(gru, x, h)
    for gate in r, z:
        assert ((gate > 0) & (gate < 1)).all()
        assert gate.shape == h.shape  # one number for each unit
    for form in before, after:
        new = form(gru.candidate, x, r, h)
        assert ((new > -1) & (new < 1)).all()
        assert new.min() < 0 < new.max()  # no gate: it has two signs
        h_next = step(gru, x, h, form)
        np.testing.assert_allclose(h_next, z * h + (1 - z) * new)
        for name in "reset", "update":
            for value in 0, 0.5, 1:
                other = gru._replace(**{name: held(gru.reset, value)})
                moved = np.abs(step(other, x, h, form) - h_next)
                assert moved.max() > 0.1, name


# C29: no cell state


@given(SMALL, STEPS, STEPS, SMALL, SMALL, SEEDS)
def test_the_hidden_state_is_the_output_and_all_that_is_carried_on(
    batch, first, rest, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden)
    x = rng.normal(size=(batch, first + rest, features))
    h = rng.normal(size=(batch, hidden))
    states, last = run(gru, x, h)
    np.testing.assert_array_equal(states[:, -1], last)
    # From the hidden state alone, the rest goes on as if never cut.
    part, middle = run(gru, x[:, :first], h)
    np.testing.assert_array_equal(part, states[:, :first])
    again, end = run(gru, x[:, first:], middle)
    np.testing.assert_array_equal(again, states[:, first:])
    module = to_torch(gru)
    output, h_n = module(torch.tensor(x), torch.tensor(h)[None])
    assert isinstance(h_n, torch.Tensor)  # an LSTM gives a pair
    assert torch.equal(output[:, -1], h_n[0])
    lstm = torch.nn.LSTM(features, hidden, batch_first=True).double()
    assert len(lstm(torch.tensor(x))[1]) == 2


# C30: three quarters of the parameters


@given(SMALL, SMALL, st.integers(1, 3), st.booleans(), st.booleans())
def test_a_gru_has_exactly_three_quarters_of_the_lstms_parameters(
    features, hidden, layers, bias, bidirectional
):
    sizes = [
        sum(w.numel() for w in kind(
            features, hidden, num_layers=layers, bias=bias,
            bidirectional=bidirectional,
        ).parameters())
        for kind in (torch.nn.LSTM, torch.nn.GRU)
    ]  # fmt: skip
    assert 3 * sizes[0] == 4 * sizes[1]
    one = hidden * (features + hidden + 2 * bias)
    if layers == 1:
        assert sizes[1] == (1 + bidirectional) * 3 * one


def test_the_example_is_the_lstms_without_its_input_gate():
    gru = EXAMPLE_GRU
    assert gru.update is EXAMPLE.forget
    assert gru.reset is EXAMPLE.output
    for ours, theirs in zip(gru.candidate, EXAMPLE.candidate, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    by_hand = [math.tanh(1 + 0.5 / (1 + math.exp(-1.5))), math.tanh(2)]
    z = [1 / (1 + math.exp(-2.25)), 1 / (1 + math.exp(1.25))]
    expected = [
        z[0] * 0.5 + (1 - z[0]) * by_hand[0],
        z[1] * -0.5 + (1 - z[1]) * by_hand[1],
    ]
    np.testing.assert_allclose(step(gru, x_t, h_last)[0], expected)


# C31: fewer parameters are not the same function


@FORMS
@given(
    SMALL, STEPS, SMALL, SMALL, SEEDS, st.sampled_from([0.1, 1, 30, 1e6])
)
def test_no_gru_leaves_the_range_of_its_start_and_of_tanh(
    form, batch, time, features, hidden, seed, scale
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden, scale)
    x = 100 * rng.normal(size=(batch, time, features))
    for start in 0.0, 1.0, 3.0:
        h = start * rng.uniform(-1, 1, size=(batch, hidden))
        states, _ = run(gru, x, h, form)
        limit = np.maximum(1.0, np.abs(h))[:, None]
        assert (np.abs(states) <= limit * (1 + 1e-12)).all()


@pytest.mark.parametrize("n", [1, 10, 100])
def test_an_lstm_counts_and_no_gru_of_the_same_inputs_leaves_one(n):
    gate = Gate(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1))
    write = gate._replace(W_x=np.array([[20.0]]))
    counter = LSTM(held(gate, 1), held(gate, 1), write, held(gate, 1))
    x, zero = np.ones((1, 2 * n, 1)), np.zeros((1, 1))
    x[:, n:] = -1
    _, _, top = whole_lstm.run(counter, x[:, :n], zero, zero)
    _, _, end = whole_lstm.run(counter, x, zero, zero)
    assert top.item() == pytest.approx(n, rel=1e-12)
    assert end.item() == pytest.approx(0, abs=1e-9)
    for keep in 0.5, 0.99:
        gru = GRU(held(gate, 0), held(gate, keep),
                  Candidate(*write, np.zeros(1)))  # fmt: skip
        states, h = run(gru, x, zero)
        assert np.abs(states).max() <= 1
        # n steps up and n down do not lead back.
        assert h.item() == pytest.approx(-((1 - keep**n) ** 2), abs=1e-9)
    many = [sum(w.numel() for w in kind(8, 36).parameters())
            for kind in (torch.nn.LSTM, torch.nn.GRU)]  # fmt: skip
    assert many[1] < many[0]


# The form of the paper


def plain_loop(gru, x, h):
    """Cho et al. (2014), section 2.3, number by number, with biases."""

    def affine(gate, i, x, h):
        return (
            sum(w * v for w, v in zip(gate.W_x[i], x, strict=True))
            + sum(w * v for w, v in zip(gate.W_h[i], h, strict=True))
        )  # fmt: skip

    def squash(a):
        return 1 / (1 + math.exp(-a))

    units, states, new = range(len(h)), [], gru.candidate
    for row in x:
        r = [squash(affine(gru.reset, i, row, h) + gru.reset.b[i])
             for i in units]  # fmt: skip
        z = [squash(affine(gru.update, i, row, h) + gru.update.b[i])
             for i in units]  # fmt: skip
        past = [r[i] * h[i] for i in units]
        tilde = [math.tanh(affine(new, i, row, past) + new.b_x[i]
                           + new.b_h[i]) for i in units]  # fmt: skip
        h = [z[i] * h[i] + (1 - z[i]) * tilde[i] for i in units]
        states.append(h)
    return np.array(states)


@given(SMALL, STEPS, SMALL, SMALL, SEEDS)
def test_the_papers_form_equals_a_plain_loop(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden)
    x = rng.normal(size=(batch, time, features))
    h = rng.normal(size=(batch, hidden))
    states, _ = run(gru, x, h, before)
    for n in range(batch):
        np.testing.assert_allclose(
            states[n], plain_loop(gru, x[n], h[n]), atol=1e-10
        )
    with torch.no_grad():
        theirs = gru_torch.run(
            torch.tensor(x), torch.tensor(h), to_torch(gru).all_weights[0],
            reset_before=True,
        )  # fmt: skip
    np.testing.assert_allclose(states, theirs, atol=1e-10)


# How the two forms are related


@given(SMALL, SMALL, SEEDS)
def test_the_reset_gate_scales_columns_before_and_rows_after(
    features, hidden, seed
):
    rng = np.random.default_rng(seed)
    new = random_gru(rng, features, hidden).candidate
    x, h = rng.normal(size=(1, features)), rng.normal(size=(1, hidden))
    r = rng.uniform(size=(1, hidden))
    plain = np.tanh(x @ new.W_x.T + new.b_x + new.b_h
                    + h @ (new.W_h * r).T)  # fmt: skip
    np.testing.assert_allclose(before(new, x, r, h), plain, atol=1e-12)
    plain = np.tanh(x @ new.W_x.T + new.b_x + r * new.b_h
                    + h @ (new.W_h * r.T).T)  # fmt: skip
    np.testing.assert_allclose(after(new, x, r, h), plain, atol=1e-12)


@given(SMALL, STEPS, SMALL, SEEDS)
def test_the_forms_agree_for_diagonal_weights_without_the_second_bias(
    features, time, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden)
    x, h = (
        rng.normal(size=(2, time, features)),
        rng.normal(size=(2, hidden)),
    )
    diagonal = gru.candidate._replace(
        W_h=np.diag(np.diag(gru.candidate.W_h)), b_h=np.zeros(hidden)
    )
    agreeing = [gru._replace(candidate=diagonal),
                gru._replace(reset=held(gru.reset, 1))]  # fmt: skip
    for cell in agreeing:
        np.testing.assert_allclose(
            run(cell, x, h)[0], run(cell, x, h, before)[0], atol=1e-10
        )


def test_they_differ_for_other_weights_and_for_one_unit_with_a_bias():
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=(1, 5, 2)), rng.normal(size=(1, 3))
    gru = random_gru(rng, 2, 3)
    no_bias = gru.candidate._replace(b_h=np.zeros(3))
    for cell in gru, gru._replace(candidate=no_bias):
        gap = run(cell, x, h)[0] - run(cell, x, h, before)[0]
        assert np.abs(gap).max() > 1e-3
    one = random_gru(rng, 2, 1)
    gap = run(one, x, h[:, :1])[0] - run(one, x, h[:, :1], before)[0]
    assert np.abs(gap).max() > 1e-3


@FORMS
@given(SMALL, STEPS, SMALL, SMALL, SEEDS)
def test_z_and_one_minus_z_are_one_model_with_negated_weights(
    form, batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru, other = random_gru(rng, features, hidden), None
    x = rng.normal(size=(batch, time, features))
    h = rng.normal(size=(batch, hidden))
    states, _ = run(gru, x, h, form)
    other = flipped(gru)
    for a, b in zip(gru.update, other.update, strict=True):
        np.testing.assert_array_equal(a, -b)
    for t in range(time):  # the convention of Chung et al. (2014)
        z = update_gate(other, x[:, t], h)
        new = form(
            other.candidate, x[:, t], reset_gate(other, x[:, t], h), h
        )
        h = (1 - z) * h + z * new
        np.testing.assert_allclose(h, states[:, t], atol=1e-13)


# What remains when a gate is held


@FORMS
@given(SMALL, STEPS, SMALL, SEEDS)
def test_the_corners_are_a_plain_network_a_copy_and_a_fresh_start(
    form, features, time, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru, new = random_gru(rng, features, hidden), None
    x, h = (
        rng.normal(size=(2, time, features)),
        rng.normal(size=(2, hidden)),
    )

    def corner(z, r):
        cell = gru._replace(
            update=held(gru.update, z), reset=held(gru.reset, r)
        )
        return run(cell, x, h, form)[0]

    new = gru.candidate
    plain = RNN(new.W_x, new.W_h, new.b_x + new.b_h)
    np.testing.assert_allclose(
        corner(0, 1), run_rnn(plain, x, h), atol=1e-12
    )
    for r in 0, 0.3, 1:
        np.testing.assert_array_equal(corner(1, r)[:, -1], h)
    bias = new.b_x + (new.b_h if form is before else 0)
    fresh = np.tanh(x @ new.W_x.T + bias)
    np.testing.assert_allclose(corner(0, 0), fresh, atol=1e-12)
    slow = np.stack([
        0.9 ** (t + 1) * h
        + 0.1 * sum(0.9 ** (t - s) * fresh[:, s] for s in range(t + 1))
        for t in range(time)
    ], axis=1)  # fmt: skip
    np.testing.assert_allclose(corner(0.9, 0), slow, atol=1e-12)


def test_the_register_sets_holds_and_flips():
    h = np.zeros((1, 1))
    for x, n, expected in [
        ([0.5, 1, 0], 1, math.tanh(0.5)),
        ([0.9, 0, 0], 500, math.tanh(0.5)),
        ([0.9, 0, 1], 1, math.tanh(0.9 - math.tanh(0.5))),
        ([0.5, 1, 0], 1, math.tanh(0.5)),
    ]:
        inputs = np.tile(np.array(x, float), (1, n, 1))
        _, h = run(register(), inputs, h)
        assert h.item() == pytest.approx(expected, abs=1e-10)


# Weights and errors


def test_wrong_values_are_refused_by_name():
    rng = np.random.default_rng(0)
    gru, x, h = initial(2, 3, rng), np.ones((1, 4, 2)), np.zeros((1, 3))
    new, one = gru.candidate, np.zeros(1)  # one number would broadcast
    for message, call in [
        ("x must have at least one step", lambda: run(gru, x[:, :0], h)),
        ("x must have 2 features, got 1", lambda: run(gru, x[..., :1], h)),
        ("h must have 3 units, got 2", lambda: run(gru, x, h[:, :2])),
        ("features must be at least 1, got 0", lambda: initial(0, 3, rng)),
        ("hidden must be at least 1, got 0", lambda: initial(2, 0, rng)),
        ("value must be from 0 to 1", lambda: held(gru.reset, 1.5)),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    for wrong in new._replace(b_x=one), new._replace(b_h=one):
        for form in before, after:
            with pytest.raises(ValueError, match="gate must have W_h of"):
                run(gru._replace(candidate=wrong), x, h, form)
    with pytest.raises(TypeCheckError, match="'h'"):
        run(gru, x, np.zeros((2, 3)))
