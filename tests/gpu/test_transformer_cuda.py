"""The Transformer on a GPU: against float64 on the CPU, compiled, and step by step."""

from __future__ import annotations

import pytest
import torch

from gpu.recorded_steps import assert_steps_score_as_reading_at_once
from mamba_narrative.config.architectures.transformer import TransformerSettings
from mamba_narrative.model.registry import build_model

LENGTH, VOCABULARY = 70, 101


@pytest.fixture(params=[32, 128], ids=["sliding", "whole"])
def settings(request):
    return TransformerSettings(d_model=128, n_layer=3, context_length=request.param)


@pytest.fixture
def model(settings):
    return build_model("transformer", settings, VOCABULARY, seed=1).cuda()


@pytest.fixture
def reference(settings):
    return build_model("transformer", settings, VOCABULARY, seed=1).double()


@pytest.fixture(scope="module")
def ids():
    return torch.randint(0, VOCABULARY, (4, LENGTH), generator=torch.Generator().manual_seed(1)).cuda()


def gradients(model, ids, resets, autocast=False):
    """Of a fixed function of the hidden states after a first piece, by name."""
    device = ids.device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        _, state = model(ids[:, :20])
        hidden, _ = model(ids[:, 20:], state, None if resets is None else resets[:, 20:])
    factors = torch.randn(*hidden.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    loss = (hidden * factors.to(device, hidden.dtype)).sum()
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()))
    return {name: gradient.double().cpu() for name, gradient in zip(named, found, strict=True)}


def test_the_gpu_gives_the_logits_of_float64_on_the_cpu(model, reference, ids):
    with torch.no_grad():
        expected = reference.logits(reference(ids.cpu())[0])
        found = model.logits(model(ids)[0])
    torch.testing.assert_close(found[..., :VOCABULARY].cpu().double(), expected[..., :VOCABULARY], rtol=0, atol=1e-4)


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("with_resets", [False, True])
def test_gradients_through_the_carried_state_are_those_of_float64(model, reference, ids, with_resets, autocast):
    resets = torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) < 0.1 if with_resets else None
    found = gradients(model, ids, None if resets is None else resets.cuda(), autocast)
    for name, right in gradients(reference, ids.cpu(), resets).items():
        difference = (found[name] - right).norm() / right.norm()
        assert difference <= (5e-2 if autocast else 1e-4), (name, difference)


def test_nothing_of_a_book_reaches_the_next_one_to_the_bit(model, ids):
    resets = torch.zeros_like(ids, dtype=torch.bool)
    resets[:, 30] = True
    changed = torch.cat((ids.flip(0)[:, :30], ids[:, 30:]), dim=1)
    with torch.no_grad():
        expected, after = model(ids, None, resets)
        found, changed_after = model(changed, model(ids.flip(1))[1], resets)
    assert torch.equal(found[:, 30:], expected[:, 30:])
    assert all(torch.equal(changed_after[name], after[name]) for name in after)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_recorded_steps_give_the_scores_of_reading_at_once(model, ids, dtype):
    assert_steps_score_as_reading_at_once(model, ids, dtype, 1e-4 if dtype is None else 5e-2)


def test_torch_compile_keeps_one_graph_of_the_whole_model(model, ids):
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(ids)[0], model(ids)[0], rtol=1e-4, atol=1e-4)
