import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snippets.transformer.encoder import (
    MISTAKES,
    best_guesses,
    error_left,
    gelu,
    lookup_task,
)
from snippets.transformer.encoder_torch import Block, gaps, probe, shaken

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32 - 1)


def test_each_unit_holds_about_one_fact_and_none_without_a_relu():
    rng = np.random.default_rng(3)
    for d_ff in (16, 32, 48):
        left, linear_left = error_left(d_ff, 64, 16, rng)
        assert abs(left - (1 - (d_ff + 1) / 64)) < 0.1
        assert abs(linear_left - (1 - 17 / 64)) < 0.1
    assert error_left(64, 64, 16, rng)[0] < 1e-12
    assert error_left(500, 64, 16, rng)[1] > 0.6


def test_last_gradients_with_post_norm_are_larger_by_the_root_of_depth():
    ratios = []
    for n in (2, 20):
        post = probe("post-norm", n_layers=n, seed=1).by_layer[-1]
        pre = probe("pre-norm", n_layers=n, seed=1, last_norm=True)
        ratios.append(post / pre.by_layer[-1] / n**0.5)
    assert 0.6 < min(ratios) < max(ratios) < 1.6
    grown = [probe("pre-norm", n_layers=n).size for n in (5, 20)]
    assert 1.5 < grown[1] / grown[0] < 2.5


def test_what_the_best_guesses_can_reach():
    task = lookup_task(4000, 8, 4, np.random.default_rng(0))
    best = best_guesses(task)
    assert abs(best["alone"][0] - 11 / 32) < 0.01
    assert abs(best["average"][0] - 0.52) < 0.02
    assert best["attention"] == (1, 1)
    assert abs(best["alone"][1] - 0.63) < 0.02


@given(SMALL, st.integers(1, 9), SMALL, SEEDS)
def test_the_answers_of_the_task_are_right(size, time, n_values, seed):
    task = lookup_task(size, time, n_values, np.random.default_rng(seed))
    for names, values, asked, found, high in zip(*task, strict=True):
        table = dict(zip(names, values, strict=True))
        assert sorted(table) == list(range(time))
        assert [table[name] for name in asked] == list(found)
        assert set(high) == {int(values.mean() > (n_values - 1) / 2)}


def test_a_block_is_pytorchs_layer_and_averages_or_stays_alone_if_told():
    torch.manual_seed(0)
    net = nn.TransformerEncoderLayer(6, 1, 9, batch_first=True)
    layer = shaken(net.double())
    for wiring, first in (("post-norm", False), ("pre-norm", True)):
        blocks = {
            mixing: Block(6, 9, mixing, wiring).double()
            for mixing in ("attention", "average", "alone")
        }
        state = layer.state_dict()
        kinds = ("query", "key", "value")
        for kind in ("weight", "bias"):
            stacked = state.pop(f"self_attn.in_proj_{kind}").chunk(3)
            for name, part in zip(kinds, stacked, strict=True):
                state[f"{name}.{kind}"] = part
        renamed = {"self_attn.out_proj": "output", "linear1": "inner"}
        renamed |= {
            "linear2": "outer",
            "norm1": "norm_1",
            "norm2": "norm_2",
        }
        for old, new in renamed.items():
            for kind in ("weight", "bias"):
                state[f"{new}.{kind}"] = state.pop(f"{old}.{kind}")
        for block in blocks.values():
            block.load_state_dict(state)
        layer.norm_first = first
        x = torch.randn(2, 5, 6, dtype=torch.float64)
        torch.testing.assert_close(blocks["attention"](x), layer(x))
        mixed = blocks["average"].mix(x)
        torch.testing.assert_close(mixed, mixed[:, :1].expand(2, 5, 6))
        alone = blocks["alone"]
        torch.testing.assert_close(
            alone.mix(x), alone.output(alone.value(x))
        )
    with pytest.raises(ValueError, match="mixing is unknown: fourier"):
        Block(6, 9, "fourier", "pre-norm")


def test_each_mistake_shows_except_one_that_needs_other_weights():
    torch.manual_seed(1)
    net = nn.TransformerEncoderLayer(16, 4, 64, batch_first=True).double()
    x = np.random.default_rng(0).normal(size=(5, 16))
    for name, build in MISTAKES.items():
        first, other = gaps(build, net.eval(), x)
        if name == "none":
            assert max(first, other) < 1e-10
        elif name == "one norm for both":
            assert first < 1e-10 < 0.1 < other
        else:
            assert min(first, other) > 1e-3, name


@given(SEEDS)
def test_gelu_is_that_of_pytorch(seed):
    a = 3 * np.random.default_rng(seed).normal(size=(2, 3))
    np.testing.assert_allclose(
        gelu(a), nn.functional.gelu(torch.tensor(a)), atol=1e-12
    )
