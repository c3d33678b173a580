"""Exercises of the page Generation."""

# --8<-- [start:exercise_1_starter]
answer = None  # three probabilities: of greedy, of two beams, of three
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = [0.55 * 0.4, 0.45 * 0.5 * 0.25, 0.55 * 0.4]
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.transformer.generation import beam_search

START, END, a, b, c, d = range(6)
table = np.zeros((6, 6))
table[START, [a, b]] = 0.55, 0.45
table[a, [END, c, d]] = 0.4, 0.3, 0.3
table[b, [c, d]] = 0.5
table[[c, d], 1:5] = 0.25
with np.errstate(divide="ignore"):
    logs = np.log(table)
found = [
    beam_search(lambda p: logs[p[:, -1]], START, END, 10, width)[0]
    for width in (1, 2, 3)
]
expected = np.exp([h.log_probability for h in found])
assert answer is not None, "expected three numbers, got None"
assert np.allclose(answer, expected), f"expected {expected}, got {answer}"
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
