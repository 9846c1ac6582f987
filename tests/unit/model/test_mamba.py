"""The Mamba language model: sizes, initial values, state, book starts."""

import math

import pytest
import torch
from torch.nn import functional as F

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.interface import detach_state
from mamba_narrative.model.registry import build_model, outline_model
from unit.model.language_models import VOCABULARY, assert_learns_a_repeated_text, random_ids

SMALL = MambaSettings(d_model=32, n_layer=2, d_state=8)


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", SMALL, VOCABULARY, seed=3)


@pytest.mark.parametrize(("n_layer", "parameters"), [(24, 129_117_696), (12, 83_857_920)])
def test_24_layers_of_768_are_130M_and_12_are_84M(n_layer, parameters):
    outline = outline_model("mamba", MambaSettings(d_model=768, n_layer=n_layer), 50_257)
    assert outline.parameter_count() == parameters
    assert outline.padded_vocab_size == 50_264


def test_parameters_have_the_names_and_shapes_of_mamba_ssm():
    outline = outline_model("mamba", MambaSettings(d_model=768, n_layer=1), 50_257)
    block = "backbone.layers.0."
    assert {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()} == {
        "backbone.embedding.weight": (50_264, 768),
        block + "norm.weight": (768,),
        block + "mixer.A_log": (1536, 16),
        block + "mixer.D": (1536,),
        block + "mixer.in_proj.weight": (3072, 768),
        block + "mixer.conv1d.weight": (1536, 1, 4),
        block + "mixer.conv1d.bias": (1536,),
        block + "mixer.x_proj.weight": (80, 1536),
        block + "mixer.dt_proj.weight": (1536, 48),
        block + "mixer.dt_proj.bias": (1536,),
        block + "mixer.out_proj.weight": (768, 1536),
        "backbone.norm_f.weight": (768,),
    }


def test_initial_values_are_those_of_mamba_ssm():
    settings = MambaSettings(d_model=128, n_layer=4)
    weights = build_model("mamba", settings, 5_000, seed=1).state_dict()
    mixer = {
        name.removeprefix("backbone.layers.2.mixer."): tensor for name, tensor in weights.items() if ".2.mixer." in name
    }

    def spread(name, bound):
        """Uniform between -bound and bound: the extremes nearly reach it, the deviation is bound / sqrt(3)."""
        assert 0.98 * bound < mixer[name].abs().max() <= bound
        assert float(mixer[name].std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)

    assert float(weights["backbone.embedding.weight"].std()) == pytest.approx(0.02, rel=0.01)
    spread("in_proj.weight", 128**-0.5)
    spread("conv1d.weight", 4**-0.5)
    spread("conv1d.bias", 4**-0.5)
    spread("x_proj.weight", 256**-0.5)
    spread("dt_proj.weight", 8**-0.5)
    spread("out_proj.weight", 256**-0.5 / math.sqrt(4))
    assert torch.equal(mixer["A_log"], torch.log(torch.arange(1.0, 17.0)).expand(256, 16))
    assert torch.equal(mixer["D"], torch.ones(256))
    step_sizes = F.softplus(mixer["dt_proj.bias"])
    assert 0.999e-3 < step_sizes.min() < 1.2e-3
    assert 0.08 < step_sizes.max() < 0.1001
    assert float(step_sizes.log().mean()) == pytest.approx((math.log(1e-3) + math.log(0.1)) / 2, abs=0.3)
    assert torch.equal(weights["backbone.norm_f.weight"], torch.ones(128))


