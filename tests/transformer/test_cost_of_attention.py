import tracemalloc
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.nn.functional import scaled_dot_product_attention as library
from torch.utils.flop_counter import FlopCounterMode

from snippets.transformer.cost_of_attention import (
    Running,
    attention_by_rows,
    attention_in_blocks,
    count_layers,
    counted,
    exponent,
    linear_attention,
    multiplications,
    peak_bytes,
    read_block,
    seconds,
)
from snippets.transformer.overview import EXAMPLE, SOURCE, tokens
from snippets.transformer.queries_keys_values import (
    dot_scores,
    head,
    project,
)
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)
from snippets.transformer.why_not_recurrence import costs

SMALL = st.integers(1, 5)
SIZES = st.integers(1, 40)
SEEDS = st.integers(0, 2**32 - 1)
LEADS = st.sampled_from([(), (1,), (2, 3)])


def drawn_qkv(rng, lead, target, source, d_k, d_v):
    return (
        rng.normal(size=(*lead, target, d_k)),
        rng.normal(size=(*lead, source, d_k)),
        rng.normal(size=(*lead, source, d_v)),
    )


def plain(q, k, v):
    return scaled_dot_product_attention(q, k, v).output


# Counting


@given(SIZES, SIZES, SIZES, SEEDS)
@settings(max_examples=25)
def test_the_formula_is_what_the_code_multiplies(n, d, f, seed):
    found = count_layers(n, d, f, np.random.default_rng(seed))
    told = multiplications(n, d, f)
    assert found.attention == sum(told[:3])
    assert found.feed_forward == told.feed_forward
    assert found.rnn == 2 * n * d**2
    assert found.powers == n**2
    before = costs(n, d)  # of an earlier page
    assert before["attention"].multiplications == found.attention
    assert before["RNN"].multiplications == found.rnn
    averages = told.scores + told.averages
    assert before["averages"].multiplications == averages


@given(st.integers(1, 4), SMALL, st.integers(2, 30))
@settings(max_examples=8)
def test_the_formula_is_what_the_librarys_counter_finds(heads, width, n):
    d = heads * width
    module = torch.nn.MultiheadAttention(d, heads, batch_first=True)
    x = torch.randn(1, n, d)
    with FlopCounterMode(display=False) as counter:
        module(x, x, x)
    told = multiplications(n, d, 0)
    assert counter.get_total_flops() == 2 * sum(told)


