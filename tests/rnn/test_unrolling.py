import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import alice_split, encode
from snippets.rnn.recurrence import (
    RNN,
    initial,
    run,
    surprise,
    trained,
    untrained,
)
from snippets.rnn.recurrence_torch import to_torch
from snippets.rnn.unrolling import (
    backward,
    backward_in_chunks,
    cell_backward,
    chunk_starts,
    letter_gradient,
    nats_by_place,
    run_copies,
    streams,
    walk_back,
)
from snippets.rnn.unrolling_torch import gradients_of_copies, graph_size

SMALL = st.integers(1, 4)
STEPS = LENGTHS = st.integers(1, 9)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(["tanh", "relu"])
CASES = st.tuples(SMALL, STEPS, SMALL, SMALL, NAMES, SEEDS).map(
    lambda case: drawn(*case)
)


def drawn(batch, time, features, hidden, activation, seed):
    """A network, its inputs and states, and a loss: the sum of g h."""
    rng = np.random.default_rng(seed)
    rnn = draw_rnn(rng, features, hidden)
    x = rng.normal(size=(batch, time, features))
    h_0 = rng.normal(size=(batch, hidden))
    states = run(rnn, x, h_0, activation)
    return rnn, x, h_0, states, rng.normal(size=states.shape), activation


def draw_rnn(rng, features, hidden):
    return RNN(
        rng.normal(size=(hidden, features)),
        rng.normal(size=(hidden, hidden)) / hidden**0.5,
        rng.normal(size=hidden),
    )


def close(ours, theirs):
    """To 1e-10; of the largest number where that is above 1."""
    for our, their in zip(ours, theirs, strict=True):
        assert our.shape == their.shape
        scale = max(1.0, np.abs(their).max(initial=0))
        assert np.abs(our - their).max(initial=0) < 1e-10 * scale


def in_chunks(case, length, carry):
    rnn, x, h_0, _, g, activation = case
    return backward_in_chunks(
        rnn, x, h_0, length, lambda _, part: g[:, part], activation,
        carry=carry,
    )  # fmt: skip


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# C10: one network with a large input and shared weights


@given(CASES)
def test_the_unrolled_network_is_the_loop_when_all_copies_are_equal(case):
    rnn, x, h_0, states, _, activation = case
    copies = [rnn] * x.shape[1]
    close(
        [run_copies(copies, x.reshape(len(x), -1), h_0, activation)],
        [states],
    )


@given(CASES)
def test_the_gradient_of_the_shared_weights_is_the_sum_over_the_copies(
    case,
):
    """C10: each copy a leaf of its own, against the library's loop."""
    rnn, x, h_0, states, g, activation = case
    copies = [rnn] * x.shape[1]
    by_autograd = gradients_of_copies(copies, x, h_0, g, activation)
    layer = to_torch([rnn], activation)
    found, _ = layer(torch.tensor(x), torch.tensor(h_0)[None])
    (torch.tensor(g) * found).sum().backward()
    shared = [weights.grad.numpy() for weights in layer.parameters()]

    sums = [sum(parts) for parts in zip(*by_autograd, strict=True)]
    close(sums, shared[:3])
    back = list(walk_back(copies, x, h_0, states, g, activation))[::-1]
    for ours, theirs in zip(back, by_autograd, strict=True):
        close(ours[2:], theirs)
    total = backward(rnn, x, h_0, states, g, activation)
    close(total[2:], sums)


@given(CASES)
def test_copies_that_differ_get_the_gradients_of_autograd(case):
    rnn, x, h_0, _, g, activation = case
    rng = np.random.default_rng(len(x))
    steps, features = x.shape[1:]
    copies = [draw_rnn(rng, features, len(rnn.b)) for _ in range(steps)]
    states = run_copies(copies, x.reshape(len(x), -1), h_0, activation)
    back = list(walk_back(copies, x, h_0, states, g, activation))[::-1]
    theirs = gradients_of_copies(copies, x, h_0, g, activation)
    for one, other in zip(back, theirs, strict=True):
        close(one[2:], other)


