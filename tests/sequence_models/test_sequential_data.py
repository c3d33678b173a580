from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import alice, encode, letters
from snippets.sequence_models.sequential_data import (
    causal_convolution,
    causal_stack,
    dense,
    masked_mean,
    one_hot,
    pad,
    receptive_field,
    recurrent_states,
    sentences,
)

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def recurrent_weights(rng, features, hidden):
    shapes = (hidden, features), (hidden, hidden), (hidden,)
    return [rng.normal(size=shape) for shape in shapes]


def kernel(rng, features, out, width):
    return rng.normal(size=(out, features, width)), rng.normal(size=out)


def stack(rng, features, width, dilations):
    layers, size = [], features
    for dilation in dilations:
        layers.append((*kernel(rng, size, 3, width), dilation))
        size = 3
    return layers


# C01: any length, the same parameters


@pytest.mark.parametrize("time", [0, 1, 3, 7, 50])
def test_one_recurrence_takes_sequences_of_every_length(time):
    rng = np.random.default_rng(time)
    weights = recurrent_weights(rng, features=2, hidden=3)
    x = rng.normal(size=(4, time, 2))

    states = recurrent_states(x, *weights)

    assert states.shape == (4, time + 1, 3)
    np.testing.assert_array_equal(states[:, 0], np.zeros((4, 3)))
    for t in range(time + 1):  # a shorter sequence is a prefix of the work
        shorter = recurrent_states(x[:, :t], *weights)
        np.testing.assert_allclose(shorter, states[:, : t + 1], atol=1e-12)


@given(SMALL, st.integers(1, 9), SMALL, SMALL, SEEDS)
def test_the_recurrence_is_the_librarys_on_copied_weights(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    W_x, W_h, b = recurrent_weights(rng, features, hidden)
    x = rng.normal(size=(batch, time, features))
    rnn = torch.nn.RNN(
        features, hidden, batch_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(W_x))
        rnn.weight_hh_l0.copy_(torch.tensor(W_h))
        rnn.bias_ih_l0.copy_(torch.tensor(b))
        rnn.bias_hh_l0.zero_()
        output, _ = rnn(torch.tensor(x))
    states = recurrent_states(x, W_x, W_h, b)
    np.testing.assert_allclose(states[:, 1:], output.numpy(), atol=1e-10)


def test_the_recurrence_survives_large_inputs():
    weights = [np.full(s, 1e6) for s in [(1, 1), (1, 1), (1,)]]
    x = np.array([[[-1e300], [1e300]]])
    states = recurrent_states(x, *weights)
    np.testing.assert_array_equal(states, [[[0.0], [-1.0], [1.0]]])


# C02: a dense layer is tied to one length, a convolution's kernel is not


def test_a_dense_layer_takes_one_length_and_a_kernel_takes_each():
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(3, 3 * 2)), rng.normal(size=3)
    kernel_W, kernel_b = kernel(rng, features=2, out=3, width=3)
    for time in (0, 1, 3, 7, 50):
        x = rng.normal(size=(4, time, 2))
        y = causal_convolution(x, kernel_W, kernel_b)
        assert y.shape == (4, time, 3)
        if time == 3:
            assert dense(x, W, b).shape == (4, 3)
        else:
            with pytest.raises(TypeCheckError, match="'W'"):
                dense(x, W, b)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_a_dense_layer_is_the_librarys_on_the_flattened_sequence(
    batch, time, features, out, seed
):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, time, features))
    W, b = rng.normal(size=(out, time * features)), rng.normal(size=out)
    y = torch.nn.functional.linear(
        torch.tensor(x).flatten(1), torch.tensor(W), torch.tensor(b)
    )
    np.testing.assert_allclose(dense(x, W, b), y.numpy(), atol=1e-10)


