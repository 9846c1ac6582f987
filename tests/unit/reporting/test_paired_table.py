from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import command_calls
import compare_runs
from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json, write_text
from mamba_narrative.reporting.measured_books import find_entries
from mamba_narrative.reporting.tables.ranking import compare_runs as compare

TEXT_BYTES = 1_000
COMMON = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def measured(
    results: Path,
    run: str,
    bits: list[float],
    repeated: float = 0.1,
    order: float = 0.5,
    tokenizer: str = "t",
    sizes: int = TEXT_BYTES,
    **settings: Any,
) -> Path:
    """A results folder with measurements of likelihood, structure and generation of six books."""
    folder = results / "evaluation" / run
    asked = {"max_tokens_per_book": None, "device": run} | settings
    rows = [f"{n},10,{sizes},5,{value * sizes * 0.6931471805599453},{value}" for n, value in enumerate(bits)]
    write_text(folder / "likelihood_books.csv", "\n".join(["book_id,tokens,bytes,words,nll_nats,bits_per_byte", *rows]))
    write_json(folder / "likelihood.json", {"settings": asked})
    header = "metric,book_id,cases,weight,score"
    for group, metric, score in (("structure", "sentence_order", order), ("generation", "seq_rep_4", repeated)):
        lines = [f"{metric},{n},4,4,{4 * score}" for n in range(len(bits))]
        write_text(folder / f"{group}_books.csv", "\n".join([header, *lines]))
        write_json(folder / f"{group}.json", {"settings": asked})
    write_json(results / "tokens" / "test.json", {"tokenizer": {"sha256": tokenizer}})
    return results


def rows_of(folders: list[Path], runs: list[str] | None = None) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    found = compare(find_entries(folders, runs), 200, 1)
    return [(row["metric"], row["run"], row["best"]) for row in found.table.rows], found.notes


def test_runs_are_ranked_in_every_metric_headline_first(tmp_path: Path) -> None:
    measured(tmp_path, "a", [value - 0.1 for value in COMMON], repeated=0.30, order=0.5)
    measured(tmp_path, "b", COMMON, repeated=0.02, order=0.9)
    measured(tmp_path, "human", COMMON, repeated=0.01)
    (tmp_path / "evaluation" / "human" / "likelihood.json").unlink()
    (tmp_path / "evaluation" / "human" / "structure.json").unlink()
    rows, notes = rows_of([tmp_path])
    assert rows == [
        ("bits_per_byte", "a", "best"),
        ("bits_per_byte", "b", ""),
        ("sentence_order", "b", "best"),
        ("sentence_order", "a", ""),
        ("seq_rep_4", "b", "best"),
        ("seq_rep_4", "a", ""),
    ]
    assert notes == ()


def test_only_the_same_books_with_the_same_text_are_compared(tmp_path: Path) -> None:
    measured(tmp_path, "a", COMMON)
    measured(tmp_path, "b", [*COMMON, 100.0])
    found = compare(find_entries([tmp_path], None), 200, 1)
    row = next(row for row in found.table.rows if row["run"] == "b")
    assert (row["value"], row["books"]) == (pytest.approx(3.5), 6)
    assert "bits_per_byte: 1 books that not all have" in found.notes
    measured(tmp_path, "b", COMMON, sizes=1_001)
    rows, notes = rows_of([tmp_path])
    assert "bits_per_byte: 6 books whose text differs between runs" in notes
    assert not any(metric == "bits_per_byte" for metric, _, _ in rows)


def test_other_settings_are_not_compared_but_another_device_is(tmp_path: Path) -> None:
    measured(tmp_path, "a", COMMON)
    measured(tmp_path, "b", COMMON, max_tokens_per_book=64)
    rows, notes = rows_of([tmp_path])
    assert rows == []
    assert "b, likelihood: other max_tokens_per_book than a" in notes


def test_what_was_measured_before_a_measure_came_with_a_setting_of_its_own_is_compared_in_the_others(
    tmp_path: Path,
) -> None:
    measured(tmp_path, "a", COMMON, order=0.9, far_names=40)
    measured(tmp_path, "b", COMMON)
    with (tmp_path / "evaluation" / "a" / "structure_books.csv").open("a") as books:
        books.write("\nparagraph_order,0,4,4,2")
    rows, notes = rows_of([tmp_path])
    assert ("sentence_order", "a", "best") in rows
    assert not any("structure" in note for note in notes)
    # With the same measures a setting that one lacks may have changed them.
    assert "b, generation: other far_names than a" in notes


def test_two_that_were_asked_differently_are_not_compared_because_an_older_one_was_not_asked(tmp_path: Path) -> None:
    measured(tmp_path, "a", COMMON)
    for run, far_names in (("b", 40), ("c", 80)):
        measured(tmp_path, run, COMMON, far_names=far_names)
        with (tmp_path / "evaluation" / run / "structure_books.csv").open("a") as books:
            books.write(f"\nparagraph_order,0,4,4,{far_names / 40}")
    rows, notes = rows_of([tmp_path])
    assert [run for metric, run, _ in rows if metric == "sentence_order"] == ["a", "b"]
    assert not any(metric == "paragraph_order" for metric, _, _ in rows)
    assert "c, structure: other far_names than b" in notes


def test_folders_with_other_tokenizers_compare_in_bits_per_byte_alone(tmp_path: Path) -> None:
    one, other = measured(tmp_path / "one", "a", COMMON), measured(tmp_path / "two", "a", COMMON, tokenizer="u")
    measured(one, "xz", COMMON)
    rows, notes = rows_of([one, other])
    assert [row[:2] for row in rows if row[0] == "bits_per_byte"] == [
        ("bits_per_byte", name) for name in ("one/a", "two/a", "xz")
    ]
    assert not any(run == "two/a" for metric, run, _ in rows if metric != "bits_per_byte")
    assert "two/a, structure: another tokenizer than one/a" in notes


def test_published_models_are_shown_but_never_marked(tmp_path: Path) -> None:
    measured(tmp_path, "a", COMMON)
    measured(tmp_path, "b", [value + 0.1 for value in COMMON])
    measured(tmp_path, "published/known", [value - 0.5 for value in COMMON])
    rows, _ = rows_of([tmp_path])
    assert rows[:3] == [
        ("bits_per_byte", "published/known", ""),
        ("bits_per_byte", "a", "best"),
        ("bits_per_byte", "b", ""),
    ]


def test_a_run_that_was_not_measured_is_refused(tmp_path: Path) -> None:
    measured(tmp_path, "a", COMMON)
    with pytest.raises(UserError, match="no measurements of typo"):
        find_entries([tmp_path], ["a", "typo"])
    with pytest.raises(UserError, match="no such folder"):
        find_entries([tmp_path / "nothing"], None)


def test_the_command_writes_both_forms_or_prints_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(tmp_path, "a", COMMON)
    measured(tmp_path, "b", [value + 0.1 for value in COMMON], max_tokens_per_book=None, seed=7)
    arguments = ["--results", str(tmp_path), "--runs", "b", "a"]
    command_calls.run(compare_runs, *arguments, "--output", tmp_path / "out")
    assert (tmp_path / "out" / "comparison.csv").read_text().splitlines()[1].startswith("bits_per_byte,yes,lower,")
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    assert "Left out:" in markdown
    assert "- a, structure: other seed than b" in markdown
    command_calls.run(compare_runs, *arguments)
    assert capsys.readouterr().out == markdown
