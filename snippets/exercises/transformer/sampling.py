"""Exercises of the page Sampling."""

# --8<-- [start:exercise_1_starter]
answer = None  # three words: as it is, with top-k 2, with top-p 0.75
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = [2, 1, 3]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.sampling import inverse_cdf, top_k, top_p
from snippets.transformer.scaled_dot_product_attention import softmax

assert answer is not None, "expected three words, got None"
logits = np.log([0.05, 0.4, 0.1, 0.15, 0.3])
expected = [
    int(inverse_cdf(softmax(changed), np.array(0.5)))
    for changed in (logits, top_k(logits, 2), top_p(logits, 0.75))
]
assert list(answer) == expected, f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
def min_p(logits, share):
    return logits


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def min_p(logits, share):
    border = logits.max(axis=-1, keepdims=True) + np.log(share)
    return np.where(logits >= border, logits, -np.inf)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.sampling import temperature, top_k
from snippets.transformer.scaled_dot_product_attention import softmax

logits = 2 * np.random.default_rng(0).normal(size=(50, 20))
p = softmax(logits)
expected = p >= 0.1 * p.max(axis=-1, keepdims=True)
got = np.isfinite(min_p(logits, 0.1))
wrong = int((got != expected).sum())
assert wrong == 0, f"expected the {expected.sum()} words, {wrong} differ"
one = top_k(min_p(logits, 0.1), 4)
other = min_p(top_k(logits, 4), 0.1)
assert np.array_equal(one, other), "expected no influence of the order"
warm = np.isfinite(min_p(temperature(logits, 2.0), 0.1))
assert warm.sum() > got.sum(), "expected more words where it is warm"
# --8<-- [end:exercise_2_check]


# --8<-- [start:exercise_3_starter]
def two_ways(first, second, t):
    texts = first[:, None] * second
    return texts, texts


# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
import numpy as np

from snippets.transformer.sampling import temperature
from snippets.transformer.scaled_dot_product_attention import softmax


def two_ways(first, second, t):
    cold = softmax(temperature(np.log(first), t))
    rows = softmax(temperature(np.log(second), t))
    texts = np.log(first[:, None] * second)
    whole = softmax(temperature(texts.reshape(-1), t))
    return cold[:, None] * rows, whole.reshape(texts.shape)


# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
import numpy as np

first = np.array([0.6, 0.4])
second = np.array([[0.55, 0.45], [0.99, 0.01]])
texts = first[:, None] * second
for way in two_ways(first, second, 1.0):
    assert np.allclose(way, texts), f"t = 1: expected {texts}, got {way}"
by_word, whole = two_ways(first, second, 0.05)
for way in (by_word, whole):
    assert np.isclose(way.sum(), 1), f"expected a sum of 1, got {way.sum()}"
got = [np.unravel_index(way.argmax(), (2, 2)) for way in (by_word, whole)]
places = [tuple(int(i) for i in place) for place in got]
assert places == [(0, 0), (1, 0)], (
    f"expected (0, 0) word by word, (1, 0) as a whole; got {places}"
)
assert by_word[0, 0] > 0.9, f"expected above 0.9, got {by_word[0, 0]:.2f}"
assert whole[1, 0] > 0.9, f"expected above 0.9, got {whole[1, 0]:.2f}"
# --8<-- [end:exercise_3_check]
