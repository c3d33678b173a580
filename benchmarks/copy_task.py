"""Time to learn the copy task of the Annotated Transformer, exactly.

Eleven symbols and ten tokens, as in Rush (2018); batches of 80, as in its
edition of 2022; a smaller model. `make bench` trains three of them, from
three seeds, until greedy decoding copies all of 1000 sequences that
training never shows, and then asks for 1000 others.
"""

import sys
import time
from typing import NamedTuple

import numpy as np
import torch

from snippets.transformer.whole_transformer import copied, copy_task
from snippets.transformer.whole_transformer_torch import (
    Whole,
    from_whole,
    learn,
)

SYMBOLS, TIME, BATCH, CHECKED = 11, 10, 80, 1000
D_MODEL, N_HEADS, N_LAYERS, D_FF = 64, 4, 2, 256
WARMUP, EPSILON, EVERY = 400, 0.1, 50


class Run(NamedTuple):
    """`seconds` is training alone, without the checks."""

    weights: int
    steps: int
    seconds: float
    copied: float  # share of the sequences that were looked at each time
    copied_others: float  # share of others, looked at once


def run(seed: int, longest: int = 4000, every: int = EVERY) -> Run:
    """Train until all is copied, or for `longest` steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    first, others = (
        copy_task(rng, CHECKED, TIME, SYMBOLS, held_out=True)
        for _ in range(2)
    )
    batches = (copy_task(rng, BATCH, TIME, SYMBOLS) for _ in range(longest))
    model = Whole(
        SYMBOLS, SYMBOLS, D_MODEL, N_HEADS, N_LAYERS, D_FF, tables=1
    )
    steps, seconds, share = 0, 0.0, 0.0
    begin = time.perf_counter()
    for steps, _ in enumerate(learn(model, batches, WARMUP, EPSILON), 1):
        if steps % every == 0 or steps == longest:
            seconds += time.perf_counter() - begin
            share = copied(from_whole(model), first)
            if share == 1.0:
                break
            begin = time.perf_counter()
    return Run(
        sum(p.numel() for p in model.parameters()),
        steps,
        seconds,
        share,
        copied(from_whole(model), others),
    )


def main(seeds: list[int], longest: int = 4000) -> None:
    torch.set_num_threads(1)
    print(
        f"{SYMBOLS} symbols, {TIME} tokens, batches of {BATCH}; d_model"
        f" {D_MODEL}, {N_HEADS} heads, {N_LAYERS} + {N_LAYERS} layers,"
        f" d_ff {D_FF}"
    )
    print(f"seed  weights  steps  seconds  copied of {CHECKED}  of others")
    for seed in seeds:
        weights, steps, seconds, share, others = run(seed, longest)
        print(
            f"{seed:4}{weights:9,}{steps:7}{seconds:9.1f}"
            f"{share:16.1%}{others:11.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [0, 1, 2])
