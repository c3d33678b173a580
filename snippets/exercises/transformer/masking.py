"""Exercises of the page Masking."""

# --8<-- [start:exercise_1_starter]
mask = None  # four rows of four
nowhere = None  # numbers of the rows that may look nowhere
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
mask = [
    [False, False, False, False],
    [False, False, False, False],
    [False, False, True, False],
    [False, False, True, True],
]
nowhere = [0, 1]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.masking import (
    causal_mask,
    combine,
    padding_mask,
)

assert mask is not None, "expected four rows of four, got None"
row = np.array([0, 0, 1, 3])
expected = combine(causal_mask(4), padding_mask(row, 0))
assert np.array_equal(mask, expected), f"expected {expected}, got {mask}"
empty = [i for i in range(4) if not expected[i].any()]
assert list(nowhere) == empty, f"expected rows {empty}, got {nowhere}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
from snippets.transformer.masking import causal_mask


def window_mask(time, width):
    return causal_mask(time)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.masking import causal_mask, combine


def window_mask(time, width):
    not_too_old = np.triu(np.ones((time, time), dtype=bool), 1 - width)
    return combine(causal_mask(time), not_too_old)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.encoder_to_decoder import decode
from snippets.transformer.overview import EXAMPLE

rng = np.random.default_rng(0)
y, memory = rng.normal(size=(12, 4)), rng.normal(size=(3, 4))
for width in (1, 2, 4):
    mask = window_mask(12, width)
    counts = [min(i + 1, width) for i in range(12)]
    assert mask.sum(axis=1).tolist() == counts, (
        f"width {width}: expected rows with {counts} positions, "
        f"got {mask.sum(axis=1).tolist()}"
    )
    before = decode(EXAMPLE.decoder * 3, y, memory, mask)
    reach = []
    for j in range(12):
        other = y.copy()
        other[j] = other[j, ::-1]
        after = decode(EXAMPLE.decoder * 3, other, memory, mask)
        if not np.array_equal(after[11], before[11]):
            reach.append(11 - j)
    assert max(reach) == 3 * (width - 1), (
        f"width {width}: expected a reach of {3 * (width - 1)}, "
        f"got {max(reach)}"
    )
# --8<-- [end:exercise_2_check]
