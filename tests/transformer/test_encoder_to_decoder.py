import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.transformer.encoder import layer_norm, post_norm, pre_norm
from snippets.transformer.encoder_to_decoder import (
    MISTAKES,
    cross_projections,
    crossed,
    decode,
    decoder_layer,
)
from snippets.transformer.encoder_torch import shaken
from snippets.transformer.multi_head_attention import (
    encode,
    multi_head_attention,
)
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    TARGET,
    linear,
    tokens,
)
from snippets.transformer.overview_torch import (
    from_decoder_layer,
    from_encoder_layer,
    from_norm,
)
from snippets.transformer.positional_encoding import embed
from snippets.transformer.scaled_dot_product_attention import softmax

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**31 - 1)


def library(layers, width, n_heads, arrange, norm=True):
    net = torch.nn.TransformerDecoder(
        torch.nn.TransformerDecoderLayer(
            width,
            n_heads,
            2 * width,
            norm_first=arrange is pre_norm,
            batch_first=True,
        ),
        layers,
        torch.nn.LayerNorm(width) if norm else None,
    )
    return shaken(net.double(), scale=1.0)


def layers_of(net):
    return [from_decoder_layer(part) for part in net.layers]


def memory_of(words):
    x = embed(EXAMPLE.source_embedding, tokens(words, SOURCE))
    return encode(EXAMPLE.encoder, x)


def probabilities(memory, words="<start> la", cross=None, mask=None):
    y = embed(EXAMPLE.target_embedding, tokens(words, TARGET))
    causal = np.tri(len(y), dtype=bool)
    if cross is None:
        out = decode(EXAMPLE.decoder, y, memory, causal, mask)
    else:
        out = crossed(cross, EXAMPLE.decoder[0], y, memory, causal)
    return softmax(linear(EXAMPLE.output, out))


# The same as PyTorch


@settings(max_examples=25)
@given(
    SMALL,
    SMALL,
    SMALL,
    SMALL,
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([post_norm, pre_norm]),
    SEEDS,
)
def test_the_decoder_is_that_of_the_library(
    batch, target, source, d_k, n_heads, n_layers, arrange, seed
):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    width = d_k * n_heads
    net = library(n_layers, width, n_heads, arrange)
    y = rng.normal(size=(batch, target, width))
    memory = rng.normal(size=(batch, source, width))
    real = rng.random((batch, source)) < 0.6
    real[:, 0] = True  # a row that sees nothing is another page's
    causal = np.tri(target, dtype=bool)
    given_masks = {
        "tgt_mask": torch.tensor(~causal),
        "memory_key_padding_mask": torch.tensor(~real),
    }
    theirs = net(torch.tensor(y), torch.tensor(memory), **given_masks)
    ours = decode(
        layers_of(net),
        y,
        memory,
        causal,
        real[:, None],
        from_norm(net.norm),
        arrange,
    )
    np.testing.assert_allclose(ours, theirs.detach(), atol=1e-10)
    one = net.layers[0](torch.tensor(y), torch.tensor(memory))
    ours = decoder_layer(
        from_decoder_layer(net.layers[0]), y, memory, arrange=arrange
    )
    np.testing.assert_allclose(ours, one.detach(), atol=1e-10)


def test_float_masks_of_both_kinds_are_those_of_pytorch():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = library(2, 4, 2, post_norm, norm=False)
    y, memory = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    masks = rng.normal(size=(3, 3)), rng.normal(size=(3, 5))
    theirs = net(
        torch.tensor(y), torch.tensor(memory), *map(torch.tensor, masks)
    )
    ours = decode(layers_of(net), y, memory, *masks)
    np.testing.assert_allclose(ours, theirs.detach(), atol=1e-10)


@settings(max_examples=25)
@given(SMALL, SMALL, SMALL, SEEDS)
def test_leading_axes_are_free(batch, target, source, seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(2, batch, target, 4))
    memory = rng.normal(size=(2, batch, source, 4))
    whole = decode(EXAMPLE.decoder, y, memory, None)
    for i in range(2):
        for b in range(batch):
            one = decode(EXAMPLE.decoder, y[i, b], memory[i, b], None)
            np.testing.assert_allclose(whole[i, b], one, atol=1e-10)


