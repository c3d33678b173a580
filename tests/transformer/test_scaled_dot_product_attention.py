import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.nn.functional import scaled_dot_product_attention as library

from snippets.transformer.overview import Linear
from snippets.transformer.queries_keys_values import (
    dot_scores,
    soft_lookup,
)
from snippets.transformer.scaled_dot_product_attention import (
    Additive,
    additive_scores,
    attention_weights,
    cosine_scores,
    log_softmax,
    scaled_dot_product_attention,
    softmax,
    softmax_jacobian,
)
from tests.transformer.weights import first_head, projected

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["none", "boolean", "added", "added, with -inf"])
LEADS = st.sampled_from([(), (1,), (3,), (2, 3)])


def drawn_mask(rng, kind, lead, target, source):
    shape = (*(size if rng.random() < 0.5 else 1 for size in lead),)
    shape += (target, source)
    allowed = rng.random(shape) < 0.6
    if kind == "boolean":
        return allowed
    added = rng.normal(size=shape)
    if kind == "added, with -inf":
        return np.where(allowed, added, -np.inf)
    return added if kind == "added" else None


# The softmax


@given(SMALL, SMALL, SMALL, st.sampled_from([-3, -2, -1, 0, 1, 2]), SEEDS)
def test_softmax_and_its_logarithm_are_the_librarys_on_every_axis(
    a, b, c, axis, seed
):
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(a, b, c)) * rng.choice([1.0, 1e4])
    s[rng.random(s.shape) < 0.1] = -np.inf
    for ours, theirs in (
        (softmax, torch.softmax),
        (log_softmax, torch.log_softmax),
    ):
        expected = theirs(torch.tensor(s), axis).numpy()
        # a slice of -inf alone: NaN there, defined here
        defined = np.isfinite(s).any(axis=axis, keepdims=True)
        nothing = 0.0 if ours is softmax else -np.inf
        expected = np.where(defined, expected, nothing)
        np.testing.assert_allclose(ours(s, axis), expected, atol=1e-10)


@given(SMALL, st.integers(2, 6), st.floats(-1e6, 1e6), SEEDS)
def test_weights_are_positive_sum_to_one_keep_order_and_ignore_a_shift(
    rows, keys, shift, seed
):
    s = np.random.default_rng(seed).normal(size=(rows, keys))
    a = softmax(s)
    assert (a > 0).all()
    np.testing.assert_allclose(a.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(a.argsort(axis=-1), s.argsort(axis=-1))
    np.testing.assert_allclose(softmax(s + shift), a, atol=1e-9)
    np.testing.assert_allclose(np.exp(log_softmax(s)), a)


def test_extreme_scores():
    inf = np.inf
    for scores, weights, logs in (
        ([1e4, 1e4 - 1], [0.731059, 0.268941], [-0.313262, -1.313262]),
        ([0.0, -1e4], [1.0, 0.0], [0.0, -1e4]),
        ([7.0, 7.0], [0.5, 0.5], [np.log(0.5)] * 2),
        ([-inf, 3.0], [0.0, 1.0], [-inf, 0.0]),
        ([-inf, -inf], [0.0, 0.0], [-inf, -inf]),
        ([-1e308, -1e308], [0.5, 0.5], [np.log(0.5)] * 2),
    ):
        s = np.array(scores)
        np.testing.assert_allclose(softmax(s), weights, atol=1e-6)
        np.testing.assert_allclose(log_softmax(s), logs, atol=1e-6)
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert softmax(np.zeros(3, np.float32)).dtype == np.float32


def test_scores_that_have_no_softmax_are_refused():
    for function in (softmax, log_softmax):
        with pytest.raises(ValueError, match="must not be empty along"):
            function(np.zeros((2, 0)))
        for axis in (2, -3):
            with pytest.raises(ValueError, match=f"axis {axis} is none of"):
                function(np.zeros((2, 2)), axis)
        for bad in (np.inf, np.nan):
            with pytest.raises(ValueError, match="numbers below infinity"):
                function(np.array([0.0, bad]))


@given(SMALL, SMALL, SEEDS)
def test_the_jacobian_is_the_librarys_and_its_rows_sum_to_zero(
    rows, keys, seed
):
    s = np.random.default_rng(seed).normal(size=(rows, keys))
    found = softmax_jacobian(softmax(s))
    for row, matrix in zip(s, found, strict=True):
        expected = torch.autograd.functional.jacobian(
            lambda t: t.softmax(-1), torch.tensor(row)
        )
        np.testing.assert_allclose(matrix, expected, atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=-1), 0.0, atol=1e-12)


