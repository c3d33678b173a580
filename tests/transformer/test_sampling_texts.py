from collections import Counter

import numpy as np
import pytest

from snippets.datasets import dates
from snippets.transformer.encoder import pre_norm
from snippets.transformer.generation import (
    DATES,
    encode_source,
    greedy,
    load,
    next_logits,
)
from snippets.transformer.overview import EXAMPLE, SOURCE, TARGET, tokens
from snippets.transformer.sampling import generate, sample
from snippets.transformer.scaled_dot_product_attention import softmax

START, END = TARGET.index("<start>"), TARGET.index("<end>")
BANK = tokens("the bank", SOURCE)


def probability(source, text):
    memory = encode_source(EXAMPLE, source)
    return np.prod(
        [
            softmax(next_logits(EXAMPLE, text[:i], memory))[text[i]]
            for i in range(1, len(text))
        ]
    )


def test_sampling_is_one_of_several_ways_to_choose_a_word():
    """C70: the draws follow the distribution; greedy decoding does not."""
    memory = encode_source(EXAMPLE, BANK)
    prefix = tokens("<start> la", TARGET)
    z = next_logits(EXAMPLE, prefix, memory)
    p = softmax(z)
    assert p.sum() == pytest.approx(1)
    assert (p > 0).all()
    n, rng = 20_000, np.random.default_rng(0)
    words = sample(np.broadcast_to(z, (n, len(z))), rng)
    shares = np.bincount(words, minlength=len(z)) / n
    assert (np.abs(shares - p) < 4 * np.sqrt(p * (1 - p) / n)).all()
    assert shares[z.argmax()] < 0.6  # greedy decoding would take it always
    one = {tuple(greedy(EXAMPLE, BANK, START, END, 6)) for _ in range(5)}
    assert len(one) == 1
    many = generate(EXAMPLE, np.tile(BANK, (200, 1)), START, END, 6, rng)
    assert len({tuple(row) for row in many.tolist()}) > 2


def test_texts_come_as_often_as_their_probability_says():
    n = 4000
    rows = generate(
        EXAMPLE, np.tile(BANK, (n, 1)), START, END, 4,
        np.random.default_rng(1),
    )  # fmt: skip
    found = Counter(tuple(row) for row in rows.tolist())
    for words in ("<start> la rive <end>", "<start> la banque <end>"):
        text = tokens(words, TARGET)
        p = probability(BANK, text)
        share = found[(*text.tolist(), 0)] / n
        assert 0.3 < p < 0.6
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("how", [{"k": 1}, {"p": 0.0}, {"t": 1e-9}])
def test_the_narrowest_settings_are_greedy_decoding(how):
    rows = np.stack([BANK, tokens("bank <pad>", SOURCE)])
    expected = greedy(EXAMPLE, rows, START, END, 6)
    found = generate(
        EXAMPLE, rows, START, END, 6, np.random.default_rng(0), **how
    )
    np.testing.assert_array_equal(found, expected)


def test_settings_act_on_every_word():
    rows = np.tile(BANK, (500, 1))
    found = generate(
        EXAMPLE, rows, START, END, 6, np.random.default_rng(0), p=0.9
    )
    assert {tuple(row) for row in found.tolist()} == {
        (START, 3, 4, END),
        (START, 3, 5, END),
    }


def test_behind_the_end_stands_padding_and_the_length_is_bounded():
    rows = np.tile(BANK, (50, 2, 1))
    rng = np.random.default_rng(0)
    found = generate(EXAMPLE, rows, START, END, 4, rng, t=3.0)
    assert found.shape == (50, 2, 5)
    assert (found[..., 0] == START).all()
    for row in found.reshape(-1, 5).tolist():
        if END in row:
            assert set(row[row.index(END) + 1 :]) <= {0}
    alone = generate(EXAMPLE, BANK, START, END, 0, rng)
    assert alone.tolist() == [START]
    with pytest.raises(ValueError, match="^longest must not be negative"):
        generate(EXAMPLE, BANK, START, END, -1, rng)


@pytest.mark.parametrize("start, end", [(-1, 2), (6, 2), (1, -1), (1, 6)])
def test_words_that_the_vocabulary_lacks_are_refused(start, end):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="^start and end must be 0 to 5"):
        generate(EXAMPLE, BANK, start, end, 3, rng)


def test_a_source_of_nothing_but_padding_is_refused():
    rows, rng = np.array([BANK, [0, 0]]), np.random.default_rng(0)
    with pytest.raises(ValueError, match="^source must have a word"):
        generate(EXAMPLE, rows, START, END, 3, rng)


def test_the_same_seed_gives_the_same_text_and_another_may_not():
    def texts(seed):
        rng = np.random.default_rng(seed)
        return [
            tuple(generate(EXAMPLE, BANK, START, END, 6, rng).tolist())
            for _ in range(20)
        ]

    assert texts(0) == texts(0) != texts(1)


def test_padding_of_the_source_changes_nothing():
    long = tokens("the bank <pad> <pad>", SOURCE)
    for seed in range(5):
        a, b = (
            generate(
                EXAMPLE, row, START, END, 6, np.random.default_rng(seed)
            )
            for row in (BANK, long)
        )
        np.testing.assert_array_equal(a, b)


def test_a_trained_model_bears_some_temperature():
    model = load(DATES)
    known = dates.pairs(
        np.random.default_rng(3), 24, dates.split().held_out
    )
    source = dates.padded([dates.encode(text) for text in known.texts])

    def right(t, k=None):
        rows = generate(
            model, source, dates.START, dates.END, 11,
            np.random.default_rng(0), t=t, k=k, arrange=pre_norm,
        )  # fmt: skip
        told = [dates.decode(row) for row in rows]
        return np.mean(
            [a == b for a, b in zip(told, known.isos, strict=True)]
        )

    assert right(1.0, k=1) == 1
    assert right(0.5) == 1
    assert right(1.0) > 0.95
    assert right(4.0) < 0.4 < right(4.0, k=2)
