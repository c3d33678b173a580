import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.cell_update import record, update
from snippets.lstm.forget_gate import forget_gate
from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.input_gate import candidate, input_gate
from snippets.lstm.output_gate import (
    STORE,
    emit,
    output_gate,
    slopes,
    watch,
)
from snippets.lstm.overview import (
    EXAMPLE,
    c_last,
    h_last,
    x_t,
)
from tests.lstm.weights import random_lstm

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def case(seed, batch, time, features, hidden):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, time, features))
    h = rng.uniform(-1, 1, size=(batch, hidden))
    return (
        random_lstm(rng, features, hidden),
        x,
        h,
        3 * rng.normal(size=h.shape),
    )


def one_step(lstm, x, h, c):
    """The step put together by hand, from the five pages."""
    f = forget_gate(lstm.forget, x, h)
    i = input_gate(lstm.input, x, h)
    c = update(f, c, i, candidate(lstm.candidate, x, h))
    return emit(output_gate(lstm.output, x, h), c), c


# C27: the gate decides how much leaves, and leaves what is passed on


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_output_gate_changes_h_but_not_the_cell_state_of_its_step(
    batch, features, hidden, seed
):
    lstm, x, h, c = case(seed, batch, 2, features, hidden)
    shut, wide = (
        lstm._replace(output=lstm.output._replace(b=lstm.output.b + shift))
        for shift in (-300.0, 300.0)
    )
    hidden_away, shown = (watch(cell, x, h, c) for cell in (shut, wide))
    # the same float goes on to the next step, whatever the gate does
    np.testing.assert_array_equal(hidden_away.c[:, 0], shown.c[:, 0])
    # what leaves is tanh(c): all of it, or nothing
    np.testing.assert_allclose(
        shown.h[:, 0], np.tanh(shown.c[:, 0]), atol=1e-12
    )
    np.testing.assert_allclose(hidden_away.h, 0.0, atol=1e-12)
    # the next step is another: its gates have read another h
    assert np.abs(hidden_away.c[:, 1] - shown.c[:, 1]).max() > 0
    # and in between, the gate is the share that leaves
    some = watch(lstm, x, h, c)
    np.testing.assert_allclose(some.h, some.o * np.tanh(some.c), atol=1e-12)
    assert ((some.o > 0) & (some.o < 1)).all()


@given(SMALL, SMALL, SMALL, SEEDS)
def test_a_complete_step_is_the_librarys(batch, features, hidden, seed):
    lstm, x, h, c = case(seed, batch, 1, features, hidden)
    ours = one_step(lstm, x[:, 0], h, c)
    start = torch.tensor(h), torch.tensor(c)
    theirs = to_cell(lstm)(torch.tensor(x[:, 0]), start)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, its.detach(), atol=1e-12)


@given(SMALL, st.integers(0, 12), SMALL, SMALL, SEEDS)
def test_a_sequence_is_one_step_after_the_other(
    batch, time, features, hidden, seed
):
    lstm, x, h, c = case(seed, batch, time, features, hidden)
    seen, used = watch(lstm, x, h, c), record(lstm, x, h, c)
    np.testing.assert_allclose(seen.c, used.c, atol=1e-12)
    for t in range(time):
        h, c = one_step(lstm, x[:, t], h, c)
        np.testing.assert_allclose(seen.h[:, t], h, atol=1e-12)
        np.testing.assert_allclose(seen.c[:, t], c, atol=1e-12)


def test_the_running_example_by_hand():
    h_t, c_t = one_step(EXAMPLE, x_t, h_last, c_last)
    np.testing.assert_allclose(c_t, [[2.4241, 0.5266]], atol=1e-4)
    by_hand = [0.81757 * np.tanh(2.42406), 0.62246 * np.tanh(0.52664)]
    np.testing.assert_allclose(h_t, [by_hand], atol=1e-4)


# Hiding and showing


def flagged(values, write_at, read_at):
    x = np.zeros((1, len(values), 3))
    x[0, :, 0] = values
    x[0, write_at, 1] = x[0, read_at, 2] = 1.0
    return x


@given(st.integers(3, 60), SEEDS)
def test_the_store_keeps_what_it_hides_and_says_it_when_asked(time, seed):
    rng = np.random.default_rng(seed)
    values, read_at = rng.uniform(-1, 1, size=time), [time - 3, time - 1]
    x = flagged(values, [0], read_at)
    seen = watch(STORE, x, np.zeros((1, 1)), np.full((1, 1), 0.9))
    stored = np.tanh(values[0])
    np.testing.assert_allclose(seen.c, stored, atol=1e-6)
    said = np.zeros(time)
    said[read_at] = np.tanh(stored)
    np.testing.assert_allclose(seen.h[0, :, 0], said, atol=1e-6)


def test_while_the_gate_is_shut_the_next_gates_do_not_know_the_memory():
    x = flagged(np.zeros(4), [], [])
    weights = random_lstm(np.random.default_rng(0), 3, 1)
    shut = weights.output._replace(b=np.array([-800.0]))
    lstm = weights._replace(output=shut)
    h = np.zeros((1, 1))
    one, other = (
        record(lstm, x, h, np.full((1, 1), c)) for c in (5.0, -5.0)
    )
    np.testing.assert_allclose(one.f, other.f, atol=1e-12)
    np.testing.assert_allclose(one.i, other.i, atol=1e-12)
    assert np.abs(one.c - other.c).max() > 1


# The tanh on the way out


@given(st.floats(-1e300, 1e300), st.floats(0.0, 1.0))
def test_no_memory_makes_a_hidden_state_outside_minus_one_to_one(c, o):
    h = emit(np.array([[o]]), np.array([[c]]))
    assert np.abs(h) <= o


@given(SMALL, SMALL, SEEDS)
def test_the_slopes_are_those_of_autograd(batch, hidden, seed):
    rng = np.random.default_rng(seed)
    o, c = (
        rng.uniform(size=(batch, hidden)),
        rng.normal(size=(batch, hidden)),
    )
    o_leaf, c_leaf = (torch.tensor(a, requires_grad=True) for a in (o, c))
    (o_leaf * c_leaf.tanh()).sum().backward()
    of_o, of_c = slopes(o, c)
    np.testing.assert_allclose(of_o, o_leaf.grad, atol=1e-12)
    np.testing.assert_allclose(of_c, c_leaf.grad, atol=1e-12)


def test_a_large_memory_blocks_the_gradient_out_but_not_along_the_cell():
    c = np.array([[50.0, -1e300, 0.0]])
    of_o, of_c = slopes(np.ones((1, 3)), c)
    np.testing.assert_array_equal(of_c, [[0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(of_o, [[1.0, -1.0, 0.0]])
    leaf = torch.tensor(c, requires_grad=True)
    (0.9 * leaf + 0.1).sum().backward()
    np.testing.assert_allclose(leaf.grad, 0.9)


def test_arrays_that_do_not_fit_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="'c'"):
        emit(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(TypeCheckError, match="'h'"):
        output_gate(EXAMPLE.output, x_t, np.ones((2, 2)))