# C65: one memory, keys and values of each layer's own


def test_each_decoder_layer_makes_its_own_keys_and_values_from_one_memory():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = library(2, 4, 2, post_norm, norm=False)
    layers = layers_of(net)
    y, memory = rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
    made = cross_projections(layers, y, memory, np.tri(2, dtype=bool))
    for part, layer in zip(made, layers, strict=True):
        cross = layer.cross_attention
        np.testing.assert_array_equal(part.keys, linear(cross.key, memory))
        np.testing.assert_array_equal(
            part.values, linear(cross.value, memory)
        )
    assert np.abs(made[0].keys - made[1].keys).max() > 0.1
    assert np.abs(made[0].values - made[1].values).max() > 0.1
    # each layer's matrices are used: change those of one layer
    out = decode(layers, y, memory, None)
    for n in (0, 1):
        cross = layers[n].cross_attention
        changed = list(layers)
        changed[n] = layers[n]._replace(
            cross_attention=cross._replace(key=cross.value, value=cross.key)
        )
        assert np.abs(decode(changed, y, memory, None) - out).max() > 1e-3


def test_all_layers_read_the_memory_of_the_last_encoder_layer():
    torch.manual_seed(0)
    net = torch.nn.Transformer(8, 2, 2, 2, 16, dropout=0, batch_first=True)
    net = net.double()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 6, 8)), rng.normal(size=(1, 4, 8))
    theirs = net(torch.tensor(x), torch.tensor(y)).detach().numpy()
    encoders = [from_encoder_layer(part) for part in net.encoder.layers]
    first, last = (
        encode(encoders[:n], x, norm=from_norm(net.encoder.norm))
        for n in (1, 2)
    )
    for memories, same in (((last, last), True), ((first, last), False)):
        z = y
        for part, memory in zip(net.decoder.layers, memories, strict=True):
            z = decoder_layer(from_decoder_layer(part), z, memory)
        z = layer_norm(from_norm(net.decoder.norm), z)
        assert (np.abs(z - theirs).max() < 1e-10) == same


# C66: shapes


@settings(max_examples=25)
@given(SMALL, SMALL, SMALL, SMALL, SEEDS)
def test_own_queries_meet_keys_and_values_from_the_encoders_side(
    batch, target, source, n_heads, seed
):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    width = 2 * n_heads
    layers = layers_of(library(2, width, n_heads, post_norm, norm=False))
    y = rng.normal(size=(batch, target, width))
    memory = rng.normal(size=(batch, source, width))
    for part in cross_projections(layers, y, memory, None):
        assert part.queries.shape == (batch, target, width)
        assert part.keys.shape == part.values.shape == memory.shape
    seen = multi_head_attention(layers[0].cross_attention, y, memory)
    assert seen.weights.shape == (batch, n_heads, target, source)
    assert seen.output.shape == y.shape


# C69: where queries, keys and values come from


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 3), SEEDS)
def test_queries_come_from_the_words_so_far_keys_and_values_from_the_memory(
    target, n_layers, seed
):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers = layers_of(library(n_layers, 8, 2, post_norm, norm=False))
    y, memory = rng.normal(size=(target, 8)), rng.normal(size=(3, 8))
    causal = np.tri(target, dtype=bool)
    made = cross_projections(layers, y, memory, causal)
    later = y.copy()
    later[-1] = rng.normal(size=8)
    for old, new in zip(
        made, cross_projections(layers, later, memory, causal), strict=True
    ):
        np.testing.assert_array_equal(old.queries[:-1], new.queries[:-1])
        assert np.abs(old.queries[-1] - new.queries[-1]).max() > 0
        np.testing.assert_array_equal(old.keys, new.keys)
        np.testing.assert_array_equal(old.values, new.values)
    other = cross_projections(layers, y, rng.normal(size=(3, 8)), causal)
    np.testing.assert_array_equal(made[0].queries, other[0].queries)
    for n in range(n_layers):
        assert np.abs(made[n].keys - other[n].keys).max() > 0
        same = np.array_equal(made[n].queries, other[n].queries)
        assert same == (n == 0)  # layer 1 on has read the memory below


