"""The unrolled network and its graph, in PyTorch."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from snippets.rnn.recurrence import RNN


# --8<-- [start:copies]
def gradients_of_copies(
    copies: Sequence[RNN],
    x: Float[np.ndarray, "batch time features"],
    h0: Float[np.ndarray, "batch hidden"],
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
    h, loss = torch.tensor(h0), torch.zeros(())
    for t, (W_x, W_h, b) in enumerate(leaves):
        a = torch.tensor(x[:, t]) @ W_x.T + h @ W_h.T + b
        h = getattr(torch, activation)(a)
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
