"""The small Transformer of the lab, and its committed weights.

The lab itself asserts what it finds out; it runs with every build.
"""

from itertools import groupby

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from snippets.datasets.dates import (
    END,
    FORMATS,
    START,
    decode,
    encode,
    pairs,
    pairs_in,
    split,
)
from snippets.labs.dates_torch import (
    D_FF,
    D_MODEL,
    LONGEST,
    N_HEADS,
    WEIGHTS,
    Attention,
    Choices,
    Model,
    cross_attention,
    draw,
    exact,
    main,
    read,
    sinusoids,
    sources,
    targets,
    train,
    weights,
)


def committed() -> Model:
    """A model with the weights of the file, whose names it inverts."""
    model = Model()
    arrays = np.load(WEIGHTS)
    names = dict(zip(model.state_dict(), exported(model), strict=True))
    model.load_state_dict(
        {own: torch.tensor(arrays[name]) for own, name in names.items()}
    )
    return model


def exported(model: Model) -> list[str]:
    extra = ("n_heads", "pre_norm")
    return [name for name in weights(model) if name not in extra]


@pytest.fixture(scope="module")
def trained() -> Model:
    return committed()


@pytest.fixture(scope="module")
def held_out() -> list:
    return split().held_out[::36]


def test_the_committed_weights_read_more_than_99_percent(trained, held_out):
    told = pairs(np.random.default_rng(5), 1000, split().held_out)
    assert exact(trained, told) > 0.99
    for name in FORMATS:
        assert exact(trained, pairs_in(name, held_out)) > 0.97, name


def test_the_committed_file_has_the_names_and_sizes_of_the_model(trained):
    made, stored = weights(trained), np.load(WEIGHTS)
    assert set(stored) == set(made)
    for name, values in made.items():
        assert stored[name].dtype == values.dtype
        np.testing.assert_array_equal(stored[name], values)
    assert WEIGHTS.stat().st_size < 200_000
    assert int(stored["n_heads"]) == N_HEADS
    assert int(stored["pre_norm"]) == 1


def test_the_committed_weights_grew_from_those_of_seed_0():
    # The lab trains them again, with each build, and compares.
    stored, cosines = np.load(WEIGHTS), []
    for seed in (0, 1):
        made = weights(Model(seed))
        a, b = (
            np.concatenate([part[name].ravel() for name in made])
            for part in (made, stored)
        )
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert cosines[0] > 0.7
    assert cosines[1] < 0.3


def test_numpy_writes_the_same_text_as_torch(trained, held_out):
    from snippets.transformer.encoder import pre_norm
    from snippets.transformer.encoder_to_decoder import decode as decoder
    from snippets.transformer.generation import load
    from snippets.transformer.masking import causal_mask
    from snippets.transformer.multi_head_attention import encode as encoder
    from snippets.transformer.overview import linear
    from snippets.transformer.positional_encoding import embed

    model = load(WEIGHTS)

    def write(texts: list[str]) -> list[str]:
        """Texts of one length, so that nothing is padded."""
        x = embed(model.source_embedding, np.stack([*map(encode, texts)]))
        memory = encoder(
            model.encoder, x, norm=model.encoder_norm, arrange=pre_norm
        )
        target = np.full((len(texts), 1), START)
        for _ in range(LONGEST):
            y = decoder(
                model.decoder,
                embed(model.target_embedding, target),
                memory,
                causal_mask(target.shape[1]),
                None,
                norm=model.decoder_norm,
                arrange=pre_norm,
            )
            logits = linear(model.output, y[:, -1])
            target = np.c_[target, logits.argmax(-1)]
        return [decode(row) for row in target]

    for name in FORMATS:
        texts = sorted(pairs_in(name, held_out[::8]).texts, key=len)
        told = [
            iso
            for _, group in groupby(texts, key=len)
            for iso in write(list(group))
        ]
        assert told == read(trained, texts)


def test_the_year_is_read_where_it_stands(trained, held_out):
    for name in ("3 May 2019", "2019. 5. 3.", "2019년 5월 3일"):
        told = pairs_in(name, held_out)
        tops = cross_attention(trained, told).argmax(3)[:, :, 3]
        place = [
            text.rindex(iso[:4]) + 3
            for text, iso in zip(*told, strict=True)
        ]
        hit = (tops == torch.tensor(place)[:, None]).any(1).float().mean()
        assert hit > 0.9, name


