"""Exercises of the page LSTM overview."""

# --8<-- [start:exercise_1_starter]
# The weights and the last state of the running example, but x_t = 0.
# What each gate reads, before its sigmoid, as a pair (unit 1, unit 2):
answer = None  # the pairs of the input, the forget and the output gate
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
input_gate = 0.5 * -0.5 - 1.0, 0.5 * 0.5 + 0.0
forget_gate = 0.5 * 0.5 + 1.0, 0.5 * -0.5 + 0.0
output_gate = 1.0 * 0.5 + 0.0, 1.0 * -0.5 + 1.0
answer = input_gate, forget_gate, output_gate
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.lstm.overview import EXAMPLE, affine, h_last

assert answer is not None, "expected three pairs, got None"
for name, got in zip(("input", "forget", "output"), answer, strict=True):
    gate = getattr(EXAMPLE, name)
    expected = tuple(affine(gate, np.zeros((1, 1)), h_last)[0].tolist())
    assert tuple(got) == expected, f"{name}: expected {expected}, got {got}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
from snippets.lstm.overview import LSTM, cell_states, unstack


def find_order(W_x, W_h, b, x, c):
    """The four names, in the order in which their rows are stacked.

    `c` is every cell state of the original on the input `x`.
    """
    return "input", "forget", "candidate", "output"


# --8<-- [end:exercise_2_starter]


# --8<-- [start:exercise_2_solution]
from itertools import permutations

import numpy as np

from snippets.lstm.overview import LSTM, cell_states, unstack


def find_order(W_x, W_h, b, x, c):
    """The four names, in the order in which their rows are stacked.

    `c` is every cell state of the original on the input `x`.
    """

    def gap(order):
        return np.abs(cell_states(unstack(W_x, W_h, b, order), x) - c).max()

    return min(permutations(LSTM._fields), key=gap)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from itertools import permutations

import numpy as np

from snippets.lstm.overview import LSTM, cell_states, unstack

rng = np.random.default_rng(0)
for order in permutations(LSTM._fields):
    stacked = [rng.normal(size=shape) for shape in ((20, 3), (20, 5), 20)]
    x = rng.normal(size=(1, 4, 3))
    c = cell_states(unstack(*stacked, order), x)
    found = find_order(*stacked, x, c)
    assert found == order, f"expected {order}, got {found}"
# --8<-- [end:exercise_2_check]
