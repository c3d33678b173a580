import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from snippets.datasets.dates import (
    END,
    START,
    encode,
    encode_iso,
    padded,
    pairs,
    split,
)
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.generation import (
    DATES,
    encode_source,
    greedy,
    load,
    next_logits,
)
from snippets.transformer.masking import shift
from snippets.transformer.multi_head_attention_torch import redraw
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    TARGET,
    arrays,
    count,
    sizes,
    tokens,
)
from snippets.transformer.scaled_dot_product_attention import softmax
from snippets.transformer.whole_transformer import tensors, transformer
from snippets.transformer.whole_transformer_torch import (
    Whole,
    from_whole,
    library_gap,
    moved,
    to_whole,
)

SMALL, SEEDS = st.integers(1, 4), st.integers(0, 2**31 - 1)
RIVER = tokens("the river bank", SOURCE)
LA_RIVE = tokens("<start> la rive", TARGET)


def numel(module):
    return sum(p.numel() for p in module.parameters())


def sentences(rng, batch, time, vocab, front=False):
    """Tokens, each row with one word or more, padded at one end."""
    found = rng.integers(1, vocab, size=(batch, time))
    for row, words in zip(
        found, rng.integers(1, time + 1, batch), strict=True
    ):
        row[: time - words] = 0
        if not front:
            row[:] = row[::-1].copy()
    return found


# The whole model


@settings(max_examples=20)
@given(
    st.tuples(SMALL, SMALL, SMALL),
    st.tuples(SMALL, SMALL, SMALL),
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    SEEDS,
)
def test_logits_are_those_of_pytorch_whatever_the_shapes(
    lengths, parts, vocabularies, choices, seed
):
    (batch, source, target), (n_heads, d_k, n_layers) = lengths, parts
    norm_first, last_norms, front = choices
    torch.manual_seed(seed)
    module = redraw(
        Whole(
            *vocabularies,
            n_heads * d_k,
            n_heads,
            n_layers,
            5,
            norm_first=norm_first,
        )
    )
    if not last_norms:
        module.stacks.encoder.norm = module.stacks.decoder.norm = None
    rng = np.random.default_rng(seed)
    s = sentences(rng, batch, source, vocabularies[0], front)
    t = sentences(rng, batch, target, vocabularies[1], front)
    arrange = pre_norm if norm_first else post_norm
    gap, without = library_gap(module, s, t, arrange)
    assert gap < 1e-10
    assert last_norms or without == gap
    again = to_whole(from_whole(module), norm_first)
    assert library_gap(again, s, t, arrange).whole < 1e-10


def test_the_last_norms_of_pytorch_matter_once_they_have_learnt():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    s, t = sentences(rng, 3, 5, 9), sentences(rng, 3, 4, 9)
    fresh = Whole(9, 9, 8, 2, 2, 16)
    assert 0 < library_gap(fresh, s, t, post_norm)[1] < 1e-4
    drawn = redraw(Whole(9, 9, 8, 2, 2, 16))
    assert library_gap(drawn, s, t, post_norm)[1] > 0.1
    plain = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    assert plain.encoder.norm is not None
    assert plain.decoder.norm is not None


def test_the_example_says_what_the_earlier_pages_found():
    logits = transformer(EXAMPLE, RIVER, LA_RIVE)
    shares = softmax(logits)
    assert [TARGET[k] for k in shares.argmax(axis=1)] == [
        "la",
        "rive",
        "<end>",
    ]
    np.testing.assert_allclose(
        shares[[0, 1, 1], [3, 4, 5]], [0.956, 0.868, 0.092], atol=1e-3
    )
    memory = encode_source(EXAMPLE, RIVER)
    for n in (1, 2, 3):
        np.testing.assert_allclose(
            logits[n - 1],
            next_logits(EXAMPLE, LA_RIVE[:n], memory),
            atol=1e-12,
        )
    assert greedy(EXAMPLE, RIVER, 1, 2, 9).tolist() == [*LA_RIVE, 2]
    s, t = RIVER[None], LA_RIVE[None]
    assert library_gap(to_whole(EXAMPLE), s, t, post_norm).whole < 1e-10


@settings(max_examples=15)
@given(SMALL, SMALL, SEEDS)
def test_padding_and_leading_axes_change_nothing(more, batch, seed):
    rng = np.random.default_rng(seed)
    s = rng.integers(1, 5, size=(2, batch, 3))
    t = rng.integers(1, 6, size=(2, batch, 4))
    logits = transformer(EXAMPLE, s, t)
    assert logits.shape == (2, batch, 4, 6)
    one = transformer(EXAMPLE, s[1, 0], t[1, 0])
    np.testing.assert_allclose(logits[1, 0], one, atol=1e-12)
    longer = [np.pad(x, ((0, 0), (0, 0), (0, more))) for x in (s, t)]
    np.testing.assert_allclose(
        transformer(EXAMPLE, *longer)[:, :, :4], logits, atol=1e-12
    )
    as_words = transformer(EXAMPLE, *longer, pad=-1)[:, :, :4]
    assert np.abs(as_words - logits).max() > 1e-6


@settings(max_examples=15)
@given(st.integers(0, 3), SEEDS)
def test_a_later_word_moves_no_earlier_logit(place, seed):
    rng = np.random.default_rng(seed)
    t = rng.integers(1, 6, size=4)
    other = t.copy()
    other[place] = t[place] % 5 + 1
    change = transformer(EXAMPLE, RIVER, other) - transformer(
        EXAMPLE, RIVER, t
    )
    assert not change[:place].any()
    assert change[place].any()


