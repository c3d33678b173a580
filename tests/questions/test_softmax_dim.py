import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from snippets.questions.softmax_dim import (
    along,
    implicit_dim,
    lowest_loss,
    sums_to_one,
)
from snippets.questions.softmax_dim_torch import train
from snippets.transformer.masking import causal_mask, cross_entropy
from snippets.transformer.scaled_dot_product_attention import (
    log_softmax,
    masked,
    softmax,
)

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


# C77: along the axis that dim names


@given(SHAPES, st.data(), SEEDS)
def test_softmax_runs_along_dim_each_line_apart_as_in_pytorch(
    shape, data, seed
):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).normal(size=shape)
    wanted = torch.softmax(torch.tensor(x), dim=axis).numpy()
    by_hand = along(lambda v: np.exp(v) / np.exp(v).sum(), x, axis)
    for found in (softmax(x, axis), along(softmax, x, axis), by_hand):
        np.testing.assert_allclose(found, wanted, atol=1e-10)
    np.testing.assert_allclose(wanted.sum(axis=axis), 1.0)
    assert axis % len(shape) in sums_to_one(wanted)
    logs = torch.log_softmax(torch.tensor(x), dim=axis).numpy()
    np.testing.assert_allclose(log_softmax(x, axis), logs, atol=1e-10)


@given(st.lists(st.integers(2, 4), min_size=2, max_size=4), SEEDS)
def test_a_line_does_not_move_with_the_others_and_only_one_axis_sums_to_one(
    shape, seed
):
    rng = np.random.default_rng(seed)
    for axis in range(len(shape)):
        x = 2.0 * rng.normal(size=shape)
        other = x.copy()
        line = [0] * len(shape)
        line[axis] = slice(None)
        other[tuple(line)] = rng.normal(size=shape[axis])
        moved = softmax(other, axis) != softmax(x, axis)
        assert moved[tuple(line)].any()
        moved[tuple(line)] = False
        assert not moved.any()
        assert sums_to_one(softmax(x, axis)) == [axis]


def test_over_the_queries_a_causal_mask_does_not_hide_the_future():
    x = np.random.default_rng(0).normal(size=(5, 4))
    other = x + (np.arange(5) == 4)[:, None]

    def outputs(x, axis):
        return softmax(masked(x @ x.T / 2, causal_mask(5)), axis) @ x

    right = np.abs(outputs(other, -1) - outputs(x, -1)).max(axis=1)
    wrong = np.abs(outputs(other, -2) - outputs(x, -2)).max(axis=1)
    np.testing.assert_array_equal(right[:4], 0.0)
    assert (wrong > 0.01).all()


# Without dim


@pytest.mark.parametrize("axes", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_without_dim_pytorch_warns_and_picks_what_we_say(axes, name):
    x = torch.randn((2,) * axes)
    f = getattr(functional, name)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        found = f(x)
    assert torch.equal(found, f(x, dim=implicit_dim(axes)))
    with pytest.raises(TypeError, match="dim"):
        torch.softmax(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(x, dim=-1)


# The loss


@given(st.integers(1, 50))
def test_a_softmax_before_the_loss_sets_a_floor(classes):
    floor = lowest_loss(classes)
    sure = torch.zeros(1, classes, dtype=torch.float64)
    sure[0, 0] = 1.0
    label = torch.tensor([0])
    assert abs(functional.cross_entropy(sure, label) - floor) < 1e-10
    logits = torch.randn(200, classes, dtype=torch.float64) * 5
    losses = functional.cross_entropy(
        logits.softmax(1), torch.zeros(200).long(), reduction="none"
    )
    assert losses.min() >= floor - 1e-12


def test_two_softmaxes_train_to_the_floor_and_a_worse_model():
    for classes in (3, 10):
        once, twice = (train(classes, two) for two in (False, True))
        assert once.right > 0.99
        assert once.training_loss < 0.05
        assert twice.training_loss > lowest_loss(classes)
    assert twice.right < once.right
    assert twice.cross_entropy > 10 * once.cross_entropy


@given(st.integers(1, 4), st.integers(2, 5), st.integers(2, 5), SEEDS)
def test_the_loss_takes_the_classes_from_axis_one(batch, time, vocab, seed):
    torch.manual_seed(seed % 2**31)
    logits = torch.randn(batch, time, vocab, dtype=torch.float64)
    labels = torch.randint(min(time, vocab), (batch, time))
    wanted = cross_entropy(logits.numpy(), labels.numpy(), ignore=-100)
    found = functional.cross_entropy(logits.mT, labels)
    flat = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert abs(found - wanted) < 1e-10
    assert abs(flat - wanted) < 1e-10
    if time == vocab:
        wrong = functional.cross_entropy(logits, labels)
        over_time = -np.take_along_axis(
            log_softmax(logits.numpy(), axis=1),
            labels.numpy()[:, None, :],
            axis=1,
        ).mean()
        assert abs(wrong - over_time) < 1e-10
    else:
        with pytest.raises(RuntimeError, match="Expected target size"):
            functional.cross_entropy(logits, labels)


# Limits and errors


def test_an_axis_of_one_gives_one_and_no_gradient():
    x = torch.tensor([[3.0], [-2.0]], requires_grad=True)
    p = x.softmax(dim=1)
    assert p.eq(1).all()
    (slope,) = torch.autograd.grad(p.square().sum(), x)
    assert slope.eq(0).all()
    np.testing.assert_array_equal(softmax(np.ones((2, 1))), 1.0)


def test_values_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="axis 2"):
        along(softmax, np.ones((2, 2)), 2)
    with pytest.raises(ValueError, match="classes must be at least 1"):
        lowest_loss(0)
    assert lowest_loss(1) == 0.0
    assert sums_to_one(np.full((2, 2), 0.5)) == [0, 1]
