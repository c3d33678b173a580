"""Markov models: chains as matrices, and characters as counts.

Probabilities stand in rows: the last element picks the row, and the row
is the distribution of the next element. Sources: Markov (1913), who
counted letters of a novel; Shannon (1948), who drew English from counts.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snippets.datasets import LETTERS, encode


# --8<-- [start:chain]
class Chain(NamedTuple):
    """A first-order chain over the states 0, 1, 2, ..."""

    initial: Float[np.ndarray, " states"]
    transition: Float[np.ndarray, "states states"]


def make_chain(
    initial: Float[np.ndarray, " states"],
    transition: Float[np.ndarray, "states states"],
) -> Chain:
    """A chain, or ValueError where a row is not a distribution."""
    chain = Chain(initial, transition)
    require_distributions(**chain._asdict())
    return chain


def require_distributions(**tables: Float[np.ndarray, "..."]) -> None:
    """ValueError with the table's name where a row is none."""
    for name, rows in tables.items():
        if (rows < 0).any() or not np.allclose(rows.sum(-1), 1):
            raise ValueError(f"{name} must have rows >= 0 that sum to 1")


# --8<-- [end:chain]


# --8<-- [start:log_joint]
def log_joint(chain: Chain, states: Int[np.ndarray, " time"]) -> float:
    """Log of the probability of a whole sequence, in nats.

    A sum of logs, because the product of a thousand factors underflows.
    Returns -inf for a sequence that the chain cannot produce.
    """
    steps = chain.transition[states[:-1], states[1:]]
    with np.errstate(divide="ignore"):  # log 0 is -inf, on purpose
        start = np.log(chain.initial[states[:1]])
        return float(start.sum() + np.log(steps).sum())


# --8<-- [end:log_joint]


# --8<-- [start:walk]
def walk(
    chain: Chain, length: int, rng: np.random.Generator
) -> Int[np.ndarray, " time"]:
    """Draw a sequence: each state from the row of the one before."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    edges = np.cumsum(chain.transition, axis=1)
    row = np.cumsum(chain.initial)
    states = np.empty(length, dtype=int)
    for time, dart in enumerate(rng.random(length)):
        # The dart hits a state's piece of [0, 1] as often as its share.
        states[time] = np.searchsorted(row, dart * row[-1], side="right")
        row = edges[states[time]]
    return states


# --8<-- [end:walk]


# --8<-- [start:stationary]
def stationary(
    transition: Float[np.ndarray, "states states"],
) -> Float[np.ndarray, " states"]:
    """The distribution pi with pi @ transition = pi.

    Raises ValueError where there are several: then the chain has parts
    that never reach each other, and where it ends depends on its start.
    """
    gap = transition.T - np.eye(len(transition))
    if np.linalg.matrix_rank(gap) < len(transition) - 1:
        raise ValueError("transition has several stationary distributions")
    equations = np.vstack([gap, np.ones(len(transition))])
    right = np.append(np.zeros(len(transition)), 1.0)
    return np.linalg.lstsq(equations, right)[0]


# --8<-- [end:stationary]


def triples(
    before: Int[np.ndarray, " time"],
    now: Int[np.ndarray, " time"],
    following: Int[np.ndarray, " time"],
    symbols: int,
) -> Float[np.ndarray, "symbols symbols symbols"]:
    """How often each [before, now, following] occurs."""
    if max(before.max(), now.max(), following.max()) >= symbols:
        raise ValueError(f"symbols must be above every code: {symbols}")
    place = (before * symbols + now) * symbols + following
    counts = np.bincount(place, minlength=symbols**3).astype(float)
    return counts.reshape(symbols, symbols, symbols)


# --8<-- [start:dependence]
def dependence(
    joint: Float[np.ndarray, "before now following"],
) -> float:
    """Mutual information of before and following, given now, in nats.

    Takes probabilities or counts. It is 0 exactly when before and
    following are independent for each value of now (Cover and Thomas
    2006, sections 2.5 and 2.6); rounding leaves 1e-16 of either sign.
    """
    p = joint / joint.sum()
    given = p.sum(axis=(0, 2), keepdims=True)
    apart = p.sum(axis=2, keepdims=True) * p.sum(axis=0, keepdims=True)
    met = p > 0  # 0 log 0 is 0
    logs = np.log((p * given)[met]) - np.log(apart[met])
    return float((p[met] * logs).sum())


def alone(joint: Float[np.ndarray, "before now following"]) -> float:
    """The same with now not known: summed out, it has one value."""
    return dependence(joint.sum(axis=1, keepdims=True))


# --8<-- [end:dependence]


def shuffle_within(
    values: Int[np.ndarray, " time"],
    groups: Int[np.ndarray, " time"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " time"]:
    """The values in random order, each staying in its group."""
    mixed = rng.permutation(len(values))
    to = np.argsort(groups, kind="stable")
    fro = mixed[np.argsort(groups[mixed], kind="stable")]
    shuffled = values.copy()
    shuffled[to] = values[fro]  # both list the groups one after another
    return shuffled


# --8<-- [start:count]
class Counts(NamedTuple):
    """For each context of `order` symbols, what followed how often."""

    order: int
    table: dict[str, Int[np.ndarray, " symbols"]]


def count(text: str, order: int) -> Counts:
    """Count each symbol of LETTERS after each context in the text."""
    if not 0 <= order < len(text):
        raise ValueError(
            f"order must be at least 0 and below the text's length, "
            f"{len(text)}; got {order}"
        )
    encode(text)  # refuses symbols that are not in LETTERS
    ends = range(order + 1, len(text) + 1)
    grams = Counter(text[end - order - 1 : end] for end in ends)
    table = {gram[:-1]: np.zeros(len(LETTERS), int) for gram in grams}
    for gram, times in grams.items():
        table[gram[:-1]][LETTERS.index(gram[-1])] = times
    return Counts(order, table)


# --8<-- [end:count]


def counts_after(
    counts: Counts, contexts: list[str]
) -> Float[np.ndarray, "contexts symbols"]:
    """The counts after each context; zeros where it was never seen."""
    if any(len(context) != counts.order for context in contexts):
        raise ValueError(f"contexts must have {counts.order} symbols")
    never = np.zeros(len(LETTERS), dtype=int)
    found = [counts.table.get(context, never) for context in contexts]
    return np.array(found, dtype=float).reshape(-1, len(LETTERS))


# --8<-- [start:next_probabilities]
def next_probabilities(
    counts: Counts, context: str, alpha: float
) -> Float[np.ndarray, " symbols"]:
    """The distribution over LETTERS after the context.

    `alpha` is added to each count. With alpha 0 these are the shares
    counted, and a context never seen has none: ValueError.
    """
    seen = counts_after(counts, [context])
    if alpha == 0 and not seen.any():
        raise ValueError(f"context {context!r} was never seen")
    return smoothed(seen, alpha)[0]


def smoothed(
    seen: Float[np.ndarray, "contexts symbols"], alpha: float
) -> Float[np.ndarray, "contexts symbols"]:
    """Each row plus alpha, divided by its sum; a row of zeros stays."""
    if alpha < 0:
        raise ValueError(f"alpha must be at least 0, got {alpha}")
    total = seen.sum(axis=1, keepdims=True) + alpha * seen.shape[1]
    return (seen + alpha) / np.where(total > 0, total, 1.0)


# --8<-- [end:next_probabilities]


# --8<-- [start:perplexity]
def nats(
    text: Counts, probabilities: Float[np.ndarray, "contexts symbols"]
) -> float:
    """Mean of -log p over the text counted, p in the table's rows."""
    times = counts_after(text, list(text.table))
    met = times > 0
    with np.errstate(divide="ignore"):  # log 0 is -inf, on purpose
        logs = np.log(probabilities[met])
    return float(-(times[met] * logs).sum() / times.sum())


