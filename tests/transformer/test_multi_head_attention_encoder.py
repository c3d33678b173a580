import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.multi_head_attention import encode
from snippets.transformer.multi_head_attention_torch import (
    encoder_gap,
    library_gap,
    redraw,
)
from snippets.transformer.overview import EXAMPLE, SOURCE, tokens
from snippets.transformer.overview_torch import from_encoder_layer

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def embedded(words):
    return EXAMPLE.source_embedding[tokens(words, SOURCE)]


def torch_layer(n_heads, d, d_ff, norm_first=False):
    layer = torch.nn.TransformerEncoderLayer(
        n_heads * d, n_heads, d_ff, batch_first=True, norm_first=norm_first
    )
    return redraw(layer)


@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans(), SEEDS)
def test_one_layer_is_that_of_the_library(
    batch, time, n_heads, d, d_ff, norm_first, seed
):
    torch.manual_seed(seed)
    layer = torch_layer(n_heads, d + 1, d_ff, norm_first)
    x = torch.randn(batch, time, n_heads * (d + 1)).double()
    mask = torch.rand(time, time) < 0.5
    mask[:, 0] = True
    theirs = layer(x, src_mask=~mask).detach()
    arrange = pre_norm if norm_first else post_norm
    parts = [from_encoder_layer(layer)]
    ours = encode(parts, x.numpy(), mask.numpy(), arrange=arrange)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_a_padded_stack_with_a_last_norm_is_that_of_the_library(
    norm_first, n_layers
):
    assert encoder_gap(norm_first, n_layers, 12, 3) < 1e-10


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("width", [None, 5, 12])
def test_the_gap_to_the_librarys_attention_is_rounding(bias, width):
    for seed in range(3):
        assert library_gap(12, 3, width, bias, seed) < 1e-10


def test_the_gap_sees_a_difference(monkeypatch):
    monkeypatch.setattr(
        "snippets.transformer.multi_head_attention_torch.from_attention",
        lambda net: EXAMPLE.encoder[0].self_attention,
    )
    assert library_gap(4, 2) > 0.1


@given(st.integers(1, 4), st.integers(0, 3), st.booleans(), SEEDS)
def test_what_padding_holds_changes_nothing_at_real_places(
    words, padding, pre, seed
):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers = [from_encoder_layer(torch_layer(2, 3, 5)) for _ in range(2)]
    arrange = pre_norm if pre else post_norm
    x = rng.normal(size=(words + padding, 6))
    real = (np.arange(words + padding) < words)[None]
    alone = encode(layers, x[:words], arrange=arrange)
    for filler in (0.0, 1.0, 1e6):
        x[words:] = filler
        padded = encode(layers, x, real, arrange=arrange)[:words]
        np.testing.assert_allclose(padded, alone, atol=1e-10)


def test_without_a_mask_padding_does_change_the_words():
    padded = encode(EXAMPLE.encoder, embedded("the river bank <pad>"))[:3]
    alone = encode(EXAMPLE.encoder, embedded("the river bank"))
    assert np.abs(padded - alone).max() > 0.1


def test_a_stack_without_layers_is_its_norm_alone():
    x, norm = embedded("the river bank"), EXAMPLE.encoder[0].norm_1
    np.testing.assert_array_equal(encode((), x), x)
    normed = encode((), x, norm=norm)
    np.testing.assert_allclose(normed.mean(axis=-1), 0.0, atol=1e-12)


def test_bank_beside_river_and_beside_money_are_two_vectors():
    rows = [
        encode(EXAMPLE.encoder, embedded(words))[2].round(2)
        for words in ("the river bank", "the money bank")
    ]
    np.testing.assert_array_equal(rows[0], [-1.27, -0.65, 0.74, 1.19])
    np.testing.assert_array_equal(rows[1], [-0.24, 0.57, -1.5, 1.17])
