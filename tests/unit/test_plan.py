"""What a call would do, in words, from the reasons that Snakemake gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mamba_narrative.plan import PlannedJob, plan_in_words

CHANGED = (
    "Params have changed since last execution: Union of exclusive params before and now across all output: "
    "before: {} now: {} "
)
CODE = (".cache/code/0a.json", ".cache/code/0b.json")
SETTINGS = (".cache/settings/0a.json", ".cache/settings/0b.json")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    kept = {
        CODE[0]: {"train_run.py:main": "1", "mamba_narrative/a.py:f": "1", "mamba_narrative/a.py:gone": "1"},
        CODE[1]: {"train_run.py:main": "1", "mamba_narrative/a.py:f": "2", "mamba_narrative/a.py:new": "1"},
        SETTINGS[0]: {"training": {"steps": 5, "seed": 1}, "figures": ["a"]},
        SETTINGS[1]: {"training": {"steps": 6, "seed": 1}, "figures": ["a"], "model": None},
    }
    for name, content in kept.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "runs" / "done").mkdir(parents=True)
    (tmp_path / "runs" / "done" / "run.json").write_text("{}")
    return tmp_path


def job(reason: str, rule: str = "train_run", name: str = "done", outputs: tuple[str, ...] = ("x",)) -> PlannedJob:
    return PlannedJob(rule, name, outputs, reason)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (CODE[0], CODE[1], "code of a.py (f, removed gone, added new)"),
        (SETTINGS[0], SETTINGS[1], "setting model (none) -> null; setting training.steps 5 -> 6"),
        (f"{CODE[0]},{SETTINGS[0]}", SETTINGS[1], "its code changed; setting model (none) -> null; setting "),
        (f"books {'0' * 64}", f"books {'1' * 64}", "books changed"),
        ("catalogue none", f"catalogue {'1' * 64}", "catalogue changed"),
        (".cache/code/older form.json", CODE[1], "its code changed"),
        (".cache/code/0c.json", CODE[1], "its code changed"),
        (".cache/settings/0c.json", SETTINGS[1], "settings changed, the earlier ones are no longer known"),
        ("<nothing exclusive>", "7", "its parameters changed from <nothing exclusive> to 7"),
    ],
)
def test_parameters_are_followed_into_what_they_stand_for(before, now, told, results):
    assert f"  done: {told}" in plan_in_words([job(CHANGED.format(before, now))], results)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Missing output files: a, b", "not made yet"),
        ("Updated input files: a, b, c, d, e, f", "changed: a, b, c, d and 2 more"),
        ("Incomplete output files: a", "its job was interrupted"),
        ("Code has changed since last execution; Forced execution", "its rule calls another command; asked for by "),
        ("A reason of tomorrow", "A reason of tomorrow"),
        ("", "its inputs are not known yet"),
        (f"Updated input files: a; {CHANGED.format(CODE[0], CODE[1])}", "code of a.py (f, removed gone, added new); "),
    ],
)
def test_other_reasons_are_told_in_plain_words(reason, told, results):
    assert f"  done: {told}" in plan_in_words([job(reason)], results)


def test_trainings_come_first_and_what_follows_is_counted(results):
    follows = "Input files updated by another job: tokens.json"
    jobs = [
        job("Missing output files: x", "strip_books", "001"),
        job("Missing output files: x", "strip_books", "000"),
        job(follows, "assemble_tokens", "", ("tokens.json",)),
        job(follows, "train_run", "new"),
        job(follows, "train_run", "done"),
        job(follows, "evaluate_words", "done"),
        job(follows, "evaluate_words", "new"),
        job("Missing output files: x", "all", "", ()),
    ]
    assert plan_in_words(jobs, results).splitlines() == [
        "TRAINED AGAIN FROM THE FIRST STEP: 1 run",
        "  done: follows assemble_tokens",
        "Trained, or continued where it stopped: 1 run",
        "  new: follows assemble_tokens",
        "Other jobs: 5",
        "  strip_books (000, 001): not made yet",
        "  and what follows from these: assemble_tokens, 2 evaluate_words",
    ]


def test_where_no_finished_run_is_touched_the_plan_says_so(results):
    lines = plan_in_words([job("Missing output files: x", "make_tables", "")], results).splitlines()
    assert lines == ["No finished run is trained again.", "Jobs: 1", "  make_tables: not made yet"]
    assert plan_in_words([job("", "all", outputs=())], results) == "Nothing to be done: everything is up to date.\n"


def test_trainings_are_known_under_the_prefix_of_an_outer_workflow(results):
    lines = plan_in_words([job("Missing output files: x", "narrative_train_run")], results).splitlines()
    assert lines == ["TRAINED AGAIN FROM THE FIRST STEP: 1 run", "  done: not made yet"]


def test_a_rule_that_runs_without_an_output_is_no_target(results):
    always = "Rules with a run or shell declaration but no output are always executed."
    assert "  acquire_books: made at every call" in plan_in_words([job(always, "acquire_books", "", ())], results)
