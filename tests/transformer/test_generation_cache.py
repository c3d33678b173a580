import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.transformer.cost_of_attention import counted
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.generation import (
    encode_source,
    greedy,
    next_logits,
    start_cache,
    step,
)
from snippets.transformer.masking import causal_mask, padding_mask
from snippets.transformer.overview import EXAMPLE, arrays, count
from snippets.transformer.positional_encoding import embed
from tests.transformer.generation_models import VOCAB, random_model

SEEDS = st.integers(0, 2**31 - 1)
ARRANGES = st.sampled_from([post_norm, pre_norm])
SMALL = st.integers(1, 4)


@settings(max_examples=15)
@given(SEEDS, SMALL, SMALL, SMALL, SMALL, SMALL, ARRANGES, st.booleans())
def test_each_step_equals_computing_all_again(
    seed, batch, n_layers, n_heads, d_k, source, arrange, last_norms
):
    rng = np.random.default_rng(seed)
    model = random_model(seed, n_layers, n_heads, d_k, last_norms)
    texts = rng.integers(1, VOCAB, size=(batch, source))
    texts[0, 1:] = 0  # padding, but not in the first place
    mask = padding_mask(texts, 0)
    memory = encode_source(model, texts, mask, arrange)
    words = rng.integers(VOCAB, size=(batch, 5))
    cache = start_cache(model, memory, mask)
    for t in range(5):
        logits, cache = step(model, cache, words[:, t : t + 1], arrange)
        full = next_logits(model, words[:, : t + 1], memory, mask, arrange)
        np.testing.assert_allclose(logits, full, atol=1e-10)
        for kept in cache.layers:
            shape = (batch, n_heads, t + 1, d_k)
            assert kept.keys.shape == kept.values.shape == shape
    d_model = n_heads * d_k
    floats = 2 * n_layers * batch * (5 + source) * d_model
    assert count(cache.layers) == floats


@settings(max_examples=5)
@given(SEEDS, ARRANGES)
def test_greedy_with_a_cache_writes_the_same(seed, arrange):
    model = random_model(seed)
    source = np.random.default_rng(seed).integers(1, VOCAB, size=4)
    memory = encode_source(model, source, None, arrange)
    cache, words = start_cache(model, memory), [1]
    while len(words) <= 6 and 2 not in words[1:]:
        logits, cache = step(model, cache, np.array(words[-1:]), arrange)
        words.append(int(logits.argmax()))
    assert words == greedy(model, source, 1, 2, 6, arrange).tolist()


def test_a_step_leaves_the_old_cache_as_it_was():
    memory = encode_source(EXAMPLE, np.array([1, 2, 4]))
    _, old = step(EXAMPLE, start_cache(EXAMPLE, memory), np.array([1]))
    before = [array.copy() for array in arrays(old.layers)]
    _, new = step(EXAMPLE, old, np.array([3]))
    for array, copy in zip(arrays(old.layers), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(
        new.layers[0].keys[:, :1], old.layers[0].keys
    )
    assert new.layers[0].memory_keys is old.layers[0].memory_keys


def test_a_sentence_needs_no_batch():
    memory = encode_source(EXAMPLE, np.array([1, 2, 4]))
    logits, _ = step(EXAMPLE, start_cache(EXAMPLE, memory), np.array([1]))
    np.testing.assert_allclose(
        logits, next_logits(EXAMPLE, np.array([1]), memory), atol=1e-12
    )


def test_a_word_out_of_the_vocabulary_is_refused():
    memory = encode_source(EXAMPLE, np.array([1, 2, 4]))
    cache = start_cache(EXAMPLE, memory)
    for word in (-1, 6):
        with pytest.raises(ValueError, match="words must be 0 to 5"):
            step(EXAMPLE, cache, np.array([word]))


def test_rows_stay_as_they_were_with_the_mask_only():
    model = random_model(0, n_layers=2)
    memory = encode_source(model, np.array([3, 4]))
    y = embed(model.target_embedding, np.array([1, 3, 4, 5]))

    def moved(layers, masks):
        early, late = (
            decode(layers, y[:t], memory, mask)
            for t, mask in zip((2, 4), masks, strict=True)
        )
        return np.abs(late[:2] - early).max()

    causal = (causal_mask(2), causal_mask(4))
    assert moved(model.decoder, causal) < 1e-12
    assert moved(model.decoder, (None, None)) > 1e-6
    for n, needed in ((1, False), (2, True)):
        layers = model.decoder[:n]
        with_mask = decode(layers, y, memory, causal[1])[-1]
        without = decode(layers, y, memory, None)[-1]
        assert (np.abs(with_mask - without).max() > 1e-6) == needed


def bare(norm, x, sublayer):
    """A norm multiplies no matrices."""
    return x + sublayer(x)


@settings(max_examples=6)
@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_the_formulas_count_the_multiplications(n, n_layers, h, d_k, m):
    model = random_model(0, n_layers, h, d_k, last_norms=False)
    table = counted(model.target_embedding.copy())
    model = model._replace(target_embedding=table)
    d, f, V = h * d_k, 5, VOCAB
    memory = counted(np.ones((m, d)))
    memory.tally = table.tally
    t = np.arange(1, n + 1)
    for words in t:
        next_logits(model, np.full(words, 3), memory, arrange=bare)
    row = n_layers * (6 * d**2 + 2 * d * f) + d * V
    again = t * row + n_layers * (2 * (t + m) * t * d + 2 * m * d**2)
    assert table.tally["multiplications"] == again.sum()
    table.tally.clear()
    cache = start_cache(model, memory)
    for _ in t:
        _, cache = step(model, cache, np.array([3]), bare)
    cached = (
        n_layers * 2 * m * d**2 + (row + n_layers * 2 * (t + m) * d).sum()
    )
    assert table.tally["multiplications"] == cached
