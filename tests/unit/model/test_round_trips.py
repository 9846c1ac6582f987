"""A model goes to transformers, is changed there, and comes back as what it became."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerRun, TransformerSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import load_model, save_model

VOCABULARY, LENGTH = 101, 20
RUNS = {
    "mamba": MambaRun(architecture="mamba", model=MambaSettings(d_model=32, n_layer=2, d_state=8)),
    "transformer": TransformerRun(
        architecture="transformer", model=TransformerSettings(d_model=64, n_layer=2, context_length=LENGTH)
    ),
    "gelu": TransformerRun(
        architecture="transformer", model=TransformerSettings(d_model=64, n_layer=2, context_length=LENGTH, mlp="gelu")
    ),
}


@pytest.fixture(params=RUNS)
def run(request):
    return RUNS[request.param]


@pytest.fixture(params=["with our entry", "without it"])
def folder(request, run, tmp_path):
    """A saved model; what others publish, or write over it, has no entry of ours."""
    save_model(build_model(run.architecture, run.model, VOCABULARY, seed=2), run, tmp_path / "model", 100)
    if request.param == "without it":
        change_config(tmp_path / "model", mamba_narrative=...)
    return tmp_path / "model"


def change_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))


def change_weights(folder: Path, change) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    change(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors")


def assert_same(ours: LanguageModel, theirs, vocabulary: int = VOCABULARY) -> None:
    assert ours.vocab_size == vocabulary
    ids = torch.arange(2 * LENGTH).view(2, LENGTH) + 60
    with torch.no_grad():
        found = ours.logits(ours(ids)[0])
        assert bool(found[..., vocabulary:].isneginf().all())
        torch.testing.assert_close(found[..., :vocabulary], theirs(ids).logits.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("vocabulary", [104, 110, 128, 100])
def test_a_resized_vocabulary_is_believed(folder, tmp_path, vocabulary):
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    theirs.resize_token_embeddings(vocabulary)
    theirs.save_pretrained(tmp_path / "theirs")
    assert_same(load_model(tmp_path / "theirs"), theirs, vocabulary)


def test_a_model_in_several_files_is_read(folder, tmp_path):
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert not (tmp_path / "theirs" / "model.safetensors").exists()
    assert_same(load_model(tmp_path / "theirs"), theirs)


@pytest.mark.parametrize("declared", [False, True])
def test_a_head_of_its_own_is_read_and_saved_again(run, folder, tmp_path, declared):
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    theirs.config.tie_word_embeddings = False
    theirs.lm_head.weight = torch.nn.Parameter(torch.randn_like(theirs.lm_head.weight))
    theirs.save_pretrained(tmp_path / "theirs")
    change_config(tmp_path / "theirs", tie_word_embeddings=declared)  # transformers, too, goes by the weights
    ours = load_model(tmp_path / "theirs")
    assert_same(ours, theirs)
    again = run.model_copy(update={"model": ours.settings})
    save_model(ours, again, tmp_path / "ours", 100)
    assert_same(load_model(tmp_path / "ours"), AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval())


def test_a_stored_copy_of_a_tied_head_is_no_other_head(folder):
    def store(weights):
        name = next(name for name in weights if "embed" in name)
        weights["lm_head.weight"] = weights[name].clone()

    change_weights(folder, store)
    model = load_model(folder)
    assert model.settings.tie_embeddings
    assert_same(model, AutoModelForCausalLM.from_pretrained(folder).eval())


def test_a_head_that_is_declared_and_not_there_is_missing(folder):
    change_config(folder, tie_word_embeddings=False)
    with pytest.raises(FileFormatError, match=r"lm_head\.weight is missing"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_become_float32(folder, tmp_path, dtype):
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    assert_same(ours, theirs.float().eval())


def test_what_transformers_changed_besides_sizes_is_believed(tmp_path):
    run = RUNS["transformer"]
    save_model(build_model("transformer", run.model, VOCABULARY, seed=2), run, tmp_path / "model", 100)
    change_config(tmp_path / "model", sliding_window=7, rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    loaded = load_model(tmp_path / "model")
    assert (loaded.settings.context_length, loaded.settings.rope_theta) == (7, 500.0)
    assert_same(loaded, AutoModelForCausalLM.from_pretrained(tmp_path / "model", attn_implementation="eager").eval())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"num_hidden_layers": 10**9}, "layers|not usable"),
        ({"num_hidden_layers": 3}, "is missing"),
        ({"num_hidden_layers": 1}, "is unknown"),
        ({"vocab_size": 10**9}, "vocab_size is 1000000000, but no weight has more than"),
        ({"vocab_size": 90}, "has shape"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"vocab_size": None}, "vocab_size is None"),
        ({"vocab_size": ...}, "'vocab_size' is missing"),
        ({"hidden_size": 10**30, "head_dim": None}, "config.json"),
        ({"hidden_size": 10**12, "head_dim": None}, "config.json"),
        ({"hidden_size": [64]}, "not usable|another kind"),
        ({"hidden_size": {"a": 1}}, "not usable|another kind"),
        ({"hidden_size": ...}, "'hidden_size' is missing"),
        ({"model_type": "gpt2"}, "model_type is 'gpt2'"),
        ({"model_type": ["mamba"]}, r"model_type is \['mamba'\]"),
        ({"model_type": ...}, "model_type is None"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(folder, change, message):
    change_config(folder, **change)
    with pytest.raises(FileFormatError, match=message):
        load_model(folder)


@pytest.mark.parametrize("changes", [{"n_layer": 1_000}, {"pad_vocab_size_multiple": 10**9}, {"d_model": 16_384}])
def test_sizes_in_our_own_entry_build_nothing(tmp_path, changes):
    run = RUNS["mamba"]
    save_model(build_model("mamba", run.model, VOCABULARY, seed=2), run, tmp_path / "model", 100)
    entry = json.loads((tmp_path / "model" / "config.json").read_text())["mamba_narrative"]
    entry["run"]["model"] |= changes
    change_config(tmp_path / "model", mamba_narrative=entry)
    if "pad_vocab_size_multiple" in changes:
        with pytest.raises(FileFormatError, match=r"padded to 1,000,000,000 rows|not usable"):
            load_model(tmp_path / "model")
    else:  # transformers' own fields say what the model is
        assert_same(load_model(tmp_path / "model"), AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval())


@pytest.mark.parametrize("content", ["[" * 100_000, '{"vocab_size": ' + "1" * 5_000 + "}", "[]", "1", '"x"', "{}"])
def test_a_configuration_that_is_no_description_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(FileFormatError, match=r"config\.json"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64, torch.bool])
def test_weights_that_are_no_real_numbers_are_refused(folder, dtype):
    change_weights(
        folder, lambda weights: weights.update({next(iter(weights)): next(iter(weights.values())).to(dtype)})
    )
    with pytest.raises(FileFormatError, match="expected floating point"):
        load_model(folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([], "expected `weight_map`"),
        ({"weight_map": {}}, "expected `weight_map`"),
        ({"weight_map": {"a": 1}}, "expected `weight_map`"),
        ({"weight_map": {"a": "../other/model.safetensors"}}, "no file beside it"),
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "no file beside it"),
    ],
)
def test_an_index_that_names_no_files_is_refused(folder, index, message):
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=message):
        load_model(folder)
