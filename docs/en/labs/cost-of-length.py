# %% [markdown]
# # Cost of length
#
# What happens to time and memory when a sequence gets longer? The page
# [Cost of attention](../transformer/cost-of-attention.md) counts; this lab
# measures, for attention, for a recurrent network, and for the writing of
# a text word by word.
#
# **Hypothesis.** In time, attention grows with the square of the length
# $n$ and an RNN with $n$. In memory, attention grows with the square only
# if it keeps its map. For one more word of a text, attention that keeps
# its keys and values costs time in proportion to $n$, attention that
# computes everything again in proportion to $n^2$, and an RNN always the
# same.
#
# **Result.** The hypothesis survives at large lengths, where the slopes on
# two log axes are near 2, 1 and 0. At small lengths it does not: there the
# cost of calling anything at all hides the growth, and attention is faster
# than the RNN. And the map costs time beyond its exponent: written to
# memory, it makes attention slower, and the slope can exceed 2.

# %%
import numpy as np
import torch

from snippets.figures import lines
from snippets.transformer.cost_of_attention import (
    attention_in_blocks,
    exponent,
    multiplications,
    peak_bytes,
    seconds,
)
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.manual_seed(0)
D = 64  # features, in and out, of everything below

# %% [markdown]
# ## How it is measured
#
# One layer, one head, one sequence, 64 features, the forward pass only, on
# one thread of a processor. Times are processor times of the shortest of
# several runs, so that other programs disturb little. Machines differ, so
# what is compared and asserted are slopes on two log axes, by least
# squares: a slope $p$ means that the cost grows like $n^p$.
#
# ## A whole sequence: time
#
# Attention written out, the library's own function, which reads keys in
# blocks and keeps no map, and the library's RNN.

# %%
W_q, W_k, W_v = torch.randn(3, D, D) / D**0.5
rnn = torch.nn.RNN(D, D, batch_first=True)


def written_out(x: torch.Tensor) -> torch.Tensor:
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    return (q @ k.mT / D**0.5).softmax(dim=-1) @ v