def perplexity(counts: Counts, text: str, alpha: float) -> float:
    """exp of the nats per character; infinite where one p is 0.

    The text's first `order` symbols are context and not scored.
    """
    met = count(text, counts.order)
    known = counts_after(counts, list(met.table))
    return float(np.exp(nats(met, smoothed(known, alpha))))


# --8<-- [end:perplexity]


# --8<-- [start:sample]
def sample(counts: Counts, length: int, rng: np.random.Generator) -> str:
    """A text drawn symbol by symbol, with the shares counted (alpha 0).

    It starts with a context drawn by its frequency, and does so again
    where nothing was ever seen to follow: at the end of the text counted.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    contexts = list(counts.table)
    weights = np.array([row.sum() for row in counts.table.values()])
    text = ""
    while len(text) < length:
        context = text[len(text) - counts.order :]
        if context in counts.table:
            p = next_probabilities(counts, context, 0.0)
            text += LETTERS[rng.choice(len(LETTERS), p=p)]
        else:
            p = weights / weights.sum()
            text += contexts[rng.choice(len(contexts), p=p)]
    return text[:length]


# --8<-- [end:sample]


# --8<-- [start:blended]
def blended(
    ladder: list[Counts], contexts: list[str], strength: float
) -> Float[np.ndarray, "contexts symbols"]:
    """Counts of orders 0, 1, ..., each smoothed towards the one below.

    Every context counts as if it had also been followed `strength` times
    by what the context without its oldest symbol predicts; below order 0
    stands the uniform distribution (MacKay and Peto 1995).
    """
    if strength <= 0:
        raise ValueError(f"strength must be above 0, got {strength}")
    if not ladder:
        return np.full((len(contexts), len(LETTERS)), 1 / len(LETTERS))
    shorter = [context[1:] for context in contexts]
    below = blended(ladder[:-1], shorter, strength)
    seen = counts_after(ladder[-1], contexts)
    total = seen.sum(axis=1, keepdims=True) + strength
    return (seen + strength * below) / total


def blended_perplexity(
    ladder: list[Counts], text: str, strength: float
) -> float:
    """The perplexity of the ladder's highest order, blended."""
    met = count(text, ladder[-1].order)
    p = blended(ladder, list(met.table), strength)
    return float(np.exp(nats(met, p)))


# --8<-- [end:blended]


# --8<-- [start:lift]
def lift(
    conditional: Float[np.ndarray, "*context symbols"],
) -> Float[np.ndarray, "contexts contexts"]:
    """The transition matrix of an order-k chain over states of k symbols.

    From the state (a, b) only the states (b, c) can be reached, with the
    probability of c after (a, b). State (a, b) has the number a K + b.
    """
    symbols = conditional.shape[-1]
    if conditional.ndim < 2 or set(conditional.shape) != {symbols}:
        raise ValueError("conditional must have 2 or more equal axes")
    table = conditional.reshape(-1, symbols)
    lifted = np.zeros((len(table), len(table)))
    for state, row in enumerate(table):
        first = state * symbols % len(table)  # forget the oldest symbol
        lifted[state, first : first + symbols] = row
    return lifted


# --8<-- [end:lift]
