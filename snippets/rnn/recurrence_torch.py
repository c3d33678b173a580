"""The recurrent network in PyTorch: weights to and fro, and training."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn.functional import cross_entropy, one_hot

from snippets.datasets import LETTERS, alice_split, encode
from snippets.rnn.recurrence import (
    ACTIVATIONS,
    RNN,
    Characters,
    untrained,
)


# --8<-- [start:copies]
def from_torch(module: torch.nn.RNN) -> list[RNN]:
    """The layers of the module; its two biases become one."""
    if module.bidirectional or not module.bias:
        raise ValueError("module must have one direction, and biases")
    layers = []
    for weights in module.all_weights:
        W_x, W_h, b_x, b_h = (w.detach().numpy().copy() for w in weights)
        layers.append(RNN(W_x, W_h, b_x + b_h))
    return layers


def to_torch(
    layers: Sequence[RNN], activation: str = "tanh"
) -> torch.nn.RNN:
    """A float64 module with these weights; its second bias is 0.

    Raises RuntimeError where the layers do not fit each other.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer")
    hidden, features = layers[0].W_x.shape
    module = torch.nn.RNN(
        features, hidden, num_layers=len(layers), nonlinearity=activation,
        batch_first=True, dtype=torch.float64,
    )  # fmt: skip
    weights = [
        torch.as_tensor(value)
        for rnn in layers
        for value in (rnn.W_x, rnn.W_h, rnn.b, np.zeros_like(rnn.b))
    ]
    names = module.state_dict()  # layer by layer, in the same order
    module.load_state_dict(dict(zip(names, weights, strict=True)))
    return module


# --8<-- [end:copies]


# --8<-- [start:loop]
def run(
    x: Float[torch.Tensor, "batch time features"],
    h: Float[torch.Tensor, "batch hidden"],
    W_x: Float[torch.Tensor, "hidden features"],
    W_h: Float[torch.Tensor, "hidden hidden"],
    b: Float[torch.Tensor, " hidden"],
    activation: str = "tanh",
) -> Float[torch.Tensor, "batch time hidden"]:
    """Every hidden state; autograd follows the loop."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {list(ACTIVATIONS)}, "
                         f"got {activation!r}")  # fmt: skip
    phi = getattr(torch, activation)
    states = []
    for x_t in x.unbind(dim=1):
        h = phi(x_t @ W_x.T + h @ W_h.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


# --8<-- [end:loop]


# --8<-- [start:train]
BATCH, CHUNK = 32, 32  # streams side by side, steps between updates


def train(
    start: Characters,
    inputs: Int[np.ndarray, " time"],
    targets: Int[np.ndarray, " time"],
    epochs: int,
) -> tuple[Characters, list[float]]:
    """Trained weights, and the loss of every update in nats a symbol.

    The text is cut into streams that run side by side. Each chunk starts
    from the state in which the one before it ended. Adam makes the
    updates, with a step size that rises and falls once; a gradient longer
    than 1 is scaled down to 1.
    """
    if len(inputs) < BATCH * CHUNK:
        raise ValueError(
            f"inputs must have at least {BATCH * CHUNK} symbols, "
            f"got {len(inputs)}"
        )
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    rnn = to_torch([start.rnn]).float()
    out = torch.nn.Linear(*start.W_o.T.shape)
    out.weight.data = torch.tensor(start.W_o, dtype=torch.float32)
    out.bias.data = torch.tensor(start.b_o, dtype=torch.float32)
    weights = [*rnn.parameters(), *out.parameters()]
    x, y = (
        torch.tensor(codes[: len(codes) // BATCH * BATCH]).view(BATCH, -1)
        for codes in (inputs, targets)
    )
    chunks = list(zip(x.split(CHUNK, 1), y.split(CHUNK, 1), strict=True))
    optimizer = torch.optim.Adam(weights)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.02, total_steps=epochs * len(chunks)
    )
    losses = []
    for _ in range(epochs):
        h = torch.zeros(1, BATCH, rnn.hidden_size)
        for x, y in chunks:
            states, h = rnn(one_hot(x, len(LETTERS)).float(), h)
            h = h.detach()  # the value goes on, the gradient stops here
            loss = cross_entropy(out(states).flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            rate.step()
            losses.append(loss.item())
    W_o, b_o = (weight.detach().numpy() for weight in out.parameters())
    return Characters(from_torch(rnn)[0], W_o, b_o), losses


# --8<-- [end:train]


# --8<-- [start:train_on_alice]
def train_on_alice(epochs: int = 40) -> tuple[Characters, list[float]]:
    """With 40 epochs, the weights that `save` put into characters.npz."""
    codes = encode(alice_split()[0])
    start = untrained(96, np.random.default_rng(0))
    return train(start, codes[:-1], codes[1:], epochs)


# --8<-- [end:train_on_alice]