# The whole, against the library


@given(LEADS, SMALL, SMALL, SMALL, SMALL, KINDS, SEEDS)
def test_attention_is_the_librarys_with_every_kind_of_mask(
    lead, target, source, d_k, d_v, kind, seed
):
    rng = np.random.default_rng(seed)
    q, k, v = projected(rng, lead, target, source, d_k, d_v)
    mask = drawn_mask(rng, kind, lead, target, source)
    ours = scaled_dot_product_attention(q, k, v, mask)
    torch_mask = None if mask is None else torch.tensor(mask)
    theirs = library(
        *map(torch.tensor, (q, k, v)), attn_mask=torch_mask
    ).numpy()
    assert ours.output.shape == (*lead, target, d_v)
    assert ours.weights.shape == (*lead, target, source)
    np.testing.assert_allclose(ours.output, theirs, atol=1e-10)
    np.testing.assert_array_equal(
        ours.weights, attention_weights(q, k, mask)
    )


@given(SMALL, SMALL, SMALL, SMALL, KINDS, SEEDS)
def test_finite_differences_agree_with_the_librarys_gradient(
    target, source, d_k, d_v, kind, seed
):
    rng = np.random.default_rng(seed)
    qkv = projected(rng, (2,), target, source, d_k, d_v)
    moves = projected(rng, (2,), target, source, d_k, d_v)
    mask = drawn_mask(rng, kind, (2,), target, source)
    weigh = rng.normal(size=(2, target, d_v))

    def loss(size):
        at = [x + size * move for x, move in zip(qkv, moves, strict=True)]
        return (
            scaled_dot_product_attention(*at, mask).output * weigh
        ).sum()

    inputs = [torch.tensor(x, requires_grad=True) for x in qkv]
    torch_mask = None if mask is None else torch.tensor(mask)
    out = library(*inputs, attn_mask=torch_mask)
    (out * torch.tensor(weigh)).sum().backward()
    expected = sum(
        (x.grad.numpy() * move).sum()
        for x, move in zip(inputs, moves, strict=True)
    )
    found = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_leading_axes_broadcast():
    rng = np.random.default_rng(0)
    q, k, v = (
        rng.normal(size=size)
        for size in ((2, 3, 4, 5), (2, 1, 6, 5), (6, 7))
    )
    out = scaled_dot_product_attention(
        q, k, v, rng.random((2, 1, 1, 6)) < 0.5
    )
    assert out.output.shape == (2, 3, 4, 7)
    one = scaled_dot_product_attention(q[1, 2], k[1, 0], v)
    all_ = scaled_dot_product_attention(q, k, v)
    np.testing.assert_allclose(all_.output[1, 2], one.output, atol=1e-12)


@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_it_is_the_soft_lookup_of_sharpness_one_over_root_d_k(
    target, source, d_k, d_v, seed
):
    q, k, v = projected(
        np.random.default_rng(seed), (), target, source, d_k, d_v
    )
    np.testing.assert_allclose(
        scaled_dot_product_attention(q, k, v).output,
        soft_lookup(q, k, v, d_k**-0.5),
        atol=1e-12,
    )


def test_the_example_by_hand():
    out = scaled_dot_product_attention(*first_head())
    powers = np.exp(np.array([-2.0, 1.0, -1.0]) / 2**0.5)
    weights = powers / powers.sum()
    np.testing.assert_allclose(out.weights[2], weights)
    np.testing.assert_allclose(
        out.output[2],
        weights[0] * np.array([-2, 0])
        + weights[1] * np.array([-2, -2])
        + weights[2] * np.array([-1, 0]),
    )
    np.testing.assert_allclose(
        out.output,
        [[-1.945, -1.863], [-1.497, -0.497], [-1.822, -1.467]],
        atol=1e-3,
    )


# Masks


