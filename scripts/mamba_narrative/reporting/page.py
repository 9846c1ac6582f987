"""The page that people read: everything about one results folder in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mamba_narrative.config.report import ReportSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.definitions import DEFINITIONS, HEADLINE, UNSEPARATED, Definition
from mamba_narrative.io import read_bytes, read_json
from mamba_narrative.reporting.comparison import Comparison, compare, row_label
from mamba_narrative.reporting.environment import read_environment
from mamba_narrative.reporting.formatting import amount, duration, flattened, plural, visible, with_interval
from mamba_narrative.reporting.glossary import definitions_behind, find_definition
from mamba_narrative.reporting.overlap import duplicate_pairs, leak_test, moved_books, overlap_between_splits
from mamba_narrative.reporting.samples import Sample, choose_samples
from mamba_narrative.reporting.sources import BASELINES, PUBLISHED, book_titles, is_run, optional_json
from mamba_narrative.reporting.summary import (
    corpus_sentences,
    likelihood_sentences,
    repetition_sentences,
    sample_size_note,
)
from mamba_narrative.reporting.tables.composition import COMPOSITION
from mamba_narrative.reporting.tables.context import CONTEXT, CONTEXTS, RESETS
from mamba_narrative.reporting.tables.corpus import CORPUS, SELECTION, SPLITS_SCHEMA
from mamba_narrative.reporting.tables.evaluation import GENERATION, LIKELIHOOD, STRUCTURE, TASKS, WORDS
from mamba_narrative.reporting.tables.headline import HEADLINE_TABLE
from mamba_narrative.reporting.tables.ranking import PAIRED, best_of
from mamba_narrative.reporting.tables.runs import RUNS
from mamba_narrative.reporting.tables.sanity import SANITY, failed
from mamba_narrative.reporting.tables.stripping import STRIPPING
from mamba_narrative.reporting.tables.table import Column, Schema, Table, as_kind, read_csv_table

_TEMPLATES = Path(__file__).parent / "templates"
_SCHEMAS: tuple[Schema, ...] = (
    STRIPPING,
    CORPUS,
    SELECTION,
    SPLITS_SCHEMA,
    COMPOSITION,
    RUNS,
    HEADLINE_TABLE,
    PAIRED,
    LIKELIHOOD,
    GENERATION,
    STRUCTURE,
    WORDS,
)
_CONTEXT_SCHEMAS = (CONTEXT, CONTEXTS, RESETS, SANITY, TASKS)
_DEFINED_IN = {
    "likelihood": ("likelihood", "loss_by_position", "context", "use_of_context", "contexts", "resets", "sanity"),
    "structure": ("structure", "next_chapter"),
    "words": ("words", "name_recall"),
    "generation": ("generation",),
}
"""Tables and figures of each section whose definitions stand at its end."""
_SAMPLES_SHOWN = 6
_COMMAND = "snakemake --cores all --configfile experiment.json"


@dataclass(frozen=True)
class Tile:
    """One main number with its name above and its context below."""

    name: str
    value: str
    detail: str


def build_page(results: Path, runs: Sequence[str], settings: ReportSettings, configuration: Any | None) -> str:
    """The whole page as HTML.

    Reads `report/tables/*.csv`, `report/figures/*.svg`, `runs/<run>/run.json`, of `evaluation/<run>/` the files
    `likelihood.json`, `generation.json` and `samples.json`, `splits/summary.json`, `leaks.json` and `moves.tsv`,
    `corpus/duplicates.tsv`, `corpus/books.tsv` (titles) and `environment/report.json`. What is missing is said on the
    page; a run without `run.json` raises UserError, for the page would be about nothing.
    """
    tables = {
        schema.name: read_csv_table(schema, results / "report" / "tables") for schema in (*_SCHEMAS, *_CONTEXT_SCHEMAS)
    }
    rows = {name: table.rows if table else () for name, table in tables.items()}
    records = [_run_record(results, run) for run in runs]
    corpus_known = all(rows[name] for name in ("corpus", "splits"))
    environment = optional_json(results / "environment" / "report.json")
    return (
        _templates()
        .get_template("index.html.j2")
        .render(
            settings=settings,
            css=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
            subtitle=_subtitle(records),
            runs=list(runs),
            tables=tables,
            figure_uri=partial(_figure, results),
            tiles=_tiles(rows),
            likelihood_summary=likelihood_sentences(rows["likelihood"]),
            repetition_summary=repetition_sentences(rows["generation"]),
            corpus_summary=corpus_sentences(rows["corpus"], rows["selection"], rows["splits"]) if corpus_known else [],
            caution=_caution(rows["likelihood"]),
            missing=[*_missing(rows), *failed(rows["sanity"])],
            overlap=overlap_between_splits(results),
            duplicates=duplicate_pairs(results),
            leaks=leak_test(results),
            moves=moved_books(results),
            run_columns=_told(tables["runs"]),
            run_details=[_run_details(record) for record in records],
            headline=_headline(tables["headline"], tables["comparison"]),
            headline_reasons={DEFINITIONS[key].name: reason for key, reason in HEADLINE.items()},
            unseparated={DEFINITIONS[key].name: reason for key, reason in UNSEPARATED.items()},
            likelihood=_comparison(tables["likelihood"]),
            generation=_comparison(tables["generation"]),
            context=_comparison(tables["context"]),
            context_scope=_context_scope(results, runs),
            shown_definitions=_definitions(tables),
            definitions_behind=definitions_behind,
            likelihood_scope=_likelihood_scope(results, runs),
            baseline_facts=_baseline_facts(results, rows["likelihood"]),
            structure=_comparison(tables["structure"]),
            structure_settings=_settings_of(results, runs, "structure"),
            words=_comparison(tables["words"]),
            words_settings=_settings_of(results, runs, "words"),
            generation_settings=_settings_of(results, runs, "generation"),
            samples=_samples(results, runs),
            environment=None if environment is None else read_environment(environment),
            hashes=[pair for record in records for pair in _hashes(record)],
            configuration=None if configuration is None else json.dumps(configuration, indent=2, ensure_ascii=False),
            command=_COMMAND,
        )
    )


def _templates() -> Templates:
    templates = Templates(
        loader=FileSystemLoader(_TEMPLATES),
        # Everything is escaped whatever a template is called; the CSS alone is passed as markup.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["visible"] = visible
    templates.filters["duration"] = duration
    templates.filters["as_kind"] = as_kind
    templates.filters["as_cells"] = _as_cells
    templates.filters["fields"] = lambda row, *names: [getattr(row, name) for name in names]
    return templates


def _as_cells(table: Table, hide: Sequence[str] = ()) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Columns of a table as headings with the kind of their fields, and its rows as texts."""
    shown = [column for column in table.schema.columns if column.key not in hide]
    columns = [
        (column.heading, "number" if column.kind != "text" else "head" if column is shown[0] else _kind_of_text(column))
        for column in shown
    ]
    return columns, [[as_kind(row[column.key], column.kind) for column in shown] for row in table.rows]


