import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.cell_update import (
    record,
    shares,
    through_hidden,
    update,
)
from snippets.lstm.cell_update_torch import reach
from snippets.lstm.forget_gate import forget_gate
from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.input_gate import candidate, input_gate
from snippets.lstm.overview import (
    EXAMPLE,
    c_last,
    h_last,
    x_t,
)
from snippets.rnn.vanishing_and_exploding_gradients import carry
from tests.lstm.weights import random_lstm

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def run_updates(f, i, c_new, c):
    """Every cell state, from `c` onward, for gates that are given."""
    states = np.empty_like(c_new)
    for t in range(c_new.shape[1]):
        c = states[:, t] = update(f[:, t], c, i[:, t], c_new[:, t])
    return states


def given_gates(rng, batch, time, hidden):
    """f, i, candidate and c_0; the last far outside of (-1, 1)."""
    shape = (batch, time, hidden)
    f, i = rng.uniform(size=(2, *shape))
    c_new = rng.uniform(-1, 1, size=shape)
    return f, i, c_new, 10 * rng.normal(size=(batch, hidden))


def parts_of(rng, batch, hidden):
    f, i, c_new, c = given_gates(rng, batch, 1, hidden)
    return f[:, 0], c, i[:, 0], c_new[:, 0]


# C24, C25, C26: the candidate times i, the old state times f, their sum


@given(SMALL, SMALL, SEEDS)
def test_the_candidate_is_multiplied_by_the_input_gate(batch, hidden, seed):
    f, c, i, c_new = parts_of(np.random.default_rng(seed), batch, hidden)
    written = update(f, c, i, c_new) - update(f, c, i, 0 * c_new)
    np.testing.assert_allclose(written, i * c_new, atol=1e-12)
    # i alone says how much: at 0 the candidate leaves no trace
    np.testing.assert_array_equal(update(f, c, 0 * i, c_new), f * c)
    np.testing.assert_array_equal(update(0 * f, c, i, c_new), i * c_new)


@given(SMALL, SMALL, SEEDS)
def test_the_last_cell_state_is_multiplied_by_the_forget_gate(
    batch, hidden, seed
):
    f, c, i, c_new = parts_of(np.random.default_rng(seed), batch, hidden)
    kept = update(f, c, i, c_new) - update(f, 0 * c, i, c_new)
    np.testing.assert_allclose(kept, f * c, atol=1e-12)
    np.testing.assert_array_equal(update(0 * f, c, i, c_new), i * c_new)
    np.testing.assert_array_equal(update(0 * f + 1, c, 0 * i, c_new), c)