def test_the_polarity_is_the_librarys_and_the_opposite_of_the_modules():
    torch.manual_seed(0)
    back = np.tri(4, dtype=bool)
    x = torch.randn(1, 4, 6).double()
    module = torch.nn.MultiheadAttention(
        6, 1, bias=False, batch_first=True
    ).double()
    W_q, W_k, _ = module.in_proj_weight.detach().numpy().reshape(3, 6, 6)
    x_n = x[0].numpy()
    ours = attention_weights(x_n @ W_q.T, x_n @ W_k.T, back)
    np.testing.assert_array_equal(ours > 0, back)
    theirs = module(x, x, x, attn_mask=torch.tensor(~back))[1][0]
    np.testing.assert_allclose(ours, theirs.detach(), atol=1e-10)
    floats = attention_weights(x_n @ W_q.T, x_n @ W_k.T, back.astype(float))
    assert (floats > 0).all()  # ones and zeros are added


def test_a_row_without_keys_is_zero_here_and_in_the_library():
    q, k, v = projected(np.random.default_rng(0), (2,), 3, 4, 5, 6)
    mask = np.ones((3, 4), dtype=bool)
    mask[1] = False
    out = scaled_dot_product_attention(q, k, v, mask)
    assert not out.weights[:, 1].any()
    assert not out.output[:, 1].any()
    theirs = library(
        *map(torch.tensor, (q, k, v)), attn_mask=torch.tensor(mask)
    )
    np.testing.assert_allclose(out.output, theirs, atol=1e-10)
    assert not theirs[:, 1].any()


def test_is_causal_of_the_library_is_aligned_at_the_top_left():
    zeros, eye = torch.zeros(1, 2, 4), torch.eye(4)[None]
    theirs = library(zeros, eye, eye, is_causal=True)[0].numpy()
    ours = attention_weights(
        np.zeros((2, 4)), np.eye(4), np.tri(2, 4, dtype=bool)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


# Other scores


@given(SMALL, SMALL, SMALL, SEEDS)
def test_cosine_and_additive_scores_follow_their_formulas(
    target, source, width, seed
):
    rng = np.random.default_rng(seed)
    q, k, _ = projected(rng, (2,), target, source, width, 1)
    cosine = cosine_scores(q, k)
    assert (np.abs(cosine) <= 1 + 1e-12).all()
    np.testing.assert_allclose(cosine_scores(9.0 * q, k), cosine)
    layers = [
        Linear(rng.normal(size=(3, width)), rng.normal(size=3))
        for _ in range(2)
    ]
    net = Additive(*layers, v=rng.normal(size=3))
    additive = additive_scores(net, q, k)
    for i in range(target):
        for j in range(source):
            a, b = q[1, i], k[1, j]
            size = np.linalg.norm(a) * np.linalg.norm(b)
            np.testing.assert_allclose(cosine[1, i, j] * size, a @ b)
            inner = layers[0].W @ a + layers[1].W @ b
            inner += layers[0].b + layers[1].b
            np.testing.assert_allclose(
                additive[1, i, j], net.v @ np.tanh(inner), atol=1e-12
            )


def test_a_key_between_two_others_never_wins_an_inner_product():
    rng = np.random.default_rng(0)
    places = np.array([[-1.0], [0.0], [1.0]])
    wins = dot_scores(rng.normal(size=(500, 1)), places).argmax(axis=1)
    assert set(wins) == {0, 2}
    up = np.full((2, 1), 5.0)
    shift = Linear(up, np.array([2.5, -2.5]))
    net = Additive(Linear(-up, np.zeros(2)), shift, np.array([2.0, -2.0]))
    assert (
        softmax(additive_scores(net, places, places)).diagonal() > 0.9
    ).all()


# Errors


def test_arrays_that_do_not_fit_are_refused_by_name():
    q, k, v = projected(np.random.default_rng(0), (2,), 3, 4, 5, 6)
    with pytest.raises(TypeCheckError, match="'keys'"):
        scaled_dot_product_attention(q, k[..., 1:], v)
    with pytest.raises(TypeCheckError, match="'values'"):
        scaled_dot_product_attention(q, k, v[:, 1:])
    for mask in (np.ones((4, 3), bool), np.ones((3, 4), int)):
        with pytest.raises(TypeCheckError, match="'mask'"):
            attention_weights(q, k, mask)
    with pytest.raises(ValueError, match="must not be empty"):
        attention_weights(q, k[:, :0])
    with pytest.raises(ValueError, match="vectors of zeros"):
        cosine_scores(0.0 * q, k)
