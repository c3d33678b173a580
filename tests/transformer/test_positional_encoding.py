import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from snippets.transformer.encoder import layer_norm
from snippets.transformer.multi_head_attention import encode
from snippets.transformer.overview import EXAMPLE, SOURCE, tokens
from snippets.transformer.positional_encoding import (
    embed,
    frequencies,
    position_read,
    rotary,
    rotation,
    score_terms,
    sinusoids,
    which_first,
)
from snippets.transformer.positional_encoding_torch import train
from snippets.transformer.queries_keys_values import dot_scores, head
from tests.transformer.weights import layers

SMALL = st.integers(1, 6)
SEEDS = st.integers(0, 2**32 - 1)
LEADS = st.sampled_from([(), (1,), (3,), (2, 3)])


# The sinusoids


@given(SMALL, st.integers(1, 9))
def test_sinusoids_equal_a_loop_over_the_papers_formula(time, d_model):
    found = sinusoids(time, d_model)
    for t in range(time):
        for column in range(d_model):
            even = column - column % 2
            angle = t / 10000 ** (even / d_model)
            wave = math.cos if column % 2 else math.sin
            assert abs(found[t, column] - wave(angle)) < 1e-12


def test_sinusoids_of_no_time_are_empty():
    assert sinusoids(0, 4).shape == (0, 4)


def test_wavelengths_stay_below_ten_thousand_turns():
    for d_model in (2, 4, 64, 512):
        waves = 2 * np.pi / frequencies(d_model)
        np.testing.assert_allclose(waves[0], 2 * np.pi)
        np.testing.assert_allclose(
            waves[-1], 2 * np.pi * 10000 ** (1 - 2 / d_model)
        )
        assert waves[-1] < 20000 * np.pi


@given(SMALL, st.integers(1, 5))
def test_rows_of_even_width_have_one_length_and_their_products_one_lag(
    time, pairs
):
    p = sinusoids(time + 1, 2 * pairs)
    np.testing.assert_allclose(np.linalg.norm(p, axis=1), pairs**0.5)
    gram = p @ p.T
    np.testing.assert_allclose(gram[1:, 1:], gram[:-1, :-1], atol=1e-10)


@given(st.integers(0, 50), st.integers(1, 8), st.integers(-50, 50))
def test_one_rotation_moves_every_position_on(start, pairs, steps):
    p = sinusoids(101, 2 * pairs)
    M = rotation(steps, 2 * pairs)
    if start + steps < 0:
        start -= steps
    np.testing.assert_allclose(M @ p[start], p[start + steps], atol=1e-10)
    np.testing.assert_allclose(M.T @ M, np.eye(2 * pairs), atol=1e-12)


def test_no_matrix_moves_sines_alone():
    sines = np.sin(np.arange(100)[:, None] * frequencies(128))
    best = np.linalg.lstsq(sines[:-7], sines[7:], rcond=None)[0]
    assert np.abs(sines[:-7] @ best - sines[7:]).max() > 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinusoids(-1, 4), "time must not be negative: -1"),
        (lambda: sinusoids(3, 0), "d_model must be positive, not 0"),
        (lambda: rotation(1, 3), "d_model must be even, not 3"),
        (
            lambda: rotary(np.zeros((2, 3))),
            "x must have an even width, not 3",
        ),
        (
            lambda: embed(np.zeros((3, 4)), np.array([0, 3])),
            "tokens must be 0 to 2",
        ),
        (
            lambda: embed(np.zeros((3, 4)), np.array([-1])),
            "tokens must be 0 to 2",
        ),
        (
            lambda: score_terms(
                EXAMPLE.encoder[0].self_attention,
                np.zeros((3, 4)),
                np.zeros((3, 4)),
            ),
            "one must be a single head, not 2",
        ),
        (
            lambda: position_read(np.zeros((1, 3, 4))),
            "z must hold at least two sequences",
        ),
        (
            lambda: which_first(1, 2, np.random.default_rng(0)),
            "time must be at least 3, not 2",
        ),
        (lambda: train("clock"), "positions are unknown: clock"),
    ],
)
def test_a_wrong_value_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()


