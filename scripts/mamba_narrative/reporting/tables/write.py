"""All tables of the report, made from a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from mamba_narrative.corpus.formats.audit import read_audits
from mamba_narrative.corpus.formats.book_table import BOOK_TABLE, read_books
from mamba_narrative.io import read_json, write_text
from mamba_narrative.reporting.sources import BASELINES, PUBLISHED, read_csv
from mamba_narrative.reporting.tables.composition import composition_table
from mamba_narrative.reporting.tables.context import CONTEXTS, RESETS, context_table, detail_table, keys_of
from mamba_narrative.reporting.tables.corpus import corpus_table, selection_table, splits_table
from mamba_narrative.reporting.tables.evaluation import (
    generation_table,
    likelihood_table,
    structure_table,
    tasks_table,
    words_table,
)
from mamba_narrative.reporting.tables.headline import headline_table
from mamba_narrative.reporting.tables.runs import runs_table
from mamba_narrative.reporting.tables.sanity import UNTRAINED, sanity_table, training_length
from mamba_narrative.reporting.tables.stripping import stripping_table
from mamba_narrative.reporting.tables.table import Table, to_csv, to_markdown


def make_tables(
    results: Path,
    runs: Sequence[str],
    shards: Sequence[str] | None = None,
    published: Sequence[str] = (),
    with_tasks: bool = False,
) -> list[Table]:
    """The tables of ``results`` for ``runs`` and ``published`` models, in that order.

    with_tasks: whether `tasks.json` of the runs is shown too.

    Reads `stripped/<shard>.audit.jsonl` (of all shards there where ``shards`` is None), `corpus/books.tsv`,
    `runs/<run>/run.json` and `evaluation/<run>/*.json` of the runs and baselines. Raises UserError where a file of a
    run or the corpus is missing; a baseline may be absent.
    """
    books = read_books(results / BOOK_TABLE)
    context, *context_details = _context_tables(results, runs)
    measured = [
        likelihood_table(_reports(results, [*runs, *(PUBLISHED + name for name in published)], "likelihood")),
        context,
        structure_table(_reports(results, runs, "structure")),
        words_table(_reports(results, runs, "words")),
        generation_table(_reports(results, runs, "generation")),
    ]
    return [
        stripping_table(read_audits(results / "stripped", shards)),
        corpus_table(books),
        selection_table(books),
        splits_table(books),
        composition_table(books),
        runs_table([read_json(results / "runs" / run / "run.json") for run in runs]),
        headline_table(measured),
        *measured,
        *context_details,
        tasks_table({run: read_json(results / "evaluation" / run / "tasks.json") for run in runs if with_tasks}),
    ]


def _context_tables(results: Path, runs: Sequence[str]) -> list[Table]:
    """The use of context, and the checks that rest on it. Runs that were not measured have no rows."""
    measured = [run for run in (*runs, UNTRAINED) if (results / "evaluation" / run / "context.json").is_file()]
    folders = {run: results / "evaluation" / run for run in measured}
    reports = {run: read_json(folder / "context.json") for run, folder in folders.items()}
    lengths = {run: read_json(results / "runs" / run / "run.json") for run in runs}
    return [
        context_table(reports),
        *(
            detail_table(
                schema, {run: read_csv(results / "evaluation" / run / name, keys_of(schema)) for run in measured}
            )
            for schema, name in ((CONTEXTS, "context.csv"), (RESETS, "resets.csv"))
        ),
        sanity_table(
            reports,
            {run: training_length(record) for run, record in lengths.items()},
            _reports(results, [], "structure"),
        ),
    ]


def write_tables(
    results: Annotated[Path, "results folder that the tables are made from"],
    runs: Annotated[Sequence[str], "runs to compare, in this order"],
    output: Annotated[Path, "folder to write <table>.csv and <table>.md to"],
    shards: Annotated[Sequence[str] | None, "shards whose audits count; default: all in the results folder"] = None,
    published: Annotated[Sequence[str], "published models to show beside them"] = (),
    tasks: Annotated[bool, "show the tasks of lm-eval that the runs were given"] = False,
) -> None:
    """Write every table as ``output/<name>.csv`` and ``output/<name>.md`` (see ``make_tables``)."""
    for table in make_tables(results, runs, shards, published, tasks):
        write_text(output / f"{table.schema.name}.csv", to_csv(table))
        write_text(output / f"{table.schema.name}.md", to_markdown(table))


def _reports(results: Path, runs: Sequence[str], name: str) -> dict[str, dict[str, Any]]:
    """Reports by run: runs first, then the baselines that have one."""
    paths = {run: results / "evaluation" / run / f"{name}.json" for run in (*runs, *BASELINES)}
    return {run: read_json(path) for run, path in paths.items() if run in runs or path.is_file()}
