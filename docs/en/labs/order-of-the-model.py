# %% [markdown]
# # Order of the model
#
# A model of order $\tau$ predicts the next element from the last $\tau$
# elements. This lab asks what decides the best $\tau$: on numbers, with the
# [autoregressive model](../sequence-models/autoregressive-model.md) of
# sunspots, and on text, with the [Markov
# model](../sequence-models/markov-model.md) of characters.
#
# **Hypothesis.** The best order belongs to the data: the sun has one,
# English has one, and more training data only finds it more surely.
#
# **Result.** The hypothesis survives on the sunspots as long as there are
# enough held-out years to tell. It fails on text: there the best order
# grows with the amount of training text, and it changes with the smoothing.

# %%
import numpy as np

from snippets.datasets import alice_split, sunspots
from snippets.figures import lines
from snippets.sequence_models.autoregressive_model import (
    fit,
    one_step,
    order_errors,
)
from snippets.sequence_models.markov_model import (
    blended_perplexity,
    count,
    perplexity,
)

# %% [markdown]
# ## Sunspots, from several split points
#
# The years before the split are used to fit the orders 0 to 20, all on the
# same targets. The years from the split on are held out, and scored one
# year ahead. The held-out parts of two splits overlap, so the rows below
# are not independent.

# %%
years, numbers = sunspots()
splits = [int(np.flatnonzero(years == y)[0]) for y in range(1800, 2000, 20)]
held_out = np.array(
    [order_errors(numbers, split, range(21)).held_out for split in splits]
)
best = held_out.argmin(axis=1).tolist()

print("split   held-out years   best order    RMSE   order 2   order 20")
for split, errors, order in zip(splits, held_out, best, strict=True):
    print(
        f"{years[split]}  {len(numbers) - split:15} {order:12}"
        f" {errors[order]:7.2f} {errors[2]:9.2f} {errors[20]:10.2f}"
    )

# %%
enough = years[splits] <= 1940
shown = np.arange(1, 21)
lines(
    {
        "lowest": (shown, held_out[enough, 1:].min(axis=0)),
        "median": (shown, np.median(held_out[enough, 1:], axis=0)),
        "highest": (shown, held_out[enough, 1:].max(axis=0)),
    },
    x="order",
    y="held-out RMSE, sunspots",
    points=True,
    alt="All three lines drop steeply from order 1 to 2, reach their "
    "lowest points at orders 9 and 10, and are higher at order 20.",
    caption="Spread over the splits from 1800 to 1940.",
)

# %% [markdown]
# The level moves with the split: some decades are harder than others. The
# place of the minimum hardly moves: from 1800 to 1940 it is order 9 or 10.
# In the last two splits, with fewer than fifty held-out years, it jumps to
# 17 and 19. How much better than order 9 is the best order there? The last
# column has the mean difference of the squared errors with its standard
# error, as if the years were independent.


# %%
def squares(split: int, order: int) -> np.ndarray:
    """Squared errors of the held-out years, one year ahead."""
    weights = fit(numbers[20 - order : split], order)
    told = one_step(weights, numbers[split - order :])
    return (told - numbers[split:]) ** 2


print("split   best order   RMSE lower by   squared error lower by")
for split, errors, order in zip(splits, held_out, best, strict=True):
    if order == 9:
        continue
    gaps = squares(split, 9) - squares(split, order)
    doubt = gaps.std(ddof=1) / np.sqrt(len(gaps))
    print(
        f"{years[split]} {order:12} {errors[9] - errors[order]:15.2f}"
        f" {gaps.mean():14.1f} +- {doubt:.1f}"
    )

assert set(best[:-2]) == {9, 10}
assert min(best[-2:]) > 10
assert (held_out[:, 2] - held_out[:, 9] > 0.5).all()
assert (held_out[:, 9] - held_out.min(axis=1) < 1.0).all()

# %% [markdown]
# In every split order 9 is better than order 2 by more than half a sunspot,
# and never worse than the best order by a whole one. Both late gains are
# little more than one standard error, and each is the best of 21 orders: no
# evidence that a longer window is needed.
#
# ## Characters of a book
#
# The same question for *Alice in Wonderland* in 27 symbols: the first 90 %
# trains, the rest is held out. The error is now the perplexity: the model
# is as unsure as if it chose among that many equally likely symbols. Three
# ways to smooth the counts of order $k$: add 1 to each, add 0.01 to each,
# or blend each order with the next lower one (strength 10).

# %%
train, rest = alice_split()
orders = np.arange(7)


def ladder_of(text: str) -> list:
    return [count(text, int(order)) for order in orders]


