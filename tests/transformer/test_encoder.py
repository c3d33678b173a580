import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from snippets.transformer.encoder import (
    average,
    encoder,
    encoder_layer,
    feed_forward,
    layer_norm,
    moved,
    position_influence,
    post_norm,
    pre_norm,
    residual,
)
from snippets.transformer.encoder_torch import (
    WIRINGS,
    accuracy,
    as_convolution,
    box,
    library_gap,
    part_maps,
    probe,
    shaken,
)
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    FeedForward,
    Linear,
    Norm,
    tokens,
)
from snippets.transformer.overview_torch import (
    from_encoder_layer,
    from_norm,
)

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)
OFF_DIAGONAL = ~np.eye(5, dtype=bool)


def plain(d: int) -> Norm:
    return Norm(np.ones(d), np.zeros(d))


def drawn(rng, d_model, d_ff):
    return FeedForward(
        Linear(rng.normal(size=(d_ff, d_model)), rng.normal(size=d_ff)),
        Linear(rng.normal(size=(d_model, d_ff)), rng.normal(size=d_model)),
    )


def library_layer(
    d_model=16, n_heads=4, d_ff=64, seed=0, norm_first=False
) -> nn.TransformerEncoderLayer:
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(
        d_model, n_heads, d_ff, norm_first=norm_first, batch_first=True
    )
    return shaken(layer.double())


# Layer normalisation


@given(SMALL, SMALL, st.integers(1, 9), SEEDS)
def test_the_norm_is_that_of_pytorch_at_every_width(batch, time, d, seed):
    rng = np.random.default_rng(seed)
    module = nn.LayerNorm(d).double()
    torch.manual_seed(seed % 2**31)
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    for scale in (1e-6, 1.0, 1e6):
        x = scale * rng.normal(size=(batch, time, d))
        theirs = module(torch.tensor(x)).detach().numpy()
        ours = layer_norm(from_norm(module), x)
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
        if d == 1:  # nothing is left but the shift
            np.testing.assert_array_equal(
                ours, np.broadcast_to(from_norm(module).shift, x.shape)
            )


def test_the_norm_by_hand_and_of_a_vector_without_variance():
    river = np.array([1.0, 0.0, -1.0, 0.0])
    np.testing.assert_allclose(
        layer_norm(plain(4), river), 2**0.5 * river, rtol=1e-4
    )
    norm = Norm(np.full(4, 2.0), np.arange(4.0))
    np.testing.assert_array_equal(
        layer_norm(norm, np.full((3, 4), 7.0)),
        np.tile(np.arange(4.0), (3, 1)),
    )
    assert layer_norm(plain(4), np.zeros((0, 4))).shape == (0, 4)


