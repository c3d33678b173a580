import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.transformer.multi_head_attention import (
    attend_in_heads,
    contributions,
    merge_heads,
    multi_head_attention,
    split_heads,
)
from snippets.transformer.multi_head_attention_torch import redraw
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    tokens,
)
from snippets.transformer.overview_torch import from_attention
from tests.transformer.weights import drawn

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_merging_undoes_splitting_and_a_head_gets_features_not_words(
    batch, time, n_heads, d, seed
):
    x = np.random.default_rng(seed).normal(size=(batch, time, n_heads * d))
    parts = split_heads(x, n_heads)
    assert parts.shape == (batch, n_heads, time, d)
    for number in range(n_heads):
        own = x[..., number * d : (number + 1) * d]
        np.testing.assert_array_equal(parts[:, number], own)
    np.testing.assert_array_equal(merge_heads(parts), x)


@pytest.mark.parametrize("n_heads", [0, -2, 3, 8])
def test_features_that_the_heads_cannot_share_are_refused(n_heads):
    with pytest.raises(ValueError, match="n_heads must divide 4 features"):
        split_heads(np.ones((2, 4)), n_heads)


@given(SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_all_heads_at_once_are_the_heads_one_after_the_other(
    batch, target, source, n_heads, d_k, d_v, seed
):
    rng = np.random.default_rng(seed)
    attention = drawn(rng, n_heads, 5, d_k, d_v, d_source=3)
    x = rng.normal(size=(batch, target, 5))
    m = rng.normal(size=(batch, source, 3))
    mask = rng.random((batch, target, source)) < 0.6
    whole = multi_head_attention(attention, x, m, mask)
    parts = contributions(attention, x, m, mask)
    assert len(parts) == n_heads
    total = sum(parts) + attention.output.b
    np.testing.assert_allclose(whole.output, total, atol=1e-12)
    assert whole.weights.shape == (batch, n_heads, target, source)


@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), SEEDS)
def test_self_attention_is_that_of_the_library(
    batch, time, n_heads, d, seed_of_mask, bias, seed
):
    torch.manual_seed(seed)
    width = n_heads * d
    net = redraw(
        torch.nn.MultiheadAttention(
            width, n_heads, bias=bias, batch_first=True
        )
    )
    x = torch.randn(batch, time, width).double()
    mask = torch.rand(time, time) < 0.3 * seed_of_mask
    real = torch.rand(batch, time) < 0.7
    mask[:, 0] = real[:, 0] = True
    theirs = net(
        x,
        x,
        x,
        attn_mask=~mask,
        key_padding_mask=~real,
        average_attn_weights=False,
    )
    both = (mask & real[:, None]).numpy()
    ours = multi_head_attention(
        from_attention(net), x.numpy(), x.numpy(), both
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other.detach(), atol=1e-10)
    mean = net(x, x, x, attn_mask=~mask, key_padding_mask=~real)[1].detach()
    np.testing.assert_allclose(ours.weights.mean(axis=-3), mean, atol=1e-10)


@given(
    SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), SEEDS
)
def test_cross_attention_with_other_widths_is_that_of_the_library(
    batch, target, source, n_heads, d, kdim, vdim, bias, seed
):
    # keys and values of two widths come from two sources in the library;
    # here they read parts of one
    torch.manual_seed(seed)
    net = redraw(
        torch.nn.MultiheadAttention(
            n_heads * d,
            n_heads,
            bias=bias,
            kdim=kdim,
            vdim=vdim,
            batch_first=True,
        )
    )
    x = torch.randn(batch, target, n_heads * d).double()
    k = torch.randn(batch, source, kdim).double()
    v = torch.randn(batch, source, vdim).double()
    added = torch.randn(target, source).double()
    theirs = net(x, k, v, attn_mask=added, average_attn_weights=False)
    part = from_attention(net)
    zeros = np.zeros((n_heads * d, vdim)), np.zeros((n_heads * d, kdim))
    wide = part._replace(
        key=part.key._replace(W=np.hstack([part.key.W, zeros[0]])),
        value=part.value._replace(W=np.hstack([zeros[1], part.value.W])),
    )
    m = np.concatenate([k.numpy(), v.numpy()], axis=-1)
    ours = multi_head_attention(wide, x.numpy(), m, added.numpy())
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other.detach(), atol=1e-10)