def _kind_of_text(column: Column) -> str:
    return "code" if column.key in ("reason", "code") else "text"


def _run_record(results: Path, run: str) -> Mapping[str, Any]:
    path = results / "runs" / run / "run.json"
    if not path.is_file():
        raise UserError(f"{path}: missing; train the run {run!r} first, or leave it out of --runs")
    return read_json(path)


def _figure(results: Path, name: str) -> str | None:
    path = results / "report" / "figures" / f"{name}.svg"
    if not path.is_file():
        return None
    # As an image, not inline: ids of several figures would collide, and nothing in an image can run.
    return "data:image/svg+xml;base64," + base64.b64encode(read_bytes(path)).decode("ascii")


def _subtitle(records: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(f"{record['run']} ({amount(record['parameters'])} parameters)" for record in records)
    return f"{'Run' if len(records) == 1 else 'Runs'}: {names}"


def _tiles(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Tile]:
    tiles = []
    bits = {row["run"]: row for row in rows["likelihood"] if row["metric"] == "bits_per_byte"}
    own = [row for run, row in bits.items() if is_run(run)]
    if own:
        best = min(own, key=lambda row: row["value"])
        value, interval = _value(best)
        lowest = " (lowest)" if len(own) > 1 else ""
        tiles.append(
            Tile(
                f"Bits per byte, {best['run']}{lowest}",
                value,
                f"95 % interval {interval}" if interval else "no interval",
            )
        )
    if baseline := bits.get("unigram"):
        tiles.append(Tile("Bits per byte, unigram", _value(baseline)[0], "token frequencies alone"))
    for row in rows["splits"]:
        if row["split"] in ("train", "test"):
            name = "Training books" if row["split"] == "train" else "Test books"
            tiles.append(Tile(name, f"{row['books']:,.0f}", f"{amount(row['tokens'])} tokens"))
    return tiles


def _value(row: Mapping[str, Any]) -> tuple[str, str]:
    return with_interval(row["value"], row["interval_low"], row["interval_high"])


def _caution(likelihood: Sequence[Mapping[str, Any]]) -> str:
    cases = [row["n"] for row in likelihood if row["metric"] == "bits_per_byte" and is_run(row["run"])]
    return sample_size_note(min(cases), "test book") if cases else ""


def _missing(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    missing = []
    if not any(row["metric"] == "bits_per_byte" for row in rows["likelihood"]):
        missing.append("No bits per byte have been measured, so nothing is said here of how well the runs predict.")
    if not rows["corpus"] or not rows["splits"]:
        missing.append("The tables of the corpus are missing, so nothing is said here of the books.")
    return missing


def _comparison(table: Table | None) -> Comparison | None:
    return None if table is None else compare(table.rows)


def _headline(table: Table | None, ranked: Table | None) -> Comparison | None:
    """The main table; a best run is marked where the comparison says so."""
    return None if table is None else compare(table.rows, best_of(ranked))


def _definitions(tables: Mapping[str, Table | None]) -> dict[str, dict[str, Definition | None]]:
    """Definitions by section: of its metrics, of rows that differ from them, of its other tables and its figures."""
    sections = {}
    for section, names in _DEFINED_IN.items():
        measured = (tables.get(name) for name in names)
        ids = [row["definition"] for table in measured if table for row in table.rows if "definition" in row]
        behind = [key for name in names for key in definitions_behind(name)]
        sections[section] = {key: find_definition(key) for key in (*ids, *behind)}
    return sections


def _told(runs: Table | None) -> list[Column]:
    """Columns of the table of runs that at least one run fills, without its name."""
    return (
        [column for column in RUNS.columns[1:] if any(row[column.key] not in (None, "") for row in runs.rows)]
        if runs
        else []
    )


def _run_details(record: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, versions and hardware of a run, complete, for a fold-out."""
    facts = [
        *flattened(record.get("settings") or {}),
        *flattened(record.get("hardware") or {}, "hardware"),
        *flattened(record.get("versions") or {}, "version"),
    ]
    seconds, resumed = record.get("seconds"), record.get("resumed") or 0
    about = f"all settings, hardware and versions; trained in {duration(seconds)}"
    return {
        "name": record["run"],
        "about": about + (f", resumed {plural(resumed, 'time')}" * bool(resumed)),
        "facts": facts,
    }


def _hashes(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Run, thing and hash: the token files it read, the tokenizer, its code, the weights it wrote."""
    run = record["run"]
    found = [
        (run, f"tokens/{split}.bin", data.get("sha256", "") if isinstance(data, Mapping) else str(data))
        for split, data in (record.get("data") or {}).items()
    ]
    tokenizer = record.get("tokenizer") or {}
    found.append((run, f"tokenizer {tokenizer.get('name', '')}", tokenizer.get("sha256", "")))
    code = record.get("code") or {}
    found.append((run, "sources that trained it", code.get("sources_sha256", "")))
    found.append((run, "installed packages", code.get("environment_sha256", "")))
    found.append((run, "weights", record.get("weights_sha256", "")))
    return [(run, name, value) for run, name, value in found if value]


def _likelihood_scope(results: Path, runs: Sequence[str]) -> str:
    """How much text the likelihood was measured on; empty where no run has been measured."""
    for run in runs:
        report = optional_json(results / "evaluation" / run / "likelihood.json")
        if report and all(report.get(size) for size in ("books", "tokens", "bytes", "words")):
            return (
                f"Scored: {plural(report['tokens'], 'token')} ({plural(report['words'], 'word')}, "
                f"{plural(report['bytes'], 'byte')}) of {plural(report['books'], 'book')}{_cut(report)}."
            )
    return ""


def _context_scope(results: Path, runs: Sequence[str]) -> str:
    """How much text the use of context was measured on; empty where no run has been measured."""
    for run in runs:
        report = optional_json(results / "evaluation" / run / "context.json")
        if report:
            return (
                f"Read: {plural(report['tokens'], 'token')} of {plural(report['books'], 'book')}{_cut(report)}; "
                f"{plural(report['targets'], 'target')} in the {plural(report['books_with_targets'], 'book')} longer "
                "than the longest context."
            )
    return ""


def _baseline_facts(results: Path, likelihood: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the baselines of the likelihood have read, one sentence each."""
    sentences = []
    published = dict.fromkeys(row["run"] for row in likelihood if row["run"].startswith(PUBLISHED))
    for name in (*published, *BASELINES):
        report = optional_json(results / "evaluation" / name / "likelihood.json") or {}
        if facts := flattened(report.get("model") or {}):
            sentences.append(f"{row_label(name)}: " + ", ".join(f"{fact} {value}" for fact, value in facts) + ".")
    untrained = optional_json(results / "runs" / "untrained" / "run.json")
    if untrained:
        sentences.append(f"{row_label('untrained')}: the initial weights of run {untrained['initial_weights_of']}.")
    return sentences


def _cut(report: Mapping[str, Any]) -> str:
    cut, limit = report.get("books_cut_short"), report.get("settings", {}).get("max_tokens_per_book")
    return f"; of {plural(cut, 'longer book')} only the first {plural(limit, 'token')}" if cut and limit else ""


def _settings_of(results: Path, runs: Sequence[str], group: str) -> str:
    """The settings that limit the numbers of ``group``; empty where no run has been measured."""
    for run in runs:
        report = optional_json(results / "evaluation" / run / f"{group}.json")
        if report and report.get("settings"):
            facts = flattened(report["settings"])
            return "Settings: " + "; ".join(f"{name} {value}" for name, value in facts) + "."
    return ""


def _samples(results: Path, runs: Sequence[str]) -> list[Sample]:
    files = {run: optional_json(results / "evaluation" / run / "samples.json") for run in runs}
    return choose_samples(
        {run: records for run, records in files.items() if records}, book_titles(results), _SAMPLES_SHOWN
    )
