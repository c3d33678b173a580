import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snippets.questions.residual_before_norm import (
    ORDERS,
    norm_slope,
    projected,
    silent,
)
from snippets.questions.residual_before_norm_torch import (
    descend,
    drawn,
    skip_alone,
    wired,
)
from snippets.transformer.encoder import (
    encoder_layer,
    layer_norm,
    post_norm,
    pre_norm,
    residual,
)
from snippets.transformer.encoder_torch import WIRINGS, shaken
from snippets.transformer.multi_head_attention import attend_by, encode
from snippets.transformer.overview import Linear, Norm, linear
from snippets.transformer.overview_torch import from_encoder_layer
from tests.transformer.weights import layers

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


@given(SMALL, SMALL, SMALL, SEEDS)
@settings(max_examples=20)
def test_the_original_is_added_before_the_norm_in_post_norm_layers_only(
    batch, time, n_layers, seed
):
    for norm_first, right, wrong in (
        (False, post_norm, pre_norm),
        (True, pre_norm, post_norm),
    ):
        torch.manual_seed(seed)
        layer = nn.TransformerEncoderLayer(
            8, 2, 12, batch_first=True, norm_first=norm_first
        )
        net = nn.TransformerEncoder(
            layer, n_layers, enable_nested_tensor=False
        )
        shaken(net.double())
        x = torch.randn(batch, time, 8, dtype=torch.float64)
        theirs = net(x).detach().numpy()
        parts = [from_encoder_layer(part) for part in net.layers]
        ours = encode(parts, x.numpy(), arrange=right)
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
        other = encode(parts, x.numpy(), arrange=wrong)
        assert np.abs(other - theirs).max() > 1e-2
        first = net.layers[0]
        for name in ("post-norm", "pre-norm"):
            first.norm_first = name == "pre-norm"
            torch.testing.assert_close(
                wired(first, x, WIRINGS[name]), first(x)
            )


@given(SMALL, SMALL, SEEDS)
def test_a_layer_that_has_learnt_nothing_hands_on_its_input(
    batch, time, seed
):
    x = np.random.default_rng(seed).normal(size=(batch, time, 16))
    layer = silent(layers(1, 16)[0])
    attend = attend_by(layer.self_attention)
    np.testing.assert_array_equal(
        encoder_layer(layer, x, attend, pre_norm), x
    )
    normed = layer_norm(layer.norm_1, x)
    np.testing.assert_allclose(
        encoder_layer(layer, x, attend), normed, atol=1e-4
    )
    alone = encoder_layer(layer, x, attend, lambda norm, z, f: f(z))
    assert not alone.any()


def test_the_sum_lets_the_gradient_pass_and_without_it_none_arrives():
    for seed in range(3):
        stack = drawn(seed)
        bottom = {
            name: descend(stack, WIRINGS[name]).gradients[0]
            for name in ("neither", "post-norm", "pre-norm")
        }
        assert bottom["neither"] < 1e-18
        assert 0.2 < bottom["post-norm"] < 5
        assert 0.9 < bottom["pre-norm"] < 5


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_the_skip_alone_is_the_identity_in_pre_norm_only(gain):
    stack = drawn(0, gain=gain)
    skips = {
        name: descend(stack, skip_alone(WIRINGS[name]))
        for name in ("post-norm", "pre-norm")
    }
    np.testing.assert_array_equal(skips["pre-norm"].gradients, 1.0)
    post = skips["post-norm"].gradients
    assert (0.1 < post[0] < 0.7) if gain == 1 else post[0] < 1e-6
    for name, skip in skips.items():
        whole = descend(stack, WIRINGS[name])
        np.testing.assert_array_equal(skip.vectors, whole.vectors)
        assert not np.allclose(skip.gradients, whole.gradients)


@given(st.integers(2, 6), SEEDS)
def test_the_slope_of_a_norm_is_that_of_autograd(d_model, seed):
    rng = np.random.default_rng(seed)
    norm = Norm(*rng.normal(size=(2, d_model)))
    x = rng.normal(size=d_model) * 3
    gain, shift = map(torch.tensor, norm)
    wanted = torch.autograd.functional.jacobian(
        lambda z: nn.functional.layer_norm(z, (d_model,), gain, shift),
        torch.tensor(x),
    )
    np.testing.assert_allclose(
        norm_slope(norm, x), wanted, rtol=1e-8, atol=1e-10
    )
    with pytest.raises(ValueError, match="x must have 1 features"):
        norm_slope(Norm(np.ones(1), np.zeros(1)), x)


def test_four_orders_and_only_two_are_pytorchs():
    torch.manual_seed(1)
    module = shaken(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double()
    )
    part = from_encoder_layer(module)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    for module.norm_first in (False, True):
        theirs = module(x).detach().numpy()
        gaps = [
            np.abs(
                encoder_layer(
                    part, x.numpy(), attend_by(part.self_attention), order
                )
                - theirs
            ).max()
            for order in ORDERS.values()
        ]
        assert gaps.pop(int(module.norm_first)) < 1e-10
        assert min(gaps) > 0.1


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_sum_needs_equal_shapes_or_a_matrix_on_the_skip(
    batch, width, more, seed
):
    rng = np.random.default_rng(seed)
    wide, skip = (
        Linear(
            rng.normal(size=(width + more, width)), np.zeros(more + width)
        )
        for _ in "12"
    )
    x = rng.normal(size=(batch, width))
    with pytest.raises(ValueError, match="change must have the shape"):
        residual(x, linear(wide, x))
    found = projected(skip, x, lambda z: linear(wide, z))
    np.testing.assert_allclose(found, x @ (skip.W + wide.W).T, atol=1e-12)
