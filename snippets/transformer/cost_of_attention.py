"""What attention costs: multiplications, memory, time; and in blocks.

Sources: Vaswani et al. (2017), table 1; Milakov and Gimelshein (2018) for
the softmax in one pass; Rabe and Staats (2021) and Dao et al. (2022) for
attention in blocks.
"""

import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from snippets.rnn.recurrence import initial, run
from snippets.transformer.encoder import feed_forward
from snippets.transformer.overview import FeedForward, Linear, linear
from snippets.transformer.queries_keys_values import (
    dot_scores,
    drawn,
    project,
)
from snippets.transformer.scaled_dot_product_attention import (
    scaled_dot_product_attention,
)


# --8<-- [start:formula]
class Multiplications(NamedTuple):
    """In the products of matrices of one encoder layer."""

    projections: int
    scores: int
    averages: int
    feed_forward: int


def multiplications(n: int, d_model: int, d_ff: int) -> Multiplications:
    """For n positions, with d_k = d_v = d_model / heads."""
    return Multiplications(
        projections=4 * n * d_model**2,  # W_Q, W_K, W_V and W_O
        scores=n**2 * d_model,
        averages=n**2 * d_model,
        feed_forward=2 * n * d_model * d_ff,
    )


# --8<-- [end:formula]


# --8<-- [start:counted]
class Counted(np.ndarray):
    """An array whose operations are counted where they are computed.

    The tally goes on to every result and view: multiplications of products
    with @, and the results of every other operation by its name. Not seen
    is what has no counted operand, nor np.dot and np.einsum.
    """

    tally: Counter[str]

    def __array_finalize__(self, source: Any) -> None:
        tally = getattr(source, "tally", None)
        self.tally = Counter() if tally is None else tally

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        plain = [np.asarray(value) for value in inputs]
        result = np.asarray(getattr(ufunc, method)(*plain, **kwargs))
        if ufunc is np.matmul:
            self.tally["multiplications"] += (
                result.size * plain[0].shape[-1]
            )
        else:
            self.tally[ufunc.__name__] += result.size
        shown = result.view(Counted)
        shown.tally = self.tally
        return shown


def counted(x: Float[np.ndarray, "*shape"]) -> Counted:
    """The same numbers, with an empty tally, shared by its parts."""
    return x.view(Counted)


# --8<-- [end:counted]


# --8<-- [start:count]
class Count(NamedTuple):
    """Multiplications of three parts, and the powers of e."""

    attention: int
    feed_forward: int
    rnn: int
    powers: int


def count_layers(
    n: int, d_model: int, d_ff: int, rng: np.random.Generator
) -> Count:
    """Run attention with one head, a feed-forward part and an RNN."""
    x = counted(rng.normal(size=(n, d_model)))
    one = drawn(rng, d_model, d_model, d_model)
    seen = scaled_dot_product_attention(*project(one, x, x))
    z = linear(one.output, seen.output)
    attention = x.tally["multiplications"]
    inner = Linear(rng.normal(size=(d_ff, d_model)), np.zeros(d_ff))
    outer = Linear(inner.W.T, np.zeros(d_model))
    feed_forward(FeedForward(inner, outer), z)
    y = counted(np.asarray(x)[None])
    run(initial(d_model, d_model, rng), y, np.zeros_like(y[:, 0]))
    return Count(
        attention=attention,
        feed_forward=x.tally["multiplications"] - attention,
        rnn=y.tally["multiplications"],
        powers=x.tally["exp"],
    )


# --8<-- [end:count]


# --8<-- [start:blocks]
class Running(NamedTuple):
    """A softmax-weighted mean, after some of the keys.

    `mean * total` is the sum of exp(score - top) * value so far.
    """

    top: Float[np.ndarray, "*batch target 1"]
    total: Float[np.ndarray, "*batch target 1"]
    mean: Float[np.ndarray, "*batch target d_v"]


def read_block(
    running: Running,
    queries: Float[np.ndarray, "*batch target d_k"],
    keys: Float[np.ndarray, "*batch source d_k"],
    values: Float[np.ndarray, "*batch source d_v"],
) -> Running:
    """The same with the keys and values of one more block, unmasked."""
    scores = dot_scores(queries, keys) / queries.shape[-1] ** 0.5
    top = np.maximum(running.top, scores.max(axis=-1, keepdims=True))
    powers = np.exp(scores - top)
    old = running.total * np.exp(running.top - top)  # to the new top
    total = old + powers.sum(axis=-1, keepdims=True)
    mean = (old * running.mean + powers @ values) / total
    return Running(top, total, mean)


