"""The real data of the book: a number series and an English text.

Both are files beside this module, so that pages need no network.
"""

import re
from importlib import resources

import numpy as np
from jaxtyping import Float, Int

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")


# --8<-- [start:sunspots]
def sunspots() -> tuple[
    Int[np.ndarray, " time"], Float[np.ndarray, " time"]
]:
    """Years 1700 to 2008, and the mean sunspot number of each.

    The series in which autoregression was invented (Yule 1927). Source:
    National Geophysical Data Center, public domain, as shipped with
    statsmodels 0.15 (`statsmodels.datasets.sunspots`).
    """
    rows = _read("sunspots.csv").split()[1:]
    table = np.array([row.split(",") for row in rows])
    return table[:, 0].astype(int), table[:, 1].astype(float)


# --8<-- [end:sunspots]


# --8<-- [start:alice]
def alice() -> str:
    """Lewis Carroll, Alice's Adventures in Wonderland (1865).

    Public domain; Project Gutenberg's eBook 11 without its header.
    """
    return _read("alice.txt")


def letters(text: str) -> str:
    """The text in 27 symbols: a to z, and one space between words."""
    return re.sub("[^a-z]+", " ", text.lower()).strip()


# --8<-- [end:alice]


# --8<-- [start:split]
def alice_split() -> tuple[str, str]:
    """Alice in 27 symbols: the first 90 % to train, the rest held out."""
    text = letters(alice())
    end = len(text) * 9 // 10
    return text[:end], text[end:]


# --8<-- [end:split]


# --8<-- [start:codes]
def encode(text: str) -> Int[np.ndarray, " time"]:
    """Each symbol as its place in LETTERS: space is 0, a is 1."""
    strangers = set(text) - set(LETTERS)
    if strangers:
        raise ValueError(f"text has symbols not in LETTERS: {strangers}")
    return np.array([LETTERS.index(symbol) for symbol in text], dtype=int)


def decode(codes: Int[np.ndarray, " time"]) -> str:
    """The text that `encode` turned into codes."""
    if codes.size and not 0 <= codes.min() <= codes.max() < len(LETTERS):
        raise ValueError(f"codes must be 0 to {len(LETTERS) - 1}")
    return "".join(LETTERS[code] for code in codes)


# --8<-- [end:codes]
