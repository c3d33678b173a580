"""The whole LSTM, forward: equal to `torch.nn.LSTM`, and its mistakes."""

import warnings
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.overview import EXAMPLE, LSTM, c_last, h_last, x_t
from snippets.lstm.whole_lstm import (
    count,
    initial,
    loop,
    run,
    stack,
    step,
)
from snippets.lstm.whole_lstm_torch import (
    forward,
    from_torch,
    race,
    to_torch,
)

SMALL, SEEDS = st.integers(1, 4), st.integers(0, 10**6)
DOUBLE = {"dtype": torch.float64, "batch_first": True}


def close(found, expected, most=1e-10):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == tuple(b.shape)
        assert np.abs(np.asarray(a) - np.asarray(b)).max(initial=0) < most


def drawn(batch, time, features, hidden, seed, rows=1):
    rng = np.random.default_rng(seed)
    lstms = [initial(features, hidden, rng) for _ in range(rows)]
    x = rng.normal(size=(batch, time, features))
    return lstms, x, *rng.normal(size=(2, rows, batch, hidden))


@st.composite
def cases(draw):
    """A stack with lengths, or None, and all that it needs."""
    batch, time, features, hidden = (draw(SMALL) for _ in range(4))
    layers, sides = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(SEEDS))
    wide = [features] + [sides * hidden] * (layers - 1)
    nets = [[initial(w, hidden, rng) for _ in range(sides)] for w in wide]
    h, c = rng.normal(size=(2, layers * sides, batch, hidden))
    x = rng.normal(size=(batch, time, features))
    lengths = (
        rng.integers(1, time + 1, batch) if draw(st.booleans()) else None
    )
    return nets, x, h, c, lengths


@given(SMALL, SMALL, SMALL, SEEDS)
def test_a_step_is_that_of_the_lstm_cell_of_pytorch(b, f, n, seed):
    (lstm,), x, h, c = drawn(b, 1, f, n, seed)
    with torch.no_grad():
        theirs = to_cell(lstm)(
            torch.tensor(x[:, 0]), (torch.tensor(h[0]), torch.tensor(c[0]))
        )
    close(step(lstm, x[:, 0], h[0], c[0]), theirs, 1e-12)


@given(SMALL, st.integers(1, 8), SMALL, SMALL, SEEDS)
def test_run_is_the_loop(batch, time, features, hidden, seed):
    (lstm,), x, h, c = drawn(batch, time, features, hidden, seed)
    found = run(lstm, x, h[0], c[0])
    close(found, loop(lstm, x, h[0], c[0]), 1e-12)
    close([found[0][:, -1]], [found[1]])


@given(cases())
def test_the_stack_is_torch_nn_lstm(case):
    nets, x, h, c, lengths = case
    with torch.no_grad():
        theirs = forward(
            to_torch(nets), *map(torch.tensor, (x, h, c)), lengths
        )
    close(stack(nets, x, h, c, lengths), theirs)


def test_the_running_example_goes_on_from_the_pages_before():
    h, c = step(EXAMPLE, x_t, h_last, c_last)
    sigma = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    f, i = sigma(np.array([2.25, -1.25])), sigma(np.array([0.75, 1.25]))
    new, o = np.tanh([1.5, 2.0]), sigma(np.array([1.5, 0.5]))
    by_hand = f * [2.0, -1.0] + i * new
    close([c, h], [by_hand[None], (o * np.tanh(by_hand))[None]], 1e-12)


@given(SMALL, st.integers(1, 6), SMALL, SEEDS)
def test_backward_in_time_is_forward_on_the_reversed_sequence(
    b, t, n, seed
):
    (lstm,), x, h, c = drawn(b, t, 2, n, seed)
    output, h_n, c_n = run(lstm, x, h[0], c[0], reverse=True)
    turned = run(lstm, x[:, ::-1], h[0], c[0])
    close((output[:, ::-1], h_n, c_n), turned, 1e-12)
    close([output[:, 0]], [h_n])  # it ends at step 0


@settings(max_examples=40)
@given(cases())
def test_a_sequence_in_a_padded_batch_is_as_if_alone(case):
    nets, x, h, c, lengths = case
    time = x.shape[1]
    lengths = np.full(len(x), time) if lengths is None else lengths
    x[np.arange(time) >= lengths[:, None]] = np.nan  # must not be read
    output, h_n, c_n = stack(nets, x, h, c, lengths)
    for n, end in enumerate(lengths):
        one = slice(n, n + 1)
        alone = stack(nets, x[one, :end], h[:, one], c[:, one])
        close((output[one, :end], h_n[:, one], c_n[:, one]), alone)
        assert not output[n, end:].any()


