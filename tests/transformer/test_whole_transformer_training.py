"""The whole Transformer, trained: rate, smoothed labels, the copy task."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmarks import copy_task as benchmark
from snippets.transformer.generation import greedy
from snippets.transformer.masking import cross_entropy
from snippets.transformer.overview import EXAMPLE
from snippets.transformer.whole_transformer import (
    copied,
    copy_task,
    rate,
    smoothed_cross_entropy,
    smoothing_floor,
)
from snippets.transformer.whole_transformer_torch import (
    Whole,
    from_whole,
    learn,
    untrained,
)

SMALL, SEEDS = st.integers(1, 4), st.integers(0, 2**31 - 1)


def test_rows_of_variance_1_by_d_fit_both_jobs():
    wide, bare, small, right = (
        untrained(*choice)
        for choice in ((1, 16), (1, 1), (1 / 16, 1), (1 / 16, 16))
    )
    blind = np.log(1000)
    assert min(wide.loss, bare.loss) > 10 * blind
    assert max(small.loss, right.loss) < 1.2 * blind
    assert max(abs(x.logits - 1) for x in (small, right)) < 0.2
    assert abs(right.inputs - 1) < 0.1
    assert small.inputs < 0.1
    assert right.repeats > 0.9
    assert small.repeats < 0.1
    fresh = Whole(1000, 1000, 64, 2, 1, 8)
    for table in (fresh.source_embedding, fresh.output):
        assert abs(64 * table.weight.var().item() - 1) < 0.05


def test_the_rate_rises_to_its_peak_and_falls():
    n = np.arange(1, 2001)
    found = rate(n, 64, warmup=300)
    assert found.argmax() == 299
    assert np.isclose(found.max(), (64 * 300) ** -0.5)
    assert np.allclose(np.diff(found[:300]), found[0])
    assert np.isclose(found[1199], found[299] / 2)  # 4 times the steps
    with pytest.raises(ValueError, match="step must count from 1, not fr"):
        rate(np.arange(3), 64)
    with pytest.raises(ValueError, match="warmup must be positive, not 0"):
        rate(n, 64, 0)


@given(SMALL, st.integers(2, 9), st.floats(0, 1), SEEDS)
def test_smoothed_cross_entropy_is_pytorchs(batch, vocab, epsilon, seed):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(batch, 3, vocab))
    labels = rng.integers(0, vocab, size=(batch, 3))
    labels[0, 0] = 1
    theirs = nn.functional.cross_entropy(
        torch.tensor(logits).mT,
        torch.tensor(labels),
        ignore_index=0,
        label_smoothing=epsilon,
    )
    ours = smoothed_cross_entropy(logits, labels, 0, epsilon)
    assert abs(ours - theirs.item()) < 1e-10
    hard = smoothed_cross_entropy(logits, labels, 0, 0.0)
    assert hard == cross_entropy(logits, labels, 0)
    assert ours >= smoothing_floor(vocab, epsilon) - 1e-12


@given(st.integers(2, 50), st.floats(0.01, 1), st.floats(1.01, 3))
def test_the_floor_is_reached_and_a_surer_model_pays(vocab, epsilon, more):
    label = np.full(vocab, epsilon / vocab)
    label[0] += 1 - epsilon
    best, right = np.log(label)[None], np.array([0])
    floor = smoothing_floor(vocab, epsilon)
    loss = smoothed_cross_entropy(best, right, -1, epsilon)
    assert abs(loss - floor) < 1e-9
    if epsilon < 0.9:
        surer = smoothed_cross_entropy(more * best, right, -1, epsilon)
        assert surer > floor
    assert smoothing_floor(vocab, 0.0) == 0.0


def test_shares_and_vocabularies_that_cannot_be_are_refused():
    for epsilon in (-0.1, 1.1):
        with pytest.raises(ValueError, match="epsilon must be 0 to 1"):
            smoothing_floor(5, epsilon)
        with pytest.raises(ValueError, match="epsilon must be 0 to 1"):
            smoothed_cross_entropy(
                np.zeros((1, 5)), np.array([1]), 0, epsilon
            )
    with pytest.raises(ValueError, match="vocab must be positive, not 0"):
        smoothing_floor(0, 0.1)


@given(st.integers(0, 30), st.integers(2, 7), st.integers(6, 12), SEEDS)
def test_held_out_sequences_are_never_trained_on(size, time, symbols, seed):
    rng = np.random.default_rng(seed)
    for held_out in (False, True):
        found = copy_task(rng, size, time, symbols, held_out)
        assert found.shape == (size, time)
        assert (found[:, 0] == 1).all()
        assert ((found >= 1) & (found < symbols)).all()
        assert ((found.sum(axis=1) % 5 == 0) == held_out).all()
    first, again = (
        copy_task(np.random.default_rng(seed), 9, time) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_a_copy_task_without_sequences_to_draw_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="time must be at least 2, not 1"):
        copy_task(rng, 3, time=1)
    with pytest.raises(ValueError, match="symbols must be at least 6, not"):
        copy_task(rng, 3, symbols=5)


def test_the_copy_task_is_learnt_and_the_loss_reaches_its_floor():
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    module = Whole(11, 11, 32, 2, 1, 64, tables=1)
    test = copy_task(rng, 200, 6, held_out=True)
    assert copied(from_whole(module), test) < 0.1
    batches = (copy_task(rng, 80, 6) for _ in range(200))
    losses = list(learn(module, batches, warmup=100))
    floor = smoothing_floor(11, 0.1)
    assert len(losses) == 200
    assert min(losses) > floor - 1e-4  # float32
    assert np.mean(losses[-10:]) < floor + 0.1
    model = from_whole(module)
    assert copied(model, test) > 0.8
    wrong = test[:, [0, 2, 1, 3, 4, 5]]  # a copy is not any sequence
    told = greedy(model, test, 1, 0, 5)
    assert (told == wrong).all(axis=1).mean() < 0.3


def test_a_model_that_ends_at_once_copies_nothing():
    bias = np.array([99.0, 0, 0, 0, 0, 0])
    mute = EXAMPLE._replace(output=EXAMPLE.output._replace(b=bias))
    assert copied(mute, np.ones((3, 4), dtype=int)) == 0.0


def test_the_first_step_is_as_long_as_the_rate_says():
    torch.manual_seed(0)
    module = Whole(11, 11, 8, 2, 1, 16)
    before = nn.utils.parameters_to_vector(module.parameters()).detach()
    batch = copy_task(np.random.default_rng(0), 8)
    list(learn(module, [batch], warmup=50))
    after = nn.utils.parameters_to_vector(module.parameters()).detach()
    step = (after - before).abs().max().item()  # Adam's first: the rate
    assert np.isclose(step, rate(np.array([1]), 8, 50)[0], rtol=1e-3)


def test_the_benchmark_trains_until_all_is_copied(monkeypatch, capsys):
    benchmark.main([3], longest=2)
    out = capsys.readouterr().out
    assert "11 symbols, 10 tokens, batches of 80" in out
    assert "   3  234,443      2" in out
    monkeypatch.setattr(benchmark, "copied", lambda *_: 1.0)
    run = benchmark.run(0, longest=5, every=2)
    assert run.steps == 2
    assert run.copied == run.copied_others == 1.0
    assert run.seconds > 0
    monkeypatch.setattr(benchmark, "copied", lambda *_: 0.5)
    run = benchmark.run(0, longest=1, every=2)  # gives up, and says so
    assert (run.steps, run.copied) == (1, 0.5)
    assert run.seconds > 0
