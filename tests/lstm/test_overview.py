from itertools import permutations
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.overview import (
    EXAMPLE,
    LSTM,
    Gate,
    affine,
    c_last,
    cell_states,
    h_last,
    sigmoid,
    unstack,
    x_t,
)
from snippets.rnn.recurrence import check_shapes
from tests.book import ROOT

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)
CSS = (ROOT / "docs/theme/css/book.css").read_text(encoding="utf-8")
PARTS = "forget", "input", "candidate", "update", "output"


def stacked(rng, features, hidden):
    """Weights as PyTorch stacks them, the two biases added."""
    shapes = (4 * hidden, features), (4 * hidden, hidden), (4 * hidden,)
    return [rng.normal(size=shape) for shape in shapes]


def torch_cell(W_x, W_h, b):
    cell = torch.nn.LSTMCell(W_x.shape[1], W_h.shape[1]).double()
    for mine, value in zip(
        cell.parameters(), (W_x, W_h, b, 0 * b), strict=True
    ):
        mine.data = torch.tensor(value)
    return cell.requires_grad_(False)


def step(lstm, x, h, c):
    """What goes in and comes out: three arrays, two arrays."""
    i, f, o = (
        sigmoid(affine(gate, x, h))
        for gate in (lstm.input, lstm.forget, lstm.output)
    )
    c = f * c + i * np.tanh(affine(lstm.candidate, x, h))
    return o * np.tanh(c), c


def drawn(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


# C16: h, c and x go in; h and c come out, and the output is h


@given(SEEDS, SMALL, SMALL, SMALL)
def test_a_step_takes_x_h_c_and_gives_the_h_and_c_of_pytorch(
    seed, batch, features, hidden
):
    weights = stacked(np.random.default_rng(seed), features, hidden)
    x, h, c = drawn(seed, (batch, features), *2 * [(batch, hidden)])
    found = step(unstack(*weights), x, h, c)
    state = torch.tensor(h), torch.tensor(c)
    wanted = torch_cell(*weights)(torch.tensor(x), state)
    assert len(found) == len(wanted) == 2
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one - other.numpy()).max() < 1e-10


