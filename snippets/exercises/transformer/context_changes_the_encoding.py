"""Exercises of the page Context changes the encoding."""

# --8<-- [start:exercise_1_starter]
answer = None  # a pair: the two numbers of z, and the sentence
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
first = (0.588 - 0.576 * 2) / (1 - 0.576)
answer = (first, 0.0), "the bank"
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
assert answer is not None, "expected z and a sentence, got None"
z, sentence = answer
assert max(abs(z[0] + 1.33), abs(z[1])) < 0.01, (
    f"expected z to be about (-1.33, 0), got {z}"
)
assert sentence.split() == ["the", "bank"], (
    f"expected the sentence without money, got {sentence!r}"
)
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
import numpy as np

WORDS = ["the", "river", "money", "bank", "runs"]
W_Q = np.eye(5)
W_K = np.eye(5)
# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

WORDS = ["the", "river", "money", "bank", "runs"]
likes = np.eye(5)  # a row for each query, a column for each key
likes[3, [1, 2]] = 2.0
W_Q = 20.0 * likes.T
W_K = np.eye(5)
# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)

for sentence, sense in (
    ("the river bank", "river"),
    ("bank the money", "money"),
    ("money runs the bank", "money"),
    ("the bank runs", "bank"),
):
    words = sentence.split()
    x = np.eye(5)[[WORDS.index(word) for word in words]]
    z = scaled_dot_product_attention(x @ W_Q.T, x @ W_K.T, x).output
    for word, found in zip(words, z, strict=True):
        wanted = sense if word == "bank" else word
        right = np.eye(5)[WORDS.index(wanted)]
        assert np.abs(found - right).max() < 0.01, (
            f"{sentence}: expected the vector of {wanted} for {word}, "
            f"got {found.round(2)}"
        )
# --8<-- [end:exercise_2_check]