def test_slopes_by_finite_differences_are_the_librarys_gradients():
    torch.manual_seed(0)
    net = redraw(torch.nn.MultiheadAttention(6, 2, batch_first=True))
    x = torch.randn(1, 3, 6).double().requires_grad_()
    m = torch.randn(1, 4, 6).double().requires_grad_()
    pull = torch.randn(1, 3, 6).double()
    (net(x, m, m)[0] * pull).sum().backward()
    part = from_attention(net)
    for which, theirs in enumerate((x.grad, m.grad)):
        inputs = [x.detach().numpy(), m.detach().numpy()]
        found = np.zeros_like(inputs[which])
        for place in np.ndindex(found.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [a.copy() for a in inputs]
                moved[which][place] += step
                out = multi_head_attention(part, *moved).output
                ends.append((out * pull.numpy()).sum())
            found[place] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(found, theirs, atol=1e-7)


@given(st.sampled_from([(), (1,), (3,), (2, 3)]), SEEDS)
def test_leading_axes_are_free_and_each_sequence_is_alone(lead, seed):
    rng = np.random.default_rng(seed)
    part = drawn(rng, 2, 4, 3, 2)
    x = rng.normal(size=(*lead, 5, 4))
    mask = rng.random((*lead, 5, 5)) < 0.6
    whole = multi_head_attention(part, x, x, mask)
    assert whole.output.shape == (*lead, 5, 4)
    assert whole.weights.shape == (*lead, 2, 5, 5)
    for at in np.ndindex(*lead):
        one = multi_head_attention(part, x[at], x[at], mask[at])
        np.testing.assert_allclose(whole.output[at], one.output, atol=1e-12)
        np.testing.assert_allclose(
            whole.weights[at], one.weights, atol=1e-12
        )


def test_a_mask_for_the_batch_is_not_taken_for_one_of_the_heads():
    # as many sequences as heads: a missing axis would raise no error
    rng = np.random.default_rng(0)
    part, x = drawn(rng, 2, 4, 2, 2), rng.normal(size=(2, 3, 4))
    mask = np.ones((2, 1, 3), bool)
    mask[1, 0, 2] = False
    weights = multi_head_attention(part, x, x, mask).weights
    assert (weights[0] > 0).all()
    assert (weights[1, :, :, 2] == 0).all()
    assert (weights[1, :, :, :2] > 0).all()


def test_who_may_look_nowhere_gets_the_bias_of_the_output():
    rng = np.random.default_rng(0)
    part, x = drawn(rng, 2, 4, 2, 2), rng.normal(size=(3, 4))
    mask = np.ones((3, 3), bool)
    mask[1] = False
    out = multi_head_attention(part, x, x, mask)
    assert (out.weights[:, 1] == 0).all()
    np.testing.assert_array_equal(out.output[1], part.output.b)


def test_extreme_inputs_stay_finite():
    rng = np.random.default_rng(0)
    part = drawn(rng, 2, 4, 2, 2)
    x = 1e100 * rng.normal(size=(3, 4))
    out = multi_head_attention(part, x, x)
    assert np.isfinite(out.output).all()
    np.testing.assert_allclose(out.weights.sum(axis=-1), 1.0)


def test_permuting_the_words_permutes_the_output_and_the_maps():
    rng = np.random.default_rng(0)
    part, x = drawn(rng, 3, 6, 2, 2), rng.normal(size=(5, 6))
    order = rng.permutation(5)
    a = multi_head_attention(part, x, x)
    b = multi_head_attention(part, x[order], x[order])
    np.testing.assert_allclose(b.output, a.output[order], atol=1e-12)
    turned = a.weights[:, order][:, :, order]
    np.testing.assert_allclose(b.weights, turned, atol=1e-12)


def test_both_heads_of_the_example_for_bank_by_hand():
    x = EXAMPLE.source_embedding[tokens("the river bank", SOURCE)]
    part = EXAMPLE.encoder[0].self_attention
    e = np.exp(np.array([-2, 1, -1]) / 2**0.5)
    first = e / e.sum() @ [[-2, 0], [-2, -2], [-1, 0]]
    e = np.exp(np.array([1, 0, 1]) / 2**0.5)
    second = e / e.sum() @ [[-2, -1], [-1, 0], [-1, -1]]
    a, b, c, d = [*first, *second]
    heads = attend_in_heads(part, x, x)
    np.testing.assert_allclose(heads.output[0, 2], first, atol=1e-12)
    np.testing.assert_allclose(heads.output[1, 2], second, atol=1e-12)
    whole = multi_head_attention(part, x, x).output[2]
    by_hand = [a, b - c, -2 * b + d, a + 2 * b]
    np.testing.assert_allclose(whole, by_hand, atol=1e-12)


def test_wrong_shapes_name_what_is_wrong():
    rng = np.random.default_rng(0)
    part, x = drawn(rng, 2, 4, 2, 2), rng.normal(size=(3, 4))
    with pytest.raises(ValueError, match="x must have 4 features, not 3"):
        multi_head_attention(part, x[:, :3], x)
    with pytest.raises(TypeCheckError, match="source"):
        multi_head_attention(part, x, x[0])
    with pytest.raises(ValueError, match="n_heads must divide 4 features"):
        multi_head_attention(part._replace(n_heads=3), x, x)