def test_the_attention_is_that_of_pytorch():
    torch.manual_seed(0)
    x, source = torch.randn(2, 3, D_MODEL), torch.randn(2, 5, D_MODEL)
    mask = torch.rand(2, 1, 3, 5) < 0.7
    mask[..., 0] = True
    for scaled, factor in ((True, None), (False, 1.0)):
        layer = Attention(scaled).double()
        x, source = x.double(), source.double()
        heads = [
            layer.heads(part)
            for part in (
                layer.query(x),
                layer.key(source),
                layer.value(source),
            )
        ]
        told = scaled_dot_product_attention(
            *heads, attn_mask=mask, scale=factor
        )
        told = layer.output(told.transpose(1, 2).flatten(2))
        torch.testing.assert_close(layer(x, source, mask), told)
        rows = layer.weights(x, source, mask)
        assert (rows.masked_select(~mask) == 0).all()
        torch.testing.assert_close(
            rows.sum(3), torch.ones_like(rows[..., 0])
        )


def test_the_model_is_pytorchs_pre_norm_transformer():
    model = Model(3).double()
    sizes = (D_MODEL, N_HEADS, D_FF, 0.0)
    layers = [
        make(*sizes, norm_first=True, batch_first=True)
        for make in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
    ]
    told = nn.Transformer(
        D_MODEL,
        N_HEADS,
        batch_first=True,
        custom_encoder=nn.TransformerEncoder(
            layers[0], 1, nn.LayerNorm(D_MODEL), enable_nested_tensor=False
        ),
        custom_decoder=nn.TransformerDecoder(
            layers[1], 1, nn.LayerNorm(D_MODEL)
        ),
    ).double()
    # one group of weights a layer; PyTorch stacks query, key and value
    for mine, theirs in (
        (model.encoder[0], told.encoder.layers[0]),
        (model.decoder[0], told.decoder.layers[0]),
    ):
        attentions = [(mine.self_attention, theirs.self_attn)]
        if hasattr(mine, "cross_attention"):
            attentions.append((mine.cross_attention, theirs.multihead_attn))
        for own, other in attentions:
            stacked = (own.query, own.key, own.value)
            other.in_proj_weight.data = torch.cat(
                [p.weight for p in stacked]
            )
            other.in_proj_bias.data = torch.cat([p.bias for p in stacked])
            other.out_proj.load_state_dict(own.output.state_dict())
        theirs.linear1.load_state_dict(mine.feed_forward.inner.state_dict())
        theirs.linear2.load_state_dict(mine.feed_forward.outer.state_dict())
    source = sources(["2019년 5월 3일", "3 May 2019"])
    target = targets(["2019-05-03", "2019-05-03"])[:, :-1]
    padding = source == 0
    assert padding.any()
    y = told(
        model.embed(model.source_embedding, source),
        model.embed(model.target_embedding, target),
        tgt_mask=~model.mask(target.shape[1]),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    torch.testing.assert_close(
        model(source, target), model.output(y), atol=1e-10, rtol=0
    )


def test_padding_does_not_change_what_is_read(trained):
    texts = ["3 May 2019", "Wednesday, 11 September 2019", "2019.05.03"]
    alone = [read(trained, [text])[0] for text in texts]
    assert read(trained, texts) == alone


def test_the_mask_hides_what_comes_later_unless_left_out():
    source = sources(["2019.05.03"])
    target = targets(["2019-05-03"])
    other = target.clone()
    other[:, -3:] = END
    for causal in (True, False):
        model = Model(0, Choices(causal=causal))
        same = torch.isclose(
            model(source, target)[:, :-3], model(source, other)[:, :-3]
        )
        assert same.all() == causal


def test_without_positions_the_order_of_the_source_cannot_be_seen():
    source = sources(["2019.05.03"])
    turned = source.flip(1)
    target = targets(["2019-05-03"])
    for positions in (True, False):
        model = Model(0, Choices(positions=positions)).double()
        same = torch.isclose(model(source, target), model(turned, target))
        assert same.all() != positions


def test_sinusoids_stand_side_by_side():
    table = sinusoids(5)
    assert table.shape == (5, D_MODEL)
    angle = torch.tensor(3.0 * 10000 ** (-2 / D_MODEL))
    torch.testing.assert_close(
        table[3, 2:4], torch.stack([angle.sin(), angle.cos()])
    )


def test_training_depends_on_the_seed_alone_and_lowers_the_loss():
    data = draw(np.random.default_rng(0), 300, split().train[::300])
    first = train(Model(1), data, steps=30, batch=32)
    assert first == train(Model(1), data, steps=30, batch=32)
    assert first != train(Model(2), data, steps=30, batch=32)
    assert np.mean(first[-5:]) < 0.7 * np.mean(first[:5])


def test_main_writes_what_it_trained(tmp_path):
    share = main(tmp_path / "dates.npz", steps=3, texts=600)
    assert 0 <= share < 0.1
    made = np.load(tmp_path / "dates.npz")
    assert set(made) == set(np.load(WEIGHTS))
