"""Autoregressive models: the next value from the last few.

Source: Yule (1927), who fitted one of order 2 to sunspot numbers. A window
is written oldest value first, as it stands in the series.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int


# --8<-- [start:windows]
def windows(
    series: Float[np.ndarray, " time"], order: int
) -> tuple[
    Float[np.ndarray, "windows order"], Float[np.ndarray, " windows"]
]:
    """Every run of `order` values, and the value that follows it.

    With order 0 the windows are empty and every value is a target.
    Raises ValueError where no value is left to be a target.
    """
    if not 0 <= order < len(series):
        raise ValueError(f"order must be 0 to {len(series) - 1}: {order}")
    starts = np.arange(len(series) - order)
    places = starts[:, None] + np.arange(order)
    return series[places], series[order:]


# --8<-- [end:windows]


# --8<-- [start:fit]
class Weights(NamedTuple):
    """The model: prediction = window @ w + b, oldest value first."""

    w: Float[np.ndarray, " order"]
    b: float


def solve(
    rows: Float[np.ndarray, "windows order"],
    targets: Float[np.ndarray, " windows"],
) -> Weights:
    """The weights with the least sum of squared errors."""
    table = np.column_stack([rows, np.ones(len(rows))])
    solution = np.linalg.lstsq(table, targets)[0]
    return Weights(solution[:-1], float(solution[-1]))


def fit(series: Float[np.ndarray, " time"], order: int) -> Weights:
    """Least squares on every window of a series.

    Raises ValueError for fewer windows than weights to be found.
    """
    most = (len(series) - 1) // 2
    if order > most:
        raise ValueError(f"order must be at most {most} here: {order}")
    return solve(*windows(series, order))


# --8<-- [end:fit]


# --8<-- [start:predict]
def predict(
    weights: Weights, rows: Float[np.ndarray, "windows order"]
) -> Float[np.ndarray, " windows"]:
    """The value after each window."""
    return rows @ weights.w + weights.b


def predict_next(
    weights: Weights, past: Float[np.ndarray, " time"]
) -> float:
    """The value after the past, from its last `order` values alone."""
    order = len(weights.w)
    if len(past) < order:
        raise ValueError(f"past must have {order} values: {len(past)}")
    return float(past[len(past) - order :] @ weights.w + weights.b)


def one_step(
    weights: Weights, series: Float[np.ndarray, " time"]
) -> Float[np.ndarray, " windows"]:
    """A prediction for each target of `windows`, from true values."""
    return predict(weights, windows(series, len(weights.w))[0])


def rmse(errors: Float[np.ndarray, "*shape"]) -> float:
    """Root mean square: a typical error, in the unit of the series."""
    return float(np.sqrt(np.mean(errors**2)))


# --8<-- [end:predict]


# --8<-- [start:orders]
class Errors(NamedTuple):
    """One RMSE of one-step predictions for each order."""

    train: Float[np.ndarray, " orders"]
    held_out: Float[np.ndarray, " orders"]


def order_errors(
    series: Float[np.ndarray, " time"], split: int, orders: Sequence[int]
) -> Errors:
    """Fit each order on series[:split]; score that part and the rest.

    Every order gets the same targets, or the errors could not be
    compared: the first is series[max(orders)], also for small orders.
    """
    most = max(orders)
    if not most < split < len(series):
        raise ValueError(f"split must be in the series, after {most}")
    errors = []
    for order in orders:
        start = most - order
        weights = fit(series[start:split], order)
        gaps = one_step(weights, series[start:]) - series[most:]
        known = split - most
        errors.append([rmse(gaps[:known]), rmse(gaps[known:])])
    train, held_out = np.array(errors).T
    return Errors(train, held_out)


# --8<-- [end:orders]


# --8<-- [start:correlations]
def fit_by_correlations(series: Float[np.ndarray, " time"]) -> Weights:
    """Order 2 as Yule (1927) fitted it, with deviations in whole units.

    r1 and r2 are the correlations between values one and two steps
    apart. The intercept is that of the deviations: 0.
    """
    deviations = (series - series.mean()).round()
    r1 = np.corrcoef(deviations[1:], deviations[:-1])[0, 1]
    r2 = np.corrcoef(deviations[2:], deviations[:-2])[0, 1]
    w = np.array([r2 - r1**2, r1 * (1.0 - r2)]) / (1.0 - r1**2)
    return Weights(w, 0.0)


# --8<-- [end:correlations]


# --8<-- [start:shuffled]
def line(
    rows: Float[np.ndarray, "windows order"],
    targets: Float[np.ndarray, " windows"],
    queries: Float[np.ndarray, "queries order"],
) -> Float[np.ndarray, " queries"]:
    """Least squares on the windows, applied to each query."""
    return predict(solve(rows, targets), queries)


def nearest(
    rows: Float[np.ndarray, "windows order"],
    targets: Float[np.ndarray, " windows"],
    queries: Float[np.ndarray, "queries order"],
) -> Float[np.ndarray, " queries"]:
    """What followed the window that is most like each query."""
    gaps = ((queries[:, None] - rows) ** 2).sum(axis=2)
    return targets[gaps.argmin(axis=1)]


def split_gaps(
    model: Callable[..., Float[np.ndarray, " queries"]],
    rows: Float[np.ndarray, "windows order"],
    targets: Float[np.ndarray, " windows"],
    training: Int[np.ndarray, " training"],
) -> Float[np.ndarray, " windows"]:
    """Errors of a model fitted to some windows; NaN on those windows."""
    gaps = model(rows[training], targets[training], rows) - targets
    gaps[training] = np.nan
    return gaps


# --8<-- [end:shuffled]


# --8<-- [start:free_run]
def free_run(
    weights: Weights, start: Float[np.ndarray, " time"], steps: int
) -> Float[np.ndarray, " steps"]:
    """Predict on and on, each prediction taken as if it were true."""
    values = list(start)
    for _ in range(steps):
        values.append(predict_next(weights, np.array(values)))
    return np.array(values[len(start) :])


def free_errors(
    weights: Weights,
    series: Float[np.ndarray, " time"],
    first: int,
    steps: int,
) -> Float[np.ndarray, "starts steps"]:
    """Errors of free runs, one for each possible start from `first` on.

    Column 0 is one step ahead. Raises ValueError if no run fits in.
    """
    order = len(weights.w)
    if not order <= first <= len(series) - steps:
        raise ValueError(f"first must leave room for {order} and {steps}")
    rows, truth = windows(series, order)
    rows = rows[first - order : len(series) - order - steps + 1]
    errors = np.empty((len(rows), steps))
    for step in range(steps):
        predicted = predict(weights, rows)
        target = truth[first - order + step :][: len(rows)]
        errors[:, step] = predicted - target
        rows = np.column_stack([rows, predicted])[:, 1:]
    return errors


# --8<-- [end:free_run]


# --8<-- [start:companion]
def companion(weights: Weights) -> Float[np.ndarray, "order order"]:
    """The matrix that moves a window on by one step, without b.

    All rows but the last shift the window; the last one predicts.
    """
    matrix = np.eye(len(weights.w), k=1)
    matrix[-1:] = weights.w
    return matrix


def roots(weights: Weights) -> Complex[np.ndarray, " order"]:
    """Eigenvalues of the companion matrix, the largest modulus first."""
    values = np.linalg.eigvals(companion(weights)).astype(complex)
    return values[np.argsort(-np.abs(values), kind="stable")]


def fixed_point(weights: Weights) -> float:
    """The value that, filling a window, predicts itself."""
    pull = 1.0 - float(weights.w.sum())
    if pull == 0.0:
        raise ValueError("weights must not have lag weights of sum 1")
    return weights.b / pull


# --8<-- [end:companion]