def test_the_last_step_of_a_padded_batch_is_not_the_last_of_a_sequence():
    (lstm,), x, h, c = drawn(2, 6, 3, 4, 0)
    lengths = np.array([6, 2])
    x[1, 2:] = 0.0
    wrong = run(lstm, x, h[0], c[0])[1]
    right = run(lstm, x, h[0], c[0], lengths)[1]
    assert np.array_equal(wrong[0], right[0])
    assert np.abs(wrong[1] - right[1]).max() > 0.01


def test_the_backward_half_of_the_last_output_has_read_one_step():
    pair, x, h, c = drawn(2, 5, 3, 4, 0, rows=2)
    other = x.copy()
    other[:, :-1] += 1.0
    (a, h_a, _), (b, h_b, _) = (stack([pair], s, h, c) for s in (x, other))
    assert np.array_equal(a[:, -1, 4:], b[:, -1, 4:])
    assert np.abs(h_a[1] - h_b[1]).min(axis=1).max() > 1e-3
    close([a[:, -1, :4], a[:, 0, 4:]], h_a, 1e-15)


def test_chunks_need_both_states_of_the_chunk_before():
    (lstm,), x, h, c = drawn(2, 10, 3, 4, 0)
    whole = run(lstm, x, h[0], c[0])[0][:, 5:]
    _, h, c = run(lstm, x[:, :5], h[0], c[0])
    close([run(lstm, x[:, 5:], h, c)[0]], [whole], 1e-12)
    for start in (h, 0 * c), (0 * h, c), (0 * h, 0 * c):
        off = np.abs(run(lstm, x[:, 5:], *start)[0] - whole)
        assert off[:, 0].max() > 0.01


def test_every_other_order_of_the_gates_gives_other_numbers():
    (lstm,), x, h, c = drawn(2, 4, 3, 4, 0)
    right = run(lstm, x, h[0], c[0])[0]
    for order in permutations(range(4)):
        other = run(LSTM(*(lstm[k] for k in order)), x, h[0], c[0])[0]
        assert (np.abs(other - right).max() > 0.01) == (
            order != (0, 1, 2, 3)
        )


