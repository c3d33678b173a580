import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from snippets.datasets import LETTERS, alice_split, encode
from snippets.rnn import recurrence_torch
from snippets.rnn.recurrence import (
    ACTIVATIONS,
    RNN,
    Characters,
    cell,
    initial,
    log_probabilities,
    pieces,
    relu,
    run,
    sample,
    save,
    stack,
    surprise,
    trained,
    untrained,
)
from snippets.rnn.recurrence_torch import (
    BATCH,
    CHUNK,
    from_torch,
    to_torch,
    train,
    train_on_alice,
)
from snippets.sequence_models.markov_model import (
    blended_perplexity,
    count,
    perplexity,
)

SMALL = st.integers(1, 4)
STEPS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(sorted(ACTIVATIONS))


def random_rnn(rng, features, hidden):
    shapes = (hidden, features), (hidden, hidden), (hidden,)
    return RNN(*(rng.normal(size=shape) for shape in shapes))


# C09: the past acts through the hidden state, and through nothing else


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("seed", range(5))
def test_all_of_the_past_acts_through_the_hidden_state_alone(
    seed, activation
):
    rng = np.random.default_rng(seed)
    rnn = RNN(*(np.abs(a) / 3 for a in random_rnn(rng, 2, 3)))  # not dead
    x, h_0 = rng.random((1, 6, 2)), np.zeros((1, 3))
    states = run(rnn, x, h_0, activation)
    h = h_0
    for t in range(6):
        other = x.copy()
        other[0, t] += 0.5
        moved = (run(rnn, other, h_0, activation) != states).any(axis=2)
        assert not moved[0, :t].any(), "the future changed the past"
        assert moved[0, t:].all(), "an input left no trace"
        # Whatever came before: the same state, the same future.
        rest = run(rnn, x[:, t:], h, activation)
        np.testing.assert_allclose(rest, states[:, t:], atol=1e-12)
        h = states[:, t]
    output, h_n = to_torch([rnn], activation)(torch.tensor(x))
    assert torch.equal(output[:, -1], h_n[0]), "the state is the output"
    np.testing.assert_allclose(h_n[0].detach(), h, atol=1e-12)
    lstm = torch.nn.LSTM(2, 3, batch_first=True).double()
    hidden, cell_state = lstm(torch.tensor(x))[1]
    assert hidden.shape == cell_state.shape == h_n.shape
    assert not torch.equal(hidden, cell_state), "an LSTM has two states"


def test_without_recurrent_weights_only_the_present_input_counts():
    rng = np.random.default_rng(0)
    rnn = random_rnn(rng, 2, 3)._replace(W_h=np.zeros((3, 3)))
    x = rng.normal(size=(1, 5, 2))
    for activation in ACTIVATIONS:
        states = run(rnn, x, rng.normal(size=(1, 3)), activation)
        alone = cell(rnn, x[:, -1], np.zeros((1, 3)), activation)
        np.testing.assert_allclose(states[:, -1], alone, atol=1e-12)


# Equal to torch.nn.RNN


@given(SMALL, STEPS, SMALL, SMALL, st.integers(1, 3), NAMES, SEEDS)
def test_a_stack_is_the_librarys_on_copied_weights(
    batch, time, features, hidden, layers, activation, seed
):
    torch.manual_seed(seed)
    library = torch.nn.RNN(
        features, hidden, num_layers=layers, nonlinearity=activation,
        batch_first=True, dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(batch, time, features, dtype=torch.float64)
    h = torch.randn(layers, batch, hidden, dtype=torch.float64)
    with torch.no_grad():
        expected = library(x, h)
    copied = from_torch(library)
    got = stack(copied, x.numpy(), h.numpy(), activation)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-10)
    assert expected[1].shape == (layers, batch, hidden)  # layers first
    extra = sum(w.numel() for w in library.parameters()) - sum(
        a.size for rnn in copied for a in rnn
    )
    assert extra == layers * hidden  # its second bias
    with torch.no_grad():
        again = to_torch(copied, activation)(x, h)
    for back, theirs in zip(again, expected, strict=True):
        np.testing.assert_allclose(back, theirs, atol=1e-12)


