"""The parts of a Transformer: their sizes, their weights, what waits."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from snippets.datasets import sunspots
from snippets.sequence_models.autoregressive_model import (
    order_errors,
    rmse,
    windows,
)
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    TARGET,
    Linear,
    arrays,
    count,
    linear,
    sizes,
    tokens,
)
from snippets.transformer.overview_torch import (
    forecaster,
    from_attention,
    from_decoder_layer,
    from_encoder_layer,
    from_linear,
    from_norm,
    longest_chain,
    one_position,
    stack,
)
from tests.book import DOCS, study_pages, text

DOUBLE = torch.float64
small = st.integers(1, 4)


def numel(module):
    return sum(p.numel() for p in module.parameters())


@given(st.lists(small, min_size=0, max_size=3), small, small, small)
def test_a_linear_layer_is_that_of_pytorch(batch, features, out, seed):
    torch.manual_seed(seed)
    module = nn.Linear(features, out, dtype=DOUBLE)
    x = torch.randn(*batch, features, dtype=DOUBLE)
    mine = linear(from_linear(module), x.numpy())
    np.testing.assert_allclose(mine, module(x).detach(), atol=1e-10)


def test_a_linear_layer_names_the_width_it_reads():
    layer = Linear(np.ones((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="x must have 3 features, not 4"):
        linear(layer, np.ones((5, 4)))
    with pytest.raises(TypeCheckError):
        linear(layer, np.ones((5, 3), int))


def test_words_become_numbers_and_strangers_are_named():
    assert tokens("the river bank", SOURCE).tolist() == [1, 2, 4]
    assert tokens("<start> la rive <end>", TARGET).tolist() == [1, 3, 4, 2]
    assert tokens("", SOURCE).shape == (0,)
    with pytest.raises(ValueError, match=r"words .*\['lake', 'sea'\]"):
        tokens("the sea lake", SOURCE)


def test_the_example_is_small_integers_with_a_tied_table():
    assert EXAMPLE.output.W is EXAMPLE.target_embedding
    values = np.concatenate([a.ravel() for a in arrays(EXAMPLE)])
    assert set(np.abs(values)) == {0, 1, 2}
    assert len(EXAMPLE.source_embedding) == len(SOURCE)
    assert len(EXAMPLE.target_embedding) == len(TARGET)
    assert count(EXAMPLE.encoder) == sum(sizes(4, 8, 1, 0)) == 172
    assert count(EXAMPLE.decoder) == sum(sizes(4, 8, 0, 1)) == 260
    tables = 4 * (len(SOURCE) + len(TARGET))
    assert count(EXAMPLE) == tables + 172 + 260 + len(TARGET)


def test_an_array_counts_once_however_often_it_is_used():
    W, b = np.ones((3, 2)), np.zeros(3)
    assert count((Linear(W, b), Linear(W, b.copy()))) == 6 + 3 + 3
    assert count((Linear(W, b), (W, b))) == 9
    assert count(None) == count(7) == 0


def test_every_layer_of_the_example_has_arrays_of_its_own():
    parts = (*EXAMPLE.encoder[0], *EXAMPLE.decoder[0])
    assert sum(map(count, parts)) == count(parts)


@given(small, small, st.integers(1, 9), small, small)
def test_the_formula_counts_what_pytorch_learns(heads, d, d_ff, n, m):
    d_model = heads * d
    options = {"batch_first": True}
    one = nn.TransformerEncoderLayer(d_model, heads, d_ff, **options)
    other = nn.TransformerDecoderLayer(d_model, heads, d_ff, **options)
    formula = sizes(d_model, d_ff, n, m)
    assert sum(formula) == n * numel(one) + m * numel(other)
    assert formula.attention == numel(one.self_attn) * n + m * (
        numel(other.self_attn) + numel(other.multihead_attn)
    )
    assert formula.norms == 2 * d_model * (2 * n + 3 * m)
    assert count(from_encoder_layer(one)) == numel(one)
    assert count(from_decoder_layer(other)) == numel(other)


def test_layers_share_structure_not_weights_and_a_decoder_has_more():
    """C36, with what the notes leave out."""
    torch.manual_seed(0)
    whole = nn.Transformer(8, 2, 3, 2, 16, batch_first=True)
    first, second, _ = whole.encoder.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    names = [[n for n, _ in x.named_parameters()] for x in (first, second)]
    assert names[0] == names[1]
    encoder = from_encoder_layer(first)._fields
    decoder = from_decoder_layer(whole.decoder.layers[0])._fields
    assert set(decoder) - set(encoder) == {"cross_attention", "norm_3"}
    last_norms = 2 * 2 * 8
    assert numel(whole) == sum(sizes(8, 16, 3, 2)) + last_norms


def test_copied_layers_start_equal_and_those_of_stack_do_not():
    torch.manual_seed(0)
    one = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    copies = nn.TransformerEncoder(one, 3)
    pairs = [
        list(
            zip(*(x.parameters() for x in encoder.layers[:2]), strict=True)
        )
        for encoder in (copies, stack(3, 8))
    ]
    assert all(torch.equal(a, b) for a, b in pairs[0])
    matrices = [(a, b) for a, b in pairs[1] if a.dim() > 1]
    assert len(matrices) == 4
    assert not any(torch.equal(a, b) for a, b in matrices)
    copies(torch.randn(4, 5, 8))[..., 0].square().mean().backward()
    torch.optim.SGD(copies.parameters(), 0.1).step()
    assert not any(torch.equal(a, b) for a, b in pairs[0])


@settings(max_examples=20)
@given(small, small, st.integers(1, 6), small)
def test_no_output_of_a_layer_waits_for_another(batch, half, time, seed):
    """C34: each is computed from the layer's inputs, in any order."""
    torch.manual_seed(seed)
    layer = stack(1, 2 * half, DOUBLE).layers[0]
    x = torch.randn(batch, time, 2 * half, dtype=DOUBLE)
    whole = layer(x)
    for t in torch.randperm(time).tolist():
        gap = one_position(layer, x, t) - whole[:, t]
        assert gap.abs().max() < 1e-10


