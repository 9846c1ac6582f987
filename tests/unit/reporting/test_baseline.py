from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from synthetic_results import RUNS, write_results

from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json, read_table, sha256_text, write_json, write_text
from mamba_narrative.reporting.baseline import CORPUS_FILES, publish_baseline


@pytest.fixture
def results(tmp_path: Path) -> Path:
    results = write_results(tmp_path / "results", test_books=5)
    for name in CORPUS_FILES[1:]:
        write_json(results / name, {"tokens": 9})
    write_text(results / "report" / "figures" / "curve.svg", "<svg/>")
    return results


@pytest.fixture
def published(results: Path, tmp_path: Path) -> Path:
    publish_baseline(results, RUNS, tmp_path / "baseline")
    return tmp_path / "baseline"


def test_the_manifest_names_every_raw_book_with_its_hash_and_split(results, published):
    rows = read_table(published / "manifest.tsv")
    books = read_table(results / "corpus" / "books.tsv")
    assert {row["book_id"]: row["split"] for row in rows} == {book["book_id"]: book["split"] for book in books}
    assert all(row["raw_sha256"] == sha256_text(row["book_id"]) for row in rows)


def test_records_curves_measures_and_figures_are_there(published):
    for run in RUNS:
        assert {path.name for path in (published / "runs" / run).iterdir()} == {
            "run.json",
            "train.csv",
            "validation.csv",
        }
        assert (published / "evaluation" / run / "likelihood.json").is_file()
    assert (published / "report" / "figures" / "curve.svg").is_file()


def test_continuations_are_published_and_what_books_say_is_not(results, published):
    samples = read_json(results / "evaluation" / RUNS[0] / "samples.json")
    entries = read_json(published / "evaluation" / RUNS[0] / "samples.json")
    assert [entry["continuations"] for entry in entries] == [sample["continuations"] for sample in samples]
    assert [entry["prompt_sha256"] for entry in entries] == [sha256_text(sample["prompt"]) for sample in samples]
    everything = "".join(path.read_text("utf-8") for path in published.rglob("*") if path.is_file())
    assert not any(sample["prompt"] in everything or sample["human"] in everything for sample in samples)


def test_every_file_is_in_the_list_of_hashes(published):
    listed = dict(line.split("  ")[::-1] for line in (published / "sha256").read_text().splitlines())
    there = {str(path.relative_to(published)): path for path in published.rglob("*") if path.is_file()}
    assert set(listed) == set(there) - {"sha256"}
    assert all(hashlib.sha256(there[name].read_bytes()).hexdigest() == digest for name, digest in listed.items())


@pytest.mark.parametrize("name", ["splits/summary.json", f"runs/{RUNS[0]}/train.csv", "corpus/books.tsv"])
def test_an_unfinished_experiment_is_named_and_nothing_is_written(results, tmp_path, name):
    (results / name).unlink()
    with pytest.raises(UserError, match=name):
        publish_baseline(results, RUNS, tmp_path / "baseline")
    assert not (tmp_path / "baseline").exists()


def test_without_runs_only_the_corpus_is_described(results, tmp_path):
    publish_baseline(results, [], tmp_path / "corpus")
    names = {str(path.relative_to(tmp_path / "corpus")) for path in (tmp_path / "corpus").rglob("*") if path.is_file()}
    assert names == {"manifest.tsv", "sha256", *CORPUS_FILES}
