"""The whole model on a GPU: against the CPU, against mamba-ssm, compiled, and step by step; fused and not."""

from __future__ import annotations

import pytest
import torch

from gpu.recorded_steps import assert_steps_score_as_reading_at_once
from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.model.export import export_model
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import save_model

SIZES = {
    "in one operator a block": MambaSettings(d_model=128, n_layer=3),
    "operator by operator": MambaSettings(d_model=64, n_layer=3),
}
VOCABULARY = 101


@pytest.fixture(scope="module", params=SIZES)
def settings(request):
    return SIZES[request.param]


@pytest.fixture
def model(settings):
    return build_model("mamba", settings, VOCABULARY, seed=1).cuda()


@pytest.fixture
def reference(settings):
    settings = settings.model_copy(update={"scan_backend": "reference"})
    return build_model("mamba", settings, VOCABULARY, seed=1).double()


@pytest.fixture(scope="module")
def ids():
    return torch.randint(0, VOCABULARY, (4, 70), generator=torch.Generator().manual_seed(1)).cuda()


def test_the_larger_size_is_computed_by_one_operator_a_block():
    weights = build_model("mamba", SIZES["in one operator a block"], VOCABULARY, seed=1).cuda().layers()[0].mixer
    assert weights._cuda_weights(torch.zeros(1, 1, 128, device="cuda")) is not None


def test_the_gpu_gives_the_logits_of_the_reference_on_the_cpu(model, reference, ids):
    with torch.no_grad():
        expected = reference(ids.cpu())[0] @ reference.head_weight().T
        found = model.logits(model(ids)[0])
    torch.testing.assert_close(found[..., :VOCABULARY].cpu().double(), expected[..., :VOCABULARY], rtol=0, atol=1e-4)


def gradients(model, ids, resets, dtype, autocast=False):
    """Of a fixed function of hidden states and last states, by name: parameters and initial states."""
    device = ids.device
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)

    with torch.no_grad():
        _, like = model(ids)
    state = {name: normal(*tensor.shape).mul_(0.1).requires_grad_() for name, tensor in like.items()}
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        hidden, after = model(ids, state, resets)
    loss = (hidden * normal(*hidden.shape)).sum()
    for name in after:
        loss = loss + (after[name] * normal(*after[name].shape)).sum()
    named = dict(model.named_parameters()) | state
    found = torch.autograd.grad(loss, list(named.values()))
    return {name: gradient.double().cpu() for name, gradient in zip(named, found, strict=True)}


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("length", [1, 2, 70])
@pytest.mark.parametrize("with_resets", [False, True])
def test_gradients_of_everything_are_those_of_the_reference(model, reference, ids, length, with_resets, autocast):
    ids = ids[:, :length]
    resets = torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) < 0.1 if with_resets else None
    on_gpu = None if resets is None else resets.cuda()
    found = gradients(model, ids, on_gpu, torch.float32, autocast)
    again = gradients(model, ids, on_gpu, torch.float32, autocast)
    expected = gradients(reference, ids.cpu(), resets, torch.float64)
    tolerance = 5e-2 if autocast else 1e-4
    for name, right in expected.items():
        # Sums into the embedding are PyTorch's own.
        assert torch.equal(found[name], again[name]) or "embedding" in name, name
        difference = (found[name] - right).norm() / right.norm().clamp(min=1e-3)
        assert difference <= tolerance, (name, difference)


def test_recorded_steps_give_the_scores_of_reading_at_once(model, ids):
    assert_steps_score_as_reading_at_once(model, ids)


def test_torch_compile_keeps_one_graph_of_the_whole_model(model, ids):
    factors = torch.randn(*ids.shape, model.d_model, generator=torch.Generator().manual_seed(4)).cuda()

    def loss():
        return (model(ids)[0] * factors).sum()

    eager, compiled = loss(), torch.compile(loss, fullgraph=True, backend="aot_eager")()
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-4)
    parameters = list(model.parameters())
    for found, expected in zip(
        torch.autograd.grad(compiled, parameters), torch.autograd.grad(eager, parameters), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_step_is_forward_of_one_token(model, ids):
    with torch.no_grad():
        _, state = model(ids[:, :9])
        expected, after = model(ids[:, 9:10], state)
        found = model.step(ids[:, 9:10], state)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for name, tensor in after.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-4, atol=1e-4)


def test_mamba_ssm_gives_the_same_logits_for_the_same_weights(model, ids):
    pytest.importorskip("selective_scan_cuda", reason="mamba-ssm with its Mamba-1 kernel is not installed")
    from mamba_ssm.models.config_mamba import MambaConfig
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    config = MambaConfig(d_model=model.d_model, n_layer=3, vocab_size=VOCABULARY, ssm_cfg={"layer": "Mamba1"})
    theirs = MambaLMHeadModel(config, device="cuda")
    theirs.load_state_dict(model.state_dict() | {"lm_head.weight": model.head_weight()})
    with torch.no_grad():
        expected = theirs(ids).logits[..., :VOCABULARY]
        found = model.logits(model(ids)[0])[..., :VOCABULARY]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_mamba_ssm_opens_an_exported_folder_and_computes_the_same(model, ids, tmp_path):
    pytest.importorskip("selective_scan_cuda", reason="mamba-ssm with its Mamba-1 kernel is not installed")
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    save_model(model, MambaRun(architecture="mamba", model=model.settings), tmp_path / "model")
    export_model(tmp_path / "model", "card\n", tmp_path / "exported")
    theirs = MambaLMHeadModel.from_pretrained(str(tmp_path / "exported" / "mamba_ssm"), device="cuda").eval()
    with torch.no_grad():
        found = model.logits(model(ids)[0])[..., :VOCABULARY]
        torch.testing.assert_close(found, theirs(ids).logits, rtol=0, atol=1e-4)
