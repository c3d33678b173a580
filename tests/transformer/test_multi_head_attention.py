import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snippets.transformer.encoder import post_norm
from snippets.transformer.multi_head_attention import (
    MISTAKES,
    attend_by,
    attend_in_heads,
    contributions,
    copied,
    in_blocks,
    marked_words,
    merge_heads,
    multi_head_attention,
    reads,
    sliced,
    two_places,
)
from snippets.transformer.multi_head_attention_torch import missed
from snippets.transformer.overview import EXAMPLE, SOURCE, Linear, tokens
from snippets.transformer.queries_keys_values import head
from tests.transformer.weights import drawn

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


# C57: h heads at once, each with projections of its own; h is not N


@given(SMALL, SMALL, SMALL, SEEDS)
def test_heads_differ_by_their_own_projections_and_copies_are_one_head(
    time, n_heads, d, seed
):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(time, 5))
    own = drawn(rng, n_heads, 5, d, d)
    whole = multi_head_attention(own, x, x)
    assert whole.weights.shape == (n_heads, time, time)  # n_heads, any N
    for number in range(n_heads):
        one = head(own, number)
        alone = multi_head_attention(one, x, x)
        np.testing.assert_allclose(
            whole.weights[number], alone.weights[0], atol=1e-12
        )
        if time > 1 and number:
            gap = np.abs(whole.weights[number] - whole.weights[0]).max()
            assert gap > 1e-9
        same = multi_head_attention(copied(one, n_heads), x, x)
        np.testing.assert_allclose(
            same.output, n_heads * alone.output, atol=1e-10
        )


# C58: the sum with the input wants the input's width; attention does not


@given(SMALL, st.integers(1, 7), SEEDS)
def test_only_the_sum_with_the_input_wants_its_width_back(time, out, seed):
    rng = np.random.default_rng(seed)
    part = drawn(rng, 2, 4, 2, 3)
    W, b = rng.normal(size=(out, 6)), rng.normal(size=out)
    part = part._replace(output=Linear(W, b))
    x = rng.normal(size=(time, 4))
    attend, norm = attend_by(part), EXAMPLE.encoder[0].norm_1
    assert attend(x).shape == (time, out)
    if out == 4:
        assert post_norm(norm, x, attend).shape == x.shape
    else:
        with pytest.raises(ValueError, match="change must have the shape"):
            post_norm(norm, x, attend)
        with pytest.raises(ValueError, match="x must have 4 features"):
            attend(attend(x))  # the next layer


# C59: before W_O each number belongs to one head, after it to all


@given(st.integers(2, 4), SMALL, SMALL, SEEDS)
def test_heads_meet_in_the_output_projection_only(n_heads, d, d_v, seed):
    rng = np.random.default_rng(seed)
    part = drawn(rng, n_heads, 5, d, d_v)
    x = rng.normal(size=(3, 5))
    before = merge_heads(attend_in_heads(part, x, x).output)
    output = multi_head_attention(part, x, x).output
    for number in range(n_heads):
        own = np.arange(n_heads * d_v) // d_v == number
        shift = part.value.b + own  # only the values of this head
        other = part._replace(value=part.value._replace(b=shift))
        moved = merge_heads(attend_in_heads(other, x, x).output) - before
        np.testing.assert_allclose(
            moved, np.tile(own.astype(float), (3, 1)), atol=1e-10
        )
        change = multi_head_attention(other, x, x).output - output
        expected = part.output.W[:, own].sum(axis=1)
        np.testing.assert_allclose(
            change, np.tile(expected, (3, 1)), atol=1e-10
        )
        assert (np.abs(expected) > 1e-9).all()  # each number of the output
    assert output.shape == x.shape


def test_the_output_projection_is_needed_even_when_the_width_is_right():
    x = EXAMPLE.source_embedding[tokens("the river bank", SOURCE)]
    part = EXAMPLE.encoder[0].self_attention
    merged = merge_heads(attend_in_heads(part, x, x).output)
    output = multi_head_attention(part, x, x).output
    assert merged.shape == output.shape
    assert np.abs(merged - output).max() > 1
    reach = [c.any(axis=0).tolist() for c in contributions(part, x, x)]
    assert reach == [[True] * 4, [False, True, True, False]]


# C60: slices of the input are block-diagonal matrices, another function


