"""Exercises of the page Naive sequence model."""

# --8<-- [start:exercise_1_starter]
# p(rain today, rain tomorrow) of a made-up place, no = 0 and yes = 1:
#   p(0, 0) = 0.5   p(0, 1) = 0.1   p(1, 0) = 0.1   p(1, 1) = 0.3
forward = None  # p(tomorrow = 1 | today = 1)
backward = None  # p(today = 1 | tomorrow = 0)
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
forward = 0.3 / (0.1 + 0.3)
backward = 0.1 / (0.5 + 0.1)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert forward is not None, "forward: expected a number, got None"
assert abs(forward - 0.75) < 1e-9, (
    f"forward: expected 0.3 / 0.4, today is given; got {forward}"
)
assert backward is not None, "backward: expected a number, got None"
assert abs(backward - 1 / 6) < 1e-9, (
    f"backward: expected 0.1 / 0.6, tomorrow is given; got {backward}"
)
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import math


def log_probability(factors):
    """The log of the product of the factors; -inf if one of them is 0."""
    product = 1.0
    for p in factors:
        product *= p
    return math.log(product) if product > 0 else -math.inf


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import math


def log_probability(factors):
    """The log of the product of the factors; -inf if one of them is 0."""
    return sum(math.log(p) if p > 0 else -math.inf for p in factors)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
long = log_probability([0.1] * 1000)
expected = 1000 * math.log(0.1)
assert abs(long - expected) < 1e-6, (
    f"1000 factors of 0.1: expected {expected:.3f}, got {long}"
)
impossible = log_probability([0.5, 0.0, 0.5])
assert impossible == -math.inf, (
    f"a factor of 0: expected -inf, got {impossible}"
)
empty = log_probability([])
assert empty == 0, f"no factor at all: expected log 1 = 0, got {empty}"
# --8<-- [end:exercise_2_check]


# --8<-- [start:exercise_3_starter]
from snippets.datasets import alice_split
from snippets.sequence_models.naive_sequence_model import unseen_share

train, held_out = alice_split()
parts = (64, 32, 16, 8, 4, 2, 1)  # train on 1/64 of the text, ..., all
shares = [unseen_share(train, held_out, 8) for part in parts]
# --8<-- [end:exercise_3_starter]

# --8<-- [start:exercise_3_solution]
from snippets.datasets import alice_split
from snippets.sequence_models.naive_sequence_model import unseen_share

train, held_out = alice_split()
parts = (64, 32, 16, 8, 4, 2, 1)  # train on 1/64 of the text, ..., all
shares = [
    unseen_share(train[: len(train) // part], held_out, 8) for part in parts
]
# --8<-- [end:exercise_3_solution]

# --8<-- [start:exercise_3_check]
shown = [round(share, 3) for share in shares]
assert len(shares) == 7, f"expected 7 shares, got {len(shares)}"
assert all(a > b for a, b in zip(shares, shares[1:], strict=False)), (
    f"expected a smaller share for every longer text, got {shown}"
)
assert abs(shares[0] - 0.944) < 0.001, (
    f"1/64 of the text: expected 0.944, got {shown[0]}"
)
assert abs(shares[-1] - 0.469) < 0.001, (
    f"all of the text: expected 0.469, got {shown[-1]}"
)
# --8<-- [end:exercise_3_check]
