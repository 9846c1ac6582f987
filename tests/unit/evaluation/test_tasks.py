from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch

import evaluate_tasks as command
from command_calls import run
from mamba_narrative.config.evaluation import TaskSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.tasks import evaluate_tasks
from mamba_narrative.io import read_json, write_json
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.tokenizer import Tokenizer

HAS_HARNESS = importlib.util.find_spec("lm_eval") is not None
CASES = [("The lamp was", " lit."), ("Nobody", " came."), ("She asked: Who", " knocks?")]


@pytest.fixture
def exported(run_directory: Path, tokenizer: Tokenizer) -> Path:
    tokenizer.write_hugging_face_files(run_directory / "model")
    write_json(run_directory / "run.json", {"architecture": "mamba", "tokenizer": tokenizer.describe()})
    return run_directory


@pytest.fixture
def task_directory(tmp_path: Path) -> Path:
    """A task with data of its own, so that nothing is fetched: the last word of a sentence."""
    data = tmp_path / "cases.jsonl"
    data.write_text("".join(json.dumps({"text": text, "word": word}) + "\n" for text, word in CASES))
    (tmp_path / "last_words_here.yaml").write_text(
        f"task: last_words_here\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {data}\n"
        "test_split: test\noutput_type: loglikelihood\ndoc_to_text: '{{text}}'\ndoc_to_target: '{{word}}'\n"
        "metric_list:\n  - metric: perplexity\n    aggregation: perplexity\n    higher_is_better: false\n"
        "  - metric: acc\n    aggregation: mean\n    higher_is_better: true\nmetadata:\n  version: 1.0\n"
    )
    return tmp_path


needs_harness = pytest.mark.skipif(not HAS_HARNESS, reason="without lm-eval: pip install -r requirements-lm-eval.txt")


@needs_harness
def test_a_local_task_gives_the_perplexity_of_our_own_model(
    exported: Path, task_directory: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    settings = TaskSettings(tasks=("last_words_here",), task_directory=str(task_directory), device="cpu", batch_size=2)
    evaluate_tasks(exported, settings, tmp_path / "out")
    rows = {row["metric"]: row for row in read_json(tmp_path / "out" / "tasks.json")["tasks"]}
    model, nats = load_model(exported / "model"), 0.0
    for text, word in CASES:
        before, target = tokenizer.encode(text), tokenizer.encode(word)
        with torch.inference_mode():
            scores = model.logits(model(torch.tensor([before + target]))[0])[0].log_softmax(-1)
        nats -= sum(float(scores[len(before) + place - 1, token]) for place, token in enumerate(target))
    # Transformers gives the rows that pad the vocabulary a little probability.
    assert rows["perplexity"]["value"] == pytest.approx(math.exp(nats / len(CASES)), rel=1e-3)
    assert (rows["perplexity"]["better"], rows["acc"]["better"], rows["acc"]["n"]) == ("lower", "higher", 3)
    assert (tmp_path / "out" / "tasks.csv").read_text().startswith("task,version,metric,better,value")


@needs_harness
def test_an_unknown_task_is_refused_by_name(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such_task_exists"):
        evaluate_tasks(exported, TaskSettings(tasks=("such_task_exists",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_lm_eval_the_message_says_how_to_install_it(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lm_eval" else find(name))
    arguments = ["--run-directory", str(exported), "--settings", '{"tasks": ["lambada_openai"]}']
    with pytest.raises(UserError, match=r"pip install -r requirements-lm-eval\.txt"):
        run(command, *arguments, "--output-directory", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_task_there_is_nothing_to_do(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no task is named"):
        evaluate_tasks(exported, TaskSettings(), tmp_path / "out")


def test_the_file_of_requirements_pins_what_the_message_names() -> None:
    text = (Path(__file__).parents[3] / "requirements-lm-eval.txt").read_text()
    assert "lm-eval[hf]==" in text