def test_copies_fit_one_length_and_the_loop_fits_all():
    rnn = initial(2, 4, np.random.default_rng(0))
    assert run(rnn, np.zeros((3, 7, 2)), np.zeros((3, 4))).shape[1] == 7
    message = "x must have 12 inputs for 6 copies, got 14"
    with pytest.raises(ValueError, match=message):
        run_copies([rnn] * 6, np.zeros((3, 14)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="x must have 0 .* for 0 copies"):
        run_copies([], np.zeros((3, 0)), np.zeros((3, 4)))


# the backward pass


@given(CASES)
def test_backward_is_that_of_the_librarys_layer(case):
    rnn, x, h_0, states, g, activation = case
    layer = to_torch([rnn], activation)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h_0[None])]
    found, _ = layer(*leaves)
    loss = (torch.tensor(g) * found).sum()
    by_x, by_h, *weights = torch.autograd.grad(
        loss, [*leaves, *layer.parameters()]
    )
    ours = backward(rnn, x, h_0, states, g, activation)
    theirs = [a.numpy() for a in (by_x, by_h[0], *weights)]
    close([*ours, ours.b], theirs)  # the library has two biases


@given(CASES)
def test_backward_agrees_with_finite_differences(case):
    rnn, x, h_0, states, g, activation = case
    ours = backward(rnn, x, h_0, states, g, activation)
    rng = np.random.default_rng(len(x))
    at = x, h_0, *rnn
    moves = [rng.normal(size=a.shape) for a in at]

    def loss(size):
        moved = [a + size * move for a, move in zip(at, moves, strict=True)]
        moved_x, moved_h0, *weights = moved
        h = run(RNN(*weights), moved_x, moved_h0, activation)
        if activation == "relu":  # a kink between the two has no slope
            h = np.where((h > 0) == (states > 0), h, np.nan)
        return (g * h).sum()

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    inner = sum((a * b).sum() for a, b in zip(ours, moves, strict=True))
    scale = 1 + sum(abs(a).sum() for a in ours)
    if np.isfinite(slope):
        assert abs(slope - inner) < 1e-4 * scale


def test_the_worked_example_can_be_checked_by_hand():
    one = np.ones((1, 1))
    unit = RNN(one, 0.5 * one, np.zeros(1))
    x, h_0 = np.array([[[2.0], [1.0], [3.0]]]), np.zeros((1, 1))
    states = run(unit, x, h_0, "relu")
    assert states.ravel().tolist() == [2, 2, 4]
    found = backward(unit, x, h_0, states, np.ones_like(states), "relu")
    assert [float(a.sum()) for a in found[1:]] == [0.875, 8.0, 5.0, 4.25]


def test_backward_leaves_its_arguments_alone():
    case = drawn(2, 4, 3, 2, "tanh", 0)
    rnn, x, h_0, states, g, _ = case
    before = [a.copy() for a in (*rnn, x, h_0, states, g)]
    backward(rnn, x, h_0, states, g)
    in_chunks(case, 2, carry=True)
    for a, b in zip((*rnn, x, h_0, states, g), before, strict=True):
        assert np.array_equal(a, b)


def test_the_usual_mistakes_show_from_two_steps_on_and_not_in_one():
    for steps in 1, 2, 5:
        case = drawn(3, steps, 2, 4, "tanh", 0)
        rnn, x, h_0, states, g, _ = case
        right = backward(rnn, x, h_0, states, g)
        turned = rnn._replace(W_h=rnn.W_h.T)
        last = g * (np.arange(steps) == steps - 1)[:, None]
        for wrong in (
            backward(turned, x, h_0, states, g),
            backward(rnn, x, h_0, states, last),
            in_chunks(case, 1, carry=False),
        ):
            error = relative(wrong.W_h, right.W_h)
            assert error > 0.05 if steps > 1 else error < 1e-12


def test_wrong_arguments_are_named():
    rnn, x, h_0, states, g, _ = drawn(2, 3, 2, 4, "tanh", 0)
    with pytest.raises(ValueError, match="copies must be one a step, 3"):
        next(walk_back([rnn] * 2, x, h_0, states, g))
    with pytest.raises(ValueError, match="activation must be one of"):
        cell_backward(rnn, x[:, 0], h_0, h_0, h_0, "sigmoid")
    with pytest.raises(ValueError, match="length must be at least 1, got"):
        chunk_starts(rnn, x, h_0, 0)
    with pytest.raises(TypeCheckError, match="grad_states"):
        backward(rnn, x, h_0, states, g[:, :2])
    with pytest.raises(ValueError, match="shorter"):
        gradients_of_copies([rnn] * 2, x, h_0, g)


