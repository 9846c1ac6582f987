"""An exported model is the same model in the programs that people use."""

from __future__ import annotations

import json
import shutil

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForLanguageModeling, pipeline

from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.config.architectures.transformer import TransformerRun, TransformerSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.streaming import continuation_ids
from mamba_narrative.io import recorded_outputs, write_text
from mamba_narrative.model.export import export_model
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import load_model, save_model
from mamba_narrative.tokens.tokenizer import load_tokenizer, write_hugging_face_files

TOKENS = 40
RUNS = {
    "mamba": MambaRun(architecture="mamba", model=MambaSettings(d_model=32, n_layer=3, d_state=8)),
    "transformer": TransformerRun(
        architecture="transformer", model=TransformerSettings(d_model=64, n_layer=2, context_length=24)
    ),
}


@pytest.fixture(scope="module", params=RUNS)
def exported(request, tmp_path_factory):
    """A model whose scores are far apart and, for padding, would be the highest, exported with its tokenizer."""
    folder, run, tokenizer = tmp_path_factory.mktemp(request.param), RUNS[request.param], load_tokenizer("gpt2")
    model = build_model(run.architecture, run.model, tokenizer.vocab_size, seed=4)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "A_log" not in name and parameter is not model.head_weight():
                parameter.mul_(5)  # else a tied model says what it has just read, again and again
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=generator) * parameter.abs().mean())
        model.head_weight()[model.vocab_size :] = 5.0
    write_hugging_face_files(tokenizer, folder / "files")
    files = {path.name: path.read_bytes() for path in (folder / "files").iterdir()} | {"README.md": b"short\n"}
    save_model(model, run, folder / "model", tokenizer.end_of_text_id, files)
    with recorded_outputs():  # as the rule of the card does, which leaves a hidden folder
        write_text(folder / "model" / "README.md", "short\n")
    export_model(folder / "model", "the complete card\n", folder / "exported")
    return model.eval(), folder / "exported"


def test_records_of_hashes_are_not_handed_on(exported):
    _, folder = exported
    assert (folder.parent / "model" / ".sha256").is_dir()
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_greedy_generation_by_transformers_is_ours_token_by_token(exported):
    model, folder = exported
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    theirs = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    assert len(tokenizer) == theirs.config.vocab_size == 50_257
    for prompt in ("The ferry left before dawn.", "“Who is there?” she asked", "It was"):
        ids = tokenizer(prompt, return_tensors="pt")
        ours = list(continuation_ids(model, ids.input_ids[0].tolist(), TOKENS, temperature=0, top_p=1.0, seed=1))
        found = theirs.generate(**ids, max_new_tokens=TOKENS, do_sample=False, eos_token_id=None)
        assert found[0, ids.input_ids.shape[1] :].tolist() == ours
        assert len(set(ours)) > 5


PROMPTS = ["The ferry left before dawn.", "It was"]


def test_prompts_of_different_lengths_are_continued_together_as_alone(exported):
    model, folder = exported
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    theirs = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    assert (tokenizer.padding_side, tokenizer.pad_token_id) == ("left", theirs.config.pad_token_id)
    batch = tokenizer(PROMPTS, return_tensors="pt", padding=True)
    found = theirs.generate(**batch, max_new_tokens=8, do_sample=False, eos_token_id=None)
    for prompt, row in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt).input_ids
        assert row[-8:].tolist() == list(continuation_ids(model, ids, 8, temperature=0, top_p=1.0, seed=1))


def test_the_pipeline_continues_a_batch(exported):
    _, folder = exported
    write = pipeline("text-generation", model=str(folder), batch_size=2, device="cpu")
    for prompt, (written,) in zip(PROMPTS, write(PROMPTS, max_new_tokens=3, do_sample=False), strict=True):
        assert written["generated_text"].startswith(prompt)


def test_the_collator_of_the_trainer_pads(exported):
    _, folder = exported
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)([tokenizer(prompt) for prompt in PROMPTS])
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert int((batch["labels"] == -100).sum()) == int((batch["attention_mask"] == 0).sum()) > 0


def test_the_folder_is_the_run_with_the_complete_card(exported):
    model, folder = exported
    assert (folder / "README.md").read_text() == "the complete card\n"
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in folder.iterdir()
    }
    again = load_model(folder)
    assert torch.equal(again.head_weight()[: model.vocab_size], model.head_weight()[: model.vocab_size])
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    assert again.parameter_count() == model.parameter_count() == sum(weight.numel() for weight in weights.values())


def test_mamba_ssms_own_format_has_its_names_and_no_padding(exported):
    model, folder = exported
    if model.architecture != "mamba":
        assert not (folder / "mamba_ssm").exists()
        return
    config = json.loads((folder / "mamba_ssm" / "config.json").read_text())
    assert (config["vocab_size"], config["pad_vocab_size_multiple"], config["n_layer"]) == (50_257, 1, 3)
    assert config["ssm_cfg"] == {"layer": "Mamba1", "d_state": 8, "d_conv": 4, "expand": 2, "dt_rank": 2}
    weights = torch.load(folder / "mamba_ssm" / "pytorch_model.bin", weights_only=True)
    assert weights.keys() == {*model.state_dict(), "lm_head.weight"}
    assert weights["lm_head.weight"].shape == weights["backbone.embedding.weight"].shape == (50_257, 32)
    assert torch.equal(weights["backbone.layers.2.mixer.A_log"], model.state_dict()["backbone.layers.2.mixer.A_log"])


def test_an_older_export_is_replaced_whole_and_a_folder_without_a_model_is_refused(exported, tmp_path):
    _, folder = exported
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("mamba_ssm"))
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "old").touch()
    export_model(tmp_path / "model", "card\n", tmp_path / "exported")
    assert not (tmp_path / "exported" / "old").exists()
    with pytest.raises(UserError, match=r"no model\.safetensors; expected the folder `model` of a trained run"):
        export_model(tmp_path, "card\n", tmp_path / "other")
    assert not (tmp_path / "other").exists()
