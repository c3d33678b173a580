"""Sequences, and four functions that take them.

A dense layer over all steps at once is tied to one length; a causal
convolution and a recurrence are not. A mean over time needs a mask when
sequences of several lengths share one array.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from snippets.datasets import LETTERS, letters


# --8<-- [start:sentences]
def sentences(text: str) -> list[list[str]]:
    """The words of each sentence; a sentence ends at one of `.!?`."""
    words = [letters(part).split() for part in re.split("[.!?]", text)]
    return [sentence for sentence in words if sentence]


# --8<-- [end:sentences]


# --8<-- [start:one_hot]
def one_hot(
    codes: Int[np.ndarray, " time"], symbols: int = len(LETTERS)
) -> Float[np.ndarray, "time {symbols}"]:
    """Each code as a row of zeros with a single 1 at its place."""
    if codes.size and not 0 <= codes.min() <= codes.max() < symbols:
        raise ValueError(f"codes must be 0 to {symbols - 1}")
    return np.eye(symbols)[codes]


# --8<-- [end:one_hot]


# --8<-- [start:dense]
def dense(
    x: Float[np.ndarray, "batch time features"],
    W: Float[np.ndarray, "out time*features"],
    b: Float[np.ndarray, " out"],
) -> Float[np.ndarray, "batch out"]:
    """One layer over all steps at once, laid side by side."""
    return x.reshape(len(x), W.shape[1]) @ W.T + b


# --8<-- [end:dense]


# --8<-- [start:recurrent_states]
def recurrent_states(
    x: Float[np.ndarray, "batch time features"],
    W_x: Float[np.ndarray, "hidden features"],
    W_h: Float[np.ndarray, "hidden hidden"],
    b: Float[np.ndarray, " hidden"],
) -> Float[np.ndarray, "batch time+1 hidden"]:
    """The state after 0, 1, ..., T steps, zero before the first.

    Source: Elman (1990).
    """
    states = [np.zeros((len(x), len(b)))]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ W_x.T + states[-1] @ W_h.T + b))
    return np.stack(states, axis=1)


# --8<-- [end:recurrent_states]


# --8<-- [start:causal_convolution]
def causal_convolution(
    x: Float[np.ndarray, "batch time features"],
    W: Float[np.ndarray, "out features width"],
    b: Float[np.ndarray, " out"],
    dilation: int = 1,
) -> Float[np.ndarray, "batch time out"]:
    """The same weights at each step, over it and earlier steps only.

    The last column of `W` meets the present step; each column before it
    reaches `dilation` steps further back. Steps before the first are
    zeros. Source: van den Oord et al. (2016), section 2.1.
    """
    width, time = W.shape[2], x.shape[1]
    if width < 1:
        raise ValueError("W must have at least one column of weights")
    if dilation < 1:
        raise ValueError("dilation must be at least 1")
    before = np.zeros((len(x), (width - 1) * dilation, x.shape[2]))
    padded = np.concatenate([before, x], axis=1)
    y = np.tile(b, (len(x), time, 1))
    for k in range(width):
        start = k * dilation
        y = y + padded[:, start : start + time] @ W[:, :, k].T
    return y


# --8<-- [end:causal_convolution]


# --8<-- [start:causal_stack]
def causal_stack(
    x: Float[np.ndarray, "batch time features"],
    layers: Sequence[tuple[np.ndarray, np.ndarray, int]],
) -> Float[np.ndarray, "batch time out"]:
    """Causal convolutions, each followed by tanh: W, b, dilation."""
    for W, b, dilation in layers:
        x = np.tanh(causal_convolution(x, W, b, dilation))
    return x


# --8<-- [end:causal_stack]


# --8<-- [start:receptive_field]
def receptive_field(width: int, dilations: Sequence[int]) -> int:
    """How many steps back an output reaches, the present included."""
    if width < 1 or any(dilation < 1 for dilation in dilations):
        raise ValueError("width and dilations must be at least 1")
    return 1 + (width - 1) * sum(dilations)


# --8<-- [end:receptive_field]


# --8<-- [start:pad]
def pad(
    sequences: Sequence[Float[np.ndarray, "_ features"]],
) -> tuple[
    Float[np.ndarray, "batch time features"],
    Bool[np.ndarray, "batch time"],
]:
    """One array as long as the longest, and a mask: True where real."""
    if not sequences:
        raise ValueError("sequences must hold at least one sequence")
    features = sequences[0].shape[1]
    if any(sequence.shape[1] != features for sequence in sequences):
        raise ValueError("sequences must all have the same features")
    lengths = np.array([len(sequence) for sequence in sequences])
    time = lengths.max()
    x = np.zeros((len(sequences), time, features))
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x, np.arange(time) < lengths[:, None]


# --8<-- [end:pad]


# --8<-- [start:masked_mean]
def masked_mean(
    x: Float[np.ndarray, "batch time features"],
    mask: Bool[np.ndarray, "batch time"],
) -> Float[np.ndarray, "batch features"]:
    """The mean over the real steps of each sequence."""
    steps = mask.sum(axis=1, keepdims=True)
    if not steps.all():
        raise ValueError("mask must leave each sequence a real step")
    return np.where(mask[..., None], x, 0.0).sum(axis=1) / steps


# --8<-- [end:masked_mean]