@given(SEEDS, SMALL, st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_the_output_is_the_hidden_state_of_every_step(
    seed, hidden, time, layers, both
):
    torch.manual_seed(seed)
    lstm = torch.nn.LSTM(
        3, hidden, layers, batch_first=True, bidirectional=both
    )
    output, (h_n, c_n) = lstm(torch.randn(2, time, 3))
    assert c_n.shape == h_n.shape == (layers * (1 + both), 2, hidden)
    ends = torch.split(output, hidden, dim=2)
    assert torch.equal(ends[0][:, -1], h_n[-1 - both])
    assert torch.equal(ends[-1][:, 0 if both else -1], h_n[-1])
    assert not torch.equal(c_n, h_n)


@given(SEEDS, SMALL, st.integers(1, 6))
def test_the_hidden_states_of_the_cell_are_the_output_of_the_lstm(
    seed, hidden, time
):
    torch.manual_seed(seed)
    lstm = torch.nn.LSTM(3, hidden, batch_first=True).double()
    cell = torch.nn.LSTMCell(3, hidden).double()
    for mine, its in zip(cell.parameters(), lstm.parameters(), strict=True):
        mine.data = its.data
    x = torch.randn(2, time, 3).double()
    output, (_, c_n) = lstm(x)
    h = c = torch.zeros(2, hidden).double()
    for t in range(time):
        h, c = cell(x[:, t], (h, c))
        assert (output[:, t] - h).abs().max() < 1e-12
    assert (c_n[0] - c).abs().max() < 1e-12


@given(SEEDS, SMALL, SMALL, st.integers(1, 6))
def test_cell_states_stay_below_the_count_of_steps_and_hidden_below_one(
    seed, batch, hidden, time
):
    weights = stacked(np.random.default_rng(seed), 3, hidden)
    lstm, (x,) = unstack(*weights), drawn(seed, (batch, time, 3))
    h = c = np.zeros((batch, hidden))
    for t in range(time):
        h, c = step(lstm, x[:, t], h, c)
        assert np.abs(c).max() < t + 1
        assert np.abs(h).max() < 1
        every = cell_states(lstm, x)
        assert np.abs(every[:, t] - c).max() < 1e-12


def test_the_cell_state_counts_while_the_hidden_state_cannot():
    b = np.array([50.0] * 7 + [-50.0])
    counter = unstack(np.zeros((8, 1)), np.zeros((8, 2)), b)
    c = cell_states(counter, np.zeros((1, 100, 1)))
    assert np.array_equal(c[0], np.arange(1, 101)[:, None] * [1, 1])
    h, _ = step(counter, np.zeros((1, 1)), np.zeros((1, 2)), c[:, -1])
    assert h[0, 0] == 1
    assert h[0, 1] < 1e-20


# C17: three gates; the fourth set of weights is the candidate's


def ours(weights, x, h, c):
    return step(unstack(*weights), x, h, c)


def theirs(weights, x, h, c):
    x, h, c = torch.tensor(x), torch.tensor(h), torch.tensor(c)
    return [found.numpy() for found in torch_cell(*weights)(x, (h, c))]


@pytest.mark.parametrize("cell", [ours, theirs])
@given(seed=SEEDS, features=SMALL, hidden=SMALL)
def test_three_blocks_shut_something_and_the_fourth_is_the_candidate(
    cell, seed, features, hidden
):
    rng = np.random.default_rng(seed)
    W_x, W_h, b = (0.1 * part for part in stacked(rng, features, hidden))
    x, h, c = rng.normal(size=(2, features)), np.zeros((2, hidden)), 2.0

    def pushed(block, bias):
        rows = np.repeat(np.arange(4) == block, hidden)
        weights = W_x, W_h, b + bias * rows
        _, written = cell(weights, x, h, 0 * h)
        shown, state = cell(weights, x, h, h + c)
        return written, state - written, shown

    roles = []
    for block in range(4):
        written, kept, shown = pushed(block, -500)
        higher, _, _ = pushed(block, 500)
        flags = {
            "input": np.abs(written).max() < 1e-12,
            "forget": np.abs(kept).max() < 1e-12,
            "candidate": (written < -0.01).all() and (higher > 0.01).all(),
            "output": np.abs(shown).max() < 1e-12,
        }
        roles.append([name for name, flag in flags.items() if flag])
    assert roles == [["input"], ["forget"], ["candidate"], ["output"]]


@given(SMALL, SMALL)
def test_an_lstm_has_four_sets_of_weights_and_pytorch_a_bias_more(
    features, hidden
):
    weights = stacked(np.random.default_rng(0), features, hidden)
    lstm = unstack(*weights)
    own = sum(part.size for gate in lstm for part in gate)
    assert own == 4 * hidden * (features + hidden + 1)
    module = torch.nn.LSTM(features, hidden)
    assert module.weight_ih_l0.shape == (4 * hidden, features)
    total = sum(part.numel() for part in module.parameters())
    assert total == own + 4 * hidden


def test_a_gradient_step_moves_the_sum_of_two_biases_twice_as_far():
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 4).double()
    cell(torch.randn(2, 3).double())[0].sum().backward()
    assert torch.equal(cell.bias_ih.grad, cell.bias_hh.grad)
    before = (cell.bias_ih + cell.bias_hh).detach()
    torch.optim.SGD(cell.parameters(), lr=0.1).step()
    moved = (cell.bias_ih + cell.bias_hh).detach() - before
    wanted = -0.2 * cell.bias_ih.grad
    assert torch.allclose(moved, wanted, rtol=0, atol=1e-12)


def test_one_order_of_the_blocks_in_24_gives_the_states_of_pytorch():
    weights = stacked(np.random.default_rng(0), 3, 4)
    (x,) = drawn(1, (2, 5, 3))
    cell, h = torch_cell(*weights), torch.zeros(2, 4).double()
    c = h
    for t in range(5):
        h, c = cell(torch.tensor(x[:, t]), (h, c))
    gaps = {
        order: np.abs(
            cell_states(unstack(*weights, order), x)[:, -1] - c.numpy()
        ).max()
        for order in permutations(LSTM._fields)
    }
    right = [order for order, gap in gaps.items() if gap < 1e-10]
    assert right == [("input", "forget", "candidate", "output")]
    assert sorted(gaps.values())[1] > 0.05


# sigmoid and tanh


@given(st.lists(st.floats(-30, 30), min_size=1))
def test_sigmoid_is_between_zero_and_one_and_that_of_pytorch(values):
    a = np.sort(np.array(values))
    found = sigmoid(a)
    assert found.min() > 0
    assert found.max() < 1
    assert (np.diff(found) >= 0).all()
    assert np.abs(found + sigmoid(-a) - 1).max() < 1e-15
    assert np.abs(2 * sigmoid(2 * a) - 1 - np.tanh(a)).max() < 1e-15
    other = torch.sigmoid(torch.tensor(a)).numpy()
    assert np.abs(found - other).max() < 1e-15


