from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.config.architectures.transformer import TransformerRun, TransformerSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import sha256_file
from mamba_narrative.model.storage import load_model
from mamba_narrative.reporting.run_card import run_card
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.training import run_training
from mamba_narrative.training import validation as validation_module
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.metrics_log import TRAIN_COLUMNS, VALIDATION_COLUMNS
from mamba_narrative.training.run_record import describe_code
from mamba_narrative.training.run_training import state_key, train_run
from unit.training.tiny_run import RECIPE, settings_of

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture(scope="module")
def finished(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    assert train_run("tiny", settings_of(), tokens, root / "output", root / "state") == 0
    return root


def read_rows(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_record_states_settings_data_and_outcome(finished: Path, tokens: Path) -> None:
    record = json.loads((finished / "output" / "run.json").read_text(encoding="utf-8"))
    assert MambaRun.model_validate(record["settings"]) == settings_of()
    assert record["data"]["train"]["sha256"] == sha256_file(tokens / "train.bin")
    assert record["data"]["validation"]["sha256"] == sha256_file(tokens / "validation.bin")
    assert record["weights_sha256"] == sha256_file(finished / "output" / "model" / "model.safetensors")
    assert record["parameters"] == load_model(finished / "output" / "model").parameter_count()
    assert (record["steps"], record["resumed"], record["run"]) == (4, 0, "tiny")
    assert record["versions"]["torch"] == torch.__version__
    assert record["hardware"]["device"] == "cpu"
    assert len(record["code"]["sources_sha256"]) == len(record["code"]["environment_sha256"]) == 64
    assert record["code"] == describe_code("mamba") != describe_code("transformer")
    assert (record["processes"], record["micro_batch_size"], record["skipped_steps"]) == (1, 2, 0)
    assert (record["weights_of_step"], record["planned_steps"]) == (4, 4)
    assert record["learning_rate_of_weights"] == float(
        read_rows(finished / "output" / "train.csv")[-1]["learning_rate"]
    )


def test_the_tables_have_the_agreed_columns(finished: Path) -> None:
    train = read_rows(finished / "output" / "train.csv")
    validation = read_rows(finished / "output" / "validation.csv")
    record = json.loads((finished / "output" / "run.json").read_text(encoding="utf-8"))
    assert tuple(train[0]) == TRAIN_COLUMNS
    assert tuple(validation[0]) == VALIDATION_COLUMNS
    assert [row["step"] for row in train] == ["1", "2", "3", "4"]
    assert int(train[-1]["tokens"]) == record["tokens_seen"]
    assert float(validation[-1]["bits_per_byte"]) == pytest.approx(record["validation"]["bits_per_byte"])


def test_the_model_folder_is_complete_and_its_tokenizer_loads(finished: Path) -> None:
    from transformers import AutoTokenizer

    folder = finished / "output" / "model"
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    } == {path.name for path in folder.iterdir()}
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert loaded("The ferry").input_ids == load_tokenizer("gpt2").encode("The ferry")


def test_the_model_card_warns_of_a_run_that_is_too_short(finished: Path) -> None:
    record = json.loads((finished / "output" / "run.json").read_text(encoding="utf-8"))
    card = run_card(record)
    assert f"{record['tokens_seen']:,} tokens" in card
    assert f"{record['validation']['bits_per_byte']:.4f}" in card
    assert "not a model to use" in card


def test_a_finished_run_leaves_no_state_and_the_same_weights_when_repeated(
    finished: Path, tokens: Path, tmp_path: Path
) -> None:
    assert list((finished / "state").iterdir()) == []
    train_run("tiny", settings_of(), tokens, tmp_path / "output", tmp_path / "state")
    weights = [root / "output" / "model" / "model.safetensors" for root in (finished, tmp_path)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_checkpoints_kept_for_good_outlive_the_run_which_may_end_with_its_best_weights(
    tokens: Path, tmp_path: Path
) -> None:
    run = settings_of(keep_every_steps=2, result="best", validate_every_steps=1)
    assert train_run("tiny", run, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert sorted(path.name for path in tmp_path.glob("state/*/*/*")) == ["step-000000002", "step-000000004"]
    record = json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))
    rows = read_rows(tmp_path / "output" / "validation.csv")
    best = min(rows, key=lambda row: float(row["loss_nats"]))
    assert record["weights_of_step"] == int(best["step"])
    assert record["validation"]["loss_nats"] == float(best["loss_nats"])


def test_a_run_of_epochs_may_end_with_the_average_of_its_weights(tokens: Path, tmp_path: Path) -> None:
    run = settings_of(steps=None, epochs=1.5, warmup_ratio=0.25, **RECIPE)
    assert train_run("tiny", run, tokens, tmp_path / "output", tmp_path / "state") == 0
    record = json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["training"]["epochs"] == 1.5
    assert record["steps"] == record["planned_steps"] == record["weights_of_step"]
    assert 1.5 <= record["epochs"] < 1.5 + 1 / record["steps"] * record["epochs"]
    last = read_rows(tmp_path / "output" / "validation.csv")[-1]
    assert record["validation"]["bits_per_byte"] == float(last["ema_bits_per_byte"]) != float(last["bits_per_byte"])
    model = load_model(tmp_path / "output" / "model")
    openings = validation_module.choose_openings(TokenFile(tokens, "validation"), load_tokenizer("gpt2"), 200_000)
    compute = Compute(torch.device("cpu"), torch.float32)
    found = validation_module.validate(model, openings, 50_256, compute, lambda: False)
    assert found is not None
    assert found.loss_nats == pytest.approx(float(last["ema_loss_nats"]), rel=1e-6)


def test_weights_from_before_the_end_of_the_schedule_come_with_a_warning(
    tokens: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = settings_of(steps=8, validate_every_steps=1, early_stopping_patience=2)
    # Below what a configuration may say, so that no update changes a weight.
    run = run.model_copy(update={"training": run.training.model_copy(update={"learning_rate": 1e-30})})
    assert train_run("tiny", run, tokens, tmp_path / "output", tmp_path / "state") == 0
    assert "the result is of step 3 of 8: the learning rate was 9.4e-31 then and was to fall to 1e-31" in caplog.text
    record = json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))
    assert (record["steps"], record["planned_steps"], record["weights_of_step"]) == (3, 8, 3)
    caplog.clear()
    assert train_run("tiny", settings_of(), tokens, tmp_path / "other", tmp_path / "state") == 0
    assert "not annealed" not in caplog.text


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"checkpoint_every_steps": 1}, True),
        ({"micro_batch_size": 1}, True),
        ({"device": "auto"}, True),
        ({"processes": 2, "nodes": 2, "staging_directory": "/scratch"}, True),
        ({"learning_rate": 0.02}, False),
        ({"steps": 5}, False),
        ({"seed": 2}, False),
        ({"window_offsets": "random"}, False),
        ({"residual_dropout": 0.1}, False),
        ({"steps": None, "epochs": 2}, False),
        ({"optimizer": "muon"}, False),
        ({"ema_decay": 0.9}, False),
    ],
)
def test_state_is_shared_only_by_runs_with_the_same_numbers(change: dict[str, object], same: bool) -> None:
    data = {"train": "a", "validation": "b"}
    assert (state_key(settings_of(**change), data) == state_key(settings_of(), data)) is same
    assert state_key(settings_of(), {**data, "train": "c"}) != state_key(settings_of(), data)