def test_the_seed_decides_the_weights_and_leaves_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    one, same, other = (build_model("mamba", SMALL, VOCABULARY, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["backbone.embedding.weight"], other["backbone.embedding.weight"])


def test_weight_decay_spares_vectors_and_A_log(model):
    decayed = {name for name, role in model.roles.items() if role.decayed}
    matrices = ("in_proj", "conv1d", "x_proj", "dt_proj", "out_proj")
    assert decayed == {
        "backbone.embedding.weight",
        *(f"backbone.layers.{layer}.mixer.{name}.weight" for layer in (0, 1) for name in matrices),
    }


def test_the_matrices_of_layers_are_those_that_multiply_what_they_read(model):
    matrices = {name: role.parts for name, role in model.roles.items() if role.kind == "matrix"}
    mixer = model.layers()[0].mixer
    parts = {
        "in_proj": (mixer.d_inner, mixer.d_inner),
        "x_proj": (mixer.dt_rank, mixer.d_state, mixer.d_state),
        "dt_proj": (),
        "out_proj": (),
    }
    assert matrices == {
        f"backbone.layers.{layer}.mixer.{name}.weight": rows for layer in (0, 1) for name, rows in parts.items()
    }
    assert model.roles.keys() == dict(model.named_parameters()).keys()
    assert [name for name, role in model.roles.items() if role.kind == "embedding"] == ["backbone.embedding.weight"]
    for name, rows in matrices.items():
        assert not rows or sum(rows) == len(model.get_parameter(name))


def test_padding_of_the_vocabulary_never_gets_probability_or_gradient(model):
    hidden, _ = model(random_ids(5))
    logits = model.logits(hidden)
    assert logits.shape == (2, 5, 64)
    assert logits.dtype == torch.float32
    assert (logits[..., VOCABULARY:] == float("-inf")).all()
    assert logits[..., :VOCABULARY].isfinite().all()
    model.zero_grad()
    F.cross_entropy(logits.flatten(0, 1), random_ids(5, seed=1).flatten()).backward()
    gradient = model.head_weight().grad
    assert gradient.isfinite().all()
    assert (gradient[VOCABULARY:] == 0).all()
    assert torch.equal(F.linear(hidden, model.head_weight(), model.head_bias()), logits)


def test_a_vocabulary_that_needs_no_padding_has_no_mask():
    model = build_model("mamba", SMALL, 64, seed=1)
    assert model.head_bias() is None
    assert model.logits(torch.zeros(1, 32)).isfinite().all()


@pytest.mark.parametrize("cuts", [[1], [3, 4, 40], list(range(1, 60))])
def test_reading_in_pieces_with_carried_state_equals_reading_at_once(model, cuts):
    ids = random_ids(60)
    resets = torch.zeros(2, 60, dtype=torch.bool)
    resets[0, 25] = resets[1, 4] = True
    with torch.no_grad():
        expected, expected_state = model(ids, resets=resets)
        state, pieces = None, []
        for start, stop in zip([0, *cuts], [*cuts, 60], strict=True):
            hidden, state = model(ids[:, start:stop], state, resets[:, start:stop])
            pieces.append(hidden)
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=1e-5, atol=1e-5)
    assert state.keys() == expected_state.keys()
    for name, tensor in expected_state.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_nothing_of_a_book_reaches_the_next_one(backend):
    model = build_model("mamba", SMALL.model_copy(update={"scan_backend": backend}), VOCABULARY, seed=3)
    book_start = 20
    ids = random_ids(50)
    changed = ids.clone()
    changed[:, :book_start] = random_ids(book_start, seed=1)
    resets = torch.zeros_like(ids, dtype=torch.bool)
    resets[:, book_start] = True
    with torch.no_grad():
        first_state = model(random_ids(9, seed=2))[1]
        hidden, state = model(ids, None, resets)
        other, other_state = model(changed, first_state, resets)
    assert not torch.equal(hidden[:, :book_start], other[:, :book_start])
    assert torch.equal(hidden[:, book_start:], other[:, book_start:])
    assert all(torch.equal(state[name], other_state[name]) for name in state)


