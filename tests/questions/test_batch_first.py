import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from snippets.lstm.whole_lstm_torch import from_torch
from snippets.questions.batch_first import reads, run, shapes
from snippets.questions.batch_first_torch import draw, logits, train

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from([nn.RNN, nn.GRU, nn.LSTM])


def state_of(last):
    """h_n and c_n of an LSTM, h_n of the others, in a list."""
    return list(last) if isinstance(last, tuple) else [last]


# Q2: what moves, what does not, and that the numbers are the same


@given(KINDS, SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), SEEDS)
@settings(max_examples=60)
def test_the_switch_turns_input_and_output_and_no_state_and_no_number(
    kind, batch, time, features, hidden, layers, both, seed
):
    torch.manual_seed(seed)
    net = kind(features, hidden, layers, bidirectional=both).double()
    assert not net.batch_first
    x = torch.randn(time, batch, features, dtype=torch.float64)
    sizes = batch, time, features, hidden, layers, 1 + both
    found = {}
    for first in (False, True):
        net.batch_first = first
        given_x = x.transpose(0, 1) if first else x
        rule = shapes(*sizes, batch_first=first)
        state = torch.ones(rule.h_0, dtype=torch.float64)
        start = (state, state) if kind is nn.LSTM else state
        output, last = net(given_x, start)
        assert given_x.shape == rule.x
        assert output.shape == rule.output
        assert all(one.shape == rule.h_n for one in state_of(last))
        found[first] = output.transpose(0, 1) if first else output, last
    torch.testing.assert_close(
        found[True], found[False], atol=1e-12, rtol=0
    )


@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), st.booleans())
@settings(max_examples=40)
def test_our_layer_is_pytorchs_in_both_layouts(
    batch, time, features, hidden, layers, both, first
):
    net = nn.LSTM(
        features, hidden, layers, bidirectional=both, batch_first=first
    ).double()
    rule = shapes(batch, time, features, hidden, layers, 1 + both, first)
    x, h, c = (
        torch.randn(shape, dtype=torch.float64)
        for shape in (rule.x, rule.h_0, rule.h_0)
    )
    output, (h_n, c_n) = net(x, (h, c))
    ours = run(from_torch(net), *(a.numpy() for a in (x, h, c)), first)
    for a, b in zip(ours, (output, h_n, c_n), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-10)


def test_the_switch_is_off_in_every_module_that_has_one():
    for one in (
        nn.MultiheadAttention,
        nn.TransformerEncoderLayer,
        nn.TransformerDecoderLayer,
        nn.Transformer,
        nn.utils.rnn.pad_sequence,
        nn.utils.rnn.pack_padded_sequence,
        nn.utils.rnn.pad_packed_sequence,
    ):
        switch = inspect.signature(one).parameters["batch_first"]
        assert switch.default is False
    for cell in (nn.RNNCell, nn.GRUCell, nn.LSTMCell):
        assert "batch_first" not in inspect.signature(cell).parameters


@given(SMALL, st.integers(2, 5))
def test_a_state_with_the_batch_first_fails_unless_the_sizes_agree(
    layers, batch
):
    net = nn.LSTM(3, 4, layers, batch_first=True)
    turned = torch.randn(batch, layers, 4)
    x = torch.randn(batch, 6, 3)
    if batch == layers:
        wrong = net(x, (turned, turned))[0]
        state = turned.transpose(0, 1).contiguous()
        assert (wrong - net(x, (state, state))[0]).abs().max() > 1e-4
    else:
        with pytest.raises(RuntimeError, match=r"Expected hidden\[0\]"):
            net(x, (turned, turned))


@given(SMALL, SMALL)
def test_without_a_batch_the_switch_does_nothing(time, layers):
    net = nn.LSTM(3, 4, layers, batch_first=True)
    x = torch.randn(time, 3)
    output, (h_n, _) = net(x)
    net.batch_first = False
    assert torch.equal(net(x)[0], output)
    assert output.shape == (time, 4)
    assert h_n.shape == (layers, 4)


# Forgotten


def answers(net):
    """What `logits` says of an array, as an array."""

    def f(x):
        with torch.no_grad():
            return logits(net, torch.tensor(x)).numpy()

    return f


@pytest.mark.parametrize("first", [True, False])
def test_forgotten_a_result_depends_on_the_sequences_above_it(first):
    net = train("last", first, seed=1, updates=1)[0]
    rng = np.random.default_rng(0)
    moved = reads(answers(net), rng.normal(size=(6, 4, 1)), rng)
    wanted = np.eye(6) if first else np.tri(6)
    np.testing.assert_array_equal(moved, wanted)


@pytest.mark.parametrize("seed", [1, 2])
def test_forgotten_a_model_guesses_or_learns_as_the_question_has_it(seed):
    assert train("first", True, seed)[2] > 0.9
    assert 0.42 < train("first", False, seed)[2] < 0.58
    net, losses, right = train("last", False, seed)
    assert right > 0.9
    assert np.mean(losses[-10:]) < 0.3 < np.mean(losses[:10])
    best = 0.5 + np.arcsin(0.5) / np.pi
    assert 0.58 < train("sum", False, seed)[2] < best + 0.05
    assert train("sum", True, seed)[2] > 0.85


def test_half_and_a_sixth_is_the_best_for_one_number_of_four():
    x = np.random.default_rng(0).normal(size=(200_000, 4))
    share = ((x[:, 3] > 0) == (x.sum(axis=1) > 0)).mean()
    assert abs(share - (0.5 + np.arcsin(0.5) / np.pi)) < 0.005


def test_the_questions_are_about_the_numbers_they_name():
    for question in ("first", "last", "sum"):
        torch.manual_seed(0)
        x, y = draw(question)
        asked = {"first": x[:, 0], "last": x[:, -1], "sum": x.sum(1)}
        assert torch.equal(y, (asked[question] > 0).long()[:, 0])


# reads, and errors


@given(st.integers(1, 5), st.integers(1, 4), SEEDS)
def test_reads_finds_exactly_what_a_linear_map_reads(size, rest, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(2, size=(size, size)) * 1.0
    x = rng.normal(size=(size, rest))
    found = reads(lambda x: weights @ x, x, rng)
    np.testing.assert_array_equal(found, weights == 1)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="sizes must be at least 1"):
        shapes(2, 0, 3, 4)
    with pytest.raises(ValueError, match="directions must be 1 or 2"):
        shapes(2, 2, 3, 4, directions=3)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="f must give 3 rows, got 2"):
        reads(lambda x: x[:2], np.ones((3, 2)), rng)
    with pytest.raises(TypeCheckError, match="'x'"):
        run([], np.ones((3, 2)), np.ones((1, 3, 2)), np.ones((1, 3, 2)))
