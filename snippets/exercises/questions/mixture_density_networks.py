"""Exercises of the page Mixture density networks."""

# --8<-- [start:exercise_1_starter]
answer = None  # mean, within, between
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
mean = 1 / 4 * 0 + 3 / 4 * 4
within = 1 / 4 * 1**2 + 3 / 4 * 2**2
between = 1 / 4 * (0 - mean) ** 2 + 3 / 4 * (4 - mean) ** 2
answer = mean, within, between
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.questions.mixture_density_networks import Mixture, moments

mixture = Mixture(
    np.log([0.25, 0.75]), np.array([0.0, 4.0]), np.log([1.0, 2.0])
)
expected = tuple(part.item() for part in moments(mixture))
assert answer is not None, "expected three numbers, got None"
assert np.allclose(answer, expected), f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def log_density(log_weights, means, log_sigmas, y):
    """[batch], for log_weights [batch, n_gaussians], y [batch, D], and
    means and log_sigmas [batch, n_gaussians, D]."""
    return np.zeros(len(y))


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.questions.mixture_density_networks import log_sum_exp


def log_density(log_weights, means, log_sigmas, y):
    """[batch], for log_weights [batch, n_gaussians], y [batch, D], and
    means and log_sigmas [batch, n_gaussians, D]."""
    z = (y[:, None] - means) / np.exp(log_sigmas)
    parts = -0.5 * z**2 - log_sigmas - 0.5 * np.log(2 * np.pi)
    return log_sum_exp(log_weights + parts.sum(axis=-1))


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

rng = np.random.default_rng(0)
weights = rng.dirichlet(np.ones(3), size=4)
means, log_sigmas = rng.normal(size=(2, 4, 3, 2))
y = rng.normal(size=(4, 2))
expected = np.zeros(4)
for k in range(3):
    one = weights[:, k].copy()
    for d in range(2):
        sigma = np.exp(log_sigmas[:, k, d])
        z = (y[:, d] - means[:, k, d]) / sigma
        one *= np.exp(-0.5 * z**2) / (sigma * np.sqrt(2 * np.pi))
    expected += one
found = log_density(np.log(weights), means, log_sigmas, y)
assert np.allclose(found, np.log(expected)), (
    f"expected {np.log(expected).round(2)}, got {found.round(2)}"
)
far = log_density(np.log(weights), means, log_sigmas, y + 1000)
assert np.isfinite(far).all(), f"far away: expected numbers, got {far}"
places = np.array([[[-2.0, -2.0], [2.0, 2.0]]])
half, narrow = np.log([[0.5, 0.5]]), np.full((1, 2, 2), np.log(0.25))
mixed = log_density(half, places, narrow, np.array([[-2.0, 2.0]]))
assert mixed < -100, f"(-2, 2): expected less than -100, got {mixed}"
# --8<-- [end:exercise_2_check]
