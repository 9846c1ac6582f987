"""The whole model on a GPU: against the CPU, against mamba-ssm, compiled, and step by step."""

from __future__ import annotations

import pytest
import torch

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.registry import build_model

SMALL = MambaSettings(d_model=64, n_layer=3)
VOCABULARY = 101


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", SMALL, VOCABULARY, seed=1).cuda()


@pytest.fixture(scope="module")
def ids():
    return torch.randint(0, VOCABULARY, (4, 70), generator=torch.Generator().manual_seed(1)).cuda()


def test_the_gpu_gives_the_logits_of_the_reference_on_the_cpu(model, ids):
    reference = build_model("mamba", SMALL.model_copy(update={"scan_backend": "reference"}), VOCABULARY, seed=1)
    with torch.no_grad():
        expected = reference.double()(ids.cpu())[0] @ reference.head_weight().T
        found = model.logits(model(ids)[0])
    torch.testing.assert_close(found[..., :VOCABULARY].cpu().double(), expected[..., :VOCABULARY], rtol=0, atol=1e-4)


def test_recorded_steps_give_the_scores_of_reading_at_once(model, ids):
    decoder = Decoder(model)
    with torch.no_grad():
        for text in (ids, ids.flip(0)):
            decoder.forget()
            decoder.read(text[:, :20])
            for position in range(20, 60):
                scores = decoder.read(text[:, position : position + 1]).clone()
            torch.testing.assert_close(scores, model.logits(model(text[:, :60])[0][:, -1]), rtol=1e-4, atol=1e-4)
            scores = decoder.read(text[:, 60:])
            torch.testing.assert_close(scores, model.logits(model(text)[0][:, -1]), rtol=1e-4, atol=1e-4)


def test_torch_compile_keeps_one_graph_of_the_whole_model(model, ids):
    eager = model(ids)[0]
    compiled = torch.compile(lambda: model(ids)[0], fullgraph=True)()
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-4)


def test_mamba_ssm_gives_the_same_logits_for_the_same_weights(ids):
    pytest.importorskip("selective_scan_cuda", reason="mamba-ssm with its Mamba-1 kernel is not installed")
    from mamba_ssm.models.config_mamba import MambaConfig
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    model = build_model("mamba", SMALL, VOCABULARY, seed=1).cuda()
    config = MambaConfig(d_model=64, n_layer=3, vocab_size=VOCABULARY, ssm_cfg={"layer": "Mamba1"})
    theirs = MambaLMHeadModel(config, device="cuda")
    theirs.load_state_dict(model.state_dict() | {"lm_head.weight": model.head_weight()})
    with torch.no_grad():
        expected = theirs(ids).logits[..., :VOCABULARY]
        found = model.logits(model(ids)[0])[..., :VOCABULARY]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
