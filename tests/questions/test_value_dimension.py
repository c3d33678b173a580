import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snippets.questions.value_dimension import (
    Widths,
    attention_of,
    narrowed,
    padded,
    rewidened,
    size,
    value_path,
)
from snippets.questions.value_dimension_torch import by_function, by_module
from snippets.transformer.encoder import post_norm
from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.masking import causal_mask
from snippets.transformer.multi_head_attention import (
    attend_in_heads,
    encode,
    merge_heads,
    multi_head_attention,
)
from snippets.transformer.overview import EXAMPLE, count, linear
from tests.transformer.weights import drawn

SMALL = st.integers(1, 5)
WIDTHS = st.builds(Widths, SMALL, SMALL, SMALL, st.integers(1, 9))
SEEDS = st.integers(0, 2**32 - 1)


def with_biases(widths, seed):
    d_model, n_heads, d_k, d_v = widths
    rng = np.random.default_rng(seed)
    return drawn(rng, n_heads, d_model, d_k, d_v)


# Q3: d_v is free; W_O brings the width of the input back


@given(WIDTHS, SMALL, SEEDS)
def test_any_d_v_and_d_k_give_an_output_as_wide_as_the_input(
    widths, time, seed
):
    rng = np.random.default_rng(seed)
    part = attention_of(widths, rng)
    x = rng.normal(size=(time, widths.d_model))
    assert attend_in_heads(part, x, x).output.shape == (
        widths.n_heads,
        time,
        widths.d_v,
    )
    output = multi_head_attention(part, x, x).output
    assert output.shape == x.shape  # so the sum with x is defined
    assert np.abs(output).max() > 0


@given(SMALL, SMALL, SEEDS)
def test_a_whole_transformer_runs_with_any_d_k_and_d_v(d_k, d_v, seed):
    model = rewidened(EXAMPLE, d_k, d_v, np.random.default_rng(seed))
    for part in (
        model.encoder[0].self_attention,
        model.decoder[0].self_attention,
        model.decoder[0].cross_attention,
    ):
        assert part.key.W.shape == (2 * d_k, 4)
        assert part.value.W.shape == (2 * d_v, 4)
        assert part.output.W.shape == (4, 2 * d_v)
    assert model.encoder[0].norm_1 is EXAMPLE.encoder[0].norm_1
    memory = encode(model.encoder, model.source_embedding[[1, 2, 4]])
    target = model.target_embedding[[1, 3]]
    y = decode(model.decoder, target, memory, causal_mask(2))
    assert memory.shape == (3, 4)
    assert linear(model.output, y).shape == (2, 6)


@given(WIDTHS, SEEDS)
def test_without_w_o_only_one_width_passes_the_sum(widths, seed):
    rng = np.random.default_rng(seed)
    part, d_model = attention_of(widths, rng), widths.d_model
    x = rng.normal(size=(3, d_model))
    norm = EXAMPLE.encoder[0].norm_1._replace(
        gain=np.ones(d_model), shift=np.zeros(d_model)
    )

    def bare(z):
        return merge_heads(attend_in_heads(part, z, z).output)

    if widths.n_heads * widths.d_v == d_model:
        assert post_norm(norm, x, bare).shape == x.shape
    else:
        with pytest.raises(ValueError, match="change must have the shape"):
            post_norm(norm, x, bare)


# The library computes the same


@given(WIDTHS, SMALL, SEEDS)
def test_both_attentions_of_pytorch_agree_at_any_widths(widths, time, seed):
    part = with_biases(widths, seed)
    x = np.random.default_rng(seed).normal(size=(2, time, widths.d_model))
    ours = multi_head_attention(part, x, x).output
    np.testing.assert_allclose(by_function(part, x), ours, atol=1e-10)
    np.testing.assert_allclose(by_module(part, x), ours, atol=1e-10)


@given(WIDTHS, SMALL, SEEDS)
def test_zeros_make_all_widths_one_and_change_nothing(
    widths, d_source, seed
):
    rng = np.random.default_rng(seed)
    d_model, n_heads, d_k, d_v = widths
    part = drawn(rng, n_heads, d_model, d_k, d_v, d_source)
    x = rng.normal(size=(3, d_model))
    source = rng.normal(size=(4, d_source))
    wide = padded(part)
    total = len(wide.output.W)
    assert all(layer.W.shape == (total, total) for layer in wide[:4])
    assert total % n_heads == 0
    looked = multi_head_attention(
        wide,
        np.pad(x, ((0, 0), (0, total - d_model))),
        np.pad(source, ((0, 0), (0, total - d_source))),
    )
    right = multi_head_attention(part, x, source)
    np.testing.assert_allclose(
        looked.output[:, :d_model], right.output, atol=1e-10
    )
    np.testing.assert_allclose(looked.weights, right.weights, atol=1e-10)
    assert (looked.output[:, d_model:] == 0).all()


def test_the_librarys_heads_have_one_width_whatever_kdim_and_vdim():
    net = torch.nn.MultiheadAttention(6, 2, kdim=5, vdim=3)
    assert net.head_dim == 3
    assert net.k_proj_weight.shape == (6, 5)
    assert net.v_proj_weight.shape == (6, 3)


# What the width costs, and what it limits


@given(WIDTHS)
def test_the_size_by_formula_is_the_number_of_parameters(widths):
    part = attention_of(widths, np.random.default_rng(0))
    assert size(widths) == count(part)


@given(WIDTHS, SEEDS)
def test_the_rank_of_a_value_path_is_d_v_or_d_model(widths, seed):
    rng = np.random.default_rng(seed)
    part, d_model = attention_of(widths, rng), widths.d_model
    for number in range(widths.n_heads):
        path = value_path(part, number)
        assert path.shape == (d_model, d_model)
        rank = np.linalg.matrix_rank(path, tol=1e-9)
        assert rank == min(widths.d_v, d_model)
    x = rng.normal(size=(20, d_model))
    added = multi_head_attention(part, x, x).output - part.output.b
    rank = np.linalg.matrix_rank(added, tol=1e-9)
    assert rank <= widths.n_heads * widths.d_v


@given(WIDTHS, SEEDS)
def test_values_wider_than_the_model_gain_nothing(widths, seed):
    part, d_model = with_biases(widths, seed), widths.d_model
    x = np.random.default_rng(seed).normal(size=(3, d_model))
    same = narrowed(part, d_model)
    assert len(same.value.W) == widths.n_heads * d_model
    np.testing.assert_allclose(
        multi_head_attention(same, x, x).output,
        multi_head_attention(part, x, x).output,
        atol=1e-10,
    )
    if widths.d_v > d_model:
        assert count(same) < count(part)


@given(SEEDS)
def test_a_narrower_head_is_the_nearest_of_its_rank(seed):
    part = attention_of(Widths(5, 2, 3, 5), np.random.default_rng(seed))
    cut = narrowed(part, 2)
    for number in range(2):
        path = value_path(part, number)
        s = np.linalg.svd(path, compute_uv=False)
        missed = np.linalg.norm(path - value_path(cut, number))
        np.testing.assert_allclose(missed**2, (s[2:] ** 2).sum())


def test_a_width_that_no_rank_can_need_is_refused():
    part = attention_of(Widths(4, 2, 3, 8), np.random.default_rng(0))
    for d_v in (0, 5):
        with pytest.raises(ValueError, match="d_v must be 1 to 4, not"):
            narrowed(part, d_v)
