import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snippets.questions.attention_list import (
    SYMBOLS,
    cut,
    effects,
    embed_picture,
    encode_with_maps,
    pictures,
    rank_correlation,
    rollout,
    view,
)
from snippets.questions.attention_list_torch import (
    Viewer,
    collect,
    from_viewer,
    trained,
)
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.multi_head_attention import encode
from tests.transformer.weights import layers

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def some_maps(seed, n_layers, n_heads, tokens):
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.ones(tokens), (n_layers, 2, n_heads, tokens))
    return list(drawn.reshape(n_layers, 2, n_heads, tokens, tokens))


@functools.cache
def network(question, seed):
    return trained(question, seed)


@functools.cache
def some_pictures():
    return pictures(200, np.random.default_rng(1))


def shares(question, seed):
    """Rollout's shares of the patches, and what each patch moves."""
    model = from_viewer(network(question, seed))
    pixels = some_pictures().pixels
    answer = view(model, pixels)
    right = getattr(some_pictures(), question)
    assert (answer.logits.argmax(axis=1) == right).mean() > 0.9
    return rollout(answer.maps)[:, 0, 1:], effects(model, pixels)


# C79: a map for each layer, collected beside the computation


@given(SMALL, SMALL, SMALL, st.booleans(), SEEDS)
def test_the_list_has_one_map_a_layer_and_changes_nothing(
    n, batch, time, first, seed
):
    rng, stack = np.random.default_rng(seed), layers(n, 4)
    x = rng.normal(size=(batch, time, 4))
    mask = np.tri(time, dtype=bool)
    arrange = pre_norm if first else post_norm
    norm = stack[0].norm_1
    output, maps = encode_with_maps(stack, x, mask, norm, arrange)
    assert (output == encode(stack, x, mask, norm, arrange)).all()
    assert len(maps) == n
    for one in maps:
        assert one.shape == (batch, 2, time, time)
        np.testing.assert_allclose(one.sum(axis=-1), 1, atol=1e-12)
        assert (one[..., ~mask] == 0).all()


def test_the_maps_and_the_logits_are_those_of_pytorch():
    torch.manual_seed(0)
    net = Viewer(classes=3, d_model=8).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    pixels = some_pictures().pixels[:7]
    ours = view(from_viewer(net.eval()), pixels)
    theirs = collect(net.encoder, net.embed(pixels))
    assert len(theirs) == len(ours.maps) == 2
    for a, b in zip(ours.maps, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-10)
        assert a.shape == (7, 2, 10, 10)
    logits = net(pixels).detach().numpy()
    np.testing.assert_allclose(ours.logits, logits, atol=1e-10)
    z = net.encoder.layers[0].norm1(net.embed(pixels))
    mean = net.encoder.layers[0].self_attn(z, z, z)[1].detach().numpy()
    np.testing.assert_allclose(ours.maps[0].mean(axis=1), mean, atol=1e-10)


def test_hooks_are_gone_afterwards_and_maps_are_detached_unless_asked():
    net = Viewer(classes=2).double().eval()
    x = net.embed(some_pictures().pixels[:2])
    before = net.encoder(x)
    assert not any(m.requires_grad for m in collect(net.encoder, x))
    kept = collect(net.encoder, x, keep_graph=True)
    assert all(m.requires_grad for m in kept)
    assert torch.equal(net.encoder(x), before)
    with pytest.raises(RuntimeError):
        collect(net.encoder, x[..., :5])
    for layer in net.encoder.layers:
        assert not layer.self_attn._forward_hooks
        assert not layer.self_attn._forward_pre_hooks


def test_the_fast_path_never_calls_the_attention_but_hooks_do():
    net = Viewer(classes=2).eval()
    x, part = torch.randn(2, 10, 16), net.encoder.layers[0].self_attn
    calls, usual = [], part.forward
    part.forward = lambda *a, **k: calls.append(1) or usual(*a, **k)
    with torch.no_grad():
        net.encoder(x)
        assert not calls
        assert len(collect(net.encoder, x)) == 2
    assert len(calls) == 1


# Rollout


@given(SMALL, SMALL, SMALL, SEEDS)
def test_rollout_multiplies_and_its_rows_sum_to_1(n, heads, tokens, seed):
    maps = some_maps(seed, n, heads, tokens)
    product = rollout(maps)
    assert product.shape == (2, tokens, tokens)
    np.testing.assert_allclose(product.sum(axis=-1), 1, atol=1e-12)
    assert (product >= 0).all()
    by_hand = np.eye(tokens)
    for one in maps:
        by_hand = (one.mean(axis=1) + np.eye(tokens)) @ by_hand
    np.testing.assert_allclose(product, by_hand / 2**n, atol=1e-12)


