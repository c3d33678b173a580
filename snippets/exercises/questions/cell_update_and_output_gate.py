"""Exercises of the page Cell update and output gate."""

# --8<-- [start:exercise_1_starter]
# The cell of the page, in units of ln 3, now with x_t = -1:
#   forget x - 2 h + 1, input -x + 2 h, candidate x + 2 h - 1.
# h_{t-1} = 0.5, c_{t-1} = 0.8. sigmoid(ln 9) is 9/10.
answer = None  # a pair: c_t, and c_t where W_x x_t is left out
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
with_x = 1 / 4 * 0.8 + 9 / 10 * -4 / 5  # the boxes read -1, 2, -1
without_x = 1 / 2 * 0.8 + 3 / 4 * 0.0  # they read 0, 1, 0, for every x
answer = with_x, without_x
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a pair of numbers, got None"
assert abs(answer[0] + 0.52) < 1e-6, (
    f"with x_t: expected 0.2 kept - 0.72 written, got {answer[0]}"
)
assert abs(answer[1] - 0.4) < 1e-6, (
    f"without x_t: expected 0.4 kept, nothing written, got {answer[1]}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.lstm.overview import LSTM


def is_blind(lstm: LSTM, rng: np.random.Generator) -> bool:
    """Whether no hidden state depends on the input, by experiment."""
    return False  # change this line


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.lstm.overview import LSTM
from snippets.lstm.whole_lstm import loop


def is_blind(lstm: LSTM, rng: np.random.Generator) -> bool:
    """Whether no hidden state depends on the input, by experiment."""
    hidden, features = lstm.input.W_x.shape
    x = rng.normal(size=(2, 5, features))  # two sequences, one start
    start = rng.normal(size=(1, hidden)).repeat(2, axis=0)
    output = loop(lstm, x, start, start)[0]
    return np.array_equal(output[0], output[1])


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.overview import EXAMPLE
from snippets.questions.cell_update_and_output_gate import without

rng, cut = np.random.default_rng(0), without(EXAMPLE, x=True)
assert is_blind(cut, rng), "expected True where no box reads x, got False"
for box in EXAMPLE._fields:
    lstm = cut._replace(**{box: getattr(EXAMPLE, box)})
    assert not is_blind(lstm, rng), (
        f"expected False where the {box} box alone reads x, got True"
    )
# --8<-- [end:exercise_2_check]
