"""Two reasons against recurrence: damaged sequences, and waiting.

Source of the second: Vaswani et al. (2017), "Attention Is All You Need",
section 4 and table 1. The damages are those that the notes name.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from snippets.rnn.recurrence import RNN

Reader = Callable[[np.ndarray], np.ndarray]


# --8<-- [start:damages]
def _take(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """From each row of x, the elements at the places of that row."""
    if not places.shape[1]:
        raise ValueError("lost must leave at least one element")
    return x[np.arange(len(x))[:, None], places]


def trim(
    x: Shaped[np.ndarray, "batch time *features"],
    lost: int,
    at_start: Int[np.ndarray, " batch"],
) -> Shaped[np.ndarray, "batch kept *features"]:
    """Each row without `lost` elements: some at its start, the rest at
    its end."""
    if (at_start < 0).any() or (at_start > lost).any():
        raise ValueError(f"at_start must be from 0 to {lost}")
    kept = np.arange(max(x.shape[1] - lost, 0))
    return _take(x, at_start[:, None] + kept)


def omit(
    x: Shaped[np.ndarray, "batch time *features"],
    lost: int,
    rng: np.random.Generator,
) -> Shaped[np.ndarray, "batch kept *features"]:
    """Each row without `lost` elements at random places."""
    if lost < 0:
        raise ValueError(f"lost must not be negative, got {lost}")
    drawn = rng.random(x.shape[:2]).argsort(axis=1)
    return _take(x, np.sort(drawn[:, lost:], axis=1))


def permute(
    x: Shaped[np.ndarray, "batch time *features"],
    width: int,
    rng: np.random.Generator,
) -> Shaped[np.ndarray, "batch time *features"]:
    """Each row with every `width` elements in a random order of their
    own; with the row's length as the width, nothing of the order is
    left."""
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    block = np.arange(x.shape[1]) // width
    return _take(x, (block + rng.random(x.shape[:2])).argsort(axis=1))


# --8<-- [end:damages]


# --8<-- [start:average]
def average(
    W_v: Float[np.ndarray, "d_v features"],
    query: Float[np.ndarray, " features"],
    x: Float[np.ndarray, "batch time features"],
) -> tuple[Float[np.ndarray, "batch d_v"], Float[np.ndarray, "batch time"]]:
    """A weighted average over all positions, and its weights.

    An element counts for more where it fits the query better.
    """
    scores = x @ query
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    return np.einsum("bt,btf->bf", weights, x) @ W_v.T, weights


# --8<-- [end:average]


# --8<-- [start:moved]
def moved(
    reader: Reader,
    x: Float[np.ndarray, "batch time features"],
    damaged: Float[np.ndarray, "batch kept features"],
) -> float:
    """How far the damage moves what the reader makes of a sequence.

    1 is as far as to another sequence of the batch, on average (root
    mean square); 0 is not at all.
    """
    clean, after = reader(x), reader(damaged)
    if len(x) < 2:
        raise ValueError("x must hold at least 2 sequences")
    other = np.roll(clean, 1, axis=0)
    sizes = [np.square(z - clean).mean() for z in (after, other)]
    return float(np.sqrt(sizes[0] / sizes[1]))


# --8<-- [end:moved]


# --8<-- [start:graphs]
class Graph(NamedTuple):
    """Operations: each reads inputs, or operations with lower numbers.

    Numbers below `inputs` are the inputs, one for each time step.
    """

    inputs: int
    reads: list[list[int]]
    outputs: list[int]


def recurrence_graph(n: int) -> Graph:
    """Operation n + t makes h_t, from x_t and from h_(t-1)."""
    reads = [[0]] + [[t, n + t - 1] for t in range(1, n)]
    return Graph(n, reads, list(range(n, 2 * n)))


def attention_graph(n: int) -> Graph:
    """Operation n + t makes z_t, from every x."""
    every = list(range(n))
    return Graph(n, [every for _ in every], list(range(n, 2 * n)))


def doubling_graph(n: int) -> Graph:
    """Rounds in which step t reads t and t - 1, t - 2, t - 4, ..."""
    reads: list[list[int]] = []
    first, reach = 0, 1  # the number of the round before, of its step 0
    while reach < n:
        for t in range(first, first + n):
            reads.append([t, t - reach] if t >= first + reach else [t])
        first, reach = first + n, 2 * reach
    return Graph(n, reads, list(range(first, first + n)))


# --8<-- [end:graphs]


# --8<-- [start:lengths]
def sequential_operations(graph: Graph) -> int:
    """Operations that wait for each other: the longest way through."""
    depth = [0] * graph.inputs
    for read in graph.reads:
        depth.append(1 + max(depth[i] for i in read))
    return max(depth)


def path_length(graph: Graph) -> int:
    """Operations from an input to an output that it reaches, by the
    shortest way; the largest over all such pairs."""
    n = graph.inputs
    ways = np.full((n + len(graph.reads), n), np.inf)
    ways[:n][np.eye(n, dtype=bool)] = 0  # from each input to itself
    for number, read in enumerate(graph.reads):
        ways[n + number] = 1 + ways[read].min(axis=0)
    found = ways[graph.outputs]
    return int(found[np.isfinite(found)].max())


# --8<-- [end:lengths]


# --8<-- [start:costs]
class Cost(NamedTuple):
    """Multiplications of one layer, and the numbers it must keep to go on
    with one more step."""

    multiplications: int
    kept: int


def costs(n: int, d: int) -> dict[str, Cost]:
    """For n steps of d numbers each, as wide inside as outside.

    Only products of matrices are counted. "averages" is attention as in
    table 1 of the paper, without its four projections.
    """
    return {
        "RNN": Cost(2 * n * d**2, d),
        "LSTM": Cost(8 * n * d**2, 2 * d),
        "averages": Cost(2 * n**2 * d, 2 * n * d),
        "attention": Cost(2 * n**2 * d + 4 * n * d**2, 2 * n * d),
    }


# --8<-- [end:costs]


# --8<-- [start:average_influence]
def average_influence(
    W_v: Float[np.ndarray, "d_v features"],
    query: Float[np.ndarray, " features"],
    x: Float[np.ndarray, "batch time features"],
) -> Float[np.ndarray, "batch time d_v features"]:
    """dz/dx_t of `average`, for every t.

    a_t W_v through the value, and a_t (W_v x_t - z) query^T through the
    weight.
    """
    z, weights = average(W_v, query, x)
    off = x @ W_v.T - z[:, None]
    factors = W_v + off[..., None] * query
    return weights[:, :, None, None] * factors


# --8<-- [end:average_influence]


# --8<-- [start:scan]
def recursion(
    a: Float[np.ndarray, "time hidden"],
    b: Float[np.ndarray, "time hidden"],
) -> Float[np.ndarray, "time hidden"]:
    """h_t = a_t h_(t-1) + b_t from h_0 = 0, one step after the other."""
    h, states = np.zeros_like(b[0]), []
    for factor, term in zip(a, b, strict=True):
        h = factor * h + term
        states.append(h)
    return np.stack(states)


def scan(
    a: Float[np.ndarray, "time hidden"],
    b: Float[np.ndarray, "time hidden"],
) -> tuple[Float[np.ndarray, "time hidden"], int]:
    """The same states, and the number of rounds that it took.

    Two steps, (a, b) then (c, d), are one: h becomes c a h + c b + d. In
    every round each step is joined with what ends before it begins.
    """
    reach, rounds = 1, 0
    while reach < len(a):
        before = b[:-reach], a[:-reach]
        b = np.concatenate([b[:reach], a[reach:] * before[0] + b[reach:]])
        a = np.concatenate([a[:reach], a[reach:] * before[1]])
        reach, rounds = 2 * reach, rounds + 1
    return b, rounds


# --8<-- [end:scan]


# --8<-- [start:parity]
def parity_network() -> RNN:
    """Two ReLU units; after ones and zeros, h[0] - 2 h[1] is the parity.

    If p is the parity so far, the units are p + x and p + x - 1, where
    that is positive: 0, 0 or 1, 0 or 2, 1.
    """
    return RNN(
        W_x=np.ones((2, 1)),
        W_h=np.array([[1.0, -2.0], [1.0, -2.0]]),
        b=np.array([0.0, -1.0]),
    )


# --8<-- [end:parity]