@given(SMALL, st.integers(1, 12), SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_a_causal_convolution_is_conv1d_with_zeros_on_the_left(
    batch, time, features, out, width, dilation, seed
):
    rng = np.random.default_rng(seed)
    W, b = kernel(rng, features, out, width)
    x = rng.normal(size=(batch, time, features))
    left = (width - 1) * dilation
    padded = torch.nn.functional.pad(torch.tensor(x).mT, (left, 0))
    y = torch.nn.functional.conv1d(
        padded, torch.tensor(W), torch.tensor(b), dilation=dilation
    )
    np.testing.assert_allclose(
        causal_convolution(x, W, b, dilation), y.mT.numpy(), atol=1e-10
    )


@given(st.integers(1, 8), SMALL, SMALL, SEEDS)
def test_a_causal_convolution_is_one_dense_layer_on_each_window(
    time, features, width, seed
):
    rng = np.random.default_rng(seed)
    W, b = kernel(rng, features, 2, width)
    x = rng.normal(size=(1, time, features))
    flat = W.transpose(0, 2, 1).reshape(2, width * features)
    zeros = np.zeros((1, width - 1, features))
    padded = np.concatenate([zeros, x], axis=1)
    windows = [padded[:, t : t + width] for t in range(time)]
    expected = np.stack([dense(w, flat, b) for w in windows], axis=1)
    y = causal_convolution(x, W, b)
    np.testing.assert_allclose(y, expected, atol=1e-12)


@given(st.integers(0, 5), st.integers(1, 8), SMALL, SMALL, SEEDS)
def test_a_later_pattern_gives_the_same_convolution_later(
    later, time, width, dilation, seed
):
    rng = np.random.default_rng(seed)
    W, _ = kernel(rng, 2, 3, width)
    x = rng.normal(size=(1, time, 2))
    moved = np.concatenate([np.zeros((1, later, 2)), x], axis=1)
    y, y_moved = (
        causal_convolution(z, W, np.zeros(3), dilation) for z in (x, moved)
    )
    np.testing.assert_allclose(y_moved[:, later:], y, atol=1e-12)
    np.testing.assert_array_equal(y_moved[:, :later], 0.0)


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    SEEDS,
)
def test_an_output_sees_its_receptive_field_and_nothing_else(
    width, dilations, seed
):
    rng = np.random.default_rng(seed)
    field = receptive_field(width, dilations)
    layers = [  # positive and small: no cancelling, no saturation
        (np.abs(W) / W.size + 0.01, b / 10, dilation)
        for W, b, dilation in stack(rng, 1, width, dilations)
    ]
    x = rng.normal(size=(1, field + 3, 1))
    before = causal_stack(x, layers)
    seen = set()
    for back in range(field + 3):
        other = x.copy()
        other[0, -1 - back] += 1.0
        after = causal_stack(other, layers)
        np.testing.assert_array_equal(  # causal: earlier outputs stay
            after[0, : field + 2 - back], before[0, : field + 2 - back]
        )
        if (after[0, -1] != before[0, -1]).any():
            seen.add(back)
    reached = {0}
    for dilation in dilations:
        reached = {r + k * dilation for r in reached for k in range(width)}
    assert seen == reached
    assert max(seen) == field - 1


def test_doubled_dilations_of_width_2_see_as_many_steps_as_in_wavenet():
    dilations = [2**level for level in range(10)]
    assert dilations[-1] == 512
    assert receptive_field(2, dilations) == 1024


def test_a_mean_over_time_cannot_tell_orders_with_the_same_windows():
    rng = np.random.default_rng(0)
    pair = [one_hot(encode(text))[None] for text in ("abaca", "acaba")]
    for width, same in [(1, True), (2, True), (3, False)]:
        layers = [(*kernel(rng, 27, 4, width), 1)]
        first, second = (causal_stack(x, layers).mean(1) for x in pair)
        assert np.allclose(first, second, atol=1e-12) == same
        padded = ["." * (width - 1) + text for text in ("abaca", "acaba")]
        windows = [
            Counter(text[t : t + width] for t in range(5))
            for text in padded
        ]
        assert (windows[0] == windows[1]) == same


