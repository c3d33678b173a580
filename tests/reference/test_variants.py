"""Three layouts of the same weights, against PyTorch and each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.reference import variants
from snippets.reference.variants import (
    KERAS,
    ONNX,
    RECORDED,
    STEPS,
    TORCH,
    KerasLayer,
    TorchLayer,
    by_convention,
    from_keras,
    from_onnx,
    keras_gru,
    onnx_gru,
    reorder,
    run,
    sample,
    to_keras,
    to_onnx,
)

MODULES = {
    "rnn": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}
cells = st.sampled_from(["rnn", "lstm", "gru"])
sizes = st.integers(1, 5)


def layer_of(cell, hidden, features, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    rows = len(TORCH[cell]) * hidden
    shapes = ((rows, features), (rows, hidden), rows, rows)
    return TorchLayer(*(scale * rng.normal(size=s) for s in shapes))


def module_of(layer, cell):
    hidden = layer.W_h.shape[1]
    module = MODULES[cell](
        layer.W_x.shape[1], hidden, batch_first=True, dtype=torch.float64
    )
    for weight, value in zip(module.all_weights[0], layer, strict=True):
        weight.data.copy_(torch.as_tensor(value))
    return module


@given(
    cell=cells, hidden=sizes, features=sizes, batch=sizes, time=sizes,
    seed=st.integers(0, 99), scale=st.sampled_from([0.1, 1.0, 100.0]),
)  # fmt: skip
def test_both_conventions_equal_pytorch_on_mapped_weights(
    cell, hidden, features, batch, time, seed, scale
):
    layer = layer_of(cell, hidden, features, seed, scale)
    rng = np.random.default_rng(seed + 1)
    x = rng.normal(size=(batch, time, features))
    state = tuple(rng.normal(size=(1 + (cell == "lstm"), batch, hidden)))
    given_state = [torch.as_tensor(part[None]) for part in state]
    with torch.no_grad():
        expected, _ = module_of(layer, cell)(
            torch.as_tensor(x),
            tuple(given_state) if cell == "lstm" else given_state[0],
        )
    for library, change in (("keras", to_keras), ("onnx", to_onnx)):
        found = run(
            STEPS[f"{library} {cell}"], change(layer, cell), x, *state
        )
        assert np.abs(found - expected.numpy()).max() < 1e-10


@given(cell=cells, hidden=sizes, features=sizes, seed=st.integers(0, 99))
def test_round_trips_are_exact(cell, hidden, features, seed):
    layer = layer_of(cell, hidden, features, seed)
    for there, back in zip(
        layer, from_onnx(to_onnx(layer, cell), cell), strict=True
    ):
        assert np.array_equal(there, back)

    keras = to_keras(layer, cell)
    back = from_keras(keras, cell)
    assert np.array_equal(back.W_x, layer.W_x)
    assert np.array_equal(back.W_h, layer.W_h)
    assert np.array_equal(back.b_x + back.b_h, layer.b_x + layer.b_h)
    if cell == "gru":  # the split matters there, and is kept
        assert np.array_equal(back.b_h, layer.b_h)
    for one, other in zip(keras, to_keras(back, cell), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", RECORDED)
def test_the_steps_give_what_keras_and_onnx_gave(name):
    found = by_convention(name)[:, -1]
    assert np.abs(found - np.array(RECORDED[name])).max() < 1e-6


@pytest.mark.parametrize(
    "cell, slices",
    # torch 2.13, torch/onnx/_internal/torchscript_exporter,
    # symbolic_opset9.py, reform_permutation: blocks of the rows
    [
        ("lstm", [(0, 1), (3, 4), (1, 3)]),
        ("gru", [(1, 2), (0, 1), (2, 3)]),
    ],
)
def test_to_onnx_moves_rows_as_the_exporter_of_pytorch_does(cell, slices):
    layer = layer_of(cell, 3, 2, 0)
    for found, rows in zip(to_onnx(layer, cell), layer[:2], strict=False):
        moved = [rows[3 * start : 3 * end] for start, end in slices]
        assert np.array_equal(found[0], np.concatenate(moved))


def test_reorder_moves_blocks_and_not_rows():
    rows = np.arange(8.0)
    moved = reorder(rows, "ifgo", "iofg")
    assert moved.tolist() == [0, 1, 6, 7, 2, 3, 4, 5]
    assert np.array_equal(reorder(moved, "iofg", "ifgo"), rows)
    for order in (KERAS, ONNX):
        for cell, letters in TORCH.items():
            assert sorted(order[cell]) == sorted(letters)


def test_the_place_of_the_reset_changes_the_function():
    layer = layer_of("gru", 3, 2, 0)
    x = np.random.default_rng(1).normal(size=(4, 5, 2))
    zero = np.zeros((4, 3))
    onnx = to_onnx(layer, "gru")
    after = run(STEPS["onnx gru"], onnx, x, zero)
    before = run(onnx_gru, onnx, x, zero)
    assert np.abs(after - before).max() > 0.01

    # With no recurrent bias, Keras's other form is ONNX's default.
    bare = layer._replace(b_h=0 * layer.b_h)
    keras = to_keras(bare, "gru")
    keras = keras._replace(bias=keras.bias[0])
    before = run(onnx_gru, to_onnx(bare, "gru"), x, zero)
    assert np.abs(run(keras_gru, keras, x, zero) - before).max() < 1e-12


def test_the_place_of_the_reset_is_free_for_a_diagonal_matrix():
    layer = layer_of("gru", 3, 2, 0)
    layer.W_h[6:] = np.diag([0.5, -1.0, 2.0])
    layer.b_h[6:] = 0.0
    x = np.random.default_rng(1).normal(size=(4, 5, 2))
    onnx, zero = to_onnx(layer, "gru"), np.zeros((4, 3))
    after = run(STEPS["onnx gru"], onnx, x, zero)
    assert np.abs(after - run(onnx_gru, onnx, x, zero)).max() < 1e-12


def test_a_gru_with_one_bias_is_refused():
    keras = to_keras(layer_of("gru", 2, 3, 0), "gru")
    with pytest.raises(ValueError, match=r"^layer has one bias"):
        from_keras(keras._replace(bias=keras.bias[0]), "gru")


def test_an_unknown_cell_and_wrong_rows_are_refused():
    layer = layer_of("lstm", 2, 3, 0)
    keras, onnx = to_keras(layer, "lstm"), to_onnx(layer, "lstm")
    for change, given_layer in (
        (to_keras, layer), (to_onnx, layer),
        (from_keras, keras), (from_onnx, onnx),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^cell must be one of"):
            change(given_layer, "LSTM")
        with pytest.raises(
            ValueError, match=r"^layer of a gru must have 3"
        ):
            change(given_layer, "gru")


def test_no_time_step_and_a_wrong_shape_are_refused():
    layer, x = sample("gru")
    with pytest.raises(ValueError, match=r"^x must have at least one"):
        run(keras_gru, to_keras(layer, "gru"), x[:, :0], np.zeros((2, 2)))
    with pytest.raises(TypeCheckError, match="h"):
        keras_gru(to_keras(layer, "gru"), x[:, 0], np.zeros(2))


def test_sigmoids_in_the_steps_do_not_overflow():
    layer = TorchLayer(*(1e4 * part for part in sample("lstm")[0]))
    x, zero = sample("lstm")[1], np.zeros((2, 2))
    with np.errstate(all="raise", under="ignore"):
        found = run(
            variants.keras_lstm, to_keras(layer, "lstm"), x, zero, zero
        )
    assert np.isfinite(found).all()


def test_every_layout_is_a_layer_of_arrays():
    layer, _ = sample("rnn")
    assert isinstance(to_keras(layer, "rnn"), KerasLayer)
    assert to_onnx(layer, "rnn").B.shape == (1, 4)