def test_a_normed_vector_has_forgotten_its_mean_and_its_length():
    x = np.random.default_rng(0).normal(size=(10, 8))
    z = layer_norm(plain(8), x)
    np.testing.assert_allclose(z.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose((z**2).sum(axis=-1), 8, rtol=1e-3)
    np.testing.assert_allclose(
        layer_norm(plain(8), 9 * x + 5), z, atol=1e-3
    )
    assert (
        np.abs(layer_norm(plain(8), -x) + z).max() < 1e-12
    )  # not the sign


def test_a_norm_for_other_features_is_refused():
    with pytest.raises(ValueError, match="x must have 4 features, not 3"):
        layer_norm(plain(4), np.zeros((2, 3)))


# C40: the feed-forward part is one MLP, at each position the same


@given(SMALL, SMALL, st.integers(1, 5), st.integers(1, 9), SEEDS)
def test_permuting_positions_permutes_what_the_feed_forward_part_gives(
    batch, time, d_model, d_ff, seed
):
    rng = np.random.default_rng(seed)
    ff, x = (
        drawn(rng, d_model, d_ff),
        rng.normal(size=(batch, time, d_model)),
    )
    order = rng.permutation(time)
    out = feed_forward(ff, x)
    np.testing.assert_allclose(
        feed_forward(ff, x[:, order]), out[:, order], atol=1e-12
    )
    for place in range(time):  # and is what the position gives alone
        np.testing.assert_allclose(
            feed_forward(ff, x[0, place]), out[0, place], atol=1e-12
        )
    mlp = nn.Sequential(
        nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)
    ).double()
    with torch.no_grad():
        for ours, theirs in zip(ff, (mlp[0], mlp[2]), strict=True):
            theirs.weight.copy_(torch.tensor(ours.W))
            theirs.bias.copy_(torch.tensor(ours.b))
    expected = mlp(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(out, expected, atol=1e-10)
    np.testing.assert_allclose(
        as_convolution(ff, x[0]), expected[0], atol=1e-10
    )


def test_the_feed_forward_part_of_the_example_by_hand():
    ff = EXAMPLE.encoder[0].feed_forward
    river, bank = EXAMPLE.source_embedding[tokens("river bank", SOURCE)]
    np.testing.assert_array_equal(feed_forward(ff, river), [-2, 0, -8, 4])
    np.testing.assert_array_equal(feed_forward(ff, bank), [-3, -2, 0, 2])


# Residual connection, and where the norm stands


def test_a_sub_layer_that_changes_the_shape_is_refused():
    x = np.ones((2, 3, 4))
    for change in (x[..., :1], x[:, :1], x[0]):
        message = r"change must have the shape \(2, 3, 4\), not \("
        with pytest.raises(ValueError, match=message):
            residual(x, change)
        for arrange in (post_norm, pre_norm):
            with pytest.raises(ValueError, match=message):
                arrange(plain(4), x, lambda x, change=change: change)


def test_post_norm_norms_the_sum_and_pre_norm_the_branch():
    rng = np.random.default_rng(0)
    x, norm = rng.normal(size=(3, 4)), Norm(*rng.normal(size=(2, 4)))
    np.testing.assert_allclose(
        post_norm(norm, x, lambda x: 2 * x), layer_norm(norm, 3 * x)
    )
    np.testing.assert_allclose(
        pre_norm(norm, x, lambda x: 2 * x), x + 2 * layer_norm(norm, x)
    )
    np.testing.assert_array_equal(pre_norm(norm, x, np.zeros_like), x)


# C38: two sub-layers, and around each a sum and a norm


@settings(max_examples=30)
@given(SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), SEEDS)
def test_layer_and_stack_are_those_of_pytorch_with_its_own_attention(
    batch, time, n_heads, d_head, d_ff, n_layers, norm_first, seed
):
    d_model = n_heads * d_head
    net = nn.TransformerEncoder(
        library_layer(d_model, n_heads, d_ff, norm_first=norm_first),
        n_layers,
        nn.LayerNorm(d_model),
        enable_nested_tensor=False,
    )
    torch.manual_seed(seed % 2**31)
    shaken(net.double())  # the layers are no copies any more
    x = torch.randn(batch, time, d_model, dtype=torch.float64)
    arrange = pre_norm if norm_first else post_norm
    layers = [from_encoder_layer(part) for part in net.layers]
    attends = [box(part.self_attn) for part in net.layers]
    np.testing.assert_allclose(
        encoder_layer(layers[0], x.numpy(), attends[0], arrange),
        net.layers[0](x).detach().numpy(),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        encoder(layers, x.numpy(), attends, from_norm(net.norm), arrange),
        net(x).detach().numpy(),
        atol=1e-10,
    )
    net.norm = None
    np.testing.assert_allclose(
        encoder(layers, x.numpy(), attends, arrange=arrange),
        net(x).detach().numpy(),
        atol=1e-10,
    )
    assert library_gap(norm_first, n_layers, d_model, n_heads, d_ff) < 1e-10