def test_an_empty_split_is_refused(tokens: Path, tmp_path: Path) -> None:
    for name in ("train.bin", "train.json", "train.books.tsv"):
        (tmp_path / name).write_bytes((tokens / name).read_bytes())
    for ending in (".bin", ".json", ".books.tsv"):
        content = (tokens / f"test{ending}").read_text(encoding="utf-8").replace('"test"', '"validation"')
        (tmp_path / f"validation{ending}").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"validation\.bin: no books"):
        train_run("tiny", settings_of(), tmp_path, tmp_path / "output", tmp_path / "state")


def test_tokens_of_another_vocabulary_are_refused(tokens: Path, tmp_path: Path) -> None:
    for path in tokens.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    manifest["tokenizer"]["sha256"] = "0" * 64
    (tmp_path / "train.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(FileFormatError, match="another tokenizer"):
        train_run("tiny", settings_of(), tmp_path, tmp_path / "output", tmp_path / "state")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_missing_gpu_is_named(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.device is 'cuda'"):
        train_run("tiny", settings_of(device="cuda"), tokens, tmp_path / "output", tmp_path / "state")


def test_a_process_without_a_gpu_of_its_own_is_refused(tokens: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UserError, match="more GPUs than the 1 that this job was given"):
        train_run("tiny", settings_of(device="cuda"), tokens, tmp_path / "output", tmp_path / "work")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_run_stopped_by_a_signal_and_continued_equals_an_uninterrupted_one(
    number: signal.Signals, finished: Path, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer._update

    def update_and_signal(trainer: Trainer) -> str:
        note = update(trainer)
        if trainer.step == 3:
            os.kill(os.getpid(), number)
        return note

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", update_and_signal)
        assert train_run("tiny", settings_of(), tokens, tmp_path / "output", tmp_path / "state") == 75
    assert not (tmp_path / "output").exists()
    assert [path.name for path in tmp_path.glob("state/*/checkpoints/step-*3")] == ["step-000000003"]
    assert train_run("tiny", settings_of(), tokens, tmp_path / "output", tmp_path / "state") == 0
    assert json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))["resumed"] == 1
    for name in ("model/model.safetensors", "validation.csv"):
        assert (tmp_path / "output" / name).read_bytes() == (finished / "output" / name).read_bytes()


def train_with_a_signal(tokens: Path, root: Path, owner: object, function: str, call: int) -> int:
    """The run's exit code when SIGTERM arrives as ``function`` of ``owner`` is called for the ``call``-th time."""
    original, calls = getattr(owner, function), itertools.count(1)

    def signal_and_go_on(*arguments: object, **named: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, signal_and_go_on)
        code = train_run("tiny", settings_of(), tokens, root / "output", root / "state")
    assert next(calls) > call, "the signal was sent"
    return code


# The run has 4 steps, with a validation and a checkpoint every 2.
@pytest.mark.parametrize(
    ("owner", "function", "call"),
    [
        pytest.param(Trainer, "_update", 4, id="in-the-last-step"),
        pytest.param(Trainer, "_validate", 2, id="before-the-final-validation"),
        pytest.param(validation_module, "summed_cross_entropy", 2, id="in-the-last-piece-of-the-final-validation"),
        pytest.param(Trainer, "_save", 2, id="while-the-final-checkpoint-is-written"),
        pytest.param(run_training, "save_model", 1, id="while-the-model-is-written"),
        pytest.param(run_training, "write_json", 1, id="while-the-record-is-written"),
    ],
)
def test_a_stop_in_any_phase_of_the_end_keeps_the_state_and_costs_no_step(
    owner: object,
    function: str,
    call: int,
    finished: Path,
    tokens: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert train_with_a_signal(tokens, tmp_path, owner, function, call) == 75
    # Snakemake removes what a failed job wrote.
    shutil.rmtree(tmp_path / "output", ignore_errors=True)
    monkeypatch.setattr(Trainer, "_update", lambda trainer: pytest.fail(f"step {trainer.step + 1} was trained twice"))
    assert train_run("tiny", settings_of(), tokens, tmp_path / "output", tmp_path / "state") == 0
    assert json.loads((tmp_path / "output" / "run.json").read_text(encoding="utf-8"))["resumed"] == 1
    assert [row["step"] for row in read_rows(tmp_path / "output" / "train.csv")] == ["1", "2", "3", "4"]
    for name in ("model/model.safetensors", "validation.csv"):
        assert (tmp_path / "output" / name).read_bytes() == (finished / "output" / name).read_bytes()
    assert list((tmp_path / "state").iterdir()) == []


def test_a_run_asked_to_stop_before_its_results_are_written_does_not_write_them(tokens: Path, tmp_path: Path) -> None:
    assert train_with_a_signal(tokens, tmp_path, Trainer, "_save", 2) == 75
    assert not (tmp_path / "output").exists()


def test_a_stop_once_the_state_is_being_cleared_finds_a_finished_run(
    finished: Path, tokens: Path, tmp_path: Path
) -> None:
    assert train_with_a_signal(tokens, tmp_path, run_training, "_clear", 1) == 0
    weights = [root / "output" / "model" / "model.safetensors" for root in (finished, tmp_path)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("order", ["shuffled", "stateful"])
def test_a_transformer_is_trained_stopped_continued_and_read_back_like_a_mamba(
    order: str, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TransformerRun(
        architecture="transformer",
        model=TransformerSettings(d_model=16, n_layer=1, context_length=16),
        training=settings_of(order=order, checkpoint_every_steps=1).training,
    )
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert train_run("tiny", run, tokens, straight / "output", straight / "state") == 0
    update = Trainer._update

    def update_and_signal(trainer: Trainer) -> str:
        note = update(trainer)
        if trainer.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return note

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", update_and_signal)
        assert train_run("tiny", run, tokens, stopped / "output", stopped / "state") == 75
    assert train_run("tiny", run, tokens, stopped / "output", stopped / "state") == 0
    for name in ("model/model.safetensors", "validation.csv"):
        assert (stopped / "output" / name).read_bytes() == (straight / "output" / name).read_bytes()
    assert load_model(straight / "output" / "model").settings == run.model


def test_the_command_ends_with_code_75_when_it_is_terminated(tokens: Path, tmp_path: Path) -> None:
    run = settings_of(steps=3000, checkpoint_every_steps=100_000, validate_every_steps=100_000).model_dump_json()
    command = [sys.executable, str(SCRIPTS / "train_run.py"), "--run", "tiny", "--settings", run]
    command += [
        "--tokens",
        str(tokens),
        "--output",
        str(tmp_path / "output"),
        "--state-directory",
        str(tmp_path / "state"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (logs := list((tmp_path / "state").glob("*/train.csv"))) or len(read_rows(logs[0])) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 75, messages
    assert "SIGTERM" in messages
    (checkpoint,) = (tmp_path / "state").glob("*/checkpoints/step-*")
    assert len(read_rows(logs[0])) == int(checkpoint.name.removeprefix("step-")) >= 2