def test_rollout_follows_the_layers_in_their_order():
    first = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 1, 0]]])  # 2 reads 1
    second = np.array([[[0.0, 0, 1], [0, 1, 0], [0, 0, 1]]])  # 0 reads 2
    assert rollout([first, second])[0].tolist() == [0.5, 0.25, 0.25]
    assert rollout([second, first])[0].tolist() == [0.5, 0.0, 0.5]


def test_rollout_of_nothing_is_refused():
    with pytest.raises(ValueError, match="maps must hold at least one"):
        rollout([])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rollout_finds_what_matters_for_one_question_and_not_the_other(
    seed,
):
    looks, moved = shares("symbol", seed)
    marked = some_pictures().marked
    assert (moved.argmax(axis=1) == marked).mean() > 0.95
    assert (looks.argmax(axis=1) == marked).mean() > 0.95
    looks, moved = shares("light", seed)
    assert (looks.argmax(axis=1) == moved.argmax(axis=1)).mean() < 0.5
    bright = some_pictures().brightness
    plain = rank_correlation(bright, moved).mean()
    assert plain > 0.7
    assert rank_correlation(looks, moved).mean() < plain - 0.2


def test_rollout_does_not_notice_attention_that_does_nothing():
    model = from_viewer(network("symbol", 2))
    blind = []
    for layer in model.layers:
        part = layer.self_attention
        W_O = part.output._replace(W=0 * part.output.W)
        blind.append(
            layer._replace(self_attention=part._replace(output=W_O))
        )
    blind = model._replace(layers=tuple(blind))
    pixels, marked = some_pictures().pixels, some_pictures().marked
    assert effects(blind, pixels).max() == 0
    looks = rollout(view(blind, pixels).maps)[:, 0, 1:]
    assert (looks.argmax(axis=1) == marked).mean() > 0.9


# Pictures, patches, effects, ranks


@given(SMALL, SMALL, SMALL, SMALL)
def test_patches_are_squares_row_by_row(batch, rows, columns, side):
    pixels = np.random.default_rng(0).normal(
        size=(batch, rows * side, columns * side)
    )
    patches = cut(pixels, side)
    assert patches.shape == (batch, rows * columns, side * side)
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        square = pixels[:, row * side :, column * side :]
        square = square[:, :side, :side]
        assert (patches[:, number] == square.reshape(batch, -1)).all()
    if side > 1:
        with pytest.raises(ValueError, match="side must divide"):
            cut(pixels[:, 1:], side)
        with pytest.raises(ValueError, match="side must divide"):
            cut(pixels[:, :, 1:], side)


def test_pictures_hold_the_answers_to_both_questions():
    drawn = some_pictures()
    patches = cut(drawn.pixels, 4).reshape(200, 9, 4, 4)
    dots = patches[:, :, 0, 0] == 1.0
    assert (dots.sum(axis=1) == 1).all()
    assert (dots.argmax(axis=1) == drawn.marked).all()
    patches[:, :, 0, 0] = 0
    np.testing.assert_allclose(patches.max(axis=(2, 3)), drawn.brightness)
    inside = patches[np.arange(200), drawn.marked] > 0
    assert (inside == SYMBOLS[drawn.symbol]).all()
    assert set(drawn.symbol) == {0, 1, 2, 3}
    light = drawn.brightness.mean(axis=1) > 0.6
    assert (light == drawn.light).all()


def test_a_patch_is_erased_alone():
    model = from_viewer(Viewer(classes=2).double())
    pixels = some_pictures().pixels[0]
    moved = effects(model, pixels)
    assert moved.shape == (9,)
    for number in range(9):
        black = cut(pixels, 4).copy()
        black[number] = 0
        grid = black.reshape(3, 3, 4, 4).swapaxes(1, 2).reshape(12, 12)
        change = view(model, grid).logits - view(model, pixels).logits
        expected = np.linalg.norm(change - change.mean())
        np.testing.assert_allclose(moved[number], expected, atol=1e-12)


def test_the_class_token_stands_first_and_positions_are_added():
    model = from_viewer(Viewer(classes=2).double())
    x = embed_picture(model, some_pictures().pixels[:3])
    assert x.shape == (3, 10, 16)
    first = model.class_token + model.positions[0]
    np.testing.assert_allclose(x[:, 0], np.tile(first, (3, 1)))


@given(st.integers(2, 9), SEEDS)
def test_rank_correlation_is_the_correlation_of_ranks(n, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 3, n))
    found = rank_correlation(a, b)
    ranks = [x.argsort(axis=-1).argsort(axis=-1) for x in (a, b)]
    for row in range(3):
        expected = np.corrcoef(ranks[0][row], ranks[1][row])[0, 1]
        np.testing.assert_allclose(found[row], expected, atol=1e-10)
    np.testing.assert_allclose(rank_correlation(a, np.exp(a)), 1)
    np.testing.assert_allclose(rank_correlation(a, -a), -1)
    with pytest.raises(ValueError, match="a must have two values"):
        rank_correlation(a[:, :1], b[:, :1])
