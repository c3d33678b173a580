"""Exercises of the page Why not recurrence."""

# --8<-- [start:exercise_1_starter]
# a: operations on the way from x_3 to h_8 in a recurrent network.
# b: the n at which the averages of attention need as many
#    multiplications as an RNN with d = 512.
# c: the n at which all of attention needs as many as an LSTM, d = 512.
answer = None  # three numbers: a, b, c
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
a = 8 - 3 + 1  # one makes h_3, and five more carry it to h_8
b = 512  # 2 n^2 d = 2 n d^2: n = d
c = 2 * 512  # 2 n^2 d + 4 n d^2 = 8 n d^2: n = 2 d
answer = a, b, c
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected three numbers, got None"
a, b, c = answer
assert a == 6, f"a: expected 6, with the one that makes h_3, got {a}"
assert b == 512, f"b: expected n = d = 512, got {b}"
assert c == 1024, f"c: expected n = 2 d = 1024, got {c}"
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np


# An average that tells "dog bites man" from "man bites dog", and does not
# care where in the sequence that stands.
def reader(x: np.ndarray) -> np.ndarray:  # [batch, time, features]
    return x.mean(axis=1)


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np


def reader(x: np.ndarray) -> np.ndarray:
    pairs = x[:, :-1, :, None] * x[:, 1:, None, :]  # each with the next
    return pairs.mean(axis=1).reshape(len(x), -1)


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

dog, bites, man = np.eye(3)
told = reader(np.stack([[dog, bites, man], [man, bites, dog]]))
assert not np.allclose(told[0], told[1]), (
    f"expected two different results, got {told[0]} twice"
)
twice = np.stack([[dog, bites, man, dog, bites, man, dog]])
later = np.roll(twice[:, :-1], 1, axis=1)
later = np.concatenate([later, later[:, :1]], axis=1)
told = reader(np.concatenate([twice, later]))
assert np.allclose(told[0], told[1]), (
    f"the same pairs, elsewhere: expected one result, got {told}"
)
# --8<-- [end:exercise_2_check]
