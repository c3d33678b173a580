"""Exercises of the page The word that is chosen."""

# --8<-- [start:exercise_1_starter]
answer = None  # the word drawn, the greedy word, a probability
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = (1, 0, 1 - (0.6**2 + 0.3**2 + 0.1**2))
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.sampling import inverse_cdf
from snippets.transformer.scaled_dot_product_attention import softmax

p = softmax(np.log([6.0, 3.0, 1.0]))
expected = (int(inverse_cdf(p, np.array(0.65))), int(p.argmax()),
            float(1 - p @ p))  # fmt: skip
assert answer is not None, "expected two words and a probability, got None"
assert np.allclose(answer, expected), f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.transformer.sampling import sample

first = np.array([0.5, 0.3, 0.2])
second = np.array([[0.0, 0.9, 0.1], [0.8, 0.0, 0.2], [0.3, 0.7, 0.0]])


def draw(p, n, rng):
    with np.errstate(divide="ignore"):  # the log of 0 is -inf
        return sample(np.broadcast_to(np.log(p), (n, 3)), rng)


def texts(n, rng):
    places = draw(first, n, rng), draw(first @ second, n, rng)
    return np.stack(places, axis=1)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.sampling import sample

first = np.array([0.5, 0.3, 0.2])
second = np.array([[0.0, 0.9, 0.1], [0.8, 0.0, 0.2], [0.3, 0.7, 0.0]])


def draw(p, n, rng):
    with np.errstate(divide="ignore"):  # the log of 0 is -inf
        return sample(np.broadcast_to(np.log(p), (n, 3)), rng)


def texts(n, rng):
    before = draw(first, n, rng)
    return np.stack([before, draw(second[before], n, rng)], axis=1)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.questions.sampling_a_word import chi_square

told = texts(10_000, np.random.default_rng(0))
assert told.shape == (10_000, 2), f"expected (10000, 2), got {told.shape}"
joint = (first[:, None] * second).ravel()
counts = np.bincount(3 * told[:, 0] + told[:, 1], minlength=9)
fit = chi_square(counts, joint)
assert fit.statistic < 20, (
    f"expected pairs in the shares {joint.round(2)}, "
    f"got {(counts / 10_000).round(2)}"
)
# --8<-- [end:exercise_2_check]
