import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch.nn.functional import cross_entropy as library

from snippets.transformer.encoder import position_influence
from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.encoder_torch import shaken
from snippets.transformer.masking import (
    causal_mask,
    combine,
    cross_entropy,
    padding_mask,
    shift,
)
from snippets.transformer.masking_torch import (
    chain,
    free_run,
    legal,
    train,
)
from snippets.transformer.overview import EXAMPLE
from snippets.transformer.overview_torch import from_decoder_layer

SMALL = st.integers(1, 5)
SEEDS = st.integers(0, 2**31 - 1)


def two_layers(seed, d_model=4, n_heads=2, n_layers=2):
    torch.manual_seed(seed)
    layer = torch.nn.TransformerDecoderLayer(
        d_model, n_heads, 8, batch_first=True
    )
    net = torch.nn.TransformerDecoder(layer, n_layers)
    return shaken(net.double(), scale=1.0)


# The masks


@given(st.integers(1, 9))
def test_a_position_may_look_at_itself_and_back(time):
    mask = causal_mask(time)
    for i in range(time):
        assert mask[i].tolist() == [j <= i for j in range(time)]
    square = torch.nn.Transformer.generate_square_subsequent_mask(time)
    np.testing.assert_array_equal(mask, torch.isfinite(square).numpy())


@given(SMALL, SMALL, SEEDS)
def test_combined_masks_say_true_where_all_do(batch, time, seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 3, size=(batch, time))
    real = padding_mask(tokens, 0)
    assert real.shape == (batch, 1, time)
    both = combine(causal_mask(time), real)
    for b in range(batch):
        for i in range(time):
            for j in range(time):
                assert both[b, i, j] == (j <= i and tokens[b, j] != 0)
    np.testing.assert_array_equal(combine(both), both)


def test_a_single_sentence_needs_no_batch():
    assert padding_mask(np.array([3, 1, 0]), 0).tolist() == [
        [True, True, False]
    ]


# The shift and the loss


@given(SMALL, st.integers(2, 6), SEEDS)
def test_the_label_of_a_position_is_the_next_token(batch, time, seed):
    tokens = np.random.default_rng(seed).integers(9, size=(batch, time))
    inputs, labels = shift(tokens)
    assert inputs.shape == labels.shape == (batch, time - 1)
    for t in range(time - 1):
        np.testing.assert_array_equal(inputs[:, t], tokens[:, t])
        np.testing.assert_array_equal(labels[:, t], tokens[:, t + 1])


@given(SMALL, SMALL, SMALL, st.sampled_from([0, -100]), SEEDS)
def test_the_loss_is_that_of_pytorch(batch, time, vocab, ignore, seed):
    rng = np.random.default_rng(seed)
    logits = 10 * rng.normal(size=(batch, time, vocab + 1))
    labels = rng.integers(vocab + 1, size=(batch, time))
    labels[rng.random(labels.shape) < 0.4] = ignore
    labels[0, 0] = vocab
    theirs = library(
        torch.tensor(logits).mT, torch.tensor(labels), ignore_index=ignore
    )
    ours = cross_entropy(logits, labels, ignore)
    assert abs(ours - theirs.item()) < 1e-12


def test_the_loss_is_finite_for_huge_logits_and_blind_to_ignored_ones():
    logits = np.array([[1e4, 0.0], [np.nan, np.inf]])
    assert cross_entropy(logits, np.array([1, 7]), 7) == 1e4
    assert cross_entropy(logits, np.array([0, 7]), 7) == 0.0


# C68: the future


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(1, 4), SEEDS)
def test_a_future_token_moves_no_earlier_output_through_any_layers(
    time, n_layers, seed
):
    rng = np.random.default_rng(seed)
    net = two_layers(seed, n_layers=n_layers)
    layers = [from_decoder_layer(part) for part in net.layers]
    y, memory = rng.normal(size=(time, 4)), rng.normal(size=(3, 4))
    t = int(rng.integers(1, time))
    other = y.copy()
    other[t:] = rng.normal(size=(time - t, 4))
    before, after = (
        decode(layers, z, memory, causal_mask(time)) for z in (y, other)
    )
    np.testing.assert_array_equal(before[:t], after[:t])
    assert (np.abs(before[t:] - after[t:]).max(axis=1) > 0).all()
    # one pass is as good as one pass for each beginning
    part = decode(layers, y[:t], memory, causal_mask(t))
    np.testing.assert_allclose(part, before[:t], atol=1e-10)