@given(SMALL, STEPS, SMALL, SMALL, NAMES, SEEDS)
def test_the_loop_in_torch_has_the_librarys_gradient(
    batch, time, features, hidden, activation, seed
):
    torch.manual_seed(seed)
    library = torch.nn.RNN(
        features, hidden, nonlinearity=activation,
        batch_first=True, dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(batch, time, features, dtype=torch.float64)
    h = torch.randn(batch, hidden, dtype=torch.float64)
    weights = list(library.parameters())
    leaves = [x.requires_grad_(), h.requires_grad_(), *weights]
    W_x, W_h, b_x, b_h = weights
    ours = recurrence_torch.run(x, h, W_x, W_h, b_x + b_h, activation)
    theirs = library(x, h[None])[0]
    toward = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad((ours * toward).sum(), leaves),
        torch.autograd.grad((theirs * toward).sum(), leaves),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, atol=1e-10)


def test_initial_weights_are_distributed_as_the_librarys():
    ours = initial(300, 200, np.random.default_rng(0))
    library = torch.nn.RNN(300, 200)
    theirs = from_torch(library)[0]
    k = 200**-0.5
    for weight in ours.W_x, ours.W_h, ours.b / 2, *library.parameters():
        assert 0.8 * k < abs(weight).max() <= k + 1e-6
    for a, b, biases in zip(ours, theirs, (1, 1, 2), strict=True):
        assert a.shape == b.shape
        assert a.std() == pytest.approx(k * np.sqrt(biases / 3), rel=0.15)
        assert b.std() == pytest.approx(k * np.sqrt(biases / 3), rel=0.15)


# Small networks whose result is known


def test_a_dense_layer_of_input_and_state_side_by_side_is_the_cell():
    rng = np.random.default_rng(1)
    rnn = random_rnn(rng, 2, 3)
    x, h = rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
    W = np.hstack([rnn.W_x, rnn.W_h])
    a = np.hstack([x, h]) @ W.T + rnn.b
    np.testing.assert_allclose(cell(rnn, x, h), np.tanh(a), atol=1e-12)
    np.testing.assert_allclose(
        cell(rnn, x, h, "relu"), np.where(a > 0, a, 0), atol=1e-12
    )
    np.testing.assert_array_equal(relu(np.array([-2.0, 3.0])), [0, 3])


# Characters


def test_probabilities_sum_to_one_for_every_size_of_logit():
    rng = np.random.default_rng(0)
    model = untrained(3, rng)
    states = rng.normal(size=(2, 5, 3))
    for scale in 0.0, 1.0, 1e6:
        big = model._replace(W_o=model.W_o * scale)
        logs = log_probabilities(big, states)
        np.testing.assert_allclose(np.exp(logs).sum(-1), 1.0, atol=1e-12)


def test_all_texts_of_three_symbols_share_the_probability_of_the_first():
    model = untrained(5, np.random.default_rng(0))
    every = np.indices((1, 27, 27)).reshape(3, -1).T
    logs = -surprise(model, every).sum(axis=1)
    assert np.exp(logs).sum() == pytest.approx(1.0, abs=1e-12)


def test_the_trained_weights_give_one_perplexity_in_numpy_and_in_torch():
    model, codes = trained(), encode(alice_split()[1])
    ours = surprise(model, codes[None]).mean()
    assert 1.39 < ours < 1.41
    x = torch.nn.functional.one_hot(torch.tensor(codes[None, :-1]), 27)
    with torch.no_grad():
        states, _ = to_torch([model.rnn])(x.double())
        logits = states @ torch.tensor(model.W_o).T
        theirs = torch.nn.CrossEntropyLoss()(
            logits[0] + torch.tensor(model.b_o), torch.tensor(codes[1:])
        )
    assert ours == pytest.approx(theirs.item(), abs=1e-10)


def test_a_fresh_state_costs_the_first_symbols_of_a_piece():
    model, codes = trained(), encode(alice_split()[1][:4097])
    carried = surprise(model, codes[None])[0]
    for length, least, most in (8, 0.4, 0.7), (32, 0.08, 0.2):
        fresh = surprise(model, pieces(codes, length))
        excess = fresh - carried.reshape(-1, length)  # the same symbols
        assert least < excess.mean() < most
        assert excess[:, 0].mean() > 1
    assert abs(excess[:, 16:].mean()) < 0.02