def test_a_wrong_shape_is_named():
    with pytest.raises(TypeCheckError):
        score_terms(
            head(EXAMPLE.encoder[0].self_attention, 0),
            np.zeros((3, 4)),
            np.zeros((2, 4)),
        )


# The embedding


@given(LEADS, SMALL, SMALL, SMALL, SEEDS)
def test_an_embedding_is_pytorchs_row_times_the_root_plus_the_position(
    lead, time, vocab, d_model, seed
):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(vocab, d_model))
    words = rng.integers(vocab, size=(*lead, time))
    rows = nn.Embedding.from_pretrained(torch.tensor(table))
    expected = rows(torch.tensor(words)).numpy() * d_model**0.5
    found = embed(table, words)
    for t in range(time):  # the axis of time, not of the batch
        np.testing.assert_allclose(
            found[..., t, :],
            expected[..., t, :] + sinusoids(time, d_model)[t],
            atol=1e-10,
        )


def test_the_example_is_as_printed():
    x = embed(EXAMPLE.source_embedding, tokens("the river bank", SOURCE))
    expected = [
        [0, 3, 0, -3],
        [2 + math.sin(1), math.cos(1), math.sin(0.01) - 2, math.cos(0.01)],
        [
            math.sin(2),
            2 + math.cos(2),
            math.sin(0.02),
            math.cos(0.02) - 2,
        ],
    ]
    np.testing.assert_allclose(x, expected, atol=1e-12)


def test_a_third_of_the_squared_length_is_position_at_any_width():
    for d in (64, 512):
        table = np.random.default_rng(0).normal(0, d**-0.5, (500, d))
        words = (embed(table, np.arange(500)) - sinusoids(500, d)) ** 2
        places = sinusoids(500, d) ** 2
        share = places.sum() / (places.sum() + words.sum())
        assert abs(share - 1 / 3) < 0.01


# Reading the position, and rotary encodings


def test_positions_are_read_at_any_depth_thanks_to_the_residual():
    rng = np.random.default_rng(0)
    nets, p = layers(6, 32), sinusoids(12, 32)
    z = rng.normal(size=(100, 32))[rng.integers(100, size=(80, 12))] + p
    bare = encode(nets, z, arrange=lambda n, x, f: layer_norm(n, f(x)))
    assert position_read(p + np.zeros((2, 1, 1))) == 1.0
    assert position_read(encode(nets, z)) > 0.3
    assert position_read(bare) < 0.15
    assert position_read(encode(nets, z - p)) < 0.15


@given(LEADS, SMALL, st.integers(1, 4), SEEDS)
def test_rotary_equals_the_inverse_rotation_of_each_position(
    lead, time, pairs, seed
):
    x = np.random.default_rng(seed).normal(size=(*lead, time, 2 * pairs))
    found = rotary(x)
    for t in range(time):
        np.testing.assert_allclose(
            found[..., t, :],
            x[..., t, :] @ rotation(t, 2 * pairs),
            atol=1e-10,
        )
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=-1), np.linalg.norm(x, axis=-1)
    )


@given(st.integers(1, 4), SEEDS)
def test_a_rotary_score_depends_on_the_difference_alone(pairs, seed):
    q, k = np.random.default_rng(seed).normal(size=(2, 2 * pairs))
    many = np.ones((7, 1))
    s = dot_scores(rotary(many * q), rotary(many * k))
    np.testing.assert_allclose(s[1:, 1:], s[:-1, :-1], atol=1e-10)
    for lag in range(7):
        np.testing.assert_allclose(
            s[lag, 0], q @ rotation(lag, 2 * pairs) @ k, atol=1e-10
        )
