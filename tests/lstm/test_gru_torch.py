import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from snippets.lstm import gru_torch
from snippets.lstm.gru import (
    GRU,
    after,
    before,
    influence,
    initial,
    jacobian,
    reset_gate,
    run,
)
from snippets.lstm.gru_torch import from_torch, to_torch

SMALL = st.integers(1, 4)
STEPS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)


def random_gru(rng, features, hidden, scale=3.0):
    gru = initial(features, hidden, rng)
    return GRU(*(type(part)(*(scale * w for w in part)) for part in gru))


def library(features, hidden, **settings):
    return torch.nn.GRU(
        features, hidden, batch_first=True, dtype=torch.float64, **settings
    )


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# The form of PyTorch


def stack(layers, x, h, mask):
    """Layers of one direction, or two; `h` has a row for each of them.

    The second direction reads from the end, and so meets the padding first
    and keeps its own start.
    """
    last = []
    for directions in layers:
        outputs = []
        for gru, way in zip(directions, (1, -1), strict=False):
            states, end = run(
                gru, x[:, ::way], h[len(last)], mask=mask[:, ::way]
            )
            outputs.append(states[:, ::way] * mask[:, :, None])
            last.append(end)
        x = np.concatenate(outputs, axis=2)
    return x, np.stack(last)


@given(
    st.tuples(SMALL, STEPS, SMALL, SMALL), st.integers(1, 3),
    st.booleans(), SEEDS,
)  # fmt: skip
def test_layers_directions_and_lengths_are_the_librarys(
    sizes, layers, two, seed
):
    batch, time, features, hidden = sizes
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    module = library(features, hidden, num_layers=layers, bidirectional=two)
    x = normal(batch, time, features)
    h = normal(layers * (1 + two), batch, hidden)
    lengths = rng.integers(1, time + 1, size=batch)
    lengths[rng.integers(batch)] = time
    packed = pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        expected, h_n = module(packed, h)
        output, _ = pad_packed_sequence(expected, batch_first=True)
        full, h_full = module(x, h)
    mask = np.arange(time) < lengths[:, None]
    spoilt = np.where(mask[:, :, None], x.numpy(), np.nan)  # never read
    cells = from_torch(module)
    assert [len(layer) for layer in cells] == layers * [1 + two]
    got, last = stack(cells, spoilt, h.numpy(), mask)
    np.testing.assert_allclose(got, output, atol=1e-10)
    np.testing.assert_allclose(last, h_n, atol=1e-10)
    got, last = stack(cells, x.numpy(), h.numpy(), np.ones_like(mask))
    np.testing.assert_allclose(got, full, atol=1e-10)
    np.testing.assert_allclose(last, h_full, atol=1e-10)


@given(SMALL, STEPS, SMALL, SMALL, SEEDS)
def test_copied_weights_go_there_and_back(
    batch, time, features, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden)
    [[again]] = from_torch(to_torch(gru))
    for ours, theirs in zip(gru, again, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    x = rng.normal(size=(batch, time, features))
    h = rng.normal(size=(batch, hidden))
    with torch.no_grad():
        theirs, _ = to_torch(gru)(torch.tensor(x), torch.tensor(h)[None])
    np.testing.assert_allclose(run(gru, x, h)[0], theirs, atol=1e-10)


@given(SMALL, STEPS, SMALL, SMALL, SEEDS)
def test_the_loop_in_torch_has_the_librarys_states_and_gradient(
    batch, time, features, hidden, seed
):
    torch.manual_seed(seed)
    module = library(features, hidden)
    weights = list(module.parameters())
    x, h = normal(batch, time, features), normal(batch, hidden)
    leaves = [x.requires_grad_(), h.requires_grad_(), *weights]
    ours = gru_torch.run(x, h, weights)
    theirs, _ = module(x, h[None])
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-10)
    toward = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad((ours * toward).sum(), leaves),
        torch.autograd.grad((theirs * toward).sum(), leaves),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, atol=1e-10)