def test_the_longest_chain_grows_with_layers_and_not_with_length():
    def rnn(time):
        cell, h = nn.RNNCell(4, 4), torch.zeros(1, 4)
        for x in torch.randn(time, 1, 4):
            h = cell(x, h)
        return longest_chain(h)

    chains = [
        [
            longest_chain(stack(n, 4)(torch.randn(1, t, 4)))
            for n in (1, 2, 3)
        ]
        for t in (2, 3, 50)
    ]
    assert chains[0] == chains[1] == chains[2]
    one, two, three = chains[0]
    assert two - one == three - two > 0
    assert rnn(20) - rnn(10) == rnn(30) - rnn(20) > 0


def test_a_chain_is_counted_along_the_longest_way():
    x = torch.ones(3, requires_grad=True)  # itself the first of the chain
    assert longest_chain(x * 2) == 2
    assert longest_chain((x * 2).exp() + x) == 4
    shared = x * 2
    assert longest_chain(shared.exp() * shared.exp().sin()) == 5
    with pytest.raises(ValueError, match="result must be computed"):
        longest_chain(torch.ones(3))


def test_stack_runs_as_many_layers_as_it_is_asked_for():
    torch.manual_seed(0)
    encoder, x = stack(3, 4, DOUBLE), torch.randn(2, 5, 4, dtype=DOUBLE)
    assert numel(encoder) == sum(sizes(4, 16, 3, 0))
    by_hand = x
    for layer in encoder.layers:
        by_hand = layer(by_hand)
    assert torch.equal(encoder(x), by_hand)


def test_an_encoder_learns_to_forecast_a_series_that_is_no_text():
    """C35: better than the last year, near a linear model."""
    years, numbers = sunspots()
    split = int(np.flatnonzero(years == 1900)[0])
    past, following = map(torch.tensor, windows(numbers / 100, 11))
    torch.manual_seed(0)
    model = forecaster(past[: split - 11], following[: split - 11])
    off = model.predict(past[split - 11 :]) - following[split - 11 :]
    error = 100 * rmse(off.detach().numpy())
    by_line = order_errors(numbers, split, range(12)).held_out[11]
    assert error < 1.4 * by_line < rmse(np.diff(numbers)[split - 1 :])
    assert model.learnt == sum(sizes(16, 16, 1, 0)) + 11 * 16 + 32 + 17