def test_it_predicts_better_than_added_counts_and_worse_than_blended():
    text, held_out = alice_split()
    ours = surprise(trained(), encode(held_out)[None]).mean()
    tables = [count(text, order) for order in range(6)]
    added = [perplexity(table, held_out, 0.1) for table in tables]
    mixed = blended_perplexity(tables, held_out, 5.0)
    assert mixed < np.exp(ours) < min(added)


def test_saved_weights_come_back_and_the_books_are_small(tmp_path):
    model = untrained(4, np.random.default_rng(0))
    save(model, tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz") as arrays:
        assert {a.dtype for a in arrays.values()} == {np.dtype("float32")}
        for a, b in zip((*model.rnn, *model[1:]), arrays.values(),
                        strict=True):  # fmt: skip
            np.testing.assert_array_equal(a.astype(np.float32), b)
    save(trained(), tmp_path / "again.npz")  # float32 already: no loss
    assert (tmp_path / "again.npz").stat().st_size < 60_000
    assert trained().W_o.shape == (27, 96)
    assert trained().b_o.dtype == np.float64


@given(st.integers(0, 9), st.integers(0, 40))
def test_pieces_ask_for_each_symbol_once_with_its_own_past(length, time):
    codes = np.arange(time) % 27
    if length < 1 or time <= length:
        with pytest.raises(ValueError, match="length must be at least 1"):
            pieces(codes, length)
        return
    rows = pieces(codes, length)
    own = rows[:, 1:].ravel()
    np.testing.assert_array_equal(own, codes[1:][: len(own)])
    assert time - 1 - len(own) < length
    np.testing.assert_array_equal(
        rows[:, 0], codes[:-1:length][: len(rows)]
    )


def test_a_sample_continues_its_prompt_with_the_models_frequencies():
    model = untrained(3, np.random.default_rng(0))
    p = np.zeros(27) + 1e-9
    p[[1, 2]] = 0.75, 0.25
    certain = Characters(model.rnn, 0 * model.W_o, np.log(p))
    text = sample(certain, "no ", 2000, np.random.default_rng(1))
    assert text[:3] == "no "
    assert len(text) == 2003
    assert set(text[3:]) == {"a", "b"}
    assert text[3:].count("a") / 2000 == pytest.approx(0.75, abs=0.03)
    assert sample(certain, "no", 0, np.random.default_rng(1)) == "no"


def test_a_sample_feeds_each_symbol_back():
    model = untrained(27, np.random.default_rng(0))
    step = np.roll(np.eye(27), 1, axis=0)  # after a comes b, after b c
    rnn = RNN(20 * np.eye(27), np.zeros((27, 27)), np.zeros(27))
    alphabet = model._replace(rnn=rnn, W_o=100 * step, b_o=np.zeros(27))
    text = sample(alphabet, "a", 30, np.random.default_rng(0))
    assert text == LETTERS[1:] + LETTERS[:5]


# Training


def test_training_carries_the_state_from_chunk_to_chunk(monkeypatch):
    start = untrained(5, np.random.default_rng(0))
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    codes = np.random.default_rng(1).integers(0, 27, BATCH * 80 + 1)
    _, losses = train(start, codes[:-1], codes[1:], epochs=2)
    rows = codes[:-1].reshape(BATCH, 80)
    rows = np.hstack([rows, np.append(rows[1:, 0], codes[-1])[:, None]])
    expected = np.split(surprise(start, rows), [CHUNK, 2 * CHUNK], axis=1)
    means = 2 * [part.mean() for part in expected]
    np.testing.assert_allclose(losses, means, rtol=1e-5)


def test_one_epoch_on_alice_lowers_the_loss():
    model, losses = train_on_alice(epochs=1)
    assert len(losses) == 119
    assert losses[0] == pytest.approx(np.log(27), abs=0.1)
    assert np.mean(losses[-30:]) < 2.1
    assert model.rnn.W_h.shape == (96, 96)


def test_a_target_that_is_the_input_is_learnt_and_predicts_nothing():
    codes = encode(alice_split()[0])[:8192]
    start = untrained(96, np.random.default_rng(0))
    model, losses = train(start, codes, codes, epochs=6)
    assert losses[-1] < 0.1
    assert surprise(model, codes[None, :500]).mean() > np.log(27)


# Mistakes with the library


def test_without_batch_first_sequences_leak_into_each_other():
    library = to_torch([random_rnn(np.random.default_rng(0), 2, 4)])
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    other = x.clone()
    other[0, 0] += 1.0
    right = (library(other)[0] != library(x)[0]).any(dim=2)
    assert right[0].all()
    assert not right[1:].any()
    library.batch_first = False
    wrong = (library(other)[0] != library(x)[0]).any(dim=2)
    assert wrong[1:, 0].all()
    assert not wrong[:, 1:].any()


# Extreme inputs and errors


def test_tanh_stays_finite_and_relu_says_where_it_does_not():
    rnn = RNN(*(np.full(s, 1e4) for s in [(2, 2), (2, 2), (2,)]))
    x, h = np.full((1, 9, 2), 1e4), np.full((1, 2), -1e4)
    for sign in 1, -1:
        assert np.abs(run(rnn, sign * x, h)).max() == 1.0
        relu_states = run(rnn, sign * x, h, "relu")
        assert np.isfinite(relu_states).all()
    with pytest.raises(FloatingPointError, match="h is not finite"):
        run(rnn, np.full((1, 100, 2), 1e4), h, "relu")
    with pytest.raises(FloatingPointError, match="h is not finite"):
        cell(rnn, np.array([[np.nan, 0.0]]), h)


def test_wrong_values_are_refused_by_name():
    rng = np.random.default_rng(0)
    rnn = initial(2, 3, rng)
    x, h = np.ones((1, 4, 2)), np.zeros((1, 3))
    model = untrained(3, rng)
    codes = np.zeros(BATCH * CHUNK, dtype=int)
    for message, call in [
        ("x must have at least one step", lambda: run(rnn, x[:, :0], h)),
        ("x must have 2 features, got 1",
         lambda: run(rnn, x[:, :, :1], h)),
        ("h must have 3 units, got 2", lambda: run(rnn, x, h[:, :2])),
        ("activation must be one of tanh, relu, got 'Tanh'",
         lambda: run(rnn, x, h, "Tanh")),
        ("rnn must have W_h of shape",
         lambda: run(rnn._replace(b=np.zeros(1)), x, h)),
        ("rnn must have W_h of shape",
         lambda: run(rnn._replace(W_h=np.zeros((3, 2))), x, h)),
        ("layers must be as many as rows of h",
         lambda: stack([rnn], x, np.zeros((2, 1, 3)))),
        ("layers must be as many as rows of h",
         lambda: stack([], x, np.zeros((0, 1, 3)))),
        ("features and hidden must be", lambda: initial(0, 3, rng)),
        ("codes must have 2 symbols",
         lambda: surprise(model, np.zeros((1, 1), dtype=int))),
        ("prompt must not be empty", lambda: sample(model, "", 3, rng)),
        ("prompt must not be empty", lambda: sample(model, "a", -1, rng)),
        ("inputs must have at least 1024 symbols, got 1023",
         lambda: train(model, codes[1:], codes[1:], 1)),
        ("epochs must be at least", lambda: train(model, codes, codes, 0)),
        ("layers must hold at least one", lambda: to_torch([])),
        ("activation must be one of .'tanh', 'relu'., got 'exp'",
         lambda: recurrence_torch.run(
             *map(torch.tensor, (x, h, *rnn)), "exp")),
        ("module must have one direction",
         lambda: from_torch(torch.nn.RNN(1, 1, bidirectional=True))),
        ("module must have one direction",
         lambda: from_torch(torch.nn.RNN(1, 1, bias=False))),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(RuntimeError, match="size mismatch"):
        to_torch([rnn, rnn])  # the second would have to read 3 features
    with pytest.raises(TypeCheckError, match="'h'"):
        run(rnn, x, np.zeros((2, 3)))
