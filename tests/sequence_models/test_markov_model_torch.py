import numpy as np
import pytest
import torch

from snippets.datasets import LETTERS, alice_split, encode
from snippets.sequence_models import markov_model as mm
from snippets.sequence_models.markov_model_torch import Decoder, fit_table

TRAIN, HELD_OUT = alice_split()


def test_gradient_descent_finds_the_normalised_counts():
    n = np.array([[1.0, 2.0, 1.0], [30.0, 10.0, 20.0]])
    trained = fit_table(torch.tensor(n), 200).exp().numpy()
    np.testing.assert_allclose(trained, mm.smoothed(n, 0.0), atol=1e-10)


def test_cross_entropy_loss_is_the_nats_per_character():
    counts = mm.count(TRAIN, 1)
    p = mm.smoothed(mm.counts_after(counts, list(LETTERS)), 0.1)
    x = torch.tensor(encode(HELD_OUT))
    loss = torch.nn.CrossEntropyLoss()(
        torch.tensor(np.log(p))[x[:-1]], x[1:]
    )
    ours = np.log(mm.perplexity(counts, HELD_OUT, 0.1))
    assert loss.item() == pytest.approx(ours, abs=1e-10)


def test_the_decoder_does_not_look_ahead():
    torch.manual_seed(0)
    decoder = Decoder(27, 8, 2).double().eval()
    x = torch.randint(0, 27, (3, 6))
    changed = x.clone()
    changed[:, 4] = (x[:, 4] + 1) % 27
    p, q = decoder(x), decoder(changed)
    assert p.shape == (3, 6, 27)
    torch.testing.assert_close(p[:, :4], q[:, :4], atol=1e-12, rtol=0)
    assert (p[:, 4] - q[:, 4]).abs().max() > 0.01
