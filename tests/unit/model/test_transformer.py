"""The Transformer language model: sizes, initial values, what a token sees, state, book starts, transformers' form."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import safetensors.torch
import torch
import transformers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional as F

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerRun, TransformerSettings
from mamba_narrative.errors import FileFormatError
from mamba_narrative.model.attention import Reading, Rotation
from mamba_narrative.model.convert_transformer import from_hugging_face, hugging_face_config, to_hugging_face
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.interface import detach_state
from mamba_narrative.model.registry import build_model, outline_model
from mamba_narrative.model.storage import load_model, save_model
from unit.model.language_models import VOCABULARY, assert_learns_a_repeated_text, random_ids

LENGTH, CONTEXT = 60, 16
SMALL = TransformerSettings(d_model=32, n_layer=2, n_head=2, context_length=CONTEXT)
WIDE = SMALL.model_copy(update={"context_length": LENGTH + 4})
MODELS = {
    length: build_model("transformer", SMALL.model_copy(update={"context_length": length}), VOCABULARY, seed=3).eval()
    for length in (1, 5, CONTEXT, LENGTH, LENGTH + 4)
}
"""The same weights, with windows shorter and longer than the texts."""


@pytest.fixture(params=[CONTEXT, LENGTH + 4], ids=["sliding", "whole"])
def model(request):
    return MODELS[request.param]


def book_starts(ids, *places):
    resets = torch.zeros_like(ids, dtype=torch.bool)
    for row, column in places:
        resets[row, column] = True
    return resets


def read_in_pieces(model, ids, cuts, resets=None):
    state, pieces = None, []
    for start, stop in zip([0, *cuts], [*cuts, ids.shape[1]], strict=True):
        hidden, state = model(ids[:, start:stop], state, None if resets is None else resets[:, start:stop])
        pieces.append(hidden)
    return torch.cat(pieces, dim=1), state


def assert_close(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Sizes and initial values


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_the_defaults_are_as_large_as_mamba_130m(mlp):
    ours = outline_model("transformer", TransformerSettings(mlp=mlp), 50_257)
    mamba = outline_model("mamba", MambaSettings(), 50_257)
    assert ours.parameter_count() == 128_859_648
    assert ours.parameter_count() == pytest.approx(mamba.parameter_count(), rel=0.0025)
    assert ours.padded_vocab_size == mamba.padded_vocab_size == 50_264


@pytest.mark.parametrize("d_model", [192, 256, 512, 768, 1024])
def test_half_of_mambas_blocks_have_its_number_of_parameters_at_other_widths_too(d_model):
    ours = outline_model("transformer", TransformerSettings(d_model=d_model, n_layer=2), 50_257).parameter_count()
    mamba = outline_model("mamba", MambaSettings(d_model=d_model, n_layer=4), 50_257).parameter_count()
    assert ours == pytest.approx(mamba, rel=0.01)


def test_mamba_knows_the_size_of_its_blocks():
    settings = MambaSettings(d_model=48, d_state=5, d_conv=3, expand=3, dt_rank=7)
    one, two = (
        outline_model("mamba", settings.model_copy(update={"n_layer": n}), 11).parameter_count() for n in (1, 2)
    )
    assert two - one == settings.block_parameters


def test_names_and_shapes_of_the_parameters():
    outline = outline_model("transformer", TransformerSettings(n_layer=1), 50_257)
    assert {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()} == {
        "embedding.weight": (50_264, 768),
        "blocks.0.attention_norm.weight": (768,),
        "blocks.0.attention.qkv_proj.weight": (2304, 768),
        "blocks.0.attention.o_proj.weight": (768, 768),
        "blocks.0.mlp_norm.weight": (768,),
        "blocks.0.mlp.gate_up_proj.weight": (4480, 768),
        "blocks.0.mlp.down_proj.weight": (768, 2240),
        "final_norm.weight": (768,),
    }


def test_initial_values_are_gpt_2s():
    weights = build_model("transformer", TransformerSettings(d_model=128, n_layer=8), 5_000, seed=1).state_dict()
    for name, tensor in weights.items():
        if tensor.ndim == 1:
            assert torch.equal(tensor, torch.ones(128))
        else:
            added = name.endswith(("o_proj.weight", "down_proj.weight"))
            assert float(tensor.std()) == pytest.approx(0.02 / math.sqrt(16) if added else 0.02, rel=0.02), name


def test_weight_decay_spares_norms_alone():
    model = MODELS[CONTEXT]
    spared = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
    assert {name for name, role in model.roles.items() if not role.decayed} == spared
    assert len(spared) == 5


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_all_that_is_neither_norm_nor_embedding_is_a_matrix_of_a_block(mlp):
    model = build_model("transformer", TransformerSettings(d_model=16, n_layer=1, n_head=2, mlp=mlp, d_ff=24), 50, 1)
    matrices = {name: role.parts for name, role in model.roles.items() if role.kind == "matrix"}
    feed_forward = {"mlp.gate_up_proj": (24, 24)} if mlp == "swiglu" else {"mlp.up_proj": ()}
    parts = {"attention.qkv_proj": (16, 16, 16), "attention.o_proj": (), "mlp.down_proj": (), **feed_forward}
    assert matrices == {f"blocks.0.{name}.weight": rows for name, rows in parts.items()}
    assert model.roles.keys() == dict(model.named_parameters()).keys()
    assert model.roles["embedding.weight"].kind == "embedding"


def test_heads_are_64_wide_unless_set_and_must_fit():
    assert TransformerSettings().resolved_n_head == 12
    assert TransformerSettings(d_model=16).resolved_n_head == 1
    assert TransformerSettings(d_model=48, n_head=4).resolved_n_head == 4
    with pytest.raises(ValidationError, match=r"d_model \(48\) must be a multiple of twice n_head \(5\)"):
        TransformerSettings(d_model=48, n_head=5)


# What a token sees


@pytest.mark.parametrize("context", MODELS)
def test_a_token_sees_itself_and_the_tokens_before_it_within_the_window(context):
    # With one layer nothing is handed on, so the window's edge is exact.
    settings = SMALL.model_copy(update={"n_layer": 1, "context_length": context})
    model = build_model("transformer", settings, VOCABULARY, seed=3)
    ids, changed_at = random_ids(LENGTH, batch=1), 20
    changed = ids.clone()
    changed[0, changed_at] = (ids[0, changed_at] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(ids)[0], model(changed)[0]
    differs = (before != after).any(dim=-1)[0].nonzero().flatten().tolist()
    assert differs == list(range(changed_at, min(changed_at + context, LENGTH)))


def test_a_window_is_that_of_attention_written_out():
    model = MODELS[5].double()
    try:
        ids = random_ids(12, batch=1)
        block = model.layers()[0]
        normed = block.attention_norm(model.embedding(ids), None, torch.float64)[0]
        query, key, value = block.attention.qkv_proj(normed)[0].unflatten(-1, (3, 2, 16)).unbind(1)
        frequencies = 10_000.0 ** (-torch.arange(8, dtype=torch.float64) / 8)
        turns = torch.polar(torch.ones(12, 8, dtype=torch.float64), torch.arange(12.0).double()[:, None] * frequencies)
        query, key = (torch.complex(x[..., :8], x[..., 8:]) * turns[:, None] for x in (query, key))
        expected = torch.zeros(12, 2, 16, dtype=torch.float64)
        for head in range(2):
            for place in range(12):
                seen = slice(max(0, place - 4), place + 1)
                scores = (query[place, head] * key[seen, head].conj()).real.sum(-1) / 4
                expected[place, head] = scores.softmax(0) @ value[seen, head]
        reading = Reading(ids, None, None, 5, lambda positions: Rotation.of(positions, 16, 10_000.0, torch.float64))
        found, _, _ = block.attention(normed, None, None, reading)
        assert_close(found, block.attention.o_proj(expected.flatten(1))[None], 1e-10)
    finally:
        model.float()


def test_only_distances_count_even_a_million_tokens_into_a_book():
    settings = SMALL.model_copy(update={"n_layer": 1, "context_length": 4})
    model = build_model("transformer", settings, VOCABULARY, seed=3)
    ids = random_ids(20)
    with torch.no_grad():
        _, state = model(ids)
        late = {**state, "position": state["position"] + 4 * 250_000}
        near, far = model(ids, state)[0], model(ids, late)[0]
    assert_close(far[:, 3:], near[:, 3:])  # the keys before them were turned for the old positions


def test_rows_of_a_batch_do_not_influence_each_other(model):
    ids = random_ids(30, batch=3)
    with torch.no_grad():
        assert_close(model(ids)[0], torch.cat([model(row)[0] for row in ids.split(1)]))


def test_padding_of_the_vocabulary_never_gets_probability_or_gradient(model):
    logits = model.logits(model(random_ids(5))[0])
    assert logits.shape == (2, 5, 64)
    assert (logits[..., VOCABULARY:] == float("-inf")).all()
    model.zero_grad()
    F.cross_entropy(logits.flatten(0, 1), random_ids(5, seed=1).flatten()).backward()
    gradient = model.head_weight().grad
    assert gradient.isfinite().all()
    assert (gradient[VOCABULARY:] == 0).all()
    model.zero_grad()


# State


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    context=st.sampled_from(sorted(MODELS)),
    cuts=st.sets(st.integers(0, LENGTH)).map(sorted),
    starts=st.sets(st.tuples(st.integers(0, 1), st.integers(0, LENGTH - 1)), max_size=4),
)
def test_reading_in_pieces_with_carried_state_equals_reading_at_once(context, cuts, starts):
    model, ids = MODELS[context], random_ids(LENGTH)
    resets = book_starts(ids, *starts) if starts else None
    with torch.no_grad():
        expected, expected_state = model(ids, resets=resets)
        found, state = read_in_pieces(model, ids, cuts, resets)
    assert_close(found, expected)
    assert state.keys() == expected_state.keys()
    for name, tensor in expected_state.items():
        assert_close(state[name], tensor)


@pytest.mark.parametrize("length", [1, CONTEXT - 1, CONTEXT, CONTEXT + 5, 4 * CONTEXT])
def test_the_state_has_one_size_however_much_was_read(length):
    model = MODELS[CONTEXT]
    with torch.no_grad():
        _, state = model(random_ids(length, batch=3))
        _, later = model(random_ids(7, batch=3), state)
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.empty_state(3).items()}
    for found in (state, later):
        assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in found.items()} == shapes
    assert shapes == {
        "position": ((3,), torch.int64),
        **{f"{n}.{name}": ((3, CONTEXT, 2, 16), torch.float32) for n in (0, 1) for name in ("keys", "values")},
    }


def test_rows_of_the_state_can_be_selected_and_zeroed(model):
    ids, more = random_ids(30, batch=3), random_ids(9, batch=3, seed=1)
    with torch.no_grad():
        _, state = model(ids)
        second = model(more[1:2], {name: tensor[1:2] for name, tensor in state.items()})[0]
        zeroed = model(more, {name: torch.zeros_like(tensor) for name, tensor in state.items()})[0]
        assert_close(second, model(more, state)[0][1:2])
        assert_close(zeroed, model(more)[0])


def test_steps_in_place_equal_reading_at_once(model):
    ids = random_ids(LENGTH)
    with torch.no_grad():
        expected, expected_state = model(ids)
        first, state = model(ids[:, :3])
        tensors = dict(state)
        steps = [model.step(ids[:, n : n + 1], state) for n in range(3, LENGTH)]
    assert_close(torch.cat([first, *steps], dim=1), expected)
    for name, tensor in expected_state.items():
        assert state[name] is tensors[name], "replaced, not changed in place"
        assert_close(state[name], tensor)


@hypothesis_settings(max_examples=20, deadline=None)
@given(pieces=st.lists(st.integers(1, 9), min_size=1, max_size=8), context=st.sampled_from([1, 5, CONTEXT, LENGTH + 4]))
def test_a_decoders_scores_do_not_depend_on_how_a_text_is_cut(pieces, context):
    model, ids = MODELS[context], random_ids(sum(pieces))
    decoder = Decoder(model)
    for piece in ids.split(pieces, dim=1):
        scores = decoder.read(piece)
    with torch.no_grad():
        assert_close(scores, model.logits(model(ids)[0][:, -1]))


def test_nothing_of_a_book_reaches_the_next_one_to_the_bit(model):
    ids, book_start = random_ids(50), 20
    changed = ids.clone()
    changed[:, :book_start] = random_ids(book_start, seed=1)
    resets = book_starts(ids, (0, book_start), (1, book_start))
    with torch.no_grad():
        _, other_book = model(random_ids(9, seed=2))
        hidden, state = model(ids, None, resets)
        other, other_state = model(changed, other_book, resets)
        alone = model(ids[:, book_start:])[0]
    assert not torch.equal(hidden[:, :book_start], other[:, :book_start])
    assert torch.equal(hidden[:, book_start:], other[:, book_start:])
    assert all(torch.equal(state[name], other_state[name]) for name in state)
    assert_close(hidden[:, book_start:], alone)


def test_no_book_starts_are_no_resets(model):
    ids = random_ids(20)
    with torch.no_grad():
        assert torch.equal(model(ids, None, torch.zeros_like(ids, dtype=torch.bool))[0], model(ids)[0])


# Gradients


def gradients(model, ids, cuts, resets, dtype):
    model = model.to(dtype)
    model.zero_grad()
    hidden, state = read_in_pieces(model, ids, cuts, resets)
    weights = torch.linspace(-1, 1, hidden.numel(), dtype=dtype).view_as(hidden)
    rings = sum(tensor.square().sum() for name, tensor in state.items() if name != "position")
    ((hidden * weights).sum() + rings).backward()
    found = {name: parameter.grad.double() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model.float()
    return found


@pytest.mark.parametrize("cuts", [[], [7, 30]])
@pytest.mark.parametrize("starts", [(), ((0, 25), (1, 4))])
@pytest.mark.parametrize("activation_checkpointing", [False, True])
def test_gradients_through_pieces_are_those_of_float64_read_at_once(model, cuts, starts, activation_checkpointing):
    ids = random_ids(LENGTH)
    resets = book_starts(ids, *starts) if starts else None
    expected = gradients(model, ids, [], resets, torch.float64)
    model.activation_checkpointing = activation_checkpointing
    try:
        found = gradients(model, ids, cuts, resets, torch.float32)
    finally:
        model.activation_checkpointing = False
    for name, gradient in expected.items():
        assert float((found[name] - gradient).norm() / gradient.norm()) < 1e-5, name


def test_no_gradient_crosses_a_book_start_but_it_flows_through_the_carried_state(model):
    ids = random_ids(8)
    state = detach_state(model(ids)[1])
    rings = [tensor.requires_grad_() for name, tensor in state.items() if name != "position"]
    through = torch.autograd.grad(model(ids, state)[0].square().sum(), rings)
    assert all(gradient.abs().max() > 0 for gradient in through)
    resets = book_starts(ids, (0, 0), (1, 0))
    stopped = torch.autograd.grad(model(ids, state, resets)[0].square().sum(), rings)
    assert all(gradient.abs().max() == 0 for gradient in stopped)


def test_under_autocast_hidden_states_stay_float32_and_close(model):
    ids = random_ids(30)
    with torch.no_grad():
        exact = model(ids)[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden, state = model(ids)
            later, after = model(ids, state)
            resumed, _ = model(ids, None, book_starts(ids, (0, 3)))
            step = model.step(ids[:, :1], after)
    assert {tensor.dtype for tensor in (hidden, later, resumed, step)} == {torch.float32}
    assert float((hidden - exact).square().mean().sqrt() / exact.square().mean().sqrt()) < 0.02


def test_a_few_steps_of_training_learn_a_repeated_text():
    model = build_model("transformer", WIDE, VOCABULARY, seed=1)
    assert_learns_a_repeated_text(model, 40, 0.2)


# On disk, and in transformers


def saved(tmp_path, **changes):
    run = TransformerRun(architecture="transformer", model=SMALL.model_copy(update=changes))
    model = build_model("transformer", run.model, VOCABULARY, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # initial values hide mistakes: norms are ones
            parameter.mul_(1 + 0.3 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(5)))
    save_model(model, run, tmp_path / "model", end_of_text_id=60)
    return model, tmp_path / "model"


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_what_is_loaded_is_what_was_saved(tmp_path, mlp):
    model, folder = saved(tmp_path, mlp=mlp)
    loaded = load_model(folder)
    assert loaded.settings == model.settings
    assert (loaded.vocab_size, loaded.architecture) == (VOCABULARY, "transformer")
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("mlp", "name", "length"),
    [("swiglu", "MistralForCausalLM", LENGTH), ("gelu", "ArceeForCausalLM", CONTEXT)],
)
def test_transformers_opens_the_folder_and_computes_the_same(tmp_path, mlp, name, length):
    model, folder = saved(tmp_path, mlp=mlp, rope_theta=5_000.0)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    assert type(theirs).__name__ == name
    assert theirs.generation_config.eos_token_id == 60
    ids = random_ids(length)
    with torch.no_grad():
        expected = theirs(ids, use_cache=False).logits
        assert_close(model.logits(model(ids)[0])[..., :VOCABULARY], expected, 1e-4)


def test_within_the_window_llama_is_the_same_with_the_same_weights(tmp_path):
    model, folder = saved(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(config))
    theirs = transformers.LlamaForCausalLM.from_pretrained(folder).eval()
    ids = random_ids(CONTEXT)
    with torch.no_grad():
        expected = theirs(ids, use_cache=False).logits
        assert_close(model.logits(model(ids)[0])[..., :VOCABULARY], expected, 1e-4)


@pytest.mark.parametrize(("mlp", "config_type"), [("swiglu", "MistralConfig"), ("gelu", "ArceeConfig")])
def test_the_configuration_leaves_no_field_of_transformers_to_a_default(mlp, config_type):
    model = build_model("transformer", SMALL.model_copy(update={"mlp": mlp}), VOCABULARY, seed=3)
    theirs = getattr(transformers, config_type)
    own = {field.name for field in dataclasses.fields(theirs)} - {
        field.name for field in dataclasses.fields(theirs.__mro__[1])
    }
    assert own <= hugging_face_config(model, 60).keys()


@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_conversion_there_and_back_changes_nothing(mlp):
    settings = SMALL.model_copy(update={"mlp": mlp, "n_layer": 11})
    weights = build_model("transformer", settings, VOCABULARY, seed=3).state_dict()
    theirs = to_hugging_face(weights)
    returned = from_hugging_face({**theirs, "lm_head.weight": theirs["model.embed_tokens.weight"]})
    assert returned.keys() == weights.keys()
    assert all(torch.equal(returned[name], weights[name]) for name in weights)


def test_missing_weights_are_named(tmp_path):
    _, folder = saved(tmp_path)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.k_proj.weight"]
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    with pytest.raises(FileFormatError, match=r"blocks.1.attention.qkv_proj.weight is missing; .*q_proj.* is unknown"):
        load_model(folder)
