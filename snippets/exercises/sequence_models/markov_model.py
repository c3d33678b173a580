"""Exercises of the page sequence-models/markov-model."""

# --8<-- [start:exercise_1_starter]
answer = None  # three decimals
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
product = (1 / 3) * (2 / 3) * (2 / 3) * 1  # aa, ab, ab and ba
answer = product ** (-1 / 4)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
from snippets.sequence_models.markov_model import count, perplexity

assert answer is not None, "put a number in the place of None"
expected = perplexity(count("aabab", 1), "aabab", alpha=0.0)
assert abs(answer - expected) < 0.001, (
    f"got {answer}; 4 pairs are scored: 3 from a (counts 1 and 2), 1 from b"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.sequence_models.markov_model import (
    Counts,
    next_probabilities,
)


def back_off(models: list[Counts], context: str) -> np.ndarray:
    """The shares by models[k], k as large as its context was counted.

    The list holds orders 0, 1, ...; the context is as long as the last.
    """
    return next_probabilities(models[0], "", alpha=0.0)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.sequence_models.markov_model import (
    Counts,
    next_probabilities,
)


def back_off(models: list[Counts], context: str) -> np.ndarray:
    """The shares by models[k], k as large as its context was counted.

    The list holds orders 0, 1, ...; the context is as long as the last.
    """
    for model in reversed(models):
        end = context[len(context) - model.order :]
        if end in model.table:
            return next_probabilities(model, end, alpha=0.0)
    raise ValueError("models must hold order 0")


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.datasets import alice_split, encode
from snippets.sequence_models.markov_model import count

train, held_out = alice_split()
models = [count(train, order) for order in range(6)]
codes = encode(held_out)[:2005]
zero = 0
for time in range(5, 2005):
    p = back_off(models, held_out[time - 5 : time])
    assert abs(p.sum() - 1) < 1e-9, f"the sum must be 1, got {p.sum()}"
    zero += p[codes[time]] == 0
assert zero == 238, f"expected zero 238 times in 2000, got {zero}"
# --8<-- [end:exercise_2_check]