def test_windows_decide_the_mean_behind_a_deeper_stack_too():
    rng = np.random.default_rng(0)
    pair = [one_hot(encode(text))[None] for text in ("aaacaa", "aacaaa")]
    for dilations, same in [([1, 1], True), ([1, 2], False)]:
        layers = stack(rng, 27, 2, dilations)
        first, second = (causal_stack(x, layers).mean(1) for x in pair)
        assert np.allclose(first, second, atol=1e-12) == same


# Padding


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), SMALL, SEEDS)
def test_the_mask_undoes_the_padding(lengths, features, seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, features)) for n in lengths]
    x, mask = pad(sequences)
    assert x.shape == (len(lengths), max(lengths), features)
    np.testing.assert_array_equal(x[~mask], 0.0)
    for row, real, sequence in zip(x, mask, sequences, strict=True):
        np.testing.assert_array_equal(row[real], sequence)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), SMALL, SEEDS)
def test_a_masked_mean_is_the_mean_of_each_sequence_alone(
    lengths, features, seed
):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, features)) for n in lengths]
    x, mask = pad(sequences)
    x[~mask] = np.nan  # what stands in the padding must not matter
    expected = [sequence.mean(0) for sequence in sequences]
    np.testing.assert_allclose(masked_mean(x, mask), expected, atol=1e-12)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), SEEDS)
def test_padding_on_the_right_leaves_causal_outputs_alone(lengths, seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(n, 2)) for n in lengths]
    weights = recurrent_weights(rng, 2, 3)
    layers = stack(rng, 2, 2, [1, 2])
    x, _ = pad(sequences)
    states, outputs = recurrent_states(x, *weights), causal_stack(x, layers)
    for row, sequence in enumerate(sequences):
        n, alone = len(sequence), sequence[None]
        np.testing.assert_allclose(
            states[row, n], recurrent_states(alone, *weights)[0, -1],
            atol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(
            outputs[row, :n], causal_stack(alone, layers)[0], atol=1e-12
        )


# Text


def test_sentences_end_at_a_stop_and_lose_no_word():
    assert sentences("'Stop!' said Alice. Why?  ...") == [
        ["stop"], ["said", "alice"], ["why"],
    ]  # fmt: skip
    words = [word for words in sentences(alice()) for word in words]
    assert words == letters(alice()).split()


def test_one_hot_marks_each_code():
    x = one_hot(np.array([2, 0]), symbols=3)
    np.testing.assert_array_equal(x, [[0, 0, 1], [1, 0, 0]])
    assert one_hot(np.array([], dtype=int)).shape == (0, 27)


# Errors


def test_wrong_values_are_refused_by_name():
    x, b = np.ones((1, 2, 1)), np.zeros(1)
    with pytest.raises(ValueError, match="dilation must be at least 1"):
        causal_convolution(x, np.ones((1, 1, 2)), b, dilation=0)
    with pytest.raises(ValueError, match="W must have at least one"):
        causal_convolution(x, np.ones((1, 1, 0)), b)
    for width, dilations in [(0, [1]), (2, [1, 0])]:
        with pytest.raises(ValueError, match="width and dilations must"):
            receptive_field(width, dilations)
    with pytest.raises(ValueError, match="sequences must hold"):
        pad([])
    with pytest.raises(ValueError, match="sequences must all have"):
        pad([np.ones((2, 1)), np.ones((2, 3))])
    with pytest.raises(ValueError, match="mask must leave each"):
        masked_mean(x, np.array([[False, False]]))
    for code in (-1, 3):
        with pytest.raises(ValueError, match="codes must be 0 to 2"):
            one_hot(np.array([code]), symbols=3)


def test_features_of_another_number_are_refused_by_name():
    with pytest.raises(TypeCheckError, match="'W'"):
        causal_convolution(
            np.ones((1, 4, 2)), np.ones((3, 1, 2)), np.zeros(3)
        )
    with pytest.raises(TypeCheckError, match="'W_x'"):
        recurrent_states(
            np.ones((1, 4, 2)), np.ones((3, 1)), np.eye(3), np.zeros(3)
        )