@given(cases())
def test_weights_go_to_pytorch_and_back(case):
    nets = case[0]
    back = from_torch(to_torch(nets))
    for mine, theirs in zip(nets, back, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            for gate, copy in zip(a, b, strict=True):
                close(gate, copy, 1e-15)


def test_the_two_biases_of_pytorch_become_one_and_weights_are_copied():
    module = torch.nn.LSTM(3, 4, **DOUBLE)
    [[lstm]] = from_torch(module)
    lstm.input.W_x[:] += 1.0
    assert not np.array_equal(
        lstm.input.W_x, from_torch(module)[0][0][0][0]
    )
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    zeros = np.zeros((1, 2, 4))
    ours = stack(from_torch(module), x.numpy(), zeros, zeros)
    close([ours[0]], [module(x)[0].detach()])


@settings(max_examples=50)
@given(SMALL, st.integers(2, 5), SMALL, st.integers(1, 2), st.data())
def test_the_count_is_that_of_the_library(features, n, layers, sides, data):
    bias, p = data.draw(st.booleans()), data.draw(st.integers(0, n - 1))
    module = torch.nn.LSTM(
        features, n, layers, bias=bias, bidirectional=sides == 2,
        proj_size=p,
    )  # fmt: skip
    found = count(features, n, layers, sides, bias=bias, projection=p)
    assert found == sum(weight.numel() for weight in module.parameters())


def test_batch_first_does_not_move_the_initial_states():
    module = torch.nn.LSTM(3, 4, num_layers=2, **DOUBLE)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    h = torch.randn(2, 2, 4, dtype=torch.float64)
    turned = h.transpose(0, 1).contiguous()
    off = module(x, (h, h))[0] - module(x, (turned, turned))[0]
    assert off.abs().max() > 1e-3  # silent, as batch and rows are both 2
    with pytest.raises(RuntimeError, match="Expected hidden"):
        module(torch.cat([x, x]), (torch.cat([h, h]), torch.cat([h, h])))


def test_dropout_does_nothing_with_one_layer_and_pytorch_warns():
    with pytest.warns(UserWarning, match="non-zero dropout expects"):
        one = torch.nn.LSTM(3, 4, dropout=0.5, **DOUBLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        two = torch.nn.LSTM(3, 4, 2, dropout=0.5, **DOUBLE)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    assert torch.equal(one(x)[0], one(x)[0])
    assert not torch.equal(two(x)[0], two(x)[0])


@pytest.mark.parametrize("size", [1e4, -1e4, 1e-300])
def test_extreme_inputs_stay_finite(size):
    pair, x, h, c = drawn(2, 6, 3, 4, 0, rows=2)
    output, h_n, c_n = stack([pair], size * x, size * h, size * c)
    assert np.isfinite(c_n).all()
    assert np.abs(output).max() <= 1 >= np.abs(h_n).max()


def test_initial_weights_are_drawn_as_by_pytorch():
    lstm = initial(30, 100, np.random.default_rng(0))
    for gate in lstm:
        assert 0.099 < np.abs(gate.W_x).max() <= 0.1
        assert 0.099 < np.abs(gate.W_h).max() <= 0.1
        assert 0.1 < np.abs(gate.b).max() <= 0.2


def test_the_race_measures_all_three():
    took = race(1, 2, 3, 4)
    assert list(took) == ["loop", "run", "PyTorch"]
    assert min(took.values()) >= 0


def test_the_race_leaves_threads_and_checks_as_they_were():
    before = torch.get_num_threads()
    race(1, 1, 1, 1)
    assert torch.get_num_threads() == before
    (lstm,), x, h, c = drawn(1, 1, 1, 1, 0)
    with pytest.raises(TypeCheckError, match="parameter 'h'"):
        run(lstm, x, h, c[0])


def test_wrong_arguments_are_named():
    (lstm,), x, h, c = drawn(2, 3, 3, 4, 0)
    h, c = h[0], c[0]
    for function in loop, run:
        with pytest.raises(ValueError, match="x must have at least one st"):
            function(lstm, x[:, :0], h, c)
        with pytest.raises(ValueError, match="x must have 3 features, got"):
            function(lstm, x[:, :, :2], h, c)
        with pytest.raises(ValueError, match="h must have 4 units, got 3"):
            function(lstm, x, h[:, :3], c[:, :3])
        with pytest.raises(TypeCheckError, match="parameter 'c'"):
            function(lstm, x, h, c[:1])
    broken = lstm._replace(output=lstm.output._replace(b=np.zeros(5)))
    larger = lstm._replace(
        output=initial(3, 5, np.random.default_rng(0))[3]
    )
    for function, at in (step, x[:, 0]), (loop, x), (run, x):
        with pytest.raises(ValueError, match="gate must have W_h of shape"):
            function(broken, at, h, c)
        with pytest.raises(ValueError, match="h must have 5 units, got 4"):
            function(larger, at, h, c)
    for lengths in [0, 3], [4, 1]:
        with pytest.raises(ValueError, match="lengths must be 1 to 3, got"):
            run(lstm, x, h, c, np.array(lengths))
    for nets in [], [[lstm] * 2], [[]], [[lstm]] * 2, [[], [lstm]]:
        with pytest.raises(
            ValueError, match="layers must hold 1 or 2 LSTM"
        ):
            stack(nets, x, h[None], c[None])
    with pytest.raises(ValueError, match="layers must hold 1 or 2 LSTMs"):
        stack([], x, h[None][:0], c[None][:0])
    three = np.zeros((3, 2, 4))
    for nets in [[lstm] * 2], [[lstm], [lstm] * 2], [[lstm] * 3]:
        with pytest.raises(ValueError, match="layers must hold 1 or 2 LST"):
            stack(nets, x, three, three)


def test_wrong_sizes_are_named():
    for size in (0, 4), (3, 0):
        with pytest.raises(ValueError, match=r"must be at least 1, got 0"):
            initial(*size, np.random.default_rng(0))
        with pytest.raises(ValueError, match=r"must be at least 1, got 0"):
            count(*size)
    with pytest.raises(
        ValueError, match="layers must be at least 1, got 0"
    ):
        count(3, 4, 0)
    with pytest.raises(
        ValueError, match="directions must be 1 or 2, got 3"
    ):
        count(3, 4, 1, 3)
    for projection in -1, 4:
        with pytest.raises(ValueError, match="projection must be 0 to 3"):
            count(3, 4, projection=projection)


def test_modules_that_are_no_plain_lstm_are_refused():
    for more in {"proj_size": 2}, {"bias": False}:
        with pytest.raises(
            ValueError, match="module must have biases, and"
        ):
            from_torch(torch.nn.LSTM(3, 4, **more))
    lstm = initial(3, 4, np.random.default_rng(0))
    for nets in [], [[]], [[lstm] * 3], [[lstm], [lstm] * 2]:
        with pytest.raises(ValueError, match="layers must hold 1 or 2 LST"):
            to_torch(nets)
    one = initial(1, 4, np.random.default_rng(0))  # its W_x would broadcast
    with pytest.raises(
        ValueError, match=r"expected \[16, 4\], got \[16, 1"
    ):
        to_torch([[lstm], [one]])


def test_an_empty_batch_gives_empty_results():
    pair, x, h, c = drawn(0, 3, 3, 4, 0, rows=2)
    output, h_n, _ = stack([pair], x, h, c, np.zeros(0, dtype=int))
    assert output.shape == (0, 3, 8)
    assert h_n.shape == (2, 0, 4)