# chunks


@given(CASES, LENGTHS)
def test_carried_over_the_cuts_the_gradient_is_exact(case, length):
    rnn, x, h_0, states, g, activation = case
    exact = backward(rnn, x, h_0, states, g, activation)
    close(in_chunks(case, length, carry=True), exact)


@given(CASES, LENGTHS)
def test_truncation_is_detaching_the_state_in_pytorch(case, length):
    rnn, x, h_0, _, g, activation = case
    layer = to_torch([rnn], activation)
    inputs = torch.tensor(x, requires_grad=True)
    start = torch.tensor(h_0[None], requires_grad=True)
    h, loss = start, torch.zeros(())
    first = 0
    for chunk in inputs.split(length, dim=1):
        found, h = layer(chunk, h.detach() if first else h)
        part = torch.tensor(g[:, first : first + found.shape[1]])
        loss = loss + (part * found).sum()
        first += length
    loss.backward()
    ours = in_chunks(case, length, carry=False)
    weights = [a.grad.numpy() for a in layer.parameters()]
    theirs = [inputs.grad.numpy(), start.grad.numpy()[0], *weights]
    close([*ours, ours.b], theirs)


@given(CASES, LENGTHS)
def test_the_state_at_a_cut_is_that_of_the_whole_sequence(case, length):
    rnn, x, h_0, states, _, activation = case
    starts = chunk_starts(rnn, x, h_0, length, activation)
    assert starts.shape[1] == len(range(0, x.shape[1], length))
    close([starts[:, 0]], [h_0])
    close([starts[:, 1:]], [states[:, length - 1 : -1 : length]])


def test_cut_off_chunks_get_a_gradient_of_exactly_zero():
    rnn, x, h_0, _, g, _ = drawn(3, 6, 2, 4, "tanh", 0)
    late = g * (np.arange(6) >= 3)[:, None]
    for carry in True, False:
        found = backward_in_chunks(
            rnn, x, h_0, 3, lambda _, part: late[:, part], carry=carry
        )
        assert (found.x[:, :3] != 0).all() == carry
        assert (found.h_0 != 0).all() == carry
        assert (found.x[:, 3:] != 0).all()


@given(st.integers(1, 12))
def test_a_lag_keeps_its_weight_for_one_minus_lag_over_length(k):
    """A delay line: the gradient can vanish, or have the wrong sign."""
    lag, steps = 2, 12 * k
    line = RNN(np.eye(3, 1), np.eye(3, k=-1), np.zeros(3))
    found = backward_in_chunks(
        line, np.ones((1, steps, 1)), np.zeros((1, 3)), k,
        lambda h, _: 0 * h + np.array([1, 0, -2]) / steps, "relu",
        carry=False,
    )  # fmt: skip
    expected = 1 - 2 * max(0, 1 - lag / k)
    assert abs(found.W_x[0, 0] - expected) < 1e-12
    assert np.sign(expected) == np.sign(4 - k)


def test_chunks_of_the_root_of_the_length_keep_the_fewest_states():
    rnn, x, h_0, states, _, _ = drawn(2, 100, 1, 3, "tanh", 0)
    kept = {
        k: chunk_starts(rnn, x, h_0, k).size + states[:, :k].size
        for k in range(1, 101)
    }
    assert min(kept, key=kept.__getitem__) == 10
    assert kept[10] == 20 * h_0.size
    assert states.size == 100 * h_0.size


# streams of letters


@given(SMALL, STEPS, st.integers(0, 200))
def test_each_row_goes_on_where_it_stopped_in_the_chunk_before(
    batch, length, more
):
    codes = np.arange(batch * length + 1 + more)
    chunks = streams(codes, batch, length)
    assert np.array_equal(chunks[1:, :, 0], chunks[:-1, :, -1])
    assert (np.diff(chunks, axis=2) == 1).all()
    inputs = np.sort(chunks[:, :, :-1].ravel())
    assert np.array_equal(inputs, np.arange(len(inputs)))  # each one once
    assert len(codes) - 1 - len(inputs) < batch * length


