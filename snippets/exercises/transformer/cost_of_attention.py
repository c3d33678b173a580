"""Exercises of the page Cost of attention."""

# --8<-- [start:exercise_1_starter]
answer = None  # a pair: the length n, and the GiB
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
n = 2 * 768 + 3072
answer = n, 12 * 12 * n**2 * 4 / 2**30
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected a length and GiB, got None"
length, gib = answer
assert length == 4608, f"expected a length of 4608, got {length}"
assert abs(gib - 11.39) < 0.05, f"expected about 11.4 GiB, got {gib}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
from snippets.transformer.cost_of_attention import Running


def merge(a, b):
    """What one machine would have that had read the keys of both."""
    return Running(a.top, a.total + b.total, (a.mean + b.mean) / 2)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.cost_of_attention import Running


def merge(a, b):
    """What one machine would have that had read the keys of both."""
    top = np.maximum(a.top, b.top)
    of_a, of_b = (m.total * np.exp(m.top - top) for m in (a, b))
    total = of_a + of_b
    return Running(top, total, (of_a * a.mean + of_b * b.mean) / total)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.cost_of_attention import Running, read_block

rng = np.random.default_rng(0)
queries = rng.normal(size=(5, 4))
keys, values = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
start = Running(
    np.full((5, 1), -np.inf), np.zeros((5, 1)), np.zeros((5, 3))
)
whole = read_block(start, queries, keys, values)
for cut in (1, 7, 19):
    parts = [
        read_block(start, queries, keys[half], values[half])
        for half in (slice(None, cut), slice(cut, None))
    ]
    for first, second in (parts, parts[::-1]):
        found = merge(first, second)
        for name in Running._fields:
            gap = np.abs(getattr(found, name) - getattr(whole, name)).max()
            assert gap < 1e-12, (
                f"cut at {cut}: expected the {name} of all keys, "
                f"it is off by {gap:.2g}"
            )
# --8<-- [end:exercise_2_check]
