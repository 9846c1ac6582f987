"""Each try of a recipe leaves a record, whatever becomes of it, and the page about tries shows all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mamba_narrative.config.chosen_run import chosen_run
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json, write_json
from mamba_narrative.reporting.tuning import read_tries, tuning_page

REPOSITORY = Path(__file__).resolve().parents[3]
PUBLISHED = REPOSITORY / "workflow" / "baselines" / "tuning"
SETTINGS = """
training: {sequence_length: 16, batch_size: 2, validate_every_steps: 2, validation_tokens: 60, device: cpu}
runs: {a: {architecture: mamba, model: {d_model: 8, n_layer: 1, d_state: 2}, training: {steps: 4, warmup_steps: 1}}}
"""


@pytest.fixture
def try_recipe(tmp_path, tokens):
    """Call the command in a folder of its own."""

    def call(*changes: str, name: str = "first", run: str = "a") -> subprocess.CompletedProcess[str]:
        (tmp_path / "settings.yaml").write_text(SETTINGS)
        command = [sys.executable, REPOSITORY / "scripts" / "try_recipe.py", "--name", name, "--run", run]
        command += ["--configuration", tmp_path / "settings.yaml", "--tokens", tokens, "--commit", "abc"]
        command += ["--records", tmp_path / "tries", "--purpose", "a question"]
        if changes:
            command += ["--set", *changes]
        return subprocess.run([*map(str, command)], capture_output=True, text=True)

    return call


def test_a_record_holds_settings_data_validations_and_cost(try_recipe, tmp_path, tokens):
    done = try_recipe("training.learning_rate=0.002", "training.weight_decay=1.0")
    assert done.returncode == 0, done.stderr
    record = read_json(tmp_path / "tries" / "first.json")
    assert (record["training"]["learning_rate"], record["training"]["weight_decay"]) == (0.002, 1.0)
    assert [row["step"] for row in record["validations"]] == [2, 4]
    assert record["data"]["train"]["sha256"] == read_json(tokens / "train.json")["sha256"]
    assert (record["finished"], record["steps"], record["commit"]) == (True, 4, "abc")
    assert record["tokens_per_second"] > 0
    assert record["hardware"]["device"] == "cpu"


def test_a_try_that_ends_early_is_recorded_up_to_its_last_validation(try_recipe, tmp_path):
    # The gradient's norm is too large at once, so that too many steps in a row are skipped after the first validation.
    done = try_recipe("training.max_skipped_steps=2", "training.skip_grad_norm=1.0e-6")
    assert done.returncode == 2
    record = read_json(tmp_path / "tries" / "first.json")
    assert (record["finished"], [row["step"] for row in record["validations"]]) == (False, [2])
    assert "first (stopped)" in tuning_page(read_tries(tmp_path / "tries"))


def test_the_record_of_another_try_is_not_replaced(try_recipe):
    assert try_recipe().returncode == 0
    again = try_recipe()
    assert again.returncode == 2
    assert "first.json: there is a try of this name" in again.stderr


@pytest.mark.parametrize(
    ("changes", "run", "message"),
    [
        (["training.lr=1"], "a", "--set training.lr=1: expected section.key=value"),
        (["steps"], "a", "--set steps: expected section.key=value"),
        (["training.steps=-1"], "a", "training.steps"),
        ([], "b", "--run b: the configuration has no such run; it has a"),
    ],
)
def test_changes_that_mean_nothing_are_refused(tmp_path, changes, run, message):
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    with pytest.raises(UserError, match=re.escape(message)):
        chosen_run([tmp_path / "settings.yaml"], run, changes)


def test_the_page_shows_the_best_try_first_and_what_differs():
    tries = [record for record in read_tries(PUBLISHED) if record["name"].startswith("lab-mamba")]
    for record, bits in zip(tries, (1.5, 1.25), strict=True):
        record["validations"] = [{"step": 10, "bits_per_byte": bits}, {"step": 20, "bits_per_byte": bits + 0.1}]
    lines = [line.split(" | ") for line in tuning_page(tries).splitlines() if line.startswith("| lab")]
    assert [line[0].removeprefix("| ") for line in lines] == [tries[1]["name"], tries[0]["name"]]
    assert [line[1] for line in lines] == [f"optimizer {record['training']['optimizer']}" for record in tries[::-1]]
    assert lines[0][3:6] == ["1.2500", "10", "1.3500"]


def test_a_folder_without_records_and_a_file_that_is_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="no records of tries"):
        read_tries(tmp_path)
    write_json(tmp_path / "a.json", {"name": "a"})
    with pytest.raises(FileFormatError, match=r"a\.json: no record of a try; it lacks architecture, model"):
        read_tries(tmp_path)


def test_the_published_page_is_made_from_the_published_records():
    assert (PUBLISHED / "README.md").read_text(encoding="utf-8") == tuning_page(read_tries(PUBLISHED))