@given(st.integers(1, 200), st.integers(1, 200))
def test_where_the_map_costs_as_much_as_something_else(d, f):
    for n, rest in (
        (d, costs(d, d)["RNN"].multiplications),
        (2 * d, multiplications(2 * d, d, f).projections),
        (f, multiplications(f, d, f).feed_forward),
        (2 * d + f, sum(multiplications(2 * d + f, d, f)) // 2),
    ):
        cost = multiplications(n, d, f)
        assert cost.scores + cost.averages == rest


def test_a_counted_array_keeps_its_tally_through_views_and_results():
    x = counted(np.arange(6.0).reshape(2, 3))
    product = np.ones((4, 2)) @ x[:, 1:]
    np.testing.assert_array_equal(np.asarray(product), 4 * [[5.0, 7.0]])
    assert x.tally == Counter(multiplications=16)
    np.exp(product).sum()
    assert x.tally == Counter(multiplications=16, exp=8, add=1)
    assert counted(np.ones(2)).tally == Counter()
    assert product.tally is x.tally
    first, second = x  # the parts of a stack share one tally
    assert (first @ second).item() == 14.0
    assert first.tally is second.tally is x.tally
    assert x.tally["multiplications"] == 19


# Blocks: the same result


@given(LEADS, SIZES, SIZES, SMALL, SMALL, st.integers(1, 50), SEEDS)
def test_blocks_and_rows_give_what_the_whole_map_and_the_library_give(
    lead, target, source, d_k, d_v, block, seed
):
    rng = np.random.default_rng(seed)
    q, k, v = drawn_qkv(rng, lead, target, source, d_k, d_v)
    q = q * rng.choice([1.0, 30.0])
    expected = library(*map(torch.tensor, (q, k, v))).numpy()
    for f in (attention_in_blocks, attention_by_rows):
        found = f(q, k, v, block)
        assert found.shape == (*lead, target, d_v)
        np.testing.assert_allclose(found, plain(q, k, v), atol=1e-12)
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_blocks_survive_scores_that_overflow_a_power():
    keys = np.array([[-2000.0], [0.0], [2000.0], [1999.0]])
    values = np.arange(4.0)[:, None]
    for order in ([0, 1, 2, 3], [2, 3, 1, 0]):
        found = attention_in_blocks(
            np.ones((1, 1)), keys[order], values[order], 1
        )
        np.testing.assert_allclose(found, [[2.268941]], atol=1e-6)


@given(SEEDS)
def test_after_every_block_the_mean_is_that_of_the_words_so_far(seed):
    rng = np.random.default_rng(seed)
    q, k, v = drawn_qkv(rng, (), 3, 8, 2, 4)
    now = Running(
        np.full((3, 1), -np.inf), np.zeros((3, 1)), np.zeros((3, 4))
    )
    for end in range(1, 9):
        part = slice(end - 1, end)
        now = read_block(now, q, k[part], v[part])
        np.testing.assert_allclose(
            now.mean, plain(q, k[:end], v[:end]), atol=1e-12
        )
        s = dot_scores(q, k[:end]) / 2**0.5
        top = s.max(axis=1, keepdims=True)
        np.testing.assert_allclose(now.top, top, atol=1e-12)
        np.testing.assert_allclose(
            now.total, np.exp(s - top).sum(axis=1, keepdims=True)
        )


def test_the_example_word_by_word():
    first = head(EXAMPLE.encoder[0].self_attention, 0)
    x = EXAMPLE.source_embedding[tokens("the river bank", SOURCE)]
    p = project(first, x, x)
    found = attention_in_blocks(*p, block=1)
    np.testing.assert_allclose(found[2], [-1.822, -1.467], atol=1e-3)


def test_blocks_that_cannot_be_are_refused():
    q, k, v = drawn_qkv(np.random.default_rng(0), (), 3, 4, 2, 2)
    for f in (attention_in_blocks, attention_by_rows):
        for block, keys, values in ((0, k, v), (2, k[:0], v[:0])):
            with pytest.raises(ValueError, match="block and the number of"):
                f(q, keys, values, block)
        with pytest.raises(TypeCheckError, match="'values'"):
            f(q, k, v[1:], 2)


# C56: computing n x n is not avoided, storing it is


def test_storing_the_map_is_avoidable_computing_it_is_not_avoided():
    rng = np.random.default_rng(0)
    sizes = np.array([256, 512, 1024])
    ways = {
        "plain": plain,
        "rows": lambda *qkv: attention_by_rows(*qkv, 64),
        "blocks": lambda *qkv: attention_in_blocks(*qkv, 64),
    }
    peaks = {name: [] for name in ways}
    for n in sizes:
        qkv = rng.normal(size=(3, n, 16))
        for name, f in ways.items():
            peaks[name].append(peak_bytes(partial(f, *qkv)))
            f(*(all_three := counted(qkv)))
            assert all_three.tally["multiplications"] == 2 * n**2 * 16
            assert all_three.tally["exp"] >= n**2
    slopes = {
        name: exponent(sizes.astype(float), np.array(peak, float))
        for name, peak in peaks.items()
    }
    assert slopes["plain"] > 1.8
    assert 0.8 < slopes["rows"] < 1.2
    assert slopes["blocks"] < 0.8
    # fewer numbers at once than one map has, and than the whole needs
    assert peaks["blocks"][-1] < 8 * sizes[-1] ** 2 / 10
    assert peaks["plain"][-1] > 8 * sizes[-1] ** 2


def test_four_times_the_length_costs_attention_far_more_than_an_rnn():
    attend = torch.nn.MultiheadAttention(32, 1, batch_first=True)
    rnn = torch.nn.RNN(32, 32, batch_first=True)
    inputs = [torch.randn(1, n, 32) for n in (512, 2048)]
    with torch.no_grad():
        short, long = seconds(
            [lambda x=x: attend(x, x, x) for x in inputs], 3
        )
        rnn_short, rnn_long = seconds(
            [lambda x=x: rnn(x) for x in inputs], 3
        )
    assert long / short > 1.5 * rnn_long / rnn_short
    assert 2 < rnn_long / rnn_short < 7


# Linear attention is another function


@given(SIZES, SIZES, SMALL, SMALL, SEEDS)
def test_linear_attention_is_a_mean_with_weights_that_are_products(
    target, source, d_k, d_v, seed
):
    q, k, v = drawn_qkv(
        np.random.default_rng(seed), (2,), target, source, d_k, d_v
    )
    f_q, f_k = (
        torch.nn.functional.elu(torch.tensor(a)).numpy() + 1 for a in (q, k)
    )
    weights = f_q @ np.swapaxes(f_k, -1, -2)
    weights /= weights.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(
        linear_attention(q, k, v), weights @ v, atol=1e-10
    )


def test_linear_attention_is_linear_in_the_length_and_not_attention():
    rng = np.random.default_rng(0)
    for n in (100, 200):
        qkv = rng.normal(size=(3, n, 8))
        found = linear_attention(*(all_three := counted(qkv)))
        # keys with values, queries with that, and the denominators
        expected = n * 8**2 + n * 8**2 + n * 8
        assert all_three.tally["multiplications"] == expected
        assert np.abs(found - plain(*qkv)).max() > 0.1


# The instruments


def test_peak_bytes_sees_what_is_given_back_and_what_is_let_go():
    def work():
        first = np.ones(1_000_000)
        return first[:10].copy()

    assert 8e6 <= peak_bytes(work) < 9e6

    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        peak_bytes(fail)
    assert not tracemalloc.is_tracing()


def test_seconds_are_those_of_the_fastest_warm_run():
    calls = []
    times = seconds(
        [
            lambda: calls.append("a"),
            lambda: calls.append(sum(range(200_000))),
        ],
        repeats=3,
    )
    assert len(calls) == 12
    assert calls[0] == calls[1] == "a"
    assert 0 <= times[0] < times[1]


@given(st.floats(-3, 3), st.floats(0.1, 100))
def test_the_exponent_of_a_power_law_is_its_power(power, factor):
    lengths = np.array([2.0, 5.0, 100.0])
    costs_of = factor * lengths**power
    np.testing.assert_allclose(
        exponent(lengths, costs_of), power, atol=1e-8
    )