def attention_in_blocks(
    queries: Float[np.ndarray, "*batch target d_k"],
    keys: Float[np.ndarray, "*batch source d_k"],
    values: Float[np.ndarray, "*batch source d_v"],
    block: int,
) -> Float[np.ndarray, "*batch target d_v"]:
    """The output of scaled dot-product attention, never its whole map.

    At any time there are scores of `block` queries and `block` keys.
    Raises ValueError for a block below 1, or where there is no key.
    """
    if block < 1 or not keys.shape[-2]:
        raise ValueError("block and the number of keys must be at least 1")
    outputs = np.empty((*queries.shape[:-1], values.shape[-1]))
    for i in range(0, queries.shape[-2], block):
        asking = queries[..., i : i + block, :]
        nothing = np.zeros((*asking.shape[:-1], 1))
        start = np.zeros((*asking.shape[:-1], values.shape[-1]))
        running = Running(nothing - np.inf, nothing, start)
        for j in range(0, keys.shape[-2], block):
            part = np.s_[..., j : j + block, :]
            running = read_block(running, asking, keys[part], values[part])
        outputs[..., i : i + block, :] = running.mean
    return outputs


# --8<-- [end:blocks]


# --8<-- [start:rows]
def attention_by_rows(
    queries: Float[np.ndarray, "*batch target d_k"],
    keys: Float[np.ndarray, "*batch source d_k"],
    values: Float[np.ndarray, "*batch source d_v"],
    block: int,
) -> Float[np.ndarray, "*batch target d_v"]:
    """The same for `block` queries at a time, and all keys at once.

    Raises ValueError for a block below 1, or where there is no key.
    """
    if block < 1 or not keys.shape[-2]:
        raise ValueError("block and the number of keys must be at least 1")
    outputs = np.empty((*queries.shape[:-1], values.shape[-1]))
    for i in range(0, queries.shape[-2], block):
        rows = np.s_[..., i : i + block, :]
        outputs[rows] = scaled_dot_product_attention(
            queries[rows], keys, values
        ).output  # without a name, so that its weights are let go
    return outputs


# --8<-- [end:rows]


# --8<-- [start:measure]
def peak_bytes(work: Callable[[], Any]) -> int:
    """The most memory that the work takes at a time, beyond its inputs.

    What it returns counts. Python and NumPy report every allocation.
    """
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def seconds(
    works: Sequence[Callable[[], Any]], repeats: int
) -> Float[np.ndarray, " works"]:
    """Processor time of each work: the shortest of several rounds.

    Other programs can only lengthen it. A round runs every work once, so
    that a busy moment of the machine does not hit all runs of one; it is
    timed the second time, with warm caches. Only the calling thread is
    measured: let the work use no other.
    """
    times = np.empty((repeats, len(works)))
    for row in times:
        for number, work in enumerate(works):
            work()
            start = time.thread_time()
            work()
            row[number] = time.thread_time() - start
    return times.min(axis=0)


def exponent(
    lengths: Float[np.ndarray, " sizes"], costs: Float[np.ndarray, " sizes"]
) -> float:
    """The slope of a line through the points on two log axes: p, if the
    costs grow like lengths to the power p."""
    return float(np.polyfit(np.log(lengths), np.log(costs), 1)[0])


# --8<-- [end:measure]


# --8<-- [start:linear]
def linear_attention(
    queries: Float[np.ndarray, "*batch target d_k"],
    keys: Float[np.ndarray, "*batch source d_k"],
    values: Float[np.ndarray, "*batch source d_v"],
) -> Float[np.ndarray, "*batch target d_v"]:
    """Another function than attention: the score of a pair is f(q) . f(k)
    in place of exp(q . k), with f(a) = 1 + a or, below 0, exp(a).

    Source: Katharopoulos et al. (2020), section 3.2.
    """
    f_q, f_k = (
        np.maximum(a, 0) + np.exp(np.minimum(a, 0)) for a in (queries, keys)
    )
    summed = np.swapaxes(f_k, -1, -2) @ values  # [d_k, d_v], for any length
    total = f_q @ f_k.sum(axis=-2)[..., None]
    return f_q @ summed / total


# --8<-- [end:linear]