@given(SMALL, SMALL, SMALL, SEEDS)
def test_the_jacobian_is_autograds(batch, features, hidden, seed):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden)
    x, h = (
        rng.normal(size=(batch, features)),
        rng.normal(size=(batch, hidden)),
    )
    weights = to_torch(gru).all_weights[0]
    for row, (x_row, h_row) in zip(
        jacobian(gru, x, h), zip(x, h, strict=True), strict=True
    ):
        now = torch.tensor(x_row)[None, None]
        found = torch.autograd.functional.jacobian(
            lambda h, now=now: gru_torch.run(now, h[None], weights)[0, 0],
            torch.tensor(h_row),
        )
        np.testing.assert_allclose(row, found, atol=1e-10)


@pytest.mark.parametrize("reset_before", [True, False])
def test_the_gradient_of_both_forms_is_that_of_finite_differences(
    reset_before,
):
    torch.manual_seed(0)
    weights = [w.requires_grad_() for w in library(2, 3).parameters()]
    x, h = normal(2, 4, 2), normal(2, 3)
    assert torch.autograd.gradcheck(
        lambda x, h, *w: gru_torch.run(x, h, w, reset_before),
        (x.requires_grad_(), h.requires_grad_(), *weights),
    )


@given(SMALL, STEPS, SMALL, SEEDS)
def test_biases_of_gates_may_be_merged_those_of_the_candidate_not(
    features, time, hidden, seed
):
    rng = np.random.default_rng(seed)
    gru = random_gru(rng, features, hidden, scale=1.0)
    x, h = (
        rng.normal(size=(1, time, features)),
        rng.normal(size=(1, hidden)),
    )
    split = to_torch(gru)
    share = torch.tensor(rng.normal(size=2 * hidden))
    with torch.no_grad():
        split.bias_ih_l0[: 2 * hidden] -= share
        split.bias_hh_l0[: 2 * hidden] += share
        theirs, _ = split(torch.tensor(x), torch.tensor(h)[None])
    np.testing.assert_allclose(run(gru, x, h)[0], theirs, atol=1e-10)
    new = gru.candidate
    merged = gru._replace(
        candidate=new._replace(b_x=new.b_x + new.b_h, b_h=0 * new.b_h)
    )
    np.testing.assert_allclose(
        run(gru, x, h, before)[0], run(merged, x, h, before)[0], atol=1e-10
    )
    r = reset_gate(gru, x[:, 0], h)  # in PyTorch's form only r of it stays
    first = [np.arctanh(after(cell.candidate, x[:, 0], r, h))
             for cell in (gru, merged)]  # fmt: skip
    np.testing.assert_allclose(
        first[1] - first[0], (1 - r) * new.b_h, atol=1e-6
    )


def test_initial_weights_are_distributed_as_the_librarys():
    gru = initial(300, 200, np.random.default_rng(0))
    k = 200**-0.5
    [[theirs]] = from_torch(torch.nn.GRU(300, 200))
    for mine, other in zip(gru, theirs, strict=True):
        for name in mine._fields:
            a, b = getattr(mine, name), getattr(other, name)
            assert a.shape == b.shape
            biases = 2 if name == "b" else 1
            for array in a, b:
                assert 0.7 * biases * k < abs(array).max() <= biases * k
                assert array.std() == pytest.approx(
                    k * np.sqrt(biases / 3), rel=0.2
                )


def test_a_module_without_biases_is_refused():
    with pytest.raises(ValueError, match="module must have biases"):
        from_torch(torch.nn.GRU(1, 1, bias=False))


def test_the_influence_is_the_size_of_the_gradient_through_time():
    rng = np.random.default_rng(0)
    gru, x = random_gru(rng, 2, 3), rng.normal(size=(1, 6, 2))
    h = rng.normal(size=(1, 3))
    weights = to_torch(gru).all_weights[0]
    found = torch.autograd.functional.jacobian(
        lambda h: gru_torch.run(torch.tensor(x), h, weights)[0],
        torch.tensor(h),
    )[:, :, 0]
    sizes = torch.linalg.matrix_norm(found, 2)
    np.testing.assert_allclose(influence(gru, x, h)[0], sizes, atol=1e-10)
