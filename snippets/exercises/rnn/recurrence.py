"""Exercises of the page Recurrence."""

# --8<-- [start:exercise_1_starter]
# W_x = [[1], [2]], W_h = [[0, 1], [1, -1]], b = [0, -1],
# h_0 = [0, 0], and x_1, x_2, x_3 = 1, 0, 2.
answer = None  # h_3 as a pair
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
import numpy as np

from snippets.rnn.recurrence import RNN, run

rnn = RNN(
    W_x=np.array([[1.0], [2.0]]),
    W_h=np.array([[0.0, 1.0], [1.0, -1.0]]),
    b=np.array([0.0, -1.0]),
)
x = np.array([1.0, 0.0, 2.0])[None, :, None]
answer = tuple(run(rnn, x, np.zeros((1, 2)), "relu")[0, -1])
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected h_3 as a pair, got None"
assert tuple(answer) == (2, 4), f"expected (2, 4), got {answer}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
import numpy as np

W_x = np.zeros((2, 1))
W_h = np.zeros((2, 2))
b = np.zeros(2)
w = np.zeros(2)  # the readout
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

w = np.array([1.0, -2.0])
W_x = np.array([[1.0], [1.0]])
W_h = np.stack([w, w])  # both units start from the parity so far
b = np.array([0.0, -1.0])
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.rnn.recurrence import RNN, run

bits = np.random.default_rng(0).integers(0, 2, 1000)
x = bits[None, :, None].astype(float)
states = run(RNN(W_x, W_h, b), x, np.zeros((1, 2)), "relu")
got, expected = states[0] @ w, np.cumsum(bits) % 2
wrong = int((np.abs(got - expected) > 1e-9).sum())
assert wrong == 0, f"expected 1000 parities right, got {wrong} wrong"
# --8<-- [end:exercise_2_check]

# --8<-- [start:exercise_3_starter]
perplexities = None  # of the RNN, of the counts, of the mixture
# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
import numpy as np

from snippets.datasets import alice_split, encode
from snippets.rnn.recurrence import surprise, trained
from snippets.sequence_models.markov_model import blended, count

train, held_out = alice_split()
codes = encode(held_out)
by_rnn = np.exp(-surprise(trained(), codes[None])[0, 4:])

tables = [count(train, order) for order in range(6)]
contexts = [held_out[t - 5 : t] for t in range(5, len(held_out))]
rows = blended(tables, contexts, 5.0)
by_counts = rows[np.arange(len(rows)), codes[5:]]

perplexities = [
    float(np.exp(-np.log(p).mean()))
    for p in (by_rnn, by_counts, (by_rnn + by_counts) / 2)
]
# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
assert perplexities is not None, "expected three perplexities, got None"
for name, got, expected in zip(
    ("RNN", "counts", "mixture"),
    perplexities,
    (4.06, 3.87, 3.53),
    strict=True,
):
    assert abs(got - expected) < 0.01, (
        f"{name}: expected {expected}, got {got:.2f}"
    )
# --8<-- [end:exercise_3_check]
