"""A sequence model without any assumption: the chain rule and a table.

It is exact for every distribution, and it cannot be learnt from data: the
table has a row for every past, and hardly any past comes twice.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float


# --8<-- [start:chain_rule]
def conditionals(
    joint: Float[np.ndarray, "*symbols"],
) -> list[Float[np.ndarray, "..."]]:
    """The tables p(x_t | x_1 ... x_{t-1}) of a joint distribution.

    `joint` has one axis a time step. The table of step t has t axes: the
    first t - 1 are the context, the last is the symbol. A context of
    probability 0 has no conditional distribution; its row is uniform.
    """
    if (joint < 0).any() or not math.isclose(joint.sum(), 1, rel_tol=1e-6):
        raise ValueError("joint must be at least 0 and sum to 1")
    tables: list[np.ndarray] = []
    while joint.ndim:
        past = joint.sum(axis=-1, keepdims=True)
        table = np.full_like(joint, 1 / joint.shape[-1])
        np.divide(joint, past, out=table, where=past > 0)
        tables.insert(0, table)
        joint = past[..., 0]  # the distribution without its last symbol
    return tables


def multiply_back(
    tables: list[Float[np.ndarray, "..."]],
) -> Float[np.ndarray, "..."]:
    """The joint distribution: the product of all conditionals."""
    joint = np.ones(())
    for table in tables:
        joint = joint[..., None] * table
    return joint


# --8<-- [end:chain_rule]


# --8<-- [start:cost]
def rows(K: int, t: int) -> int:
    """Contexts of t - 1 symbols: the rows of the table of step t >= 1."""
    if K < 1 or t < 1:
        raise ValueError("K and t must be at least 1")
    return K ** (t - 1)


def free_parameters(K: int, T: int) -> int:
    """Free numbers of all T tables: the K of a row must sum to 1."""
    return sum(rows(K, t) * (K - 1) for t in range(1, T + 1))


# --8<-- [end:cost]


# --8<-- [start:fit]
Table = dict[str, Counter[str]]


def fit(sequences: Iterable[str]) -> Table:
    """How often each symbol followed each context, the whole past.

    Divided by its sum, a row holds the conditionals that make the
    training sequences most probable. Rows that were never used are not
    stored.
    """
    table: Table = defaultdict(Counter)
    for sequence in sequences:
        for place, symbol in enumerate(sequence):
            table[sequence[:place]][symbol] += 1
    return dict(table)


def probability(table: Table, context: str, symbol: str) -> float:
    """p(symbol | context); 0 where the context has no row."""
    row = table.get(context, Counter())
    return row[symbol] / row.total() if row else 0.0


# --8<-- [end:fit]


# --8<-- [start:use]
def log_likelihood(table: Table, sequence: str) -> float:
    """The sum of log p(x_t | x_1 ... x_{t-1}), in nats.

    It is -inf as soon as one of the factors is 0.
    """
    total = 0.0
    for place, symbol in enumerate(sequence):
        p = probability(table, sequence[:place], symbol)
        total += math.log(p) if p > 0 else -math.inf
    return total


def generate(table: Table, rng: np.random.Generator) -> str:
    """Draw one symbol after another until the context has no row."""
    text = ""
    while text in table:
        row = table[text]
        shares = np.array(list(row.values())) / row.total()
        text += str(rng.choice(list(row), p=shares))
    return text


# --8<-- [end:use]


# --8<-- [start:contexts]
def contexts(text: str, n: int) -> list[str]:
    """The n symbols before each symbol that has n symbols before it."""
    if not 0 <= n < len(text):
        raise ValueError("n must be at least 0 and below the text's length")
    return [text[t - n : t] for t in range(n, len(text))]


def unseen_share(train: str, held_out: str, n: int) -> float:
    """Of the contexts of n symbols in `held_out`, the share that `train`
    does not have, at any place."""
    known = set(contexts(train, n))
    asked = contexts(held_out, n)
    return sum(context not in known for context in asked) / len(asked)


# --8<-- [end:contexts]