def test_no_gradient_crosses_a_book_start_but_it_flows_through_the_carried_state(model):
    ids = random_ids(8)
    _, state = model(ids)
    state = {name: tensor.detach().requires_grad_() for name, tensor in state.items()}
    through = torch.autograd.grad(model(ids, state)[0].square().sum(), list(state.values()))
    assert all(gradient.abs().max() > 0 for gradient in through)
    resets = torch.zeros_like(ids, dtype=torch.bool)
    resets[:, 0] = True
    stopped = torch.autograd.grad(model(ids, state, resets)[0].square().sum(), list(state.values()), allow_unused=True)
    assert all(gradient is None or gradient.abs().max() == 0 for gradient in stopped)


def test_a_detached_state_is_the_same_without_gradient(model):
    _, state = model(random_ids(4))
    detached = detach_state(state)
    assert all(tensor.requires_grad for tensor in state.values())
    assert not any(tensor.requires_grad for tensor in detached.values())
    assert all(torch.equal(detached[name], tensor) for name, tensor in state.items())
    assert detach_state(None) is None


def test_rows_of_a_batch_do_not_influence_each_other(model):
    ids = random_ids(30, batch=3)
    with torch.no_grad():
        together, alone = model(ids)[0], torch.cat([model(row)[0] for row in ids.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_under_autocast_hidden_states_and_scan_states_stay_float32_and_close(model):
    ids = random_ids(30)
    with torch.no_grad():
        exact, _ = model(ids)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden, state = model(ids)
            logits = model.logits(hidden)
    assert hidden.dtype == torch.float32
    assert logits.dtype == torch.float32
    assert all(tensor.dtype == torch.float32 for name, tensor in state.items() if name.endswith("scan"))
    assert float((hidden - exact).square().mean().sqrt() / exact.square().mean().sqrt()) < 0.02


def test_a_few_steps_of_training_learn_a_repeated_text():
    model = build_model("mamba", SMALL, VOCABULARY, seed=1)
    assert_learns_a_repeated_text(model, 30, 0.1)


def test_the_rank_of_the_step_size_projection_is_a_sixteenth_of_the_width_rounded_up():
    assert MambaSettings(d_model=768).resolved_dt_rank == 48
    assert MambaSettings(d_model=40).resolved_dt_rank == 3
    assert MambaSettings(d_model=40, dt_rank=7).resolved_dt_rank == 7


@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_torch_compile_keeps_one_graph_with_the_same_results_and_gradients(compiler):
    model = build_model("mamba", SMALL.model_copy(update={"scan_backend": "cpu"}), VOCABULARY, seed=3)
    ids = random_ids(9)

    def results(forward):
        hidden, state = forward(ids)
        outputs = [hidden, *state.values()]
        loss = sum(tensor.square().sum() for tensor in outputs)
        return [*outputs, *torch.autograd.grad(loss, list(model.parameters()))]

    expected = results(model)
    torch.compiler.reset()
    for found, wanted in zip(results(torch.compile(model, backend=compiler, fullgraph=True)), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_state", [False, True])
def test_recomputing_blocks_changes_no_bit_of_the_gradients(with_state):
    ids, more = random_ids(20), random_ids(20, seed=1)
    resets = torch.rand(20, generator=torch.Generator().manual_seed(1)).expand(2, -1) < 0.1

    def gradients(activation_checkpointing):
        model = build_model("mamba", SMALL, VOCABULARY, seed=3)
        model.activation_checkpointing = activation_checkpointing
        state = model(more)[1] if with_state else None
        hidden, after = model(ids, state, resets)
        loss = (hidden * torch.linspace(-1, 1, SMALL.d_model)).sum() + after["1.scan"].sum()
        return torch.autograd.grad(loss, list(model.parameters()))

    for one, other in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(one, other)


def test_recomputing_keeps_less_for_the_backward_pass():
    def kept_bytes(activation_checkpointing):
        model = build_model("mamba", SMALL, VOCABULARY, seed=3)
        model.activation_checkpointing = activation_checkpointing
        kept = {}

        def count(tensor):
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(random_ids(64))
        return sum(kept.values())

    assert kept_bytes(True) < 0.5 * kept_bytes(False)