def test_sigmoid_of_extreme_numbers_is_zero_half_or_one_without_overflow():
    a = np.array([-np.inf, -1e308, -40, 0, 40, 1e308, np.inf])
    assert sigmoid(a).tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    assert sigmoid(np.zeros((2, 0, 3))).shape == (2, 0, 3)


def test_a_tanh_gate_turns_signs_and_a_sigmoid_candidate_only_adds():
    lstm = unstack(*stacked(np.random.default_rng(0), 3, 8))
    (x,) = drawn(1, (4, 50, 3))
    assert (
        np.tanh(affine(lstm.forget, x[:, 0], np.zeros((4, 8)))) < 0
    ).any()
    usual = cell_states(lstm, x)
    assert 0.3 < (usual < 0).mean() < 0.7
    assert (cell_states(lstm, x, candidate=sigmoid) > 0).all()
    dropped = lstm._replace(
        forget=Gate(*(0 * part for part in lstm.forget))
    )
    turned = cell_states(dropped, x, gate=np.tanh)
    assert not np.allclose(turned, cell_states(dropped, x))


# what the boxes read, and the example


@given(SEEDS, SMALL, SMALL, SMALL)
def test_a_box_reads_the_two_vectors_as_one_of_hidden_and_features(
    seed, batch, features, hidden
):
    W_x, W_h, b, x, h = drawn(
        seed,
        (hidden, features),
        (hidden, hidden),
        (hidden,),
        (batch, features),
        (batch, hidden),
    )
    joined = np.hstack([h, x]) @ np.hstack([W_h, W_x]).T + b
    assert np.abs(affine(Gate(W_x, W_h, b), x, h) - joined).max() < 1e-10


def test_the_example_gives_the_numbers_that_every_page_works():
    reads = {
        name: affine(gate, x_t, h_last)[0].tolist()
        for name, gate in EXAMPLE._asdict().items()
    }
    assert reads == {
        "input": [0.75, 1.25],
        "forget": [2.25, -1.25],
        "candidate": [1.5, 2.0],
        "output": [1.5, 0.5],
    }
    h, c = step(EXAMPLE, x_t, h_last, c_last)
    assert np.abs(c - [2.4241, 0.5266]).max() < 5e-5
    assert np.abs(h - [0.8048, 0.3005]).max() < 5e-5


@pytest.mark.parametrize(
    ("gate", "x", "h", "message"),
    [
        (EXAMPLE.input, np.ones((1, 3)), h_last, "x must have 1 features"),
        (EXAMPLE.input, x_t, np.ones((1, 3)), "h must have 2 units, got 3"),
        (
            Gate(np.ones((2, 1)), np.ones((2, 2)), np.ones(3)),
            x_t,
            h_last,
            "gate must have W_h of shape",
        ),
        (
            Gate(np.ones((2, 1)), np.ones((3, 3)), np.ones(2)),
            x_t,
            h_last,
            "gate must have W_h of shape",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(gate, x, h, message):
    with pytest.raises(ValueError, match=message):
        affine(gate, x, h)


def test_a_batch_of_other_size_or_a_wrong_number_of_axes_is_named():
    with pytest.raises(TypeCheckError, match="h"):
        affine(EXAMPLE.input, np.ones((2, 1)), h_last)
    with pytest.raises(TypeCheckError, match="x"):
        check_shapes("gate", EXAMPLE.input, np.ones(1), h_last)


def test_rows_that_are_no_four_blocks_and_unknown_names_are_errors():
    W_x, W_h, b = np.ones((8, 1)), np.ones((8, 2)), np.ones(8)
    with pytest.raises(ValueError, match="W_h must have 8 rows"):
        unstack(W_x[:7], W_h[:7], b[:7])
    for order in (("input",) * 4, ("input", "forget", "output"), "ifgo"):
        with pytest.raises(ValueError, match="order must name"):
            unstack(W_x, W_h, b, order)


# the drawing


def test_the_drawn_cell_has_a_group_for_each_part():
    tree = ElementTree.parse(ROOT / "docs/en/lstm/cell.svg")
    groups = [element.get("class", "").split() for element in tree.iter()]
    for part in PARTS:
        assert ["part", part] in groups, part
    assert set(sum(groups, [])) == {"part", *PARTS}


def test_the_style_sheet_dims_the_parts_that_are_not_lit():
    for name in PARTS:
        if name != "candidate":  # it is lit with the input gate
            assert f".lit-{name} .part:not(.{name}" in CSS
