"""What is dropped depends on where a value stands, and on nothing else."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.model.dropout import Dropout, Site, dropout, philox
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model
from unit.model.language_models import VOCABULARY, random_ids

LOW = 0xFFFFFFFF
KEY = -1_234_567_890_123_456_789
DRAW = torch.tensor([KEY, 5])


def site(rate: float = 0.5, number: int = 1, key: int = KEY, first_row: int = 0) -> Site:
    return Site(rate, number, torch.tensor([key, first_row]))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((LOW, LOW, LOW, LOW), (LOW, LOW), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_random_numbers_are_those_of_the_generator_s_authors(counter, key, expected) -> None:
    # kat_vectors of Random123, philox4x32 with 10 rounds.
    assert tuple(int(word) for word in philox(tuple(map(torch.tensor, counter)), key)) == expected


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("width", [24, 300])
def test_as_many_values_are_dropped_as_asked_for_in_every_channel_position_and_row(rate: float, width: int) -> None:
    dropped = ~site(rate).kept(40, 50, width)
    assert dropped.shape == (40, 50, width)
    for axes in ((0, 1, 2), (0, 1), (0, 2), (1, 2)):
        shares = dropped.double().mean(dim=axes)
        deviation = (rate * (1 - rate) * shares.numel() / dropped.numel()) ** 0.5
        assert ((shares - rate).abs() < 5 * deviation).all(), axes


def test_places_rows_positions_channels_and_keys_are_independent() -> None:
    rate, width = 0.3, 520
    one = site(rate).kept(20, 30, width)
    others = {
        "site": site(rate, number=2).kept(20, 30, width),
        "key": site(rate, key=KEY + 1).kept(20, 30, width),
        "high half of the key": site(rate, key=KEY + (1 << 32)).kept(20, 30, width),
        "row": one.roll(1, dims=0),
        "position": one.roll(1, dims=1),
        **{f"channel + {shift}": one.roll(shift, dims=2) for shift in (1, 2, 4, 8, 64, 128, 256)},
    }
    for (first, a), (second, b) in combinations({"": one, **others}.items(), 2):
        both = (~a & ~b).double().mean().item()
        assert both == pytest.approx(rate**2, abs=5 * (rate**2 / one.numel()) ** 0.5), (first, second)


@given(
    batch=st.integers(0, 5),
    length=st.integers(1, 9),
    width=st.integers(1, 600),
    rows=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    first_row=st.integers(0, 2**33),
    smaller=st.tuples(st.integers(1, 9), st.integers(1, 600)),
)
def test_parts_of_a_mask_are_masks_of_parts(
    batch: int, length: int, width: int, rows: tuple[int, int], first_row: int, smaller: tuple[int, int]
) -> None:
    whole = site(0.4, first_row=first_row).kept(batch, length, width)
    start, end, _ = slice(*rows).indices(batch)
    part = site(0.4, first_row=first_row + start).kept(max(0, end - start), min(length, smaller[0]), width)
    assert torch.equal(whole[start:end, : smaller[0]], part)
    narrow = site(0.4, first_row=first_row).kept(batch, length, min(width, smaller[1]))
    assert torch.equal(whole[..., : smaller[1]], narrow)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_kept_is_scaled_up_and_so_is_its_gradient(dtype: torch.dtype) -> None:
    place = site(0.1)
    x = torch.randn(3, 40, 70, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    factors = torch.randn(3, 40, 70, generator=torch.Generator().manual_seed(2)).to(dtype)
    found = dropout(x, place)
    gradient = torch.autograd.grad((found * factors).sum(), x)[0]
    kept = place.kept(3, 40, 70)
    # 0.1 is 6,554 of 65,536 levels.
    expected = torch.where(kept, x.detach().double() * 65_536 / (65_536 - 6_554), 0.0)
    tolerance = {torch.float32: 1e-6, torch.bfloat16: 1e-2, torch.float64: 1e-15}[dtype]
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=0)
    torch.testing.assert_close(
        gradient.double(), torch.where(kept, factors.double() * place.scale, 0.0), rtol=tolerance, atol=0
    )


def test_a_value_that_is_no_number_is_dropped_too() -> None:
    found = dropout(torch.full((2, 20, 20), float("nan")), site(0.5))
    assert torch.equal(found.isnan(), site(0.5).kept(2, 20, 20))


def test_without_a_rate_nothing_is_dropped_and_nothing_is_drawn() -> None:
    none = Dropout()
    assert [none.embedding(), none.update(3), none.attention(2)] == [None] * 3
    x = torch.ones(1, 2, 3)
    assert dropout(x, None) is x


def test_every_place_of_a_model_has_its_own_number() -> None:
    some = Dropout(0.1, 0.1, 0.1, DRAW)
    numbers = [some.embedding(), *(some.update(n) for n in range(1, 200)), *(some.attention(n) for n in range(100))]
    assert len({place.number for place in numbers if place}) == 300


MODELS = {
    "mamba": MambaSettings(d_model=24, n_layer=3, d_state=4),
    "transformer": TransformerSettings(d_model=24, n_layer=3, context_length=8),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    model = build_model(request.param, MODELS[request.param], VOCABULARY, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():  # initial values are small: what blocks add would hardly be seen
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.1)
    return model


def updates(model: LanguageModel) -> list[torch.nn.Module]:
    """The parts whose outputs are added to the residual stream, in order."""
    if model.architecture == "mamba":
        return [layer.mixer for layer in model.layers()]
    return [part for block in model.layers() for part in (block.attention, block.mlp)]


def embedding(model: LanguageModel) -> torch.nn.Module:
    return model.backbone.embedding if model.architecture == "mamba" else model.embedding


def test_updates_of_the_residual_stream_are_dropped_one_by_one(model: LanguageModel) -> None:
    drawn = Dropout(residual_dropout=0.3, draw=DRAW)
    ids = random_ids(12)
    with model.dropping(drawn):
        found, _ = model(ids)
    plain, _ = model(ids)

    def drop(number: int):
        def hook(module: torch.nn.Module, given: object, output: Tensor | tuple[Tensor, ...]):
            out = output[0] if isinstance(output, tuple) else output
            out = out * drawn.update(number).kept(*out.shape) * drawn.update(number).scale
            return (out, *output[1:]) if isinstance(output, tuple) else out

        return hook

    for number, part in enumerate(updates(model), start=1):
        part.register_forward_hook(drop(number))
    expected, _ = model(ids)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert (found - plain).abs().max() > 0.1


def test_embeddings_are_dropped_where_tokens_enter_and_not_in_the_head(model: LanguageModel) -> None:
    drawn = Dropout(embedding_dropout=0.3, draw=DRAW)
    ids = random_ids(12)
    with model.dropping(drawn):
        found = model.logits(model(ids)[0])
    vectors = embedding(model)(ids).detach()
    place = drawn.embedding()
    dropped = vectors * place.kept(*vectors.shape) * place.scale
    twin = build_model(model.architecture, model.settings, ids.numel(), seed=1).double()
    twin.load_state_dict(
        {**model.state_dict(), **{name: tensor for name, tensor in twin.state_dict().items() if "embedding" in name}}
    )
    with torch.no_grad():
        embedding(twin).weight[: ids.numel()] = dropped.flatten(0, 1)
        expected = model.logits(twin(torch.arange(ids.numel()).view(ids.shape))[0])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_outputs_of_attention_s_heads_are_dropped_before_their_projection() -> None:
    model = build_model("transformer", MODELS["transformer"], VOCABULARY, seed=1).double()
    drawn = Dropout(attention_dropout=0.3, draw=DRAW)
    with model.dropping(drawn):
        found, _ = model(random_ids(12))
    for layer, block in enumerate(model.layers()):
        place = drawn.attention(layer)

        def drop(module: torch.nn.Module, given: tuple[Tensor], place: Site = place) -> Tensor:
            return given[0] * place.kept(*given[0].shape) * place.scale

        block.attention.o_proj.register_forward_pre_hook(drop)
    expected, _ = model(random_ids(12))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def gradients(model: LanguageModel, ids: Tensor, first_row: int = 0) -> list[Tensor]:
    rates = (0.2, 0.3, 0.1 if model.architecture == "transformer" else 0.0)
    with model.dropping(Dropout(*rates, torch.tensor([KEY, first_row]))):
        hidden, _ = model(ids)
        return list(torch.autograd.grad(hidden.square().sum(), list(model.parameters())))


def test_blocks_that_are_computed_again_drop_the_same_values(model: LanguageModel) -> None:
    expected = gradients(model, random_ids(12))
    model.activation_checkpointing = True
    for one, other in zip(gradients(model, random_ids(12)), expected, strict=True):
        assert torch.equal(one, other)


def test_gradients_of_rows_add_up_to_those_of_the_batch(model: LanguageModel) -> None:
    ids = random_ids(12, batch=4)
    whole = gradients(model, ids, first_row=7)
    parts = [gradients(model, ids[first:end], first_row=7 + first) for first, end in ((0, 1), (1, 4))]
    for one, *summands in zip(whole, *parts, strict=True):
        torch.testing.assert_close(one, sum(summands), rtol=1e-9, atol=1e-9)
    others = gradients(model, ids, first_row=8)
    assert any((one - other).abs().max() > 0.1 for one, other in zip(whole, others, strict=True))


def test_outside_of_dropping_nothing_is_dropped_whatever_happened_inside(model: LanguageModel) -> None:
    expected, _ = model(random_ids(12))
    with pytest.raises(RuntimeError, match="interrupted"), model.dropping(Dropout(0.5, 0.5, 0.0, DRAW)):
        raise RuntimeError("interrupted")
    assert torch.equal(model(random_ids(12))[0], expected)