def held_out_by_smoothing(ladder: list) -> dict:
    """Held-out perplexity of each order, for each way to smooth."""
    return {
        "add 1": [perplexity(table, rest, 1.0) for table in ladder],
        "add 0.01": [perplexity(table, rest, 0.01) for table in ladder],
        "blended": [
            blended_perplexity(ladder[: order + 1], rest, 10.0)
            for order in orders
        ],
    }


ladder = ladder_of(train)
training = np.array([perplexity(table, train, 0.0) for table in ladder])
scores = {k: np.array(v) for k, v in held_out_by_smoothing(ladder).items()}

print(f"{len(train)} characters to train, {len(rest)} held out")
print("order   contexts   training   add 1   add 0.01   blended")
for order in orders:
    row = [values[order] for values in scores.values()]
    print(
        f"{order:5} {len(ladder[order].table):10} {training[order]:10.2f}"
        f" {row[0]:7.2f} {row[1]:10.2f} {row[2]:9.2f}"
    )

# %%
lines(
    {"training": (orders, training)}
    | {name: (orders, values) for name, values in scores.items()},
    x="order",
    y="perplexity",
    points=True,
    alt="Training perplexity falls at every order. Held out, adding 1 or "
    "0.01 is best at order 3 and then rises; blending is best at order 5 "
    "and nearly flat there.",
    caption="Training without smoothing; the other three held out.",
)

# %%
best_by_smoothing = {k: int(v.argmin()) for k, v in scores.items()}
print(best_by_smoothing)
times = np.array([row.sum() for row in ladder[6].table.values()])
print(f"contexts of order 6 that were seen once: {(times == 1).mean():.0%}")

assert (np.diff(training) < 0).all()
assert best_by_smoothing["add 1"] == best_by_smoothing["add 0.01"] == 3
assert best_by_smoothing["blended"] == 5
assert scores["blended"].min() < 0.95 * scores["add 0.01"].min()

# %% [markdown]
# Training perplexity falls with every order. At order 6 most contexts were
# seen once, and what follows them is known by heart. Held out, adding to
# the counts is best at order 3 and then gets worse fast. Blending goes on
# gaining up to order 5, because where a long context is rare it asks the
# shorter one. So **the same text has two best orders**, depending on how
# the counts are smoothed.
#
# ## More text, higher order
#
# Now only the first part of the training text is used. The held-out text
# stays the same.

# %%
lengths = [1000, 4000, 16000, 64000, len(train)]
best_order: dict = {"add 0.01": [], "blended": []}
curves = {}
table = [
    "characters   best order: add 0.01   blended   perplexity   blended"
]
for length in lengths:
    by_smoothing = held_out_by_smoothing(ladder_of(train[:length]))
    for name, found in best_order.items():
        found.append(int(np.argmin(by_smoothing[name])))
    added, blended = by_smoothing["add 0.01"], by_smoothing["blended"]
    curves[f"{length}"] = orders, np.array(blended)
    table.append(
        f"{length:10} {best_order['add 0.01'][-1]:22}"
        f" {best_order['blended'][-1]:9} {min(added):12.2f}"
        f" {min(blended):9.2f}"
    )
print("\n".join(table))

# %%
lines(
    curves,
    x="order",
    y="held-out perplexity",
    points=True,
    alt="Five falling curves, one for each amount of text. With 1000 "
    "characters the curve is lowest at order 3; with more text it lies "
    "lower and its lowest point lies at a higher order.",
    caption="Blended counts, by characters of training text.",
)

# %%
assert (np.diff(best_order["add 0.01"]) >= 0).all()
assert (np.diff(best_order["blended"]) >= 0).all()
assert best_order["add 0.01"][0] == 1
assert best_order["add 0.01"][-1] == 3
assert best_order["blended"][0] == 3
assert best_order["blended"][-1] == 5

# %% [markdown]
# With a thousand characters, adding 0.01 does best with one character of
# context; with the whole training text, with three. Blending goes from
# three to five.
#
# ## What this says about order
#
# The best order is not a property of the data alone. It is the point where
# one more element of context stops paying for the weights or counts that it
# needs. Four things move that point:
#
# - **the data**: on the sunspots, where each order costs one weight,
#   splits with many held-out years agree on 9 or 10;
# - **the amount of training data**: on text each order multiplies the
#   contexts, and the best order grows with the text;
# - **the smoothing**: it decides what a context is worth that was seen
#   once;
# - **chance**, where few elements are held out.
#
# On text, a fixed order is a compromise: too long for a small text, too
# short for a large one. That is a reason for models that share what they
# learn between contexts, and for a
# [hidden state](../sequence-models/latent-autoregressive-model.md) in place
# of a window.
#
# **Limits.** One series, one book, one way to hold out each: the end. The
# held-out data chose the orders, so the smallest errors are a little too
# hopeful.
