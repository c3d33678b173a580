"""Exercises of the page transformer/overview."""

# --8<-- [start:exercise_1_starter]
# (encoder layer, decoder layer, how many more with 3 heads)
answer = None
# --8<-- [end:exercise_1_starter]

# --8<-- [start:exercise_1_solution]
attention, feed_forward, norm = 168, 136, 12
answer = (
    attention + feed_forward + 2 * norm,
    2 * attention + feed_forward + 3 * norm,
    0,
)
# --8<-- [end:exercise_1_solution]

# --8<-- [start:exercise_1_check]
from snippets.transformer.overview import sizes

assert answer is not None, "answer must hold three numbers"
right = (sum(sizes(6, 10, 1, 0)), sum(sizes(6, 10, 0, 1)), 0)
for name, mine, its in zip(
    ("encoder", "decoder", "heads"), answer, right, strict=True
):
    assert mine == its, f"{name}: {its} expected, not {mine}"
# --8<-- [end:exercise_1_check]


# --8<-- [start:exercise_2_starter]
from snippets.transformer.overview import sizes


def gpt_2_size(d_model, n_layers, vocab, positions):
    stack = sum(sizes(d_model, 4 * d_model, 0, n_layers))
    return stack + vocab * d_model


# --8<-- [end:exercise_2_starter]


# --8<-- [start:exercise_2_solution]
from snippets.transformer.overview import sizes


def gpt_2_size(d_model, n_layers, vocab, positions):
    stack = sum(sizes(d_model, 4 * d_model, n_layers, 0))
    last_norm = 2 * d_model
    return stack + last_norm + (vocab + positions) * d_model


# --8<-- [end:exercise_2_solution]


# --8<-- [start:exercise_2_check]
size = gpt_2_size(768, 12, 50_257, 1024)
off = size - 124_439_808
assert off == 0, f"124,439,808 expected, yours differs by {off:,}"
# --8<-- [end:exercise_2_check]
