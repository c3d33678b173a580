from collections import Counter
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snippets.datasets.dates import (
    END,
    FORMATS,
    PAD,
    SOURCE_SYMBOLS,
    START,
    TARGET_SYMBOLS,
    decode,
    encode,
    encode_iso,
    formats_of,
    padded,
    pairs,
    pairs_in,
    split,
    without_order,
)

FIRST, LAST = date(1969, 1, 1), date(2068, 12, 31)
any_date = st.dates(FIRST, LAST)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_named_after_what_it_writes(name):
    day = 13 if "13" in name else 3
    assert FORMATS[name](date(2019, 5, day)) == name


@given(any_date)
def test_two_numbers_that_both_may_be_the_month_are_not_written(d):
    names = formats_of(d)
    for name in FORMATS.keys() - names:
        with pytest.raises(ValueError, match="d must have a day above 12"):
            FORMATS[name](d)
    slashed = {"13/05/2019", "05/13/2019"}
    assert (slashed <= set(names)) == (d.day > 12)
    assert set(names) >= FORMATS.keys() - slashed


@given(any_date)
def test_two_digits_mean_what_strptime_takes_them_for(d):
    year = FORMATS["19년 5월 3일"](d)[:2]
    assert datetime.strptime(year, "%y").year == d.year
    assert FORMATS["May 3rd, '19"](d).endswith(f"'{year}")


def test_no_text_stands_for_two_dates():
    seen = Counter(
        FORMATS[name](d)
        for d in (FIRST + timedelta(n) for n in range(0, 36525, 3))
        for name in formats_of(d)
    )
    assert max(seen.values()) == 1


@pytest.mark.parametrize(
    ("day", "written"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th")]
    + [(12, "12th"), (13, "13th"), (21, "21st"), (22, "22nd")]
    + [(23, "23rd"), (30, "30th"), (31, "31st")],
)
def test_ordinals_follow_english_use(day, written):
    d = date(2019, 5, day)
    assert FORMATS["3rd of May 2019"](d) == f"{written} of May 2019"


def test_weekdays_are_those_of_the_calendar():
    name, korean = "Friday, 3 May 2019", "2019년 5월 3일 금요일"
    d = date(2024, 2, 29)
    assert FORMATS[name](d) == "Thursday, 29 February 2024"
    assert FORMATS[korean](d) == "2024년 2월 29일 목요일"


def test_the_split_shares_no_date_and_loses_none():
    train, held_out = split()
    assert split() == (train, held_out)
    assert len(held_out) == len({*held_out}) == 3652
    every = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    assert sorted([*train, *held_out]) == every
    for part in (train, held_out):
        assert part == sorted(part)
        assert {d.year for d in part} == set(range(1969, 2069))
        assert {(d.month, d.day) for d in train} >= {
            (d.month, d.day) for d in part
        }


def test_pairs_are_drawn_from_the_given_days_in_all_their_formats():
    days = [date(2019, 5, 3), date(2020, 2, 29)]
    told = pairs(np.random.default_rng(0), 500, days)
    assert told == pairs(np.random.default_rng(0), 500, days)
    assert set(zip(*told, strict=True)) == {
        (FORMATS[name](d), str(d)) for d in days for name in formats_of(d)
    }
    assert pairs(np.random.default_rng(0), 0, days) == ([], [])


def test_pairs_need_a_day():
    with pytest.raises(ValueError, match="days must hold at least one"):
        pairs(np.random.default_rng(0), 1, [])


def test_pairs_in_a_format_leave_out_the_dates_that_it_lacks():
    days = [date(2019, 5, 3), date(2019, 5, 13)]
    assert pairs_in("13/05/2019", days) == (["13/05/2019"], ["2019-05-13"])
    assert len(pairs_in("2019.05.03", days).texts) == 2


def test_without_order_counts_what_can_be_told_apart():
    assert without_order([date(2019, 5, 3)]) == 1.0
    # 12 January and 21 January: day 12 lacks the two slashed formats.
    days = [date(2019, 1, 12), date(2019, 1, 21)]
    # Two ordinals and two weekdays tell them apart. The characters of
    # 2019/01/12 are those of three texts of the 21st, which outweigh it.
    # In the seven other formats the 12th wins: 1 in 12 against 1 in 14.
    expected = (11 / 12 + (2 + 2 + 3) / 14) / 2
    assert without_order(days) == pytest.approx(expected)
    with pytest.raises(ValueError, match="days must hold at least one"):
        without_order([])


@given(any_date)
def test_all_that_is_written_can_be_encoded(d):
    for name in formats_of(d):
        text = FORMATS[name](d)
        codes = encode(text)
        assert "".join(SOURCE_SYMBOLS[code] for code in codes) == text
        assert PAD not in codes


def test_the_symbols_are_the_characters_that_occur_and_no_others():
    every = [FIRST + timedelta(n) for n in range(400)]
    texts = "".join(FORMATS[n](d) for d in every for n in formats_of(d))
    assert ["<pad>", *sorted(set(texts))] == SOURCE_SYMBOLS
    assert len(TARGET_SYMBOLS) == len(set(TARGET_SYMBOLS)) == 14
    assert [TARGET_SYMBOLS[t] for t in (PAD, START, END)] == [
        "<pad>",
        "<start>",
        "<end>",
    ]


def test_unknown_characters_are_named():
    with pytest.raises(
        ValueError, match="text has unknown characters: .'x', '☺'."
    ):
        encode("3 x May ☺ 2019x")
    with pytest.raises(ValueError, match="text has unknown .*'M', 'a'"):
        encode_iso("3Ma")


@given(any_date)
def test_decoding_gives_back_the_date_up_to_the_first_end(d):
    tokens = encode_iso(str(d))
    assert tokens[0] == START
    assert tokens[-1] == END
    assert decode(tokens) == str(d)
    assert decode(np.concatenate([tokens, tokens, [PAD]])) == str(d)
    assert decode(tokens[1:-1]) == str(d)


def test_decoding_nothing_gives_nothing_and_a_wrong_number_an_error():
    assert decode(np.zeros(0, int)) == ""
    assert encode("").shape == (0,)
    for wrong in (-1, 14):
        with pytest.raises(ValueError, match="tokens must be 0 to 13"):
            decode(np.array([3, wrong]))


def test_rows_are_filled_up_behind_their_ends():
    rows = [encode("3 May"), encode("월"), encode("")]
    table = padded(rows)
    assert table.shape == (3, 5)
    for row, codes in zip(table, rows, strict=True):
        np.testing.assert_array_equal(row[: len(codes)], codes)
        assert (row[len(codes) :] == PAD).all()
    with pytest.raises(ValueError, match="rows must hold at least one"):
        padded([])
