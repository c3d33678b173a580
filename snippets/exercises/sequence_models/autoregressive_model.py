"""Exercises of the page about the autoregressive model."""

# --8<-- [start:exercise_1_starter]
answer = None  # (first value, second value, fixed point)
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
first = 1 * 10 - 0.5 * 6 + 4
second = 1 * first - 0.5 * 10 + 4
answer = (first, second, 4 / (1 - 1 + 0.5))
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a tuple of three numbers, got None"
assert len(answer) == 3, f"expected three numbers, got {len(answer)}"
names = ("first value", "second value", "fixed point")
for name, got, expected in zip(names, answer, (11, 10, 8), strict=True):
    assert got == expected, f"{name}: expected {expected}, got {got}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.sequence_models.autoregressive_model import Weights, free_run


def drift(weights: Weights, sigma: float, steps: int) -> float:
    """Standard deviation of the error of a free run, at its last step."""
    return sigma  # right for one step only


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.sequence_models.autoregressive_model import Weights, free_run


def drift(weights: Weights, sigma: float, steps: int) -> float:
    """Standard deviation of the error of a free run, at its last step."""
    unit = np.zeros(len(weights.w))
    unit[-1] = 1.0
    echo = free_run(weights._replace(b=0.0), unit, steps - 1)
    return float(sigma * np.sqrt(1.0 + (echo**2).sum()))


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.sequence_models.autoregressive_model import (
    free_errors,
    rmse,
)

weights = Weights(np.array([-0.65, 1.34]), 0.0)
noise = np.random.default_rng(0).normal(0, 15, size=20_000)
series = np.zeros(20_000)
for t in range(2, len(series)):
    series[t] = series[t - 2 : t] @ weights.w + noise[t]

errors = free_errors(weights, series, first=1000, steps=20)
for steps in (1, 2, 5, 20):
    got, seen = drift(weights, 15.0, steps), rmse(errors[:, steps - 1])
    print(f"{steps:2} steps: measured {seen:.1f}, computed {got:.1f}")
    assert abs(got / seen - 1) < 0.03, f"expected {seen:.1f}, got {got:.1f}"
print(f"standard deviation of the series: {series.std():.1f}")
# --8<-- [end:exercise_2_check]
