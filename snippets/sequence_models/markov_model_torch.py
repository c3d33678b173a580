"""The Markov model as a table of logits, and a decoder to set beside it."""

import torch
from jaxtyping import Float, Int


# --8<-- [start:fit_table]
def fit_table(
    counts: Float[torch.Tensor, "contexts symbols"], steps: int
) -> Float[torch.Tensor, "contexts symbols"]:
    """Log-probabilities that maximise the likelihood, found by gradient.

    One row of logits for each context, all 0 at first (uniform). The
    cross-entropy of a row has one equal term for each time that a pair
    was counted. Its slope is softmax minus share; steps below 4 converge.
    """
    total = counts.sum(dim=1, keepdim=True)
    if not (total > 0).all():
        raise ValueError("counts must have a positive sum in each row")
    logits = torch.zeros_like(counts, requires_grad=True)
    for _ in range(steps):
        loss = -(counts / total * logits.log_softmax(dim=1)).sum()
        (slope,) = torch.autograd.grad(loss, logits)
        logits.data -= 2.0 * slope
    return logits.detach().log_softmax(dim=1)


# --8<-- [end:fit_table]


# --8<-- [start:decoder]
class Decoder(torch.nn.Module):
    """A causal Transformer: random weights, no positions (part four)."""

    def __init__(self, vocab: int, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocab, d_model)
        layer = torch.nn.TransformerEncoderLayer(
            d_model, n_heads, 4 * d_model, batch_first=True
        )
        self.stack = torch.nn.TransformerEncoder(layer, num_layers=2)
        self.readout = torch.nn.Linear(d_model, vocab)

    def forward(
        self, codes: Int[torch.Tensor, "batch time"]
    ) -> Float[torch.Tensor, "batch time vocab"]:
        """Logits of the next symbol at each position."""
        time = codes.shape[1]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(time)
        hidden = self.stack(self.embed(codes), mask=mask, is_causal=True)
        return self.readout(hidden)


# --8<-- [end:decoder]