def fused(x: torch.Tensor) -> torch.Tensor:
    q, k, v = ((x @ W.T)[None] for W in (W_q, W_k, W_v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)[0]


layers = {
    "attention, with map": written_out,
    "without map": fused,
    "RNN": rnn,
}
lengths = 2.0 ** np.arange(6, 12)
inputs = [torch.randn(1, int(n), D) for n in lengths]
gap = (written_out(inputs[2]) - fused(inputs[2])).abs().max()
assert gap < 1e-5
times = {
    name: seconds([lambda x=x, f=f: f(x) for x in inputs], 4)
    for name, f in layers.items()
}
slopes = {
    name: (exponent(lengths[:3], t[:3]), exponent(lengths[-3:], t[-3:]))
    for name, t in times.items()
}
print("slope of the time      64 to 256    512 to 2048")
for name, (small, large) in slopes.items():
    print(f"{name:22} {small:9.1f} {large:14.1f}")

# %%
lines(
    {name: (lengths, 1000 * t) for name, t in times.items()},
    x="n",
    y="milliseconds",
    log_x=True,
    log_y=True,
    points=True,
    alt="On two log axes the RNN is a straight line. Both kinds of "
    "attention start far below it, rise more and more steeply, and end "
    "above it or close to it.",
    caption="One run, on the machine that built this page.",
)

# %%
assert 1.5 < slopes["attention, with map"][1] < 3.2
assert 1.5 < slopes["without map"][1] < 2.4
assert times["without map"][-1] < times["attention, with map"][-1]
assert 0.7 < slopes["RNN"][1] < 1.3
assert slopes["attention, with map"][0] < 1.5
assert times["attention, with map"][1] < times["RNN"][1]

# %% [markdown]
# Not to keep the map does not change the exponent of the time: the
# library's function computes all $n^2$ scores as well. It is faster all the
# same at the largest length, because it writes no large map to memory.
# Written out, the slope can exceed 2, where a map no longer fits into the
# fast parts of the memory. At 128 positions attention is faster than the
# RNN, which has fewer multiplications, but has to do them one position
# after the other.
#
# ## A whole sequence: memory
#
# The largest amount in use at a time, in NumPy, which reports every
# allocation. The RNN keeps all its states, as a layer above would need
# them.

# %%
sizes = 2.0 ** np.arange(8, 12)
W_x, W_h = np.random.default_rng(0).normal(size=(2, D, D)) / D**0.5


def recurrent(x: np.ndarray) -> np.ndarray:
    states = np.zeros((len(x) + 1, D))
    for t, row in enumerate(x):
        states[t + 1] = np.tanh(W_x @ row + W_h @ states[t])
    return states[1:]


def measure(n: int) -> tuple[int, int, int]:
    q, k, v = np.random.default_rng(0).normal(size=(3, n, D))
    return (
        peak_bytes(lambda: scaled_dot_product_attention(q, k, v)),
        peak_bytes(lambda: attention_in_blocks(q, k, v, 64)),
        peak_bytes(lambda: recurrent(q)),
    )


names = "attention, with map", "in blocks", "RNN"
found = np.array([measure(int(n)) for n in sizes]).T / 2**20
peaks = dict(zip(names, found, strict=True))
print("MiB             " + "".join(f"{n:9.0f}" for n in sizes) + "   slope")
for name, peak in peaks.items():
    row = "".join(f"{p:9.2f}" for p in peak)
    print(f"{name:19}{row[3:]} {exponent(sizes, peak):7.1f}")

assert 1.8 < exponent(sizes, peaks["attention, with map"]) < 2.2
assert exponent(sizes, peaks["in blocks"]) < 1.0
assert 0.8 < exponent(sizes, peaks["RNN"]) < 1.2
assert peaks["in blocks"][-1] < peaks["attention, with map"][-1] / 20

# %% [markdown]
# In blocks, attention needs no more memory than its output and a few
# blocks: its slope is still below 1, because the blocks are a constant
# part. The exponent 2 of the memory is a property of the program, that of
# the time is one of the method.
#
# ## One more word
#
# A text is written word by word, and each word sees those before it. What
# does word number $n$ cost? Attention has a choice. It can compute
# everything again, for all $n$ words. Or it keeps the keys and values of
# all words, because they do not change, and computes one query, one key
# and one value: a **key–value cache**.


# %%
def again(x: torch.Tensor) -> torch.Tensor:
    """Causal attention for all words; the newest is the last row."""
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    scores = q @ k.mT / D**0.5
    future = torch.ones(scores.shape, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v


def cached(
    x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, t: int
) -> torch.Tensor:
    """The newest word alone: its key and value join those kept."""
    keys[t], values[t] = W_k @ x, W_v @ x
    scores = keys[: t + 1] @ (W_q @ x) / D**0.5
    return scores.softmax(dim=0) @ values[: t + 1]


text = torch.randn(50, D)
keys, values = torch.zeros(2, 50, D)
rows = [cached(x, keys, values, t) for t, x in enumerate(text)]
assert (torch.stack(rows) - again(text)).abs().max() < 1e-5
print("cached and computed again: the same to 1e-5")

# %% [markdown]
# Word for word the two give the same numbers. Now the time of one word,
# when $n - 1$ words have been written, beside one step of an RNN. A cached
# step is so short that each run makes twenty of them. The text lengths go
# further for the cache, because it allows it. Nothing in a step of the RNN
# depends on $n$: its line shows how steady the measurement is.

# %%
long = 2.0 ** np.arange(6, 16)
cell = torch.nn.RNNCell(D, D)
keys, values = torch.randn(2, int(long[-1]), D)
word, state = torch.randn(D), torch.zeros(D)
short_texts = [torch.randn(int(n), D) for n in long[:6]]


def twenty(n: int) -> None:
    for _ in range(20):
        cached(word, keys, values, n - 1)


def twenty_cells() -> None:
    for _ in range(20):
        cell(word, state)


by_word = {
    "all again": (
        long[:6],
        seconds([lambda x=x: again(x) for x in short_texts], 4),
    ),
    "cached": (
        long,
        seconds([lambda n=int(n): twenty(n) for n in long], 4) / 20,
    ),
    "RNN": (long, seconds([twenty_cells for _ in long], 4) / 20),
}
large = {name: exponent(n[-3:], t[-3:]) for name, (n, t) in by_word.items()}
print("one word            slope   between")
for name, (n, _) in by_word.items():
    print(f"{name:18} {large[name]:6.1f}   {n[-3]:.0f} and {n[-1]:.0f}")

# %%
lines(
    {name: (n, 1000 * t) for name, (n, t) in by_word.items()},
    x="n",
    y="milliseconds a word",
    log_x=True,
    log_y=True,
    points=True,
    alt="On two log axes the line of all again rises steepest. The cached "
    "one is nearly flat at first and then rises. The RNN stays flat.",
    caption="One word more, after n - 1 words.",
)

# %%
assert 1.5 < large["all again"] < 3.2
assert 0.6 < large["cached"] < 1.8
assert abs(large["RNN"]) < 0.4
ratio = by_word["all again"][1][5] / by_word["cached"][1][5]
print("at 2048 words the cache is over 30 times as fast:", ratio > 30)
assert ratio > 30

# %% [markdown]
# The cache does not make a word free: the time still grows with the text,
# while that of the RNN stays the same.
#
# ## A whole text, counted
#
# Times add up over the words. Counted in multiplications, exactly, and
# without the feed-forward part:


# %%
def whole_text(n: int) -> dict[str, int]:
    """Multiplications to write n words with one layer."""
    every = [multiplications(t, D, 0) for t in range(1, n + 1)]
    return {
        "all again": sum(sum(cost) for cost in every),
        # one word of t: its share of the projections, one row of the map
        "cached": sum(sum(cost) // t for t, cost in enumerate(every, 1)),
        "RNN": 2 * n * D**2,
    }


counts = {int(n): whole_text(int(n)) for n in (64, 256, 1024, 4096)}
print("millions     all again    cached     RNN    kept: cache   RNN")
for n, cost in counts.items():
    print(
        f"n = {n:4} {cost['all again'] / 1e6:13,.1f}"
        f" {cost['cached'] / 1e6:9,.1f} {cost['RNN'] / 1e6:7,.1f}"
        f" {2 * n * D:14,} {D:5}"
    )
ends = np.array([1024.0, 4096.0])
orders = {
    name: exponent(
        ends, np.array([float(counts[int(n)][name]) for n in ends])
    )
    for name in counts[64]
}
print("slope      ", {name: round(p, 2) for name, p in orders.items()})
assert 2.8 < orders["all again"] <= 3.0
assert 1.8 < orders["cached"] <= 2.0
assert abs(orders["RNN"] - 1.0) < 1e-9
assert counts[4096]["cached"] < sum(multiplications(4096, D, 0))

# %% [markdown]
# With a cache a whole text costs less than one pass of attention over all
# of it, as no score with a later word is computed: in the order of $n^2$.
# Without a cache it is in the order of $n^3$. What the cache takes is
# memory, last but one column: two numbers for each word and feature, in
# every layer. The RNN keeps 64 numbers, whatever the length. That is its
# advantage, and its limit: all that it knows of the past [has to fit into
# them](../rnn/short-term-dependency.md).
#
# ## What this says
#
# - **Twice the length** costs attention four times the time, if it is
#   long already; a sentence is not long.
# - **The quadratic memory is avoidable**, the quadratic time is not, as
#   long as every pair is to be compared.
# - **Writing** needs a cache; then each word costs time in proportion to
#   what stands before it.
#
# **Limits.** One layer, one head, one sequence at a time, no training, one
# thread. Other widths move every crossing: with $d$ features the map
# outweighs the projections only from $n = 2d$ on. On a GPU, positions that
# need not wait run side by side, which favours attention more than here. A
# single layer that computes everything again would need only its last
# row; in a stack, all rows of the layers below are needed.