@given(SMALL, SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_a_sliced_input_equals_block_diagonal_projections(
    batch, time, n_heads, width, d, seed
):
    rng = np.random.default_rng(seed)
    part = drawn(rng, n_heads, n_heads * width, d, d)
    x = rng.normal(size=(batch, time, n_heads * width))
    mask = rng.random((batch, time, time)) < 0.6
    whole = multi_head_attention(in_blocks(part), x, x, mask).output
    np.testing.assert_allclose(sliced(part, x, mask), whole, atol=1e-10)
    for layer in in_blocks(part)[:3]:
        used = np.count_nonzero(layer.W)
        assert used * n_heads == layer.W.size  # fewer parameters


def test_an_input_without_equal_slices_is_refused():
    part = drawn(np.random.default_rng(0), 2, 5, 2, 2)
    with pytest.raises(ValueError, match="n_heads must divide 5 features"):
        sliced(part, np.ones((3, 5)))


@given(SEEDS)
def test_each_head_reads_the_whole_input_and_a_slice_does_not(seed):
    rng = np.random.default_rng(seed)
    part = drawn(rng, 2, 4, 2, 2)
    x = rng.normal(size=(3, 4))
    other = x.copy()
    other[:, 2:] += rng.normal(size=(3, 2))  # the second slice alone
    whole, cut = (
        [attend_in_heads(p, z, z) for z in (x, other)]
        for p in (part, in_blocks(part))
    )
    np.testing.assert_allclose(
        cut[0].weights[0], cut[1].weights[0], atol=1e-12
    )
    np.testing.assert_allclose(
        cut[0].output[0], cut[1].output[0], atol=1e-12
    )
    assert np.abs(whole[0].weights[0] - whole[1].weights[0]).max() > 1e-6
    gap = multi_head_attention(part, x, x).output - sliced(part, x)
    assert np.abs(gap).max() > 1e-6


def test_a_sliced_first_head_takes_the_and_bank_for_one_word():
    x = EXAMPLE.source_embedding[tokens("the river bank", SOURCE)]
    for seed in range(5):
        part = drawn(np.random.default_rng(seed), 2, 4, 2, 2)
        cut, whole = (
            multi_head_attention(p, x, x).weights[0]
            for p in (in_blocks(part), part)
        )
        np.testing.assert_allclose(cut[0], cut[2], atol=1e-12)
        np.testing.assert_allclose(cut[:, 0], cut[:, 2], atol=1e-12)
        assert np.abs(whole[0] - whole[2]).max() > 1e-3


# C54: the width of the values is free


@given(SMALL, SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_any_width_of_the_values_comes_back_to_d_model(
    time, n_heads, d_k, d_v, d_model, seed
):
    rng = np.random.default_rng(seed)
    part = drawn(rng, n_heads, d_model, d_k, d_v)
    x = rng.normal(size=(time, d_model))
    heads = attend_in_heads(part, x, x)
    assert heads.output.shape == (n_heads, time, d_v)
    assert multi_head_attention(part, x, x).output.shape == x.shape


def test_the_librarys_vdim_is_the_width_of_what_comes_in():
    net = torch.nn.MultiheadAttention(6, 2, vdim=5, batch_first=True)
    assert net.v_proj_weight.shape == (6, 5)
    assert net.out_proj.weight.shape == (6, 6)


# Two places at once


@given(SMALL, st.integers(2, 6), SMALL, SEEDS)
def test_two_heads_subtract_what_stands_at_two_places(
    size, time, contents, seed
):
    task = marked_words(size, time, contents, np.random.default_rng(seed))
    assert (task.words[..., :2].sum(axis=1) == 1).all()  # one A, one B
    assert (task.words[..., :2].sum(axis=2) <= 1).all()  # and not the same
    out = multi_head_attention(
        two_places(contents), task.asking, task.words
    )
    np.testing.assert_allclose(
        out.output[:, 0, 4:], task.difference, atol=1e-12
    )
    assert (out.output[:, 0, :4] == 0).all()


def test_in_one_head_equal_contents_leave_the_weights_as_they_were():
    # the step of the proof that no one head gives the difference
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = drawn(rng, 1, 6, 3, 5)
        asking = rng.normal(size=(1, 6))
        u = rng.normal(size=(2, 1, 2)) * [[[1.0]], [[10.0]]]
        words = [np.hstack([np.eye(2, 4), np.tile(v, (2, 1))]) for v in u]
        a, b = (multi_head_attention(one, asking, w) for w in words)
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-10)
        N = (one.output.W @ one.value.W)[:, 4:]
        moved = (u[1] - u[0]) @ N.T
        np.testing.assert_allclose(b.output - a.output, moved, atol=1e-9)


def test_trained_one_head_misses_half_and_two_next_to_nothing():
    assert 0.4 < missed(1, seed=1) < 0.6
    assert missed(2, seed=1) < 0.05


# What goes wrong


def test_each_mistake_shows_its_own_symptom():
    rng = np.random.default_rng(0)
    part, x = drawn(rng, 2, 8, 4, 4), rng.normal(size=(4, 8))
    back = np.tri(4, dtype=bool)
    right = multi_head_attention(part, x, x, back)
    for name, broken in MISTAKES.items():
        made = broken(part, x, back)
        same = np.allclose(made.output, right.output)
        assert made.output.shape == right.output.shape
        assert same == (name == "none")
        sums = broken(part, x, None).weights.sum(axis=-1)
        assert np.allclose(sums, 1) == (name != "softmax over heads")
    assert np.allclose(
        MISTAKES["none"](part, x, back).weights, right.weights
    )

    def seen(name, mask):
        return reads(lambda z: MISTAKES[name](part, z, mask).output, x)

    assert seen("none", None) == "xxxx xxxx xxxx xxxx"
    assert seen("none", back) == "x... xx.. xxx. xxxx"
    assert seen("no transpose", None) == "xx.. xx.. ..xx ..xx"
    assert seen("no transpose back", back) == "xx.. xxxx xx.. xxxx"
    assert seen("root of d_model", back) == "x... xx.. xxx. xxxx"
