import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets.datasets import dates
from snippets.transformer.encoder import post_norm, pre_norm
from snippets.transformer.generation import (
    DATES,
    all_logits,
    encode_source,
    extend,
    greedy,
    has_ended,
    load,
    next_logits,
)
from snippets.transformer.generation_torch import greedy_torch, to_torch
from snippets.transformer.masking import (
    cross_entropy,
    padding_mask,
    shift,
)
from snippets.transformer.overview import (
    EXAMPLE,
    SOURCE,
    TARGET,
    Transformer,
    arrays,
    tokens,
)
from snippets.transformer.scaled_dot_product_attention import log_softmax
from tests.transformer.generation_models import VOCAB, random_model

SEEDS = st.integers(0, 2**31 - 1)
ARRANGES = st.sampled_from([post_norm, pre_norm])
LAYERS = st.integers(1, 3)
START, END = 1, 2


def says(seed, word):
    """A random model that says one word for ever."""
    model = random_model(seed)
    b = np.where(np.arange(VOCAB) == word, 1e3, 0.0)
    return model._replace(output=model.output._replace(b=b))


# C67: one at a time, and only earlier words matter


@settings(max_examples=12)
@given(SEEDS, LAYERS, ARRANGES, st.integers(2, 6))
def test_only_earlier_words_matter_and_the_steps_multiply_to_the_whole(
    seed, n_layers, arrange, time
):
    rng = np.random.default_rng(seed)
    model = random_model(seed, n_layers)
    memory = encode_source(
        model, rng.integers(1, VOCAB, size=4), None, arrange
    )
    target = rng.integers(3, VOCAB, size=time + 1)
    inputs, labels = shift(target)
    rows = all_logits(model, inputs, memory, None, arrange)
    place = int(rng.integers(time))
    other = inputs.copy()
    other[place] = 3 + (other[place] - 2) % (VOCAB - 3)
    moved = all_logits(model, other, memory, None, arrange) - rows
    assert not moved[:place].any()  # not by a rounding error
    assert moved[place:].any(axis=1).all()

    steps = [
        next_logits(model, target[: t + 1], memory, None, arrange)
        for t in range(time)
    ]
    np.testing.assert_allclose(rows, steps, atol=1e-10)
    told = [
        log_softmax(row)[y] for row, y in zip(steps, labels, strict=True)
    ]
    forced = -cross_entropy(rows, labels, ignore=-1) * time
    assert abs(sum(told) - forced) < 1e-10


@settings(max_examples=8)
@given(SEEDS, ARRANGES, st.integers(0, 6))
def test_greedy_writes_the_likeliest_word_each_time(seed, arrange, longest):
    rng = np.random.default_rng(seed)
    model, source = random_model(seed), rng.integers(1, VOCAB, size=3)
    written = greedy(model, source, START, END, longest, arrange)
    assert written[0] == START
    assert len(written) <= longest + 1
    memory = encode_source(model, source, None, arrange)
    for t in range(1, len(written)):
        logits = next_logits(model, written[:t], memory, None, arrange)
        assert written[t] == logits.argmax()
        assert END not in written[1:t]
    assert END in written[1:] or len(written) == longest + 1


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("the river bank", "<start> la rive <end>"),
        ("the money bank", "<start> la banque <end>"),
        ("the bank", "<start> la banque <end>"),
    ],
)
def test_the_example_translates(source, target):
    written = greedy(EXAMPLE, tokens(source, SOURCE), START, END, 9)
    assert " ".join(TARGET[w] for w in written) == target


def test_most_held_out_dates_are_written_exactly():
    rng = np.random.default_rng(0)
    texts, isos = dates.pairs(rng, 300, dates.split().held_out)
    batch = dates.padded([dates.encode(text) for text in texts])
    written = greedy(load(DATES), batch, START, END, 12, pre_norm)
    right = [
        dates.decode(row) == iso
        for row, iso in zip(written, isos, strict=True)
    ]
    assert np.mean(right) > 0.98


# The end


@settings(max_examples=5)
@given(SEEDS, ARRANGES)
def test_a_row_of_a_batch_is_what_is_written_alone(seed, arrange):
    rng = np.random.default_rng(seed)
    model = random_model(seed)
    rows = [rng.integers(1, VOCAB, size=n) for n in (1, 3, 5)]
    batch = dates.padded(rows)
    written = greedy(model, batch, START, END, 6, arrange)
    for row, source in zip(written, rows, strict=True):
        alone = greedy(model, source, START, END, 6, arrange)
        np.testing.assert_array_equal(row[: len(alone)], alone)
        assert not row[len(alone) :].any()
    square = np.stack([rows[2], rows[2][::-1]])[:, None]
    for row in greedy(model, square, START, END, 6, arrange):
        assert row.shape[0] == 1