def test_without_the_mask_earlier_outputs_move():
    rng = np.random.default_rng(0)
    y, memory = rng.normal(size=(4, 4)), rng.normal(size=(3, 4))
    other = y.copy()
    other[3] = rng.normal(size=4)
    before, after = (
        decode(EXAMPLE.decoder, z, memory, None) for z in (y, other)
    )
    assert (np.abs(before - after).max(axis=1) > 1e-6).all()


def test_no_gradient_reaches_a_future_input():
    net = two_layers(0)
    y = torch.randn(1, 4, 4, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(1, 3, 4, dtype=torch.float64)
    out = net(y, memory, tgt_mask=torch.tensor(~causal_mask(4)))
    for i in range(4):
        (slope,) = torch.autograd.grad(
            out[0, i].square().sum(), y, retain_graph=True
        )
        sizes = slope[0].norm(dim=-1)
        assert (sizes[i + 1 :] == 0).all()
        assert (sizes[: i + 1] > 0).all()

    layers = [from_decoder_layer(part) for part in net.layers]

    def by_scratch(z):
        m = np.broadcast_to(memory[0].numpy(), (len(z), 3, 4))
        return decode(layers, z, m, causal_mask(4))

    sizes = position_influence(by_scratch, y[0].detach().numpy())
    assert not np.triu(sizes, 1).any()
    assert np.tril(sizes).any(axis=1).all()


def test_without_the_mask_the_loss_cheats_and_the_model_cannot_write():
    bound = np.log(2)
    right = train()
    assert bound - 0.03 < right.last_loss < bound + 0.1
    assert legal(free_run(right.model, chain(500, 1), 8)) > 0.95
    blind = train(mask=False)
    assert bound / 8 < blind.last_loss < 0.3  # far below what is possible
    assert legal(free_run(blind.model, chain(500, 1), 8)) < 0.7


def test_a_wrong_shift_learns_to_copy_or_to_skip():
    copy = train(ahead=0)
    assert copy.last_loss < 0.05
    assert legal(free_run(copy.model, chain(500, 1), 8)) < 0.05
    skip = train(ahead=2)
    assert 1.5 * np.log(2) - 0.05 < skip.last_loss < 1.2
    assert legal(free_run(skip.model, chain(500, 1), 8)) < 0.4


def test_until_the_first_mistake_forced_and_free_are_the_same():
    run = train(kept=True, updates=80)
    torch.manual_seed(1)
    true = chain(4000, 8, kept=True)
    with torch.no_grad():
        shares = run.model(true)[:, 1:7].softmax(-1)
    forced = shares.gather(2, true[:, 2:, None])[..., 0]
    ok = (free_run(run.model, true[:, :2], 8) == true)[:, 2:]
    whole = forced.prod(dim=1).mean()
    assert abs(whole - ok.all(dim=1).double().mean()) < 0.04
    assert forced.mean() > ok.double().mean() + 0.03


@given(SMALL, st.integers(2, 9), st.booleans())
def test_the_data_are_steps_of_one_or_two_or_of_one_kept_size(
    size, time, kept
):
    tokens = chain(size, time, kept)
    assert tokens.shape == (size, time)
    steps = tokens.diff(dim=1) % 6
    if kept:
        assert (steps == steps[:, :1]).all()
        assert (steps > 0).all()
    else:
        assert legal(tokens) == 1.0


# Errors


def test_wrong_values_are_refused_by_name():
    with pytest.raises(ValueError, match="time must be at least 1, not 0"):
        causal_mask(0)
    with pytest.raises(ValueError, match="masks must be one"):
        combine()
    with pytest.raises(ValueError, match="tokens must be at least 2"):
        shift(np.array([[1]]))
    logits = np.zeros((2, 3))
    with pytest.raises(ValueError, match="labels must not all be 0"):
        cross_entropy(logits, np.array([0, 0]), 0)
    for label in (-1, 3):
        with pytest.raises(ValueError, match="labels must be 0 to 2, or 0"):
            cross_entropy(logits, np.array([1, label]), 0)
    with pytest.raises(TypeCheckError, match="masks"):
        combine(np.zeros((2, 2)))