@settings(max_examples=20)
@given(small, small, small, small, st.booleans(), small)
def test_attention_keeps_its_three_projections_apart(
    n, d, k, v, bias, seed
):
    torch.manual_seed(seed)
    widths = {"kdim": k, "vdim": v, "bias": bias, "dtype": DOUBLE}
    for options in (widths, {"bias": bias, "dtype": DOUBLE}):
        module = nn.MultiheadAttention(n * d, n, **options)
        with torch.no_grad():  # they start at 0
            for name, weights in module.named_parameters():
                if name.endswith("bias"):
                    weights.normal_()
        mine = from_attention(module)
        assert mine.n_heads == n
        x = torch.randn(1, n * d, dtype=DOUBLE)
        key = torch.randn(1, mine.key.W.shape[1], dtype=DOUBLE)
        value = torch.randn(1, mine.value.W.shape[1], dtype=DOUBLE)
        # With one key the weight is 1: the values pass through.
        its = module(x, key, value)[0].detach().numpy()
        passed = linear(mine.output, linear(mine.value, value.numpy()))
        np.testing.assert_allclose(passed, its, atol=1e-10)


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_attention_that_adds_keys_is_refused(option):
    module = nn.MultiheadAttention(4, 2, **{option: True})
    with pytest.raises(ValueError, match=f"module must have no .*{option}"):
        from_attention(module)


def test_queries_and_keys_are_not_exchanged():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(3, 1, dtype=DOUBLE)
    x, source = torch.randn(2, 3, dtype=DOUBLE), torch.randn(4, 3).double()
    mine, its = from_attention(module), module(x, source, source)[1]
    q, k = linear(mine.query, x.numpy()), linear(mine.key, source.numpy())
    scores = np.exp(q @ k.T / np.sqrt(3))
    weights = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, its.detach(), atol=1e-10)


def test_layers_of_pytorch_are_copied_part_by_part():
    layer = nn.TransformerDecoderLayer(4, 2, 6)
    with torch.no_grad():
        for number, weights in enumerate(layer.parameters()):
            weights.fill_(number)
    copy = from_decoder_layer(layer)
    its = layer.multihead_attn.out_proj.weight.detach()
    assert np.array_equal(copy.cross_attention.output.W, its)
    assert np.array_equal(
        copy.feed_forward.inner.b, layer.linear1.bias.detach()
    )
    for mine, norm in (
        (copy.norm_1, layer.norm1),
        (copy.norm_2, layer.norm2),
        (copy.norm_3, layer.norm3),
    ):
        assert np.array_equal(mine.gain, norm.weight.detach())
        assert np.array_equal(mine.shift, norm.bias.detach())
    copy.norm_1.gain[:] = 99.0
    assert layer.norm1.weight.max() < 99


def test_what_has_no_bias_gets_zeros():
    assert not from_linear(nn.Linear(3, 2, bias=False)).b.any()
    assert from_norm(nn.LayerNorm(3, bias=False)).shift.tolist() == [0] * 3
    layer = nn.TransformerEncoderLayer(4, 2, 6, bias=False)
    assert not from_encoder_layer(layer).feed_forward.outer.b.any()


QUESTIONS = {
    "How are all words processed at once": "encoder queries-keys-values "
    "scaled-dot-product-attention context-changes-the-encoding "
    "cost-of-attention multi-head-attention positional-encoding",
    "What passes from the encoder to the decoder": "encoder-to-decoder",
    "How does the decoder generate": "masking generation sampling "
    "whole-transformer",
}


def test_three_questions_cover_the_pages_that_follow_in_order():
    """C37: every page of the part answers one of them."""
    page = text("transformer/overview.md")
    section = page.split("## Three questions")[1].split("\n## ")[0]
    items = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]
    for item, (question, pages) in zip(
        items, QUESTIONS.items(), strict=True
    ):
        assert item.startswith(question)
        assert re.findall(r"\]\((.*?)\.md\)", item) == pages.split()
    linked = " ".join(QUESTIONS.values()).split()
    before = {"why-not-recurrence", "overview"}
    part = [Path(p) for p in study_pages() if p.startswith("transformer/")]
    following = [page.stem for page in part if page.stem not in before]
    assert following == linked


def test_the_drawing_has_every_part_that_a_page_can_light():
    drawing = (DOCS / "transformer/model.svg").read_text()
    groups = re.findall(r'<g class="part ([^"]*)"', drawing)
    drawn = {name for group in groups for name in group.split()}
    styles = (DOCS.parent / "theme/css/book.css").read_text()
    for part in ("encoder", "self-attention", "feed-forward", "positions",
                 "cross-attention", "mask", "output"):  # fmt: skip
        assert part in drawn
        assert f".lit-{part} .part:not(.{part})" in styles
