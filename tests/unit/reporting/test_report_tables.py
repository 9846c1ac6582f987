from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_results import RUNS, corpus_books, metric

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_table
from mamba_narrative.reporting.tables.composition import composition_table
from mamba_narrative.reporting.tables.corpus import corpus_table, selection_table, splits_table
from mamba_narrative.reporting.tables.evaluation import LIKELIHOOD, likelihood_table
from mamba_narrative.reporting.tables.stripping import stripping_table
from mamba_narrative.reporting.tables.table import Column, Schema, Table, read_csv_table, to_csv, to_markdown
from mamba_narrative.reporting.tables.write import make_tables, write_tables

CONTEXT_NAMES = ["contexts", "resets", "sanity"]
NAMES = [
    "stripping",
    "corpus",
    "selection",
    "splits",
    "composition",
    "runs",
    "headline",
    "likelihood",
    "context",
    "structure",
    "words",
    "generation",
    *CONTEXT_NAMES,
    "tasks",
]
TEXT = Schema("text", "A caption.", (Column("name", "Name"), Column("size", "Size", "count")))


def books_of(results: Path) -> list[dict[str, str]]:
    return read_table(results / "corpus" / "books.tsv")


def rows_by(table: Table, key: str) -> dict[str, Any]:
    return {row[key]: row for row in table.rows}


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.integers(0, 10**12))))
def test_a_table_comes_back_from_its_csv_form(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    table = Table(TEXT, tuple({"name": name, "size": size} for name, size in rows))
    (folder / "text.csv").write_text(to_csv(table), encoding="utf-8", newline="")
    assert read_csv_table(TEXT, folder) == table


def test_an_absent_table_is_none_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert read_csv_table(TEXT, tmp_path) is None
    (tmp_path / "text.csv").write_text("name,size\na,many\n")
    with pytest.raises(FileFormatError, match=r"text.csv:2: .*many"):
        read_csv_table(TEXT, tmp_path)


def test_markdown_cells_cannot_break_the_table_or_become_html() -> None:
    markdown = to_markdown(Table(TEXT, ({"name": "a|b\n<script>", "size": 12345},)))
    assert markdown.splitlines()[-1] == "| a\\|b &lt;script&gt; | 12,345 |"


def test_the_corpus_table_counts_every_step_from_raw_books_to_splits(results: Path) -> None:
    books = books_of(results)
    steps = rows_by(corpus_table(books), "step")
    assert [steps[name]["books"] for name in ("raw", "readable", "selected", "in_a_split")] == [30, 29, 26, 25]
    assert steps["raw"]["words"] == sum(book["words"] for book in corpus_books())


def test_every_reason_is_counted_with_examples_and_unknown_codes_stay(results: Path) -> None:
    reasons = rows_by(selection_table(books_of(results)), "reason")
    assert reasons["other_language"]["books"] == 2
    assert reasons["too_short"]["examples"].startswith("1011 (")
    assert reasons["a_code_nobody_knows"]["books"] == 1
    assert reasons["unreadable_empty_file"]["examples"] == "1014"


def test_a_dropped_book_without_a_reason_is_not_hidden(results: Path) -> None:
    books = books_of(results)
    books[10]["reasons"] = ""
    assert rows_by(selection_table(books), "reason")["no_reason_given"]["books"] == 1


def test_splits_add_up_to_the_selected_books_with_duplicates_apart(results: Path) -> None:
    splits = rows_by(splits_table(books_of(results)), "split")
    assert {name: row["books"] for name, row in splits.items()} == {
        "train": 19, "validation": 3, "test": 3, "none (duplicate)": 1
    }  # fmt: skip
    assert sum(splits[name]["share_of_words"] for name in ("train", "validation", "test")) == pytest.approx(1)


def test_composition_groups_all_books_of_the_splits_by_length_birth_author_and_cluster(results: Path) -> None:
    books = books_of(results)
    books[0] |= {"author": "Austen, Jane, 1775-1817; Someone, Else, 1850-", "words": "5001"}
    table = composition_table(books)
    used = [book for book in books if book["split"]]
    words = sum(int(book["words"]) for book in used)
    for what in {row["what"] for row in table.rows}:
        rows = [row for row in table.rows if row["what"] == what]
        assert sum(row["books"] for row in rows) == len(used)
        assert sum(row["words"] for row in rows) == words
        assert sum(row["share_of_words"] for row in rows) == pytest.approx(1)
    found = {(row["what"], row["group"]): row["books"] for row in table.rows}
    assert found["author born", "1770s"] == found["author", "Austen, Jane, 1775-1817"] == 1
    assert found["size of the cluster, with duplicates", "2 books"] == 1
    assert found["length", "5,001 to 20,000 words"] >= 1


def test_stripping_counts_books_times_and_characters_of_each_rule() -> None:
    cut = {"rule": "footnote", "offset": 1, "length": 10, "start": "* A note"}
    audits = [
        {"book_id": "1", "status": "stripped", "removed": [cut, cut], "warnings": ["residue: Gutenberg"]},
        {"book_id": "2", "status": "failed", "reason": "empty_file", "detail": "no byte", "removed": [cut]},
    ]
    rows = {(row["kind"], row["code"]): row for row in stripping_table(audits).rows}
    footnotes = rows["removed", "footnote"]
    assert (footnotes["books"], footnotes["times"], footnotes["characters"]) == (2, 3, 30)
    assert footnotes["example"] == "1: * A note"
    assert rows["warning", "residue"]["example"] == "1: Gutenberg"
    assert rows["failed", "empty_file"]["example"] == "2: no byte"


def test_only_the_audits_of_the_named_shards_count(results: Path) -> None:
    counted = [make_tables(results, RUNS, shards)[0].rows[0]["books"] for shards in (None, ["000"])]
    assert counted == [30, 15]


def test_measured_values_keep_interval_n_and_definition() -> None:
    table = likelihood_table({"small": {"metrics": {"bits_per_byte": metric("bpb", 1.5, 7, "bits/byte", 0.25)}}})
    assert dict(table.rows[0]) == {
        "run": "small", "metric": "bits_per_byte", "definition": "bpb", "value": 1.5, "interval_low": 1.25,
        "interval_high": 1.75, "n": 7, "unit": "bits/byte",
    }  # fmt: skip


def test_a_report_without_metrics_is_refused_by_name() -> None:
    with pytest.raises(FileFormatError, match=r"evaluation/small/likelihood\.json"):
        likelihood_table({"small": {}})


def test_baselines_and_human_text_stand_beside_the_runs(results: Path) -> None:
    tables = {table.schema.name: table for table in make_tables(results, RUNS)}
    assert list(tables) == NAMES
    assert list(rows_by(tables["likelihood"], "run")) == ["small", "wide", "unigram"]
    assert list(rows_by(tables["generation"], "run")) == ["small", "wide", "unigram", "human"]
    assert list(rows_by(tables["structure"], "run")) == ["small", "wide", "unigram"]


def test_run_rows_show_what_run_json_says(results: Path) -> None:
    path = results / "runs" / "wide" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokens_per_second": 4321.0}))
    runs = rows_by(make_tables(results, RUNS)[NAMES.index("runs")], "run")
    assert (runs["wide"]["tokens_per_second"], runs["wide"]["d_model"]) == (4321.0, 256)
    assert runs["wide"]["hardware"] == "A Processor, 2 threads"


def test_a_missing_run_is_an_error_that_names_the_file(results: Path) -> None:
    with pytest.raises(UserError, match=r"runs/other/run\.json"):
        make_tables(results, ["other"])


def test_all_tables_are_written_in_both_forms_and_always_the_same(results: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_tables(results, RUNS, tmp_path / folder)
    written = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert sorted(written) == sorted(f"{name}.{ending}" for name in NAMES for ending in ("csv", "md"))
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a" / "likelihood.csv").read_text())))
    assert list(rows[0]) == [column.key for column in LIKELIHOOD.columns]
