"""Random weights for the tests of this part."""

import numpy as np

from snippets.lstm.overview import LSTM, Gate


def random_gate(
    rng: np.random.Generator, features: int, hidden: int
) -> Gate:
    """Weights large enough that the gate does not stand near one half."""
    return Gate(
        rng.normal(size=(hidden, features)),
        rng.normal(size=(hidden, hidden)),
        rng.normal(size=hidden),
    )


def random_lstm(
    rng: np.random.Generator, features: int, hidden: int
) -> LSTM:
    """Four boxes with such weights."""
    return LSTM(*(random_gate(rng, features, hidden) for _ in range(4)))