# The example


def test_the_example_translates():
    for words, best in (
        ("the river bank", ["la", "rive", "<end>"]),
        ("the money bank", ["la", "banque", "<end>"]),
    ):
        rows = probabilities(memory_of(words), f"<start> la {best[1]}")
        assert [TARGET[k] for k in rows.argmax(axis=1)] == best
        assert (rows.max(axis=1) > 0.85).all()
    p = probabilities(memory_of("the bank"))[-1, 4:]
    assert np.abs(p - 0.48).max() < 0.02  # undecided
    rows = probabilities(memory_of("the river bank"))
    np.testing.assert_allclose(
        rows[[0, 1, 1], [3, 4, 5]], [0.956, 0.868, 0.092], atol=1e-3
    )


def test_a_vector_of_the_memory_is_not_a_word():
    river, money = map(memory_of, ("the river bank", "the money bank"))
    for j in (0, 2):  # `the` or `bank` alone is enough
        only = np.arange(3)[None] == j
        assert probabilities(river, mask=only)[-1, 4] > 0.85
        assert probabilities(money, mask=only)[-1, 5] > 0.75
    swapped = probabilities(river[[2, 0, 1]])
    np.testing.assert_allclose(swapped, probabilities(river), atol=1e-12)


def test_a_memory_of_one_vector_leaves_nothing_to_choose():
    rng = np.random.default_rng(0)
    cross = EXAMPLE.decoder[0].cross_attention
    seen = multi_head_attention(
        cross, rng.normal(size=(5, 4)), rng.normal(size=(1, 4))
    )
    assert (seen.weights == 1).all()
    assert np.ptp(seen.output, axis=0).max() < 1e-12


def test_padding_of_the_source_needs_both_masks():
    alone = probabilities(memory_of("the money bank"))
    for n in (1, 2, 3):
        here = tokens("the money bank" + n * " <pad>", SOURCE)
        x, real = embed(EXAMPLE.source_embedding, here), (here != 0)[None]
        found = {}
        for in_encoder in (real, None):
            memory = encode(EXAMPLE.encoder, x, in_encoder)
            for in_decoder in (real, None):
                key = in_encoder is real, in_decoder is real
                found[key] = probabilities(memory, mask=in_decoder)
        gaps = {k: np.abs(p - alone).max() for k, p in found.items()}
        assert gaps.pop((True, True)) < 1e-12
        assert min(gaps.values()) > 1e-3
        assert found[False, False][-1, 4] > 0.85  # rive, beside money


# Mistakes and errors


def test_each_mistake_shows_or_raises():
    river, money, bank = map(
        memory_of, ("the river bank", "the money bank", "the bank")
    )
    right = MISTAKES["none"]
    np.testing.assert_array_equal(
        probabilities(river, cross=right), probabilities(river)
    )
    blind = MISTAKES["K, V of the target"]
    np.testing.assert_array_equal(
        probabilities(river, cross=blind), probabilities(money, cross=blind)
    )
    for name in ("Q of the memory", "Q, K, V of the memory"):
        with pytest.raises(ValueError, match=r"change must .* \(2, 4\)"):
            probabilities(river, cross=MISTAKES[name])
        silent = probabilities(bank, cross=MISTAKES[name])
        assert np.abs(silent - probabilities(bank)).max() > 0.005


def test_a_mask_of_the_wrong_shape_is_refused():
    y, memory = np.zeros((2, 4)), np.zeros((3, 4))
    with pytest.raises(TypeCheckError, match="target_mask"):
        decode(EXAMPLE.decoder, y, memory, np.ones((2, 3), dtype=bool))
    with pytest.raises(TypeCheckError, match="memory_mask"):
        decode(
            EXAMPLE.decoder, y, memory, None, np.ones((2, 2), dtype=bool)
        )
