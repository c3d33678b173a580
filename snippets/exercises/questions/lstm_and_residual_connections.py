"""Exercises of the page LSTM and residual connections."""

# --8<-- [start:exercise_1_starter]
# One unit. An LSTM's forget gates at three steps: 0.5, 0.8, 1.0.
# The slopes of F in three residual layers: 0.5, -0.2, 0.1.
answer = None  # a pair: dc_3/dc_0 along the path, dx_3/dx_0 in full
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
along_the_path = 0.5 * 0.8 * 1.0
in_full = (1 + 0.5) * (1 - 0.2) * (1 + 0.1)
answer = along_the_path, in_full
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a pair of numbers, got None"
assert abs(answer[0] - 0.4) < 1e-6, (
    f"along the path: expected the product of the gates, got {answer[0]}"
)
assert abs(answer[1] - 1.32) < 1e-6, (
    f"residual: expected 1.5 * 0.8 * 1.1 = 1.32, got {answer[1]}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
# Biases of gates that read nothing; 50 opens one, -50 shuts it.
biases = {  # change the numbers: forget, input, output
    "residual stack": (0.0, 0.0, 0.0),
    "plain stack": (0.0, 0.0, 0.0),
    "skip alone": (0.0, 0.0, 0.0),
}
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
biases = {
    "residual stack": (50.0, 50.0, 50.0),
    "plain stack": (-50.0, 50.0, 50.0),
    "skip alone": (50.0, -50.0, 50.0),  # the output gate may be any
}
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.lstm.forget_gate import fixed
from snippets.lstm.overview import LSTM
from snippets.lstm.whole_lstm import loop
from snippets.questions.lstm_and_residual_connections import drawn, stack

rng = np.random.default_rng(0)
layers, x = drawn(5, 3, rng)
c = rng.normal(size=(1, 3))
dials = {
    "residual stack": (1.0, 1.0),
    "plain stack": (0.0, 1.0),
    "skip alone": (1.0, 0.0),
}
for name, (keep, write) in dials.items():
    forget, write_in, show = (
        fixed(np.full(3, bias), 4) for bias in biases[name]
    )
    lstm = LSTM(write_in, forget, layers[0], show)
    found = loop(lstm, x, np.tanh(c), c)[2]
    wanted = stack(layers[:1] * 5, x, c, keep, write)[:, -1]
    assert np.allclose(found, wanted), (
        f"{name}: expected c_5 {wanted[0].round(3)}, "
        f"got {found[0].round(3)}"
    )
# --8<-- [end:exercise_2_check]
