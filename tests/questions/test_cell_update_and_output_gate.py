import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.whole_lstm import loop
from snippets.questions.cell_update_and_output_gate import (
    ONE,
    c_last,
    h_last,
    joined,
    joined_step,
    moves,
    parts,
    without,
    x_t,
)
from tests.lstm.weights import random_lstm

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def test_one_step_is_made_of_fractions():
    found = parts(ONE, x_t, h_last, c_last)
    wanted = [3 / 4, 1 / 2, 4 / 5, 1, 3 / 4, 3 / 4 * np.tanh(1)]
    np.testing.assert_allclose(
        [value.item() for value in found.values()], wanted, atol=1e-12
    )
    assert list(found) == ["f_t", "i_t", "candidate", "c_t", "o_t", "h_t"]


@given(SMALL, SMALL, SMALL, SEEDS)
@settings(max_examples=30)
def test_the_parts_and_the_joined_matrix_are_pytorchs_cell(
    batch, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    x = rng.normal(size=(batch, features))
    h, c = rng.normal(size=(2, batch, hidden))
    cell = to_cell(lstm)
    with torch.no_grad():
        wanted = cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))
    found = parts(lstm, x, h, c)
    W = joined(lstm)
    for ours in (found["h_t"], found["c_t"]), joined_step(W, x, h, c):
        for mine, theirs in zip(ours, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-10)
    assert W.shape == (4 * hidden, hidden + features + 1)
    np.testing.assert_array_equal(W[:, :hidden], cell.weight_hh.detach())
    np.testing.assert_array_equal(W[:, hidden:-1], cell.weight_ih.detach())


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
@settings(max_examples=30)
def test_without_the_input_the_state_is_the_same_for_every_sequence(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    start = np.repeat(rng.normal(size=(1, hidden)), batch + 1, axis=0)
    x = rng.normal(size=(batch + 1, time, features))
    zeros = np.zeros_like(start)
    for bias in (False, True):
        blind = without(lstm, x=True, bias=bias)
        same = loop(blind, x, start, start)[0]
        np.testing.assert_array_equal(same, same[:1].repeat(batch + 1, 0))
        moved = loop(blind, x, zeros, zeros)[0].any()
        assert moved == (not bias)  # from zeros, only a bias moves it
    for whole in (lstm, without(lstm, bias=True)):
        seen = loop(whole, x, start, start)[0]
        assert np.abs(seen[0] - seen[1]).max() > 0


def test_leaving_out_changes_the_numbers_of_one_step():
    wanted = {
        (False, False): (1.0, 3 / 4),
        (True, False): (0.4, 1 / 4),
        (False, True): (1 / 2 * 0.8 + 1 / 2 * 80 / 82, 3 / 4),
        (True, True): (0.8, 1 / 4),
    }
    for (x, bias), numbers in wanted.items():
        seen = parts(without(ONE, x=x, bias=bias), x_t, h_last, c_last)
        found = seen["c_t"].item(), seen["o_t"].item()
        assert found == pytest.approx(numbers, abs=1e-12)


@given(SMALL, SMALL, SEEDS)
def test_where_the_input_is_0_leaving_it_out_changes_nothing(
    features, hidden, seed
):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, features, hidden)
    h, c = rng.normal(size=(2, 1, hidden))
    step, cut = (
        parts(one, np.zeros((1, features)), h, c)
        for one in (lstm, without(lstm, x=True))
    )
    for name, value in step.items():
        np.testing.assert_array_equal(value, cut[name])


@given(SEEDS)
def test_slopes_are_those_of_autograd_and_no_box_reads_the_cell_state(seed):
    rng = np.random.default_rng(seed)
    lstm = random_lstm(rng, 1, 1)
    given_ = rng.normal(size=(3, 1, 1))
    slopes = moves(lstm, *given_)
    assert not slopes[[0, 1, 2, 4], 2].any()
    leaves = [torch.tensor(a, requires_grad=True) for a in given_]
    h, c = to_cell(lstm)(leaves[0], (leaves[1], leaves[2]))
    for row, part in ((3, c), (5, h)):
        grads = torch.autograd.grad(part.sum(), leaves, retain_graph=True)
        np.testing.assert_allclose(
            slopes[row], [grad.item() for grad in grads], atol=1e-7
        )
    assert not moves(without(lstm, x=True), *given_)[:, 0].any()
