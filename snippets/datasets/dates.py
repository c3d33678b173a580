"""Dates as people write them, English and Korean, and as ISO 8601 has them.

A hundred years, in which a year of two digits has one reading. A text is a
sequence of characters, and each character one token.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

# --8<-- [start:formats]
# fmt: off
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
]
WEEKDAYS = [
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    "Sunday",
]
# fmt: on
KOREAN_WEEKDAYS = "월화수목금토일"


def _ordinal(day: int) -> str:
    last = 0 if 11 <= day <= 13 else day % 10
    return f"{day}{({1: 'st', 2: 'nd', 3: 'rd'}).get(last, 'th')}"


def _english(d: date) -> str:
    return f"{d.day} {MONTHS[d.month - 1]} {d.year}"


def _korean(d: date) -> str:
    return f"{d.year}년 {d.month}월 {d.day}일"


def _one_reading(d: date) -> date:
    """Two numbers of which either may be the month have two readings."""
    if d.day <= 12:
        raise ValueError(f"d must have a day above 12, got {d}")
    return d


Write = Callable[[date], str]

# Each name is the text for 3 May 2019, or for the 13th where it has a 13.
FORMATS: dict[str, Write] = {
    "3 May 2019": _english,
    "May 3, 2019": lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}",
    "May 3rd, '19": lambda d: (
        f"{MONTHS[d.month - 1]} {_ordinal(d.day)}, '{d:%y}"
    ),
    "3rd of May 2019": lambda d: (
        f"{_ordinal(d.day)} of {MONTHS[d.month - 1]} {d.year}"
    ),
    "Friday, 3 May 2019": lambda d: (
        f"{WEEKDAYS[d.weekday()]}, {_english(d)}"
    ),
    "3-May-2019": lambda d: f"{d.day}-{MONTHS[d.month - 1][:3]}-{d.year}",
    "13/05/2019": lambda d: f"{_one_reading(d):%d/%m/%Y}",
    "05/13/2019": lambda d: f"{_one_reading(d):%m/%d/%Y}",
    "2019/05/03": lambda d: f"{d:%Y/%m/%d}",
    "2019.05.03": lambda d: f"{d:%Y.%m.%d}",
    "2019. 5. 3.": lambda d: f"{d.year}. {d.month}. {d.day}.",
    "2019년 5월 3일": _korean,
    "19년 5월 3일": lambda d: _korean(d)[2:],
    "2019년 5월 3일 금요일": lambda d: (
        f"{_korean(d)} {KOREAN_WEEKDAYS[d.weekday()]}요일"
    ),
}


def formats_of(d: date) -> list[str]:
    """The formats in which the date has one reading."""
    slashed = {"13/05/2019", "05/13/2019"} if d.day <= 12 else set()
    return [name for name in FORMATS if name not in slashed]


# --8<-- [end:formats]


# --8<-- [start:split]
class Split(NamedTuple):
    """Two lists of dates without a common date, each in order of time."""

    train: list[date]
    held_out: list[date]


def split() -> Split:
    """1969 to 2068, one date in ten held out; always the same ones.

    With these years, two digits mean what POSIX and Python's `strptime`
    take them for: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068.
    """
    first, end = date(1969, 1, 1), date(2069, 1, 1)
    days = [first + timedelta(n) for n in range((end - first).days)]
    lots = np.random.default_rng(2019).permutation(len(days))
    chosen = set(lots[: len(days) // 10].tolist())
    return Split(
        [d for n, d in enumerate(days) if n not in chosen],
        [days[n] for n in sorted(chosen)],
    )


class Pairs(NamedTuple):
    """Written dates, and the same dates as ISO 8601 has them."""

    texts: list[str]
    isos: list[str]


def pairs(rng: np.random.Generator, n: int, days: Sequence[date]) -> Pairs:
    """n times a date of `days`, in one of the formats that it has.

    Raises ValueError if there are no days to draw from.
    """
    if not days:
        raise ValueError("days must hold at least one date")
    drawn = Pairs([], [])
    for place, lot in zip(
        rng.integers(len(days), size=n).tolist(),
        rng.random(n).tolist(),
        strict=True,
    ):
        names = formats_of(days[place])
        drawn.texts.append(
            FORMATS[names[int(lot * len(names))]](days[place])
        )
        drawn.isos.append(str(days[place]))
    return drawn


def pairs_in(name: str, days: Sequence[date]) -> Pairs:
    """All those of the days that the format has."""
    fit = [d for d in days if name in formats_of(d)]
    return Pairs([FORMATS[name](d) for d in fit], [str(d) for d in fit])


# --8<-- [end:split]


def without_order(days: Sequence[date]) -> float:
    """The best share of right answers, if only counts can be seen.

    A reader that does not know the order of the characters gives all texts
    of the same characters one answer. The best one gives their likeliest
    date, if dates, and the formats of each, are equally likely.
    """
    if not days:
        raise ValueError("days must hold at least one date")
    shares: dict[str, dict[date, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for d in days:
        names = formats_of(d)
        for name in names:
            key = "".join(sorted(FORMATS[name](d)))
            shares[key][d] += 1 / len(names)
    return sum(max(found.values()) for found in shares.values()) / len(days)


# --8<-- [start:codes]
PAD, START, END = 0, 1, 2
TARGET_SYMBOLS = ["<pad>", "<start>", "<end>", *"0123456789-"]
SOURCE_SYMBOLS = [
    "<pad>",
    *sorted(
        set("0123456789 ,.'/-년월일요stndrdthof")
        | set("".join([*MONTHS, *WEEKDAYS, KOREAN_WEEKDAYS]))
    ),
]


def _places(text: str, symbols: list[str]) -> Int[np.ndarray, " time"]:
    strangers = sorted(set(text) - set(symbols))
    if strangers:
        raise ValueError(f"text has unknown characters: {strangers}")
    return np.array([symbols.index(symbol) for symbol in text], int)


def encode(text: str) -> Int[np.ndarray, " source"]:
    """Each character as its place in SOURCE_SYMBOLS.

    Raises ValueError naming the characters that no format has.
    """
    return _places(text, SOURCE_SYMBOLS)


def encode_iso(text: str) -> Int[np.ndarray, " target"]:
    """START, each character's place in TARGET_SYMBOLS, END."""
    middle = _places(text, TARGET_SYMBOLS)
    return np.concatenate([[START], middle, [END]])


def decode(tokens: Int[np.ndarray, " target"]) -> str:
    """The characters up to the first END, without START and PAD.

    Raises ValueError for a number that is no token.
    """
    if tokens.size and not (
        0 <= tokens.min() <= tokens.max() < len(TARGET_SYMBOLS)
    ):
        raise ValueError(f"tokens must be 0 to {len(TARGET_SYMBOLS) - 1}")
    told: list[int] = tokens.tolist()
    if END in told:
        told = told[: told.index(END)]
    return "".join(TARGET_SYMBOLS[t] for t in told if t > END)


def padded(
    rows: Sequence[Int[np.ndarray, " _"]],
) -> Int[np.ndarray, "batch time"]:
    """The rows as one array, filled up with PAD behind their ends.

    Raises ValueError if there is no row.
    """
    if not rows:
        raise ValueError("rows must hold at least one row")
    filled = np.full((len(rows), max(map(len, rows))), PAD)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = row
    return filled


# --8<-- [end:codes]
