"""Gradients through time by autograd, and a task with a long lag."""

import numpy as np
import torch
from jaxtyping import Float

from snippets.rnn.recurrence import RNN, initial
from snippets.rnn.vanishing_and_exploding_gradients import (
    Arrays,
    carry,
    products,
    sigmoid,
)

loss_of = torch.nn.functional.binary_cross_entropy_with_logits


# --8<-- [start:jacobian]
def sigmoid_jacobian(
    rnn: RNN,
    x: Float[np.ndarray, "1 time features"],
    h: Float[np.ndarray, "1 hidden"],
) -> Float[np.ndarray, "hidden hidden"]:
    """dh_T/dh_0 of the sigmoid network, by automatic differentiation."""
    W_x, W_h, b, inputs = (torch.tensor(a) for a in (*rnn, x))

    def last_state(h: torch.Tensor) -> torch.Tensor:
        for t in range(x.shape[1]):
            h = torch.sigmoid(inputs[:, t] @ W_x.T + h @ W_h.T + b)
        return h[0]

    jacobian = torch.autograd.functional.jacobian
    return jacobian(last_state, torch.tensor(h))[:, 0].numpy()


# --8<-- [end:jacobian]


def torch_clipped(grads: Arrays, limit: float) -> list[np.ndarray]:
    """The gradients after PyTorch's own clipping by norm."""
    parameters = [torch.nn.Parameter(torch.tensor(g)) for g in grads]
    for parameter in parameters:
        parameter.grad = parameter.detach().clone()
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    return [parameter.grad.numpy() for parameter in parameters]


# --8<-- [start:task]
def first_sign(
    batch: int, steps: int
) -> tuple[
    Float[torch.Tensor, "{batch} {steps} 1"], Float[torch.Tensor, "{batch}"]
]:
    """Sequences of a sign, -1 or 1, and then noise; the sign as 0 or 1.

    The answer is asked for after the last step, `steps - 1` steps later.
    """
    y = torch.randint(2, (batch,)).double()
    x = 0.1 * torch.randn(batch, steps, 1).double()
    x[:, 0, 0] = 2 * y - 1
    return x, y


# --8<-- [end:task]


# --8<-- [start:log]
def gradient_by_step(
    rnn: torch.nn.RNN,
    readout: torch.nn.Linear,
    x: Float[torch.Tensor, "batch time features"],
    y: Float[torch.Tensor, " batch"],
) -> Float[np.ndarray, " time"]:
    """The norm of dL/dh_t over the batch, for a loss after the last step.

    The network is called step by step, so that each state is a tensor of
    its own that can keep its gradient. It adds to the gradients of the
    parameters, as any call of `backward`.
    """
    h = torch.zeros(1, len(x), rnn.hidden_size, dtype=x.dtype)
    states = []
    for t in range(x.shape[1]):
        _, h = rnn(x[:, t : t + 1], h)
        h.retain_grad()
        states.append(h)
    loss_of(readout(h[0])[:, 0], y).backward()
    return np.array([float(state.grad.norm()) for state in states])


# --8<-- [end:log]


# --8<-- [start:train]
def initial_network(
    orthogonal: bool,
) -> tuple[torch.nn.RNN, torch.nn.Linear]:
    """Thirty-two tanh units as PyTorch draws them, and a read-out."""
    rnn = torch.nn.RNN(1, 32, batch_first=True).double()
    if orthogonal:
        torch.nn.init.orthogonal_(rnn.weight_hh_l0)
    return rnn, torch.nn.Linear(32, 1).double()


def train(
    rnn: torch.nn.RNN, readout: torch.nn.Linear, steps: int, updates: int
) -> Float[np.ndarray, " {updates}"]:
    """The loss before each update of Adam, each on new sequences."""
    parameters = [*rnn.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    losses = np.empty(updates)
    for update in range(updates):
        x, y = first_sign(64, steps)
        loss = loss_of(readout(rnn(x)[1][0])[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses[update] = loss.item()
    return losses


# --8<-- [end:train]


# --8<-- [start:lstm]
def lstm_gradient(
    x: Float[torch.Tensor, "1 time features"],
    readout: Float[torch.Tensor, " hidden"],
    forget_bias: float,
    scale: float = 1.0,
) -> float:
    """The gradient norm of `readout` times c_T for c_0, by every path.

    `torch.nn.LSTM` as it is drawn, but for the bias of its forget gate and
    for the recurrent weights, which are multiplied by `scale`.
    """
    hidden = len(readout)
    net = torch.nn.LSTM(x.shape[2], hidden, batch_first=True).to(x.dtype)
    _, W_h, b_x, b_h = [parameter.data for parameter in net.parameters()]
    W_h *= scale
    b_x[hidden : 2 * hidden], b_h[hidden : 2 * hidden] = forget_bias, 0.0
    start = torch.zeros(1, 1, hidden, dtype=x.dtype, requires_grad=True)
    _, (_, end) = net(x, (torch.zeros_like(start), start))
    (end[0, 0] @ readout).backward()
    return float(start.grad.norm())


# --8<-- [end:lstm]


# --8<-- [start:five_paths]
def five_paths(seed: int) -> dict[str, float]:
    """The gradient norm of a random read-out at lag 100, on five paths.

    Sixteen units each, random inputs, weights as PyTorch draws them.
    """
    rng, _ = np.random.default_rng(seed), torch.manual_seed(seed)
    x, readout = rng.normal(size=(1, 100, 4)), rng.normal(size=16) / 4.0
    plain, start = initial(4, 16, rng), np.zeros((1, 16))
    product = products([plain] * 100, x, start)[0, -1]
    gates = sigmoid(x @ plain.W_x.T + np.log(99.0))  # around 0.99
    path = carry(gates, gates, start + 1.0) - carry(gates, gates, start)
    both = torch.tensor(x), torch.tensor(readout)
    return {
        "plain RNN": float(np.linalg.norm(readout @ product)),
        "additive path": float(np.linalg.norm(readout * path[0, -1])),
        "LSTM, forget bias 0": lstm_gradient(*both, 0.0),
        "LSTM, forget bias 5": lstm_gradient(*both, 5.0),
        "the same, W_h times 20": lstm_gradient(*both, 5.0, scale=20.0),
    }


# --8<-- [end:five_paths]
