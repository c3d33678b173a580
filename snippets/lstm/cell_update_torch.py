"""How the cell state moves with an earlier one, by autograd."""

import numpy as np
import torch
from jaxtyping import Float

from snippets.lstm.forget_gate_torch import to_cell
from snippets.lstm.overview import LSTM


# --8<-- [start:reach]
def reach(
    lstm: LSTM,
    x: Float[np.ndarray, "1 time features"],
    h: Float[np.ndarray, "1 hidden"],
    c: Float[np.ndarray, "1 hidden"],
    held: bool = False,
) -> Float[np.ndarray, "hidden hidden"]:
    """dc_T/dc_0 by autograd; with `held`, no h that is read counts.

    Row j holds the derivatives of unit j of c_T. One copy of the
    sequence runs for each row, so that one backward pass finds all.
    """
    n = h.shape[1]
    cell = to_cell(lstm).requires_grad_(False)
    inputs = torch.tensor(x).expand(n, -1, -1)
    first = torch.tensor(c).repeat(n, 1).requires_grad_()
    h_t, c_t = torch.tensor(h).repeat(n, 1), first
    for x_t in inputs.unbind(dim=1):
        read = h_t.detach() if held else h_t
        h_t, c_t = cell(x_t, (read, c_t))
    c_t.diagonal().sum().backward()
    assert first.grad is not None
    return first.grad.numpy()


# --8<-- [end:reach]