def test_the_stack_wants_one_attention_for_each_layer():
    x = np.ones((2, 4))
    assert encoder((), x, ()) is x
    with pytest.raises(
        ValueError, match="attends must be 1 functions, not 2"
    ):
        encoder(EXAMPLE.encoder, x, [average, average])
    with pytest.raises(TypeCheckError):
        encoder_layer(EXAMPLE.encoder[0], np.ones(4), average)


def test_without_residuals_positions_become_equal_without_norms_they_grow():
    for library in (False, True):
        found = {name: probe(name, library=library) for name in WIRINGS}
        for name in ("neither", "norm only"):
            assert found[name].apart < 1e-9
        for name in ("post-norm", "pre-norm"):
            assert found[name].apart > 1e-3
            assert 0.9 < found[name].size < 10
            assert 0.1 < found[name].gradient < 20
    assert found["neither"].gradient < 1e-15  # the weights of nn.Linear
    assert found["residual only"].gradient > 1
    # geometrically: each layer multiplies the size by nearly 2
    sizes = [probe("residual only", n_layers=n).size for n in (5, 10, 20)]
    rates = [
        size ** (1 / n) for size, n in zip(sizes, (5, 10, 20), strict=True)
    ]
    assert 1.6 < min(rates) < max(rates) < 2.2
    # it is the mixing that makes positions equal
    assert probe("norm only", "alone").apart > 0.1


# C42 and C41: what depends on what


def test_attention_depends_on_all_positions_and_the_other_parts_on_one():
    x = np.random.default_rng(0).normal(size=(5, 16))
    for seed in range(3):
        maps = part_maps(library_layer(seed=seed))
        seen = {n: position_influence(f, x) for n, f in maps.items()}
        for name in ("feed-forward", "layer norm"):
            assert (seen[name][OFF_DIAGONAL] == 0).all(), name
            assert (seen[name].diagonal() > 0.01).all(), name
        for name in ("attention", "whole layer"):
            assert (seen[name] > 1e-6).all(), name


def test_the_influence_is_the_size_of_each_block_of_the_jacobian():
    layer = library_layer()
    x = torch.randn(5, 16, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: layer(x[None])[0], x
    )
    np.testing.assert_allclose(
        position_influence(part_maps(layer)["whole layer"], x.numpy()),
        jacobian.square().sum(dim=(1, 3)).sqrt(),
        rtol=1e-5,
    )


def test_a_change_of_x_3_moves_z_1_whatever_the_distance():
    rng = np.random.default_rng(0)
    layer = nn.TransformerEncoderLayer(16, 4, 64, batch_first=True)
    maps = part_maps(layer.double().eval())
    x = rng.normal(size=(200, 33, 16))
    assert moved(maps["feed-forward"], x, 2) == 0
    z = maps["whole layer"]
    moves = [moved(z, x, place) for place in (1, 2, 8, 32)]
    assert min(moves) > 0.01
    assert max(moves) < 1.2 * min(moves)
    swapped = x[:, [0, 32, *range(2, 32), 1]]
    np.testing.assert_allclose(z(swapped)[:, 0], z(x)[:, 0], atol=1e-12)
    shorter = moved(z, x[:, :9], 2)  # fewer share the weights
    assert 2 < shorter / moves[1] < 6


# C39: an ablation


def test_looking_up_needs_attention_and_a_question_about_all_does_not():
    mixings = ("attention", "average", "alone")
    found = {m: accuracy(m, "found", seed=1) for m in mixings}
    high = {m: accuracy(m, "high", seed=1) for m in mixings}
    assert found["attention"] > 0.95
    assert 0.37 < found["average"] < 0.56
    assert found["alone"] < 0.4
    assert high["attention"] > 0.75
    assert high["average"] > 0.95
    assert high["alone"] < 0.7


def test_the_average_is_the_same_at_each_position():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for place in range(3):
        np.testing.assert_allclose(average(x)[:, place], x.mean(axis=1))
