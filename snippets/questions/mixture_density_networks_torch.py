"""The mixture density network as a module, its loss, and its training."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from snippets.questions.mixture_density_networks import MDN
from snippets.transformer.overview import Linear


# --8<-- [start:network]
class Outputs(NamedTuple):
    """Three tensors of one shape; a softmax makes weights of logits."""

    logits: Float[torch.Tensor, "batch n_gaussians"]
    means: Float[torch.Tensor, "batch n_gaussians"]
    log_sigmas: Float[torch.Tensor, "batch n_gaussians"]


class Network(nn.Module):
    """The hidden layer goes to n_gaussians, three times."""

    def __init__(self, features: int, hidden: int, n_gaussians: int):
        super().__init__()
        self.hidden = nn.Linear(features, hidden)
        self.logits = nn.Linear(hidden, n_gaussians)
        self.means = nn.Linear(hidden, n_gaussians)
        self.log_sigmas = nn.Linear(hidden, n_gaussians)

    def forward(self, x: Float[torch.Tensor, "batch features"]) -> Outputs:
        h = torch.tanh(self.hidden(x))
        return Outputs(self.logits(h), self.means(h), self.log_sigmas(h))


# --8<-- [end:network]


# --8<-- [start:losses]
def component_log_probs(
    out: Outputs, y: Float[torch.Tensor, " batch"]
) -> Float[torch.Tensor, "batch n_gaussians"]:
    """log N(y; mean, sigma^2) for each Gaussian by itself."""
    z = (y[:, None] - out.means) * torch.exp(-out.log_sigmas)
    return -0.5 * z**2 - out.log_sigmas - 0.5 * np.log(2 * np.pi)


def nll(
    out: Outputs, y: Float[torch.Tensor, " batch"], dim: int = -1
) -> Float[torch.Tensor, ""]:
    """The mean of -log p(y | x). The softmax belongs to dim = -1."""
    log_weights = out.logits.log_softmax(dim)
    parts = log_weights + component_log_probs(out, y)
    return -parts.logsumexp(dim=-1).mean()


def sum_of_logs(
    out: Outputs, y: Float[torch.Tensor, " batch"]
) -> Float[torch.Tensor, ""]:
    """Wrong: the logs of the Gaussians are added, not the Gaussians."""
    parts = out.logits.log_softmax(-1) + component_log_probs(out, y)
    return -parts.mean(dim=-1).mean()


def squared_error(
    out: Outputs, y: Float[torch.Tensor, " batch"]
) -> Float[torch.Tensor, ""]:
    """Of the mean of the first Gaussian; the rest is not trained."""
    return ((out.means[:, 0] - y) ** 2).mean()


# --8<-- [end:losses]


# --8<-- [start:library]
def library(out: Outputs) -> MixtureSameFamily:
    """The same mixture, as a distribution of PyTorch."""
    return MixtureSameFamily(
        Categorical(logits=out.logits),
        Normal(out.means, out.log_sigmas.exp()),
    )


def to_numpy(net: Network) -> MDN:
    """The same weights, for `forward` of the module without PyTorch."""
    layers = net.hidden, net.logits, net.means, net.log_sigmas
    return MDN(
        *(
            Linear(
                layer.weight.detach().double().numpy(),
                layer.bias.detach().double().numpy(),
            )
            for layer in layers
        )
    )


# --8<-- [end:library]


# --8<-- [start:train]
Loss = Callable[[Outputs, torch.Tensor], torch.Tensor]


def train(
    loss: Loss,
    n_gaussians: int,
    x: Float[np.ndarray, "batch features"],
    y: Float[np.ndarray, " batch"],
    seed: int = 0,
    updates: int = 200,
) -> Network:
    """A network of 20 hidden units, trained by L-BFGS on all the data.

    For x and y from about 0 to 1. The start is wide, since Gaussians that
    start alike hardly part: each hidden unit has its slope inside that
    range, and the means are spread over it.
    """
    torch.manual_seed(seed)
    net = Network(x.shape[1], 20, n_gaussians).double()
    with torch.no_grad():
        W = net.hidden.weight.uniform_(-10.0, 10.0)
        net.hidden.bias.copy_(-(W * torch.rand_like(W)).sum(dim=1))
        places = (torch.arange(n_gaussians) + 0.5) / n_gaussians
        net.means.bias.copy_(places)
        net.log_sigmas.bias.fill_(-1.0)
    optimizer = torch.optim.LBFGS(
        net.parameters(), max_iter=updates, line_search_fn="strong_wolfe"
    )
    inputs, wanted = torch.tensor(x), torch.tensor(y)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(net(inputs), wanted)
        value.backward()
        return value

    optimizer.step(closure)
    return net


# --8<-- [end:train]
