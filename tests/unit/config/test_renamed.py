"""A name that was replaced is refused with the new one, and records of earlier code are converted once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.config.renamed import RENAMED, with_new_names
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json, recorded_outputs, sha256_file, verify, write_json, write_text
from mamba_narrative.reporting.old_records import convert_file, convert_folder


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("training", "stop_after_validations", "early_stopping_patience"),
        ("training", "recompute", "activation_checkpointing"),
        ("training", "min_learning_rate_share", "min_lr_ratio"),
        ("evaluation.likelihood", "books_at_once", "batch_size"),
        ("evaluation.context", "rows_at_once", "batch_size"),
        ("evaluation.context", "piece_tokens", "chunk_tokens"),
        ("splits", "test_share", "test_fraction"),
    ],
)
def test_an_old_key_is_refused_with_the_new_one_named(section: str, old: str, new: str) -> None:
    settings: dict = {old: 3}
    for name in reversed(section.split(".")):
        settings = {name: settings}
    with pytest.raises(UserError, match=rf"{section}\.{old}: this setting is called {new} now"):
        resolve_experiment({"runs": {"run": {"architecture": "mamba"}}, **settings})


def test_an_old_name_where_nothing_replaced_it_is_an_unknown_key() -> None:
    with pytest.raises(UserError, match=r"report\.recompute: unknown key"):
        resolve_experiment({"runs": {"run": {"architecture": "mamba"}}, "report": {"recompute": True}})


def test_no_old_name_is_a_name_again() -> None:
    assert not set(RENAMED) & set(RENAMED.values())


def test_values_stay_as_they_are_under_the_new_names() -> None:
    found = with_new_names({"training": [{"recompute": True, "seed": 3}], "name": "loop_share", "recompute_": "a b"})
    assert found == {
        "training": [{"activation_checkpointing": True, "seed": 3}],
        "name": "loop_fraction",
        "recompute_": "a b",
    }


def test_records_are_converted_once(tmp_path: Path) -> None:
    record, table, page = tmp_path / "run.json", tmp_path / "runs.csv", tmp_path / "page.md"
    record.write_text(json.dumps({"share_of_peak_flops": 0.25, "loss": 1.0}))
    table.write_text("run,share_of_peak_flops,note\nrecompute,0.25,to recompute\nb,1,recompute_\n")
    page.write_text("share_of_peak_flops\n")
    assert [convert_file(path) for path in (record, table, page)] == [True, True, False]
    assert json.loads(record.read_text()) == {"mfu": 0.25, "loss": 1.0}
    assert table.read_text() == "run,mfu,note\nactivation_checkpointing,0.25,to recompute\nb,1,recompute_\n"
    assert [convert_file(path) for path in (record, table, page)] == [False, False, False]


def test_hashes_of_converted_files_are_renewed_wherever_they_stand(tmp_path: Path) -> None:
    with recorded_outputs():
        write_text(tmp_path / "books.tsv", "book_id\tdialogue_share\n1\t0.5\n")
        write_text(tmp_path / "list.sha256", f"{sha256_file(tmp_path / 'books.tsv')}  books.tsv\n")
        write_json(tmp_path / "manifest.json", {"list": sha256_file(tmp_path / "list.sha256"), "other": "0" * 64})
    assert convert_folder(tmp_path) == 3
    assert read_json(tmp_path / "manifest.json") == {"list": sha256_file(tmp_path / "list.sha256"), "other": "0" * 64}
    assert (tmp_path / "list.sha256").read_text() == f"{sha256_file(tmp_path / 'books.tsv')}  books.tsv\n"
    assert all(verify(tmp_path / name) for name in ("books.tsv", "list.sha256", "manifest.json"))
    assert convert_folder(tmp_path) == 0


def test_a_damaged_file_is_not_converted(tmp_path: Path) -> None:
    with recorded_outputs():
        write_json(tmp_path / "run.json", {"recompute": True})
    (tmp_path / "run.json").write_text('{"recompute": false}')
    with pytest.raises(FileFormatError, match=r"run\.json: its sha256 differs"):
        convert_folder(tmp_path)
