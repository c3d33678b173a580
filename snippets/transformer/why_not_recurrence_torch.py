"""The same counts, read off PyTorch's own graphs and products."""

import time
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch.utils.flop_counter import FlopCounterMode

Model = Callable[[torch.Tensor], torch.Tensor]


# --8<-- [start:chain]
def longest_chain(
    model: Model, x: Float[torch.Tensor, "batch time features"]
) -> int:
    """Operations that wait for each other in the last output's graph, as
    autograd recorded it."""
    last = model(x.clone().requires_grad_())[:, -1].grad_fn
    depth: dict[object, int] = {}
    todo = [last]
    while todo:  # a node stays until all that it reads have a depth
        reads = [node for node, _ in todo[-1].next_functions if node]
        missing = [node for node in reads if node not in depth]
        if missing:
            todo += missing
        else:
            below = [depth[node] for node in reads]
            depth[todo.pop()] = 1 + max(below, default=0)
    return depth[last]


# --8<-- [end:chain]


# --8<-- [start:products]
def products(
    model: Model, x: Float[torch.Tensor, "batch time features"]
) -> int:
    """Multiplications in all products of matrices of one forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2  # each has one addition, too


# --8<-- [end:products]


# --8<-- [start:waiting]
def waiting(batch: int, n: int, d: int) -> dict[str, float]:
    """Seconds for the same n products with a d by d matrix, on one thread.

    "wait": each needs the result of the one before. "loop": none does,
    but they are made one by one. "joined": all of them at once.
    """
    random = torch.Generator().manual_seed(0)
    W = torch.randn(d, d, generator=random) / d**0.5
    x = torch.randn(n, batch, d, generator=random)
    rows, steps = x.flatten(0, 1), x.unbind()

    def wait() -> None:
        h = steps[0]
        for _ in range(n):
            h = h @ W

    def loop() -> None:
        for step in steps:
            step @ W

    ways = {"wait": wait, "loop": loop, "joined": lambda: rows @ W}
    threads, best = (
        torch.get_num_threads(),
        dict.fromkeys(ways, float("inf")),
    )
    torch.set_num_threads(1)
    for _ in range(7):  # in turn; the best time is the least disturbed
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            took = time.perf_counter() - start
            best[name] = min(best[name], took)
    torch.set_num_threads(threads)
    return best


# --8<-- [end:waiting]
