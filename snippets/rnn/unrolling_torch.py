"""The unrolled network and its graph, in PyTorch."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from snippets.rnn.recurrence import RNN
from snippets.rnn.recurrence_torch import run


# --8<-- [start:copies]
def gradients_of_copies(
    copies: Sequence[RNN],
    x: Float[np.ndarray, "batch time features"],
    h_0: Float[np.ndarray, "batch hidden"],
    g: Float[np.ndarray, "batch time hidden"],
    activation: str = "tanh",
) -> list[RNN]:
    """By autograd, for a loss that is the sum of g times the states.

    Every copy has tensors of its own, so it gets gradients of its own.
    """
    leaves = [
        [torch.tensor(weights, requires_grad=True) for weights in copy]
        for copy in copies
    ]
    h, loss = torch.tensor(h_0), torch.zeros(())
    steps = torch.tensor(x).split(1, dim=1)
    for t, (x_t, copy) in enumerate(zip(steps, leaves, strict=True)):
        W_x, W_h, b = copy
        h = run(x_t, h, W_x, W_h, b, activation)[:, 0]
        loss = loss + (torch.tensor(g[:, t]) * h).sum()
    loss.backward()
    return [RNN(*(leaf.grad.numpy() for leaf in copy)) for copy in leaves]


# --8<-- [end:copies]


# --8<-- [start:graph_size]
def graph_size(result: Float[torch.Tensor, "*shape"]) -> int:
    """How many operations `backward` would walk through from here."""
    seen, todo = set(), [result.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [before for before, _ in node.next_functions]
    return len(seen)


# --8<-- [end:graph_size]
