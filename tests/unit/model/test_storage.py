"""Models on disk."""

import json

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, MambaForCausalLM

from mamba_narrative.config import architectures
from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import sha256_file
from mamba_narrative.model.mamba import MambaLanguageModel
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import load_model, save_model, weights_sha256

RUN = MambaRun(architecture="mamba", model=MambaSettings(d_model=32, n_layer=2, d_state=8))


@pytest.fixture(scope="module")
def model():
    return build_model("mamba", RUN.model, 101, seed=2)


@pytest.fixture
def saved(model, tmp_path):
    save_model(model, RUN, tmp_path / "model", end_of_text_id=100, extra_files={"README.md": b"card\n"})
    return tmp_path / "model"


def change_weights(directory, change):
    path = directory / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    change(weights)
    safetensors.torch.save_file(weights, path)


def test_what_is_loaded_is_what_was_saved(model, saved):
    loaded = load_model(saved)
    assert loaded.settings == RUN.model
    assert loaded.vocab_size == 101
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_transformers_opens_the_folder_and_computes_the_same(model, saved):
    theirs = MambaForCausalLM.from_pretrained(saved).eval()
    ids = torch.arange(60).view(2, 30)
    with torch.no_grad():
        expected = model.logits(model(ids)[0])[..., :101]
        torch.testing.assert_close(theirs(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert theirs.generation_config.eos_token_id == 100


def test_the_same_model_gives_the_same_bytes(model, saved, tmp_path):
    again = tmp_path / "again"
    save_model(model, RUN, again, end_of_text_id=100, extra_files={"README.md": b"card\n"})
    names = sorted(path.name for path in saved.iterdir())
    assert names == ["README.md", "config.json", "generation_config.json", "model.safetensors"]
    assert all((again / name).read_bytes() == (saved / name).read_bytes() for name in names)


def test_the_hash_is_that_of_the_weights_file(model, saved, tmp_path):
    assert weights_sha256(model) == sha256_file(saved / "model.safetensors")
    assert save_model(model, RUN, tmp_path / "third") == weights_sha256(model)


def test_an_older_model_is_replaced_whole(model, saved):
    (saved / "left_over.txt").write_text("old")
    save_model(model, RUN, saved)
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_folder_without_our_entry_is_read_as_a_published_checkpoint(model, saved):
    config = json.loads((saved / "config.json").read_text())
    del config["mamba_narrative"]
    (saved / "config.json").write_text(json.dumps(config))
    loaded = load_model(saved)
    assert loaded.vocab_size == 101
    ids = torch.arange(20).view(1, 20)
    with torch.no_grad():
        assert torch.equal(loaded(ids)[0], model(ids)[0])


def test_padding_of_the_vocabulary_is_not_in_the_file_and_zero_when_loaded(model, saved):
    weights = safetensors.torch.load_file(saved / "model.safetensors")
    assert weights["backbone.embeddings.weight"].shape == (101, 32)
    assert model.padded_vocab_size == 104
    assert not model.head_weight()[101:].any()
    assert torch.equal(load_model(saved).head_weight(), model.head_weight())


def test_a_file_that_holds_the_padding_is_read_too(model, saved):
    change_weights(saved, lambda weights: weights.update({"backbone.embeddings.weight": model.head_weight().detach()}))
    assert torch.equal(load_model(saved).head_weight(), model.head_weight())


def test_missing_weights_are_named(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: not found"):
        load_model(saved)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere/config\.json: cannot be read"):
        load_model(tmp_path / "nowhere")


def test_a_cut_weights_file_is_refused(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="not a complete safetensors file"):
        load_model(saved)


def test_weights_of_another_shape_are_refused_by_name(saved):
    change_weights(saved, lambda weights: weights.update({"backbone.norm_f.weight": torch.ones(5)}))
    with pytest.raises(FileFormatError, match=r"norm_f.weight has shape \(5,\), expected \(32,\)"):
        load_model(saved)


def test_missing_and_unknown_weights_are_refused_by_name(saved):
    change_weights(saved, lambda weights: weights.update({"extra": weights.pop("backbone.norm_f.weight")}))
    with pytest.raises(FileFormatError, match=r"backbone.norm_f.weight is missing; extra is unknown"):
        load_model(saved)


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        ({}, "the entry 'mamba_narrative' is incomplete"),
        ({"vocab_size": 9, "run": {"architecture": "rnn", "model": {}}}, "'rnn' is unknown"),
        ({"vocab_size": 9, "run": {"architecture": "mamba", "model": {"d_modle": 4}}}, "d_modle: unknown key"),
    ],
)
def test_an_unusable_entry_of_ours_is_refused_with_its_path(saved, ours, message):
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"mamba_narrative": ours}))
    with pytest.raises(FileFormatError, match=f"config.json: .*{message}"):
        load_model(saved)


def test_an_architecture_that_transformers_does_not_have_is_kept_under_its_own_names(tmp_path, monkeypatch):
    class Theirs(MambaLanguageModel):
        architecture = "users_idea"

    declared = {architectures.RUN: MambaRun, architectures.MODEL: Theirs}
    others = architectures.declared
    monkeypatch.setattr(
        architectures, "declared", lambda name, part: declared.get(part) if name == "users_idea" else others(name, part)
    )
    model = build_model("users_idea", RUN.model, 101, seed=2)
    save_model(model, RUN.model_copy(update={"architecture": "users_idea"}), tmp_path / "model", end_of_text_id=100)
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is Theirs
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert set(safetensors.torch.load_file(tmp_path / "model" / "model.safetensors")) == set(model.state_dict())
    with pytest.raises(ValueError, match=r"mamba_narrative\.users_idea"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "model")
