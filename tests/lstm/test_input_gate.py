import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.forget_gate import along, fixed
from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.input_gate import (
    brackets,
    candidate,
    depth_cell,
    input_gate,
    latch,
    read,
    steps_to_open,
    write,
)
from snippets.lstm.input_gate_torch import adam_steps_to_open, gradients
from snippets.lstm.overview import EXAMPLE, Gate, h_last, sigmoid, x_t
from tests.lstm.weights import random_lstm

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, batch, features, hidden):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    sizes = (features, hidden, hidden)
    return lstm, *(rng.normal(size=(batch, size)) for size in sizes)


def next_c(lstm, x, h, c):
    """The new cell state, by PyTorch's own cell."""
    with torch.no_grad():
        x, h, c = map(torch.tensor, (x, h, c))
        return to_cell(lstm)(x, (h, c))[1].numpy()


def at(bias, hidden, features):
    return fixed(np.full(hidden, bias), features)


def written(lstm, x, h):
    i = input_gate(lstm.input, x, h)
    return write(i, candidate(lstm.candidate, x, h))


# C21: what goes up onto the cell state


@given(SMALL, SMALL, SMALL, SEEDS)
def test_a_shut_gate_writes_nothing_and_an_open_one_the_candidate(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    keep = lstm._replace(forget=at(40.0, hidden, features))
    shut = keep._replace(input=at(-800.0, hidden, features))
    open_ = keep._replace(input=at(800.0, hidden, features))
    np.testing.assert_array_equal(written(shut, x, h), 0.0)
    np.testing.assert_array_equal(next_c(shut, x, h, c), c)
    c_new = candidate(lstm.candidate, x, h)
    np.testing.assert_array_equal(written(open_, x, h), c_new)
    np.testing.assert_allclose(
        next_c(open_, x, h, c), c + c_new, atol=1e-12
    )


@given(SMALL, SMALL, SMALL, SEEDS)
def test_what_is_written_is_pytorchs_cell_with_its_forget_gate_shut(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    shut = lstm._replace(forget=at(-1e9, hidden, features))
    np.testing.assert_allclose(
        written(lstm, x, h), next_c(shut, x, h, c), atol=1e-12
    )


def test_the_example_by_hand():
    i = input_gate(EXAMPLE.input, x_t, h_last)
    np.testing.assert_allclose(i, [1 / (1 + np.exp([-0.75, -1.25]))])
    c_new = candidate(EXAMPLE.candidate, x_t, h_last)
    np.testing.assert_allclose(c_new, [np.tanh([1.5, 2.0])])
    up = written(EXAMPLE, x_t, h_last)
    np.testing.assert_allclose(up, [[0.615, 0.749]], atol=5e-4)


# C22: a share, for each unit


@given(SMALL, SMALL, st.integers(2, 5), SEEDS)
def test_the_gate_is_graded_and_each_unit_has_its_own(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    c_new = candidate(lstm.candidate, x, h)
    keep = lstm._replace(forget=at(40.0, hidden, features))
    biases = np.linspace(-2.0, 2.0, hidden)
    graded = keep._replace(input=fixed(biases, features))
    shares = written(graded, x, h) / c_new
    np.testing.assert_allclose(
        shares, [1 / (1 + np.exp(-biases))] * batch, rtol=1e-12
    )
    np.testing.assert_allclose(
        next_c(graded, x, h, c), c + shares * c_new, atol=1e-12
    )
    assert (shares > 0.1).all()  # neither yes nor no
    assert (shares < 0.9).all()
    apart = np.where(np.arange(hidden) == 0, -800.0, 800.0)
    ends = input_gate(fixed(apart, features), x, h)
    np.testing.assert_array_equal(ends[:, 0], 0.0)
    np.testing.assert_array_equal(ends[:, 1:], 1.0)


# C23: the candidate


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_candidate_is_a_tanh_of_input_and_hidden_state(
    batch, features, hidden, seed
):
    lstm, x, h, _ = drawn(seed, batch, features, hidden)
    gate = lstm.candidate
    found = candidate(gate, x, h)
    inner = x @ gate.W_x.T + h @ gate.W_h.T + gate.b
    np.testing.assert_allclose(np.arctanh(found), inner, rtol=1e-6)
    assert (np.abs(found) < 1).all()
    for x_in, h_in in ((x + 1, h), (x, h + 1)):
        assert (candidate(gate, x_in, h_in) != found).any()
    no_bias = gate._replace(b=np.zeros(hidden))  # it has both signs
    np.testing.assert_allclose(
        candidate(no_bias, -x, -h), -candidate(no_bias, x, h)
    )
    for size in (1e300, -1e300):
        ends = candidate(gate, size * np.sign(x), h)
        assert (np.abs(ends) <= 1).all()


# What two factors can do


@given(st.text("()ab ", max_size=40))
def test_two_gates_count_the_open_brackets_of_any_text(text):
    depths = np.array(
        [text[:t].count("(") - text[:t].count(")")
         for t in range(1, len(text) + 1)]
    )  # fmt: skip
    x = brackets(text)
    assert x.shape == (1, len(text), 3)
    np.testing.assert_array_equal(read(depth_cell(), x)[0, :, 0], depths)
    coupled = read(depth_cell(), x, coupled=True)
    assert (np.abs(coupled) <= 1).all()


@given(st.floats(-5.0, 5.0), SEEDS)
def test_a_coupled_cell_never_leaves_the_range_of_the_candidate(bias, seed):
    rng = np.random.default_rng(seed)
    gates = Gate(
        rng.normal(size=(2, 3)), np.zeros((2, 2)), np.full(2, bias)
    )
    content = Gate(rng.normal(size=(2, 3)), np.zeros((2, 2)), np.zeros(2))
    x = 3 * rng.normal(size=(4, 50, 3))
    assert (np.abs(read((gates, content), x, coupled=True)) <= 1).all()


@given(SEEDS)
def test_a_latch_holds_the_flagged_value_against_everything_else(seed):
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(size=60), np.zeros(60)], axis=1)[None]
    at_step, value = rng.integers(5, 30), rng.uniform(-2, 2)
    x[0, at_step] = value, 1.0
    for coupled in (False, True):
        c = read(latch(), x, coupled)[0, :, 0]
        np.testing.assert_allclose(c[:at_step], 0.0, atol=1e-12)
        held = 2 * np.arctanh(c[at_step:])
        np.testing.assert_allclose(held, value, atol=1e-9)
    x[0, 40] = -value, 1.0  # a second one replaces it, or is added
    np.testing.assert_allclose(
        read(latch(), x, coupled=True)[0, -1, 0], np.tanh(-value / 2)
    )
    np.testing.assert_allclose(read(latch(), x)[0, -1, 0], 0.0, atol=1e-9)


def test_without_a_sign_nothing_is_ever_subtracted():
    i, unsigned = (
        along(input_gate, gate, brackets("(()))))"))
        for gate in depth_cell()
    )
    assert ((i * unsigned) >= 0).all()


# What is learnt


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_gradients_are_the_products_of_the_page(
    batch, features, hidden, seed
):
    lstm, x, h, c = drawn(seed, batch, features, hidden)
    found = gradients(lstm, x, h, c)
    i = input_gate(lstm.input, x, h)
    c_new = candidate(lstm.candidate, x, h)
    np.testing.assert_allclose(
        found["candidate"], (i * (1 - c_new**2)).sum(0), atol=1e-12
    )
    np.testing.assert_allclose(
        found["input"], (c_new * i * (1 - i)).sum(0), atol=1e-12
    )
    np.testing.assert_array_equal(found["output"], 0.0)
    shut = lstm._replace(input=at(-1e9, hidden, features))
    none = gradients(shut, x, h, c)
    np.testing.assert_array_equal(none["candidate"], 0.0)
    np.testing.assert_array_equal(none["input"], 0.0)
    np.testing.assert_array_equal(none["forget"], found["forget"])


def test_a_shut_gate_opens_as_slowly_as_the_differential_equation_says():
    for start in (3.0, 6.0, 9.0):  # da/dt = i (1 - i), integrated
        expected = 2 * start + 2 * np.sinh(start)
        assert abs(steps_to_open(-start) / expected - 1) < 0.1
    assert steps_to_open(0.1) == 0
    with pytest.raises(ValueError, match="limit of 10 updates"):
        steps_to_open(-5.0, limit=10)


def test_adam_opens_it_in_a_number_of_steps_that_hardly_depends_on_slope():
    assert adam_steps_to_open(0.5) == 0
    assert adam_steps_to_open(-10.0) < 2 * adam_steps_to_open(-5.0)
    assert steps_to_open(-10.0) > 100 * steps_to_open(-5.0)
    assert adam_steps_to_open(-0.05) == 1  # a step moves by the rate


# Errors and extremes


def test_arrays_that_do_not_fit_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="'h'"):
        input_gate(EXAMPLE.input, x_t, np.zeros((2, 2)))
    with pytest.raises(TypeCheckError, match="'c_new'"):
        write(np.ones((1, 1)), np.ones((1, 2)))


def test_extreme_inputs_saturate_without_a_warning():
    x = np.array([[1e300], [-1e300]])
    h = np.zeros((2, 2))
    i = input_gate(EXAMPLE.input, x, h)
    np.testing.assert_array_equal(i, [[1, 1], [0, 0]])
    assert sigmoid(np.array([1e300])) == 1.0