def test_tokens_without_a_row_and_wrong_batches_are_refused():
    with pytest.raises(ValueError, match=r"tokens must be 0 to 4"):
        transformer(EXAMPLE, np.array([5]), LA_RIVE)
    with pytest.raises(ValueError, match=r"tokens must be 0 to 5"):
        transformer(EXAMPLE, RIVER, np.array([-1]))
    with pytest.raises(TypeCheckError, match="target"):
        transformer(EXAMPLE, RIVER[None], LA_RIVE)


@settings(max_examples=15)
@given(SMALL, SMALL, SMALL, SEEDS)
def test_every_tensor_has_the_axes_that_are_named(
    batch, source, target, seed
):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = from_whole(redraw(Whole(5, 7, 6, 3, 2, 11)))
    s = sentences(rng, batch, source, 5)
    t = sentences(rng, batch, target, 7)
    numbers = dict(batch=batch, source=source, target=target, d_model=6)
    numbers |= {"n_heads": 3, "d_k": 2, "d_v": 2, "d_ff": 11, "vocab": 7}
    numbers["1"] = 1
    found = tensors(model, s, t)
    for axes, array in found.values():
        assert array.shape == tuple(numbers[axis] for axis in axes.split())
    np.testing.assert_array_equal(
        found["logits"][1], transformer(model, s, t)
    )
    np.testing.assert_allclose(
        found["memory"][1],
        encode_source(model, s, found["source mask"][1]),
        atol=1e-12,
    )


# Weights, tied and counted


@pytest.mark.parametrize("tables", [1, 2, 3])
def test_tied_matrices_stay_one_and_count_once(tables):
    module = Whole(7, 7, 4, 2, 3, 5, tables=tables)
    model = from_whole(module)
    expected = sum(sizes(4, 5, 3, 3)) + 4 * 4 + tables * 7 * 4 + 7
    assert count(model) == numel(module) == expected
    assert (model.source_embedding is model.target_embedding) == (
        tables == 1
    )
    assert (model.output.W is model.target_embedding) == (tables < 3)
    back = to_whole(model)
    assert numel(back) == numel(module)
    for mine, theirs in zip(
        arrays(model), arrays(from_whole(back)), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_the_base_model_has_63_million_numbers():
    with torch.device("meta"):
        base = Whole(37000, 37000, 512, 8, 6, 2048, tables=1)
    last = 2 * 2 * 512 + 37000
    assert (
        numel(base)
        == sum(sizes(512, 2048, 6, 6)) + 37000 * 512 + last
        == 63_121_544
    )


def test_tables_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="tables must be 1, 2 or 3, not 0"):
        Whole(5, 5, 4, 2, 1, 8, tables=0)
    with pytest.raises(ValueError, match="tables must be 2 or 3 for two"):
        Whole(5, 6, 4, 2, 1, 8, tables=1)


# A trained model


def test_the_dates_model_in_one_pass_agrees_with_greedy_decoding():
    model = load(DATES)
    told = pairs(np.random.default_rng(5), 60, split().held_out)
    told.isos[::9] = ["2001-02-03"] * len(told.isos[::9])
    s = padded([encode(text) for text in told.texts])
    inputs, labels = shift(padded([encode_iso(iso) for iso in told.isos]))
    logits = transformer(model, s, inputs, arrange=pre_norm)
    right = (logits.argmax(-1) == labels).all(axis=1)
    written = greedy(model, s, START, END, labels.shape[1], pre_norm)
    assert ((written[:, 1:] == labels).all(axis=1) == right).all()
    assert 0.8 < right.mean() < 0.95
    whole = to_whole(model, norm_first=True)
    assert library_gap(whole, s, inputs, pre_norm).whole < 1e-10


# Mistakes


def test_without_batch_first_words_attend_to_other_sentences():
    own, other = moved(5, 5, batch_first=True)
    assert own > 0.01
    assert other == 0
    own, other = moved(5, 5, batch_first=False)
    assert own == 0
    assert other > 0.01
    with pytest.raises(RuntimeError, match="attn_mask"):
        moved(4, 5, batch_first=False)


def test_a_forgotten_mask_of_the_memory_lets_padding_in():
    torch.manual_seed(0)
    module = Whole(9, 9, 8, 2, 1, 16).double()
    s, t = torch.tensor([[1, 2]]), torch.tensor([[1, 3]])
    right = module(s, t)
    longer = nn.functional.pad(s, (0, 2))
    torch.testing.assert_close(module(longer, t), right)
    inner = module.stacks.forward

    def forgetful(*args, memory_key_padding_mask, **more):
        return inner(*args, **more)

    module.stacks.forward = forgetful
    torch.testing.assert_close(module(s, t), right)
    assert (module(longer, t) - right).abs().max() > 1e-3


def test_a_target_padded_in_front_is_nan_without_gradients_only():
    torch.manual_seed(0)
    module = Whole(9, 9, 8, 2, 2, 16).eval()
    s, t = np.array([[1, 2]]), np.array([[0, 0, 1, 4]])
    assert library_gap(module, s, t, post_norm).whole < 1e-10
    with torch.no_grad():
        assert module(torch.tensor(s), torch.tensor(t)).isnan().all()
        one = Whole(9, 9, 8, 2, 1, 16).eval()  # no layer to spread it
        found = one(torch.tensor(s), torch.tensor(t)).isnan()
    assert found[0, :2].all()
    assert not found[0, 2:].any()


def test_dropout_is_on_until_eval():
    torch.manual_seed(0)
    module = Whole(9, 9, 8, 2, 1, 16, dropout=0.5)
    s = torch.tensor([[1, 2, 3]])
    assert not torch.equal(module(s, s), module(s, s))
    module.eval()
    assert torch.equal(module(s, s), module(s, s))
