# --8<-- [start:exercise_1_starter]
answer = None  # (receptive field, number of parameters)
# --8<-- [end:exercise_1_starter]


# --8<-- [start:exercise_1_solution]
field = 1 + (3 - 1) * (1 + 2 + 4 + 8)
first = 5 * 2 * 3 + 5
later = 5 * 5 * 3 + 5
answer = (field, first + 3 * later)
# --8<-- [end:exercise_1_solution]


# --8<-- [start:exercise_1_check]
assert isinstance(answer, tuple), f"expected a pair, got {answer}"
assert answer[0] == 31, f"receptive field: expected 31, got {answer[0]}"
assert answer[1] == 275, f"parameters: expected 275, got {answer[1]}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
pair = ("abaca", "acaba")
# --8<-- [end:exercise_2_starter]


# --8<-- [start:exercise_2_solution]
from itertools import product


def windows(text, width):
    """Every stretch of `width` letters, with the padding in front."""
    padded = "." * (width - 1) + text
    return tuple(sorted(padded[t : t + width] for t in range(len(text))))


def shortest_pair(width):
    """Two orders of the same windows, as short as there are any."""
    for length in range(1, 10):
        seen = {}
        for text in map("".join, product("abc", repeat=length)):
            twin = seen.setdefault(windows(text, width), text)
            if twin != text:
                return twin, text
    return None


pair = shortest_pair(3)
# --8<-- [end:exercise_2_solution]


# --8<-- [start:exercise_2_check]
import numpy as np


def pooled(text, W):
    """The mean over time of tanh of a convolution with kernel W."""
    width = W.shape[2]
    x = np.array([np.eye(26)[ord(letter) - ord("a")] for letter in text])
    x = np.concatenate([np.zeros((width - 1, 26)), x])
    y = [
        np.tanh((W * x[t : t + width].T).sum(axis=(1, 2)))
        for t in range(len(text))
    ]
    return np.mean(y, axis=0)


assert pair[0] != pair[1], f"expected two different texts, got {pair}"
rng = np.random.default_rng(0)
for _ in range(5):
    W = rng.normal(size=(4, 26, 3))
    apart = np.abs(pooled(pair[0], W) - pooled(pair[1], W)).max()
    assert apart < 1e-12, (
        f"expected equal means with width 3, got {apart:.3f} between them"
    )
# --8<-- [end:exercise_2_check]
