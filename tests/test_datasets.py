import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snippets.datasets import (
    LETTERS,
    alice,
    alice_split,
    decode,
    encode,
    letters,
    sunspots,
)


def test_sunspots_are_yearly_from_1700_to_2008():
    years, counts = sunspots()
    np.testing.assert_array_equal(years, np.arange(1700, 2009))
    assert counts.shape == years.shape
    assert (counts >= 0).all()
    assert years[counts.argmax()] == 1957  # the highest maximum on record


def test_alice_is_the_whole_book_and_nothing_else():
    text = alice()
    assert text.startswith("CHAPTER I. Down the Rabbit-Hole")
    assert text.rstrip().endswith("the happy summer days.")
    assert text.count("CHAPTER") == 12
    assert "Gutenberg" not in text


def test_letters_are_27_symbols_with_single_spaces():
    assert letters("  'Oh dear!'\nOH -- dear  ") == "oh dear oh dear"
    assert set(letters(alice())) == set(LETTERS)
    assert "  " not in letters(alice())


def test_the_split_loses_nothing_and_keeps_the_order():
    train, held_out = alice_split()
    assert train + held_out == letters(alice())
    assert len(train) == (len(train) + len(held_out)) * 9 // 10


@given(st.text(alphabet=LETTERS))
def test_decode_undoes_encode(text):
    codes = encode(text)
    assert codes.shape == (len(text),)
    assert decode(codes) == text


def test_space_is_0_and_a_is_1():
    np.testing.assert_array_equal(encode(" ab"), [0, 1, 2])


def test_strange_symbols_and_codes_are_refused_by_name():
    with pytest.raises(ValueError, match="^text has symbols"):
        encode("Alice")
    for code in (-1, 27):
        with pytest.raises(ValueError, match="^codes must be"):
            decode(np.array([code]))
