"""Positions: sinusoids that are added, and rotations of queries and keys.

Sources: Vaswani et al. (2017), sections 3.4 and 3.5; Su et al. (2021).
Positions count from 0, as everywhere in code.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.transformer.overview import Attention, linear
from snippets.transformer.queries_keys_values import dot_scores


# --8<-- [start:sinusoids]
def frequencies(d_model: int) -> Float[np.ndarray, " pairs"]:
    """Radians for each step: 1 for the first pair, then ever less."""
    if d_model < 1:
        raise ValueError(f"d_model must be positive, not {d_model}")
    return 10000.0 ** (-np.arange(0, d_model, 2) / d_model)


def sinusoids(
    time: int, d_model: int
) -> Float[np.ndarray, "{time} {d_model}"]:
    """Row t: the sine and the cosine of t times each frequency, in turn.

    An odd width ends with a sine that has no cosine.
    """
    if time < 0:
        raise ValueError(f"time must not be negative: {time}")
    angles = np.arange(time)[:, None] * frequencies(d_model)
    p = np.empty((time, d_model))
    p[:, 0::2] = np.sin(angles)
    p[:, 1::2] = np.cos(angles)[:, : d_model // 2]
    return p


# --8<-- [end:sinusoids]


# --8<-- [start:embed]
def embed(
    table: Float[np.ndarray, "vocab d_model"],
    tokens: Int[np.ndarray, "*batch time"],
) -> Float[np.ndarray, "*batch time d_model"]:
    """A row for each word, times the root of d_model, plus positions.

    Raises ValueError for a token without a row: NumPy would count
    negative ones from the end.
    """
    vocab, d_model = table.shape
    if not ((tokens >= 0) & (tokens < vocab)).all():
        raise ValueError(f"tokens must be 0 to {vocab - 1}")
    return table[tokens] * d_model**0.5 + sinusoids(
        tokens.shape[-1], d_model
    )


# --8<-- [end:embed]


# --8<-- [start:rotation]
def rotation(
    steps: int, d_model: int
) -> Float[np.ndarray, "{d_model} {d_model}"]:
    """The matrix that moves every row of the sinusoids on by `steps`.

    A block of two by two for each pair. Raises ValueError for an odd
    width: its last sine has no cosine to turn with.
    """
    if d_model % 2:
        raise ValueError(f"d_model must be even, not {d_model}")
    matrix = np.zeros((d_model, d_model))
    for pair, angle in enumerate(steps * frequencies(d_model)):
        here = slice(2 * pair, 2 * pair + 2)
        matrix[here, here] = [
            [np.cos(angle), np.sin(angle)],
            [-np.sin(angle), np.cos(angle)],
        ]
    return matrix


# --8<-- [end:rotation]


# --8<-- [start:terms]
class Terms(NamedTuple):
    """Four parts of q . k, named by what is in the query, in the key."""

    word_word: Float[np.ndarray, "*batch target source"]
    word_position: Float[np.ndarray, "*batch target source"]
    position_word: Float[np.ndarray, "*batch target source"]
    position_position: Float[np.ndarray, "target source"]


def score_terms(
    one: Attention,
    x: Float[np.ndarray, "*batch time d_model"],
    p: Float[np.ndarray, "time d_model"],
) -> Terms:
    """The scores of x + p in one head, before scaling, as four summands.

    The biases of the projections count as part of the word.
    """
    if one.n_heads != 1:
        raise ValueError(f"one must be a single head, not {one.n_heads}")
    q_x, k_x = linear(one.query, x), linear(one.key, x)
    q_p, k_p = p @ one.query.W.T, p @ one.key.W.T
    return Terms(
        *(dot_scores(q, k) for q in (q_x, q_p) for k in (k_x, k_p))
    )


# --8<-- [end:terms]


# --8<-- [start:rotary]
def rotary(
    x: Float[np.ndarray, "*batch time d_k"],
) -> Float[np.ndarray, "*batch time d_k"]:
    """Queries or keys, each pair turned by its position's angle.

    Raises ValueError for an odd width.
    """
    time, d_k = x.shape[-2:]
    if d_k % 2:
        raise ValueError(f"x must have an even width, not {d_k}")
    turns = sinusoids(time, d_k)
    sine, cosine = turns[:, ::2], turns[:, 1::2]
    first, second = x[..., ::2], x[..., 1::2]
    pairs = (first * cosine - second * sine, first * sine + second * cosine)
    return np.stack(pairs, axis=-1).reshape(x.shape)


# --8<-- [end:rotary]


# --8<-- [start:read]
def position_read(z: Float[np.ndarray, "batch time d_model"]) -> float:
    """How often a linear map of a vector tells at which position it is.

    Fitted by least squares on the first half of the batch, to one-hot
    positions, and tested on the other half; chance is 1 / time.
    """
    if len(z) < 2:
        raise ValueError("z must hold at least two sequences")
    batch, time, _ = z.shape
    columns = np.concatenate([z, np.ones((batch, time, 1))], axis=-1)
    seen, new = np.split(columns, [batch // 2])
    wanted = np.tile(np.eye(time), (len(seen), 1))
    map_, *_ = np.linalg.lstsq(
        seen.reshape(len(wanted), -1), wanted, rcond=None
    )
    right = (new @ map_).argmax(axis=-1) == np.arange(time)
    return float(right.mean())


# --8<-- [end:read]


# --8<-- [start:task]
class Twins(NamedTuple):
    """Sequences of the symbols ? a b x y z; the last is always ?."""

    tokens: Int[np.ndarray, "batch time"]
    a_first: Int[np.ndarray, " batch"]


def which_first(size: int, time: int, rng: np.random.Generator) -> Twins:
    """Which comes first, the one a or the one b? 2 * `size` sequences.

    The second half is the first half with a and b exchanged: twins hold
    the same symbols, and have opposite answers.
    """
    if time < 3:
        raise ValueError(f"time must be at least 3, not {time}")
    tokens = rng.integers(3, 6, size=(size, time))
    tokens[:, -1] = 0
    places = rng.random((size, time - 1)).argsort(axis=1)[:, :2]
    np.put_along_axis(tokens, places, np.array([[1, 2]]), axis=1)
    twins = np.array([0, 2, 1, 3, 4, 5])[tokens]
    a_first = (places[:, 0] < places[:, 1]).astype(int)
    return Twins(
        np.concatenate([tokens, twins]),
        np.concatenate([a_first, 1 - a_first]),
    )


# --8<-- [end:task]