def test_a_model_that_never_ends_stops_at_the_longest_length():
    written = greedy(says(0, 4), np.array([3]), START, END, 7)
    assert written.tolist() == [START] + 7 * [4]
    for model in (says(0, END), says(1, END)):
        assert greedy(model, np.array([3]), START, END, 7).tolist() == [
            1,
            2,
        ]
    no_step = greedy(EXAMPLE, np.array([[1], [2]]), START, END, 0)
    assert no_step.tolist() == [[START], [START]]


def test_the_first_word_may_be_the_end_word():
    model = says(0, 4)
    written = greedy(model, np.array([3]), 2, 2, 3)
    assert written.tolist() == [2, 4, 4, 4]


def test_of_equal_words_the_lowest_is_written():
    model = random_model(0)
    flat = model.output._replace(W=0 * model.output.W, b=0 * model.output.b)
    model = model._replace(output=flat)
    written = greedy(model, np.array([3]), START, END, 2)
    assert written.tolist() == [START, 0, 0]


def test_rows_that_have_ended_get_padding():
    written = np.array([[1, 2], [1, 4]])
    assert has_ended(written, END).tolist() == [[True], [False]]
    longer = extend(written, np.array([[5], [5]]), END, pad=9)
    assert longer.tolist() == [[1, 2, 9], [1, 4, 5]]


def test_padding_of_the_source_is_not_read():
    model = load(DATES)
    text = dates.encode("3 May 2019")
    long = np.append(text, [0] * 5)
    memory = encode_source(model, text, None, pre_norm)
    mask = padding_mask(long, 0)
    padded = encode_source(model, long, mask, pre_norm)
    prefix = np.array([1, 5])
    np.testing.assert_allclose(
        next_logits(model, prefix, memory, None, pre_norm),
        next_logits(model, prefix, padded, mask, pre_norm),
        atol=1e-10,
    )


def test_wrong_values_are_refused_by_name():
    def write(source=(1,), start=START, end=END, longest=3):
        greedy(EXAMPLE, np.array(source, int), start, end, longest)

    for source in ((), (0, 0), ((1, 2), (0, 0))):
        with pytest.raises(ValueError, match="source must have a word"):
            write(source=source)
    for word in (-1, 6):
        with pytest.raises(
            ValueError, match="start and end must be 0 to 5"
        ):
            write(start=word)
        with pytest.raises(
            ValueError, match="start and end must be 0 to 5"
        ):
            write(end=word)
    with pytest.raises(ValueError, match="tokens must be 0 to 4"):
        write(source=(5,))
    with pytest.raises(ValueError, match="longest must not be negative"):
        write(longest=-1)


# The stored model, and PyTorch


def test_the_stored_model_has_all_its_arrays():
    model = load(DATES)
    with np.load(DATES) as file:
        stored = dict(file)
    assert isinstance(model, Transformer)
    names = [n for n in stored if n not in ("n_heads", "pre_norm")]
    assert len(arrays(model)) == len(names)
    assert model.decoder[0].cross_attention.n_heads == stored["n_heads"]
    np.testing.assert_array_equal(
        model.decoder[0].cross_attention.value.W,
        stored["decoder.0.cross_attention.value.W"],
    )
    np.testing.assert_array_equal(
        model.decoder_norm.shift, stored["decoder_norm.shift"]
    )


@settings(max_examples=6)
@given(SEEDS, LAYERS, ARRANGES)
def test_pytorch_writes_the_same_words(seed, n_layers, arrange):
    torch.set_num_threads(1)
    model = random_model(seed, n_layers)
    source = np.random.default_rng(seed).integers(1, VOCAB, size=4)
    net = to_torch(model, arrange)
    theirs = greedy_torch(net, model, source, START, END, 6)
    ours = greedy(model, source, START, END, 6, arrange)
    np.testing.assert_array_equal(theirs, ours)


def test_pytorch_needs_the_last_norms():
    with pytest.raises(ValueError, match="model must have a norm after"):
        to_torch(EXAMPLE)
