import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.rnn.recurrence import initial, run
from snippets.transformer.why_not_recurrence import (
    attention_graph,
    average,
    average_influence,
    costs,
    doubling_graph,
    moved,
    omit,
    parity_network,
    path_length,
    permute,
    recurrence_graph,
    recursion,
    scan,
    sequential_operations,
    trim,
)
from snippets.transformer.why_not_recurrence_torch import (
    longest_chain,
    products,
    waiting,
)

SMALL = st.integers(1, 6)
SEEDS = st.integers(0, 2**32 - 1)


def places(batch, time):
    """Rows that say where each element stood."""
    return np.tile(np.arange(time), (batch, 1))


# C32: the three damages, and what they move


@given(SMALL, SMALL, st.integers(0, 5), SEEDS)
def test_trimmed_rows_are_stretches_of_the_row(batch, kept, lost, seed):
    at_start = np.random.default_rng(seed).integers(0, lost + 1, batch)
    seen = trim(places(batch, kept + lost), lost, at_start)
    np.testing.assert_array_equal(seen, at_start[:, None] + np.arange(kept))


@given(SMALL, SMALL, st.integers(0, 5), SEEDS)
def test_omissions_keep_the_order_of_what_is_left(batch, kept, lost, seed):
    rng = np.random.default_rng(seed)
    seen = omit(places(batch, kept + lost), lost, rng)
    assert seen.shape == (batch, kept)
    assert (np.diff(seen, axis=1) > 0).all()


@given(SMALL, st.integers(1, 12), st.integers(1, 14), SEEDS)
def test_permuted_elements_stay_within_their_block(
    batch, time, width, seed
):
    x = places(batch, time)
    seen = permute(x, width, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(seen, axis=1), x)
    np.testing.assert_array_equal(seen // width, x // width)


def test_every_place_is_as_likely_to_be_lost_and_every_order_to_come():
    rng, count = np.random.default_rng(0), 60_000
    left = omit(places(count, 4), 1, rng)
    lost = 6 - left.sum(axis=1)  # 0 + 1 + 2 + 3 without it
    np.testing.assert_allclose(np.bincount(lost) / count, 1 / 4, atol=0.01)
    orders = permute(places(count, 3), 3, rng) @ [9, 3, 1]
    shares = np.unique(orders, return_counts=True)[1] / count
    np.testing.assert_allclose(shares, np.full(6, 1 / 6), atol=0.01)


def test_each_damage_moves_some_reader_and_no_reader_is_immune_to_all():
    rng, time, lost = np.random.default_rng(0), 20, 5
    x, rnn = rng.normal(size=(1000, time, 8)), initial(8, 32, rng)
    W_v, query = rng.normal(size=(8, 8)), rng.normal(size=8) / 8**0.5
    readers = {
        "window": lambda x: x[:, -4:].reshape(len(x), -1),
        "RNN": lambda x: run(rnn, x, np.zeros((len(x), 32)))[:, -1],
        "mean": lambda x: x.mean(axis=1),
        "average": lambda x: average(W_v, query, x)[0],
    }
    at_start = np.zeros(1000, int)
    seen = {
        "start": trim(x, lost, at_start + lost),
        "end": trim(x, lost, at_start),
        "omitted": omit(x, lost, rng),
        "permuted": permute(x, time, rng),
    }
    far = {
        (reader, damage): moved(readers[reader], x, seen[damage])
        for reader in readers
        for damage in seen
    }
    for reader in ("window", "RNN"):
        assert far[reader, "start"] < 0.01
        assert far[reader, "end"] > 0.9
        assert far[reader, "omitted"] > 0.4
        assert far[reader, "permuted"] > 0.9
    for reader in ("mean", "average"):
        assert far[reader, "permuted"] < 1e-12
        for damage in ("start", "end", "omitted"):
            assert 0.3 < far[reader, damage] < 0.5
    theory = (lost / (2 * (time - lost))) ** 0.5
    assert abs(far["mean", "omitted"] - theory) < 0.02


def test_damages_take_elements_of_any_kind():
    x = np.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_array_equal(trim(x, 1, np.array([0, 1]))[1], x[1, 1:])
    np.testing.assert_array_equal(omit(x, 0, np.random.default_rng(0)), x)


def test_what_cannot_be_lost_is_an_error():
    x, rng = places(2, 3), np.random.default_rng(0)
    for at_start in ([0, 3], [-1, 0]):
        with pytest.raises(
            ValueError, match="at_start must be from 0 to 2"
        ):
            trim(x, 2, np.array(at_start))
    for damage in (
        lambda: trim(x, 3, np.array([0, 1])),
        lambda: omit(x, 3, rng),
    ):
        with pytest.raises(
            ValueError, match="lost must leave at least one"
        ):
            damage()
    with pytest.raises(
        ValueError, match="lost must not be negative, got -1"
    ):
        omit(x, -1, rng)
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        permute(x, 0, rng)
    with pytest.raises(
        ValueError, match="x must hold at least 2 sequences"
    ):
        moved(lambda x: x, np.ones((1, 3, 1)), np.ones((1, 3, 1)))


# C33: the paper's reasons, and order


@given(SMALL, SMALL, st.integers(2, 6), SEEDS)
def test_attention_neither_waits_nor_knows_the_order_and_a_chain_does_both(
    batch, features, time, seed
):
    rng = np.random.default_rng(seed)
    x, query = (
        rng.normal(size=(batch, time, features)),
        rng.normal(size=features),
    )
    W_v = rng.normal(size=(3, features))
    backwards = x[:, ::-1].copy()
    z, weights = average(W_v, query, x)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(z, average(W_v, query, backwards)[0])
    rnn, h = initial(features, 4, rng), np.zeros((batch, 4))
    gap = run(rnn, x, h)[:, -1] - run(rnn, backwards, h)[:, -1]
    assert np.abs(gap).max() > 1e-12
    chain, attention = recurrence_graph(time), attention_graph(time)
    assert sequential_operations(chain) == path_length(chain) == time
    assert sequential_operations(attention) == path_length(attention) == 1


@given(st.integers(2, 70))
def test_doubling_reaches_every_earlier_step_in_logarithmic_rounds(n):
    graph = doubling_graph(n)
    rounds = int(np.ceil(np.log2(n)))
    assert sequential_operations(graph) == path_length(graph) == rounds
    reached = [{t} for t in range(n)]
    for read in graph.reads:
        reached.append(set().union(*(reached[i] for i in read)))
    for t, output in enumerate(graph.outputs):
        assert reached[output] == set(range(t + 1))


def library(name, d):
    if name == "RNN":
        rnn = torch.nn.RNN(d, d, batch_first=True)
        return lambda x: rnn(x)[0]
    if name == "LSTM":
        cell = torch.nn.LSTMCell(d, d)

        def loop(x):
            states = [cell(x[:, 0])]
            for step in x.unbind(1)[1:]:
                states.append(cell(step, states[-1]))
            return torch.stack([h for h, _ in states], 1)

        return loop
    if name == "attention":
        attention = torch.nn.MultiheadAttention(d, 2, batch_first=True)
        return lambda x: attention(x, x, x)[0]
    attend = torch.nn.functional.scaled_dot_product_attention
    return lambda x: attend(x, x, x)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "averages", "attention"])
