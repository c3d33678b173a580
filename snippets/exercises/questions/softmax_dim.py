"""Exercises of the page on softmax's dim."""

# --8<-- [start:exercise_1_starter]
# For each tensor of scores: the dim of the softmax, counted from 0.
answer = {
    "attention [batch, heads, target, source]": None,
    "next word [batch, time, vocab]": None,
    "pixels [batch, class, height, width]": None,
    "words from an RNN [time, batch, vocab]": None,
}
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
answer = {
    "attention [batch, heads, target, source]": 3,
    "next word [batch, time, vocab]": 2,
    "pixels [batch, class, height, width]": 1,
    "words from an RNN [time, batch, vocab]": 2,
}
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
competing = {"source", "vocab", "class"}  # what the weights are shared by
for tensor, dim in answer.items():
    axes = tensor[tensor.index("[") + 1 : -1].split(", ")
    assert isinstance(dim, int), f"{tensor}: expected a number, got {dim}"
    assert 0 <= dim < len(axes), f"{tensor}: there is no dim {dim}"
    assert axes[dim] in competing, (
        f"{tensor}: dim {dim} would let the entries of the axis "
        f"{axes[dim]} compete"
    )
# --8<-- [end:exercise_1_check]

# --8<-- [start:exercise_2_starter]
import numpy as np

from snippets.transformer.scaled_dot_product_attention import log_softmax


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy: logits [batch, time, vocab], labels
    [batch, time]."""
    logs = log_softmax(logits, axis=1)
    return float(-np.take_along_axis(logs, labels[..., None], 2).mean())


# --8<-- [end:exercise_2_starter]

# --8<-- [start:exercise_2_solution]
import numpy as np

from snippets.transformer.scaled_dot_product_attention import log_softmax


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean cross-entropy: logits [batch, time, vocab], labels
    [batch, time]."""
    logs = log_softmax(logits, axis=-1)
    return float(-np.take_along_axis(logs, labels[..., None], 2).mean())


# --8<-- [end:exercise_2_solution]

# --8<-- [start:exercise_2_check]
import numpy as np

rng = np.random.default_rng(0)
labels = rng.integers(5, size=(2, 5))
flat = loss(np.zeros((2, 5, 5)), labels)
assert abs(flat - np.log(5)) < 1e-9, (
    f"equal logits for 5 words: expected {np.log(5):.3f}, got {flat:.3f}"
)
sure = loss(20.0 * np.eye(5)[labels], labels)
assert sure < 1e-6, f"certain and right: expected 0, got {sure:.3f}"
logits = rng.normal(size=(2, 5, 5))
one = np.mean([loss(logits[:, [t]], labels[:, [t]]) for t in range(5)])
both = loss(logits, labels)
assert abs(one - both) < 1e-9, (
    f"steps must not matter to each other: all at once {both:.3f}, "
    f"one at a time {one:.3f}"
)
# --8<-- [end:exercise_2_check]