@given(SMALL, st.integers(1, 12), SMALL, SMALL, SEEDS)
def test_the_sum_is_the_librarys_cell_state_and_its_path_the_gates(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    x = rng.normal(size=(batch, time, features))
    h = rng.uniform(-1, 1, size=(batch, hidden))
    c = 3 * rng.normal(size=(batch, hidden))
    ours = record(lstm, x, h, c)
    cell, state = to_cell(lstm), (torch.tensor(h), torch.tensor(c))
    for t in range(time):
        state = cell(torch.tensor(x[:, t]), state)
        theirs = state[1].detach().numpy()
        np.testing.assert_allclose(ours.c[:, t], theirs, atol=1e-10)
    path = reach(lstm, x[:1], h[:1], c[:1], held=True)
    np.testing.assert_allclose(
        path, np.diag(ours.f[0].prod(axis=0)), rtol=1e-10, atol=1e-300
    )


# The running example


def test_the_running_example_by_hand():
    f = forget_gate(EXAMPLE.forget, x_t, h_last)
    i = input_gate(EXAMPLE.input, x_t, h_last)
    c_new = candidate(EXAMPLE.candidate, x_t, h_last)
    c_t = update(f, c_last, i, c_new)
    by_hand = [
        0.9047 * 2.0 + 0.6792 * 0.9051,
        0.2227 * -1 + 0.7773 * 0.9640,
    ]
    np.testing.assert_allclose(c_t, [by_hand], atol=1e-3)


# The four corners


def corner(f, i, steps, c_new=0.5, c_0=5.0):
    gates = (np.full((1, steps, 1), float(v)) for v in (f, i, c_new))
    return run_updates(*gates, np.array([[float(c_0)]]))[0, :, 0]


def test_the_four_corners_copy_count_overwrite_and_erase_exactly():
    steps = np.arange(1, 1001)
    np.testing.assert_array_equal(corner(1, 0, 1000, c_0=0.1), 0.1)
    np.testing.assert_array_equal(corner(1, 1, 1000), 5 + 0.5 * steps)
    np.testing.assert_array_equal(corner(0, 1, 1000), 0.5)
    np.testing.assert_array_equal(corner(0, 0, 1000), 0.0)


@given(st.floats(0.0, 1.0), st.integers(1, 50), SEEDS)
def test_no_cell_state_leaves_the_bound_and_the_worst_case_meets_it(
    most, steps, seed
):
    rng = np.random.default_rng(seed)
    f, i, c_new, c = given_gates(rng, 2, steps, 3)
    powers = most ** np.arange(steps + 1.0)
    sums, largest = np.cumsum(powers[:-1]), np.abs(i * c_new).max()
    found = np.abs(run_updates(most * f, i, c_new, c))
    bound = powers[1:] * np.abs(c).max() + sums * largest
    assert (found <= bound[None, :, None] + 1e-12).all()
    np.testing.assert_allclose(corner(most, 1, steps, 1, 0), sums)


def test_coupled_gates_stay_between_the_old_number_and_the_candidate():
    f, _, c_new, c = given_gates(np.random.default_rng(0), 3, 200, 4)
    c = np.clip(c, -1, 1)
    assert np.abs(run_updates(f, 1 - f, c_new, c)).max() <= 1.0


# The memory as a weighted sum


@given(SMALL, st.integers(0, 30), SMALL, SEEDS)
def test_the_shares_add_up_to_the_state_of_the_loop(
    batch, time, hidden, seed
):
    f, i, c_new, c = given_gates(
        np.random.default_rng(seed), batch, time, hidden
    )
    found = shares(f, i, c_new, c)
    assert found.shape == (batch, time + 1, hidden)
    states = run_updates(f, i, c_new, c)
    last = states[:, -1] if time else c
    np.testing.assert_allclose(found.sum(axis=1), last, atol=1e-12)
    np.testing.assert_allclose(states, carry(f, i * c_new, c), atol=1e-12)


@given(SMALL, st.integers(1, 9), SEEDS)
def test_a_share_is_what_is_missing_when_the_step_writes_nothing(
    hidden, time, seed
):
    rng = np.random.default_rng(seed)
    f, i, c_new, c = given_gates(rng, 1, time, hidden)
    step = int(rng.integers(time))
    shut = i.copy()
    shut[:, step] = 0.0
    missing = run_updates(f, i, c_new, c) - run_updates(f, shut, c_new, c)
    found = shares(f, i, c_new, c)[:, step + 1]
    np.testing.assert_allclose(missing[:, -1], found, atol=1e-12)


# Derivatives


def jacobian(function, at):
    return torch.autograd.functional.jacobian(function, torch.tensor(at))


@given(SMALL, SMALL, SEEDS)
def test_one_step_moves_with_c_along_the_path_and_through_h(
    features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm, x = (
        random_lstm(rng, features, hidden),
        rng.normal(size=(1, features)),
    )
    c, o = rng.normal(size=(1, hidden)), rng.uniform(size=(1, hidden))
    cell = to_cell(lstm)

    def whole_step(c):  # h was made from c by the output gate of before
        return cell(torch.tensor(x), (torch.tensor(o) * c.tanh(), c))[1]

    h = o * np.tanh(c)
    along = np.diag(forget_gate(lstm.forget, x, h)[0])
    out = o[0] * (1 - np.tanh(c[0]) ** 2)
    across = through_hidden(lstm, x, h, c)[0] * out
    full = jacobian(whole_step, c)[0, :, 0]
    np.testing.assert_allclose(along + across, full, atol=1e-10)


@given(st.integers(1, 8), SMALL, SMALL, SEEDS)
def test_the_reach_in_full_is_that_of_the_librarys_cell(
    time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    x = rng.normal(size=(1, time, features))
    h, c = rng.uniform(-1, 1, size=(2, 1, hidden))
    cell = to_cell(lstm)

    def last(c):
        state = torch.tensor(h), c
        for t in range(time):
            state = cell(torch.tensor(x[:, t]), state)
        return state[1]

    np.testing.assert_allclose(
        reach(lstm, x, h, c), jacobian(last, c)[0, :, 0], atol=1e-10
    )


def test_through_hidden_keeps_the_sequences_of_a_batch_apart():
    rng = np.random.default_rng(0)
    lstm, x = random_lstm(rng, 2, 3), rng.normal(size=(4, 2))
    h, c = rng.uniform(-1, 1, size=(2, 4, 3))
    found = through_hidden(lstm, x, h, c)
    for n in range(4):
        row = slice(n, n + 1)
        one = through_hidden(lstm, x[row], h[row], c[row])
        np.testing.assert_allclose(found[row], one, atol=1e-12)


# Extremes and errors


def test_a_huge_memory_and_a_sequence_of_no_steps_are_fine():
    ones = np.ones((1, 2))
    huge = update(ones, 1e300 * ones, ones, -ones)
    np.testing.assert_array_equal(huge, 1e300)
    empty = record(EXAMPLE, np.zeros((1, 0, 1)), h_last, c_last)
    assert [array.shape for array in empty] == [(1, 0, 2)] * 4


def test_arrays_that_do_not_fit_are_refused_by_name():
    ones = np.ones((1, 2))
    with pytest.raises(TypeCheckError, match="'c_new'"):
        update(ones, ones, ones, np.ones((1, 3)))
    with pytest.raises(TypeCheckError, match="'c'"):
        shares(*np.ones((3, 1, 5, 2)), np.ones((2, 2)))
