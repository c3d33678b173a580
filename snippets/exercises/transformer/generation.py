"""Exercises of the page Generation."""

# --8<-- [start:exercise_1_starter]
greedy_probability = None
best_probability = None
width = None
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
greedy_probability = 0.6 * 0.4
best_probability = 0.4 * 0.9
width = 2
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.generation import beam_search

START, END, a, b, c, d, e = range(7)
table = np.zeros((7, 7))
table[START, [a, b]] = 0.6, 0.4
table[a, [c, d, e]] = 0.4, 0.35, 0.25
table[b, [c, d]] = 0.9, 0.1
table[[c, d, e], END] = 1.0
with np.errstate(divide="ignore"):
    logs = np.log(table)
found = [
    np.exp(
        beam_search(lambda p: logs[p[:, -1]], START, END, 3, w)[
            0
        ].log_probability
    )
    for w in (1, 2, 3, 4, 5)
]
least = 1 + int(np.argmax(np.isclose(found, found[-1])))
assert greedy_probability is not None, "expected a number, got None"
assert np.isclose(greedy_probability, found[0]), (
    f"greedy: expected {found[0]:.2f}, got {greedy_probability}"
)
assert np.isclose(best_probability, found[-1]), (
    f"likeliest: expected {found[-1]:.2f}, got {best_probability}"
)
assert width == least, f"width: expected {least}, got {width}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
def reorder(cache, parents):
    return cache


# --8<-- [end:exercise_2_starter]


# --8<-- [start:exercise_2_solution]
def reorder(cache, parents):
    layers = tuple(
        type(kept)(*(array[parents] for array in kept))
        for kept in cache.layers
    )
    mask = cache.memory_mask
    return cache._replace(
        layers=layers, memory_mask=None if mask is None else mask[parents]
    )


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

from snippets.transformer.generation import (
    encode_source,
    next_logits,
    start_cache,
    step,
)
from snippets.transformer.overview import EXAMPLE, SOURCE, tokens

source = np.stack(
    [tokens(w, SOURCE) for w in ("the river bank", "the money bank")]
)
memory = encode_source(EXAMPLE, source)
words = np.array([[1, 3, 4], [1, 3, 5]])
cache = start_cache(EXAMPLE, memory, np.ones((2, 1, 3), dtype=bool))
for t in range(3):
    _, cache = step(EXAMPLE, cache, words[:, t : t + 1])
for parents in ([1, 0], [1, 1], [0, 0]):
    parents, new = np.array(parents), np.array([[2], [4]])
    got, _ = step(EXAMPLE, reorder(cache, parents), new)
    whole = np.concatenate([words[parents], new], axis=1)
    expected = next_logits(EXAMPLE, whole, memory[parents])
    assert np.allclose(got, expected, atol=1e-10), (
        f"parents {parents}: expected logits {expected.round(2)}, "
        f"got {got.round(2)}"
    )
# --8<-- [end:exercise_2_check]

# --8<-- [start:exercise_3_starter]
table = [
    [0.0, 0.0, 0.5, 0.5, 0.0, 0.0],  # after <start>: word 2 or 3
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
]
# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
table = [
    [0.0, 0.0, 0.55, 0.45, 0.0, 0.0],  # 2 is likelier than 3
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.4, 0.3, 0.3, 0.0, 0.0],  # but 2 has many continuations
    [0.0, 0.0, 0.0, 0.0, 0.5, 0.5],  # 3 has two, both likelier
    [0.0, 0.25, 0.25, 0.25, 0.25, 0.0],  # with no likely end
    [0.0, 0.25, 0.25, 0.25, 0.25, 0.0],
]
# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
import numpy as np

from snippets.transformer.generation import beam_search

P = np.array(table)
assert P.shape == (6, 6), f"expected six rows of six, got {P.shape}"
assert P.min() >= 0, f"expected no negative number, got {P.min()}"
assert np.allclose(P.sum(axis=1), 1), f"expected rows of 1, got {P.sum(1)}"
with np.errstate(divide="ignore"):
    logs = np.log(P)
one, two = (
    beam_search(lambda p: logs[p[:, -1]], 0, 1, 10, width)[0]
    for width in (1, 2)
)
for found in (one, two):
    assert found.words[-1] == 1, f"expected <end>, got {found.words}"
assert two.log_probability < one.log_probability - 1e-9, (
    f"expected less than {np.exp(one.log_probability):.3f} from two "
    f"beams, got {np.exp(two.log_probability):.3f}"
)
# --8<-- [end:exercise_3_check]