def test_a_text_that_fills_no_chunk_is_refused():
    for batch, length in (0, 1), (1, 0), (3, 4), (-1, -1):
        with pytest.raises(ValueError, match="codes must fill .* got 12"):
            streams(np.zeros(12, dtype=int), batch, length)


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), SEEDS)
def test_the_letter_gradient_is_that_of_autograd_with_detach(
    batch, letters, length, seed
):
    rng = np.random.default_rng(seed)
    model = untrained(3, rng)
    codes = rng.integers(0, 27, (batch, letters + 1))
    layer = to_torch([model.rnn])
    W_o, b_o = torch.tensor(model.W_o), torch.tensor(model.b_o)
    h, loss = torch.zeros(1, batch, 3, dtype=torch.float64), 0.0
    for first in range(0, letters, length):
        chunk = torch.tensor(codes[:, first : first + length + 1])
        x = torch.nn.functional.one_hot(chunk[:, :-1], 27).double()
        found, h = layer(x, h.detach())
        logits = (found @ W_o.T + b_o).flatten(0, 1)
        loss = loss + torch.nn.functional.cross_entropy(
            logits, chunk[:, 1:].flatten(), reduction="sum"
        )
    (loss / (batch * letters)).backward()
    theirs = layer.weight_hh_l0.grad.numpy()
    close([letter_gradient(model, codes, length)], [theirs])


def test_a_longer_chunk_brings_the_gradient_nearer_to_the_full_one():
    codes = streams(encode(alice_split()[1]), 32, 64)[0]
    model = trained()
    full = letter_gradient(model, codes, 64)
    cut = [letter_gradient(model, codes, k) for k in (1, 4, 16, 32)]
    off = [relative(one, full) for one in cut]
    assert sorted(off, reverse=True) == off
    assert off[0] > 0.5 > 0.4 > off[2]


def test_nats_by_place_are_those_of_one_long_text():
    model = untrained(4, np.random.default_rng(0))
    codes = np.random.default_rng(1).integers(0, 27, 41)
    chunks = streams(codes, 1, 8)
    carried = nats_by_place(model, chunks, carry=True)
    long = surprise(model, codes[None]).reshape(5, 8).mean(0)
    close([carried], [long])
    reset = nats_by_place(model, chunks, carry=False)
    close([reset], [surprise(model, chunks[:, 0]).mean(0)])


def test_the_state_of_another_place_is_worse_than_none():
    chunks, model = streams(encode(alice_split()[1]), 32, 32), trained()
    mixed = np.random.default_rng(0).permutation(chunks)
    carried = nats_by_place(model, chunks, carry=True)
    reset = nats_by_place(model, chunks, carry=False)
    wrong = nats_by_place(model, mixed, carry=True)
    assert wrong[0] > reset[0] + 0.3 > carried[0] + 1
    assert abs(wrong[-1] - carried[-1]) < 0.03  # the mistake is forgotten


def test_the_graph_grows_with_each_chunk_unless_the_state_is_detached():
    layer = torch.nn.RNN(2, 3, batch_first=True)
    sizes = {}
    for detach in True, False:
        h, sizes[detach] = torch.zeros(1, 1, 3), []
        for chunk in torch.zeros(1, 20, 2).split(5, dim=1):
            found, h = layer(chunk, h.detach() if detach else h)
            sizes[detach].append(graph_size(found))
    assert len(set(sizes[True])) == 1
    assert len(set(np.diff(sizes[False]))) == 1
    assert sizes[False][-1] > 3 * sizes[True][-1]


def test_a_retained_graph_fails_once_the_weights_change_in_place():
    layer, x = torch.nn.RNN(2, 3, batch_first=True), torch.zeros(1, 5, 2)
    found, h = layer(x)
    found.sum().backward(retain_graph=True)
    layer(x, h)[0].sum().backward(retain_graph=True)  # silent so far
    torch.optim.SGD(layer.parameters()).step()
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        layer(x, h)[0].sum().backward()
