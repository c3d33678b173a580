"""Exercises of the page The attention list."""

# --8<-- [start:exercise_1_starter]
answer = None  # tokens, maps of single heads, weights
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
tokens = (384 // 32) ** 2 + 1
answer = (tokens, 24 * 16, 24 * 16 * tokens**2)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
import numpy as np

from snippets.questions.attention_list import cut

length = len(cut(np.zeros((384, 384)), 32)) + 1
list_shape = (24 * 16, length, length)
expected = (length, list_shape[0], int(np.prod(list_shape)))
assert answer is not None, "expected three whole numbers, got None"
assert tuple(answer) == expected, f"expected {expected}, got {answer}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


def rolled(maps):
    """One map [tokens, tokens] a layer, the first layer first."""
    product = np.eye(len(maps[0]))
    for layer in maps:
        product = product @ (layer + np.eye(len(layer))) / 2
    return product


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def rolled(maps):
    """One map [tokens, tokens] a layer, the first layer first."""
    product = np.eye(len(maps[0]))
    for layer in maps:
        product = (layer + np.eye(len(layer))) / 2 @ product
    return product


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.questions.attention_list import rollout

maps = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 4))
found, expected = rolled(maps), rollout(list(maps[:, None]))
assert np.allclose(found, expected), (
    f"expected the first row {expected[0].round(3)}, "
    f"got {found[0].round(3)}"
)
# --8<-- [end:exercise_2_check]
