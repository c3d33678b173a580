"""Exercises of the page How many queries, keys and values."""

# --8<-- [start:exercise_1_starter]
self_weights = None  # [heads, target, source]
cross_weights = None
pairs = None  # two numbers: in self-attention, in cross-attention
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
self_weights = (8, 7, 7)
cross_weights = (8, 7, 12)
pairs = (7, 12)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.scaled_dot_product_attention import (
    attention_weights,
)

target, source = np.ones((8, 7, 2)), np.ones((8, 12, 2))
for name, given, keys in (
    ("self_weights", self_weights, target),
    ("cross_weights", cross_weights, source),
):
    shape = attention_weights(target, keys).shape
    assert given is not None, f"expected a shape for {name}, got None"
    assert tuple(given) == shape, f"expected {name} {shape}, got {given}"
last = [attention_weights(target[:, 6:], k)[0, 0] for k in (target, source)]
expected = tuple(map(len, last))
assert pairs is not None, "expected two numbers for pairs, got None"
assert tuple(pairs) == expected, f"expected pairs {expected}, got {pairs}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

added = np.array([[0.0, 0.0]])  # to the scores of the two pairs
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

added = np.array([[np.log(100), 0.0]])
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)

rng = np.random.default_rng(0)
queries, keys, values = rng.normal(size=(3, 2, 4))
times = np.array([100, 1])
wanted = scaled_dot_product_attention(
    queries,
    np.repeat(keys, times, axis=0),
    np.repeat(values, times, axis=0),
).output
found = scaled_dot_product_attention(queries, keys, values, added).output
gap = np.abs(found - wanted).max()
assert gap < 1e-10, f"expected the answer of 101 pairs, off by {gap:.2g}"
# --8<-- [end:exercise_2_check]
