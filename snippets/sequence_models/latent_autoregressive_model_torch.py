"""The forward algorithm in log space, in PyTorch.

Sources: Rabiner (1989, section III.A); Eisner (2016) for the gradient.
"""

import torch
from jaxtyping import Float


# --8<-- [start:log_forward]
def log_forward(
    log_initial: Float[torch.Tensor, " states"],
    log_transition: Float[torch.Tensor, "states states"],
    scores: Float[torch.Tensor, "time states"],
) -> Float[torch.Tensor, ""]:
    """log p(x_1, ..., x_T) in nats, differentiable.

    scores[t, s] is log p(x_t | s_t = s). A product of probabilities is a
    sum here, and a sum of probabilities is a log-sum-exp.
    """
    alpha = log_initial
    for score in scores:
        before = (alpha + score)[:, None] + log_transition
        alpha = torch.logsumexp(before, dim=0)
    return torch.logsumexp(alpha, dim=0)


# --8<-- [end:log_forward]