def test_the_multiplications_are_those_that_pytorch_counts(name):
    for n, d in ((1, 4), (7, 6), (20, 8)):
        x = torch.randn(1, n, d)
        counted = products(library(name, d), x)
        assert counted == costs(n, d)[name].multiplications


def test_only_the_recurrent_networks_chain_grows_with_the_sequence():
    for name, growth in {"RNN": 3, "attention": 0, "averages": 0}.items():
        model = library(name, 4)
        short, long = (
            longest_chain(model, torch.randn(1, n, 4)) for n in (5, 25)
        )
        assert long - short == 20 * growth


def test_what_is_kept_grows_with_the_sequence_only_in_attention():
    for n in (1, 100):
        kept = {name: cost.kept for name, cost in costs(n, 8).items()}
        assert kept == {
            "RNN": 8,
            "LSTM": 16,
            "averages": 16 * n,
            "attention": 16 * n,
        }


def test_the_race_has_three_ways_and_leaves_the_threads_alone():
    threads = torch.get_num_threads()
    took = waiting(2, 3, 4)
    assert list(took) == ["wait", "loop", "joined"]
    assert 0 < min(took.values()) < max(took.values()) < 10
    assert torch.get_num_threads() == threads


# The influence of each element on the average


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_influence_on_an_average_is_that_of_autograd(
    time, features, d_v, seed
):
    rng = np.random.default_rng(seed)
    W_v, query = rng.normal(size=(d_v, features)), rng.normal(size=features)
    x = rng.normal(size=(1, time, features))

    def result(x):
        weights = (x @ torch.tensor(query)).softmax(0)
        return weights @ x @ torch.tensor(W_v).T

    theirs = torch.autograd.functional.jacobian(result, torch.tensor(x[0]))
    ours = average_influence(W_v, query, x)[0]
    np.testing.assert_allclose(
        ours, theirs.permute(1, 0, 2).numpy(), atol=1e-10
    )


def test_large_scores_do_not_overflow():
    x = np.array([[[1e4], [-1e4]]])
    z, weights = average(np.eye(1), np.ones(1), x)
    np.testing.assert_array_equal(weights, [[1.0, 0.0]])
    np.testing.assert_array_equal(z, [[1e4]])


def test_a_wrong_shape_is_named():
    with pytest.raises(TypeCheckError, match="query"):
        average(np.eye(2), np.ones(3), np.ones((1, 4, 2)))


# What recurrence is still good at


@given(st.integers(1, 40), SEEDS)
def test_two_units_hold_the_parity(n, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (3, n, 1))
    h = run(parity_network(), bits.astype(float), np.zeros((3, 2)), "relu")
    parity = np.cumsum(bits[:, :, 0], axis=1) % 2
    np.testing.assert_array_equal(h[..., 0] - 2 * h[..., 1], parity)


@given(st.integers(1, 40), SMALL, SEEDS)
def test_the_scan_is_the_recursion(n, hidden, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n, hidden))
    states, rounds = scan(a, b)
    np.testing.assert_allclose(states, recursion(a, b), atol=1e-10)
    assert rounds == int(np.ceil(np.log2(n)))
