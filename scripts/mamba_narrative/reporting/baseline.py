"""What of a results folder is published: manifests, records, curves, measures, figures, continuations; no book's text.

The folder is small enough for a repository, and complete enough to check a repetition against it: which raw bytes the
corpus consists of, what was trained on it with which settings, and every measure.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mamba_narrative.corpus.formats.audit import read_audits
from mamba_narrative.corpus.formats.book_table import BOOK_TABLE, read_books
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import UserError
from mamba_narrative.io import (
    atomic_directory,
    read_json,
    sha256_text,
    verify,
    write_hashes,
    write_json,
    write_table,
)

PUBLISHED_COLUMNS = (
    "book_id", "title", "author", "decision", "reasons", "cluster", "split", "tokens", "raw_path", "raw_bytes",
    "raw_sha256",
)  # fmt: skip

CORPUS_FILES = ("splits/summary.json", "tokens/train.json", "tokens/validation.json", "tokens/test.json")
"""Copied from the results as they are; none holds text of a book."""

RUN_FILES = ("run.json", "train.csv", "validation.csv")

PUBLISHED_SUFFIXES = {".svg", ".png", ".csv", ".md", ".json"}

_WITH_TEXT = {"samples.json", "stripping.csv", "stripping.md", "leaks.csv", "leaks.md"}
"""Files of `evaluation/` and `report/tables/` that quote books."""


def publish_baseline(results: Path, runs: Sequence[str], output: Path) -> None:
    """Write the published part of ``results`` to the folder ``output``, all or nothing; what was there is replaced.

    Without ``runs`` it is what describes the corpus.

    Raises UserError where the corpus, a run or its measures are missing.
    """
    required = [results / BOOK_TABLE, *(results / name for name in CORPUS_FILES)]
    required += [results / "runs" / run / name for run in runs for name in RUN_FILES]
    required += [results / "evaluation" / run / "likelihood.json" for run in runs]
    if missing := [path for path in required if not path.is_file()]:
        raise UserError(
            f"{missing[0]}: not there, and needed for {', '.join(['the corpus', *runs])}; "
            "finish the experiment first (`snakemake --cores all --configfile ...`)"
        )
    with atomic_directory(output) as beside:
        write_table(beside / "manifest.tsv", PUBLISHED_COLUMNS, manifest_rows(results))
        for name in CORPUS_FILES:
            _copy(results / name, beside / name)
        for run in runs:
            for name in RUN_FILES:
                _copy(results / "runs" / run / name, beside / "runs" / run / name)
        if runs:
            _copy_measures(results, beside)
        write_hashes(beside / "sha256", sorted(path for path in beside.rglob("*") if path.is_file()))


def manifest_rows(results: Path) -> list[dict[str, Any]]:
    """One row a raw book, in order of ids: what was decided about it, and which bytes it was.

    Raises UserError where a book has no audit record.
    """
    audits = {str(record["book_id"]): record for record in read_audits(results / "stripped")}
    rows = []
    for book in sorted(read_books(results / BOOK_TABLE), key=lambda row: natural_key(row["book_id"])):
        if book["book_id"] not in audits:
            raise UserError(f"{results}: book {book['book_id']} has no audit record; run strip_books again")
        audit = audits[book["book_id"]]
        rows.append(
            {column: book.get(column, "") for column in PUBLISHED_COLUMNS}
            | {"raw_path": audit["path"], "raw_bytes": audit["bytes"], "raw_sha256": audit["sha256"]}
        )
    return rows


def without_text(samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Continuations as the models wrote them; passages and what their authors wrote next as hashes of the text."""
    return [
        {
            **{key: value for key, value in sample.items() if key not in ("prompt", "human")},
            "prompt_sha256": sha256_text(sample["prompt"]),
            "human_sha256": sha256_text(sample["human"]),
        }
        for sample in samples
    ]


def _copy_measures(results: Path, target: Path) -> None:
    for folder in ("evaluation", "report/tables", "report/figures"):
        _copy_folder(results / folder, target / folder)
    for path in sorted((results / "evaluation").rglob("samples.json")):
        write_json(target / path.relative_to(results), without_text(read_json(path)))


def _copy_folder(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix in PUBLISHED_SUFFIXES and path.name not in _WITH_TEXT:
            _copy(path, target / path.relative_to(source))


def _copy(source: Path, target: Path) -> None:
    verify(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
