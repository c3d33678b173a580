"""The Markov model as a table of logits, and a decoder to set beside it."""

import torch
from jaxtyping import Float, Int


# --8<-- [start:fit_table]
def fit_table(
    counts: Float[torch.Tensor, "contexts symbols"], steps: int
) -> Float[torch.Tensor, "contexts symbols"]:
    """Log-probabilities that maximise the likelihood, found by gradient.

    One row of logits for each context, all 0 at first (uniform). A pair
    that was counted n times adds n equal terms to the cross-entropy.
    """
    logits = torch.zeros_like(counts, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(steps):
        loss = -(counts * logits.log_softmax(dim=1)).sum() / counts.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach().log_softmax(dim=1)


# --8<-- [end:fit_table]


# --8<-- [start:decoder]
class Decoder(torch.nn.Module):
    """A small causal Transformer with random weights (part four)."""

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
