"""The complete card of an exported model: what training wrote, and what the corpus and the evaluation know besides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_json, read_text
from mamba_narrative.reporting.comparison import Cell, Comparison, compare
from mamba_narrative.reporting.overlap import leak_test
from mamba_narrative.reporting.sources import BASELINES
from mamba_narrative.reporting.summary import corpus_sentences
from mamba_narrative.reporting.tables.context import CONTEXT
from mamba_narrative.reporting.tables.corpus import CORPUS, SELECTION, SPLITS_SCHEMA
from mamba_narrative.reporting.tables.evaluation import GENERATION, LIKELIHOOD, STRUCTURE, WORDS
from mamba_narrative.reporting.tables.table import Schema, read_csv_table

_MEASURED = (LIKELIHOOD, CONTEXT, STRUCTURE, WORDS, GENERATION)
_LICENCE = """\
Of Project Gutenberg's books those that it marks as in the public domain in the USA were used; books that say they are
under copyright were left out. Elsewhere other laws may hold. The stories of the workflow's built-in sample are CC0.
Project Gutenberg's name is a trademark: neither its licence text nor its headers were trained on, and this is no
publication of Project Gutenberg. The weights carry no licence by themselves: whoever publishes them adds `license:`
above. The program that trained them is under the MIT licence."""


def complete_card(results: Path, run: str, citation: Path) -> str:
    """README.md for the exported model of ``run``.

    Reads the card that training wrote (`runs/<run>/model/README.md`), `runs/<run>/run.json`, `report/tables/*.csv` and
    `splits/leaks.json` of ``results``, and the CITATION.cff file ``citation``. Raises UserError where one is missing.
    """
    card = results / "runs" / run / "model" / "README.md"
    head, body = _front_matter(card)
    tables = results / "report" / "tables"
    comparisons = {schema: _measurements(schema, tables, run) for schema in _MEASURED}
    head["model-index"] = [{"name": run, "results": [_index_entry(comparisons[LIKELIHOOD], run)]}]
    record = read_json(results / "runs" / run / "run.json")
    sections = [
        ("Training data", _data(results, tables)),
        ("Recipe", _recipe(record)),
        ("Results on test books", "\n\n".join(_results(schema, found) for schema, found in comparisons.items())),
        ("Licence of the texts", _LICENCE),
        ("Citation", _bibtex(citation)),
    ]
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n{body.rstrip()}\n" + "".join(f"\n## {name}\n\n{part}\n" for name, part in sections)


def _front_matter(path: Path) -> tuple[dict[str, Any], str]:
    before, _, rest = read_text(path).partition("---\n")
    head, mark, body = rest.partition("\n---\n")
    if before or not mark:
        raise FileFormatError(
            f"{path}: expected a card that begins with YAML between lines of ---; train the run again"
        )
    return yaml.safe_load(head), body


def _measurements(schema: Schema, tables: Path, run: str) -> Comparison:
    table = read_csv_table(schema, tables)
    rows = table.rows if table else ()
    return compare([row for row in rows if row["run"] == run or row["run"] in BASELINES])


def _index_entry(likelihood: Comparison, run: str) -> dict[str, Any]:
    """The main numbers as the model hub reads them."""
    cells = next((row.cells for row in likelihood.rows if row.name == run), ())
    return {
        "task": {"type": "text-generation"},
        "dataset": {"type": "project-gutenberg", "name": "Held-out books of Project Gutenberg", "split": "test"},
        "metrics": [
            {"type": heading.metric, "name": heading.name, "value": float(cell.value.replace(",", ""))}
            for heading, cell in zip(likelihood.headings, cells, strict=True)
            if cell is not None
        ],
    }


def _data(results: Path, tables: Path) -> str:
    corpus, selection, splits = (read_csv_table(schema, tables) for schema in (CORPUS, SELECTION, SPLITS_SCHEMA))
    if corpus is None or selection is None or splits is None:
        raise FileFormatError(f"{tables}: tables of the corpus are missing; make them first: snakemake report")
    sentences = corpus_sentences(corpus.rows, selection.rows, splits.rows)
    sentences.append(
        "Headers, licences, credits, notes, contents and other people's prefaces were stripped. Editions and "
        "collections that share text are in one split; of duplicates one is used."
    )
    if leaks := leak_test(results):
        sentences += leaks.sentences
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _recipe(record: Mapping[str, Any]) -> str:
    settings = record["settings"]["model"] | record["settings"]["training"]
    rows = [f"| `{name}` | {'–' if value is None else value} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _results(schema: Schema, comparison: Comparison) -> str:
    """One row a metric, one column the model or a baseline."""
    labels = [row.label for row in comparison.rows]
    lines = [schema.caption, "", f"| | {' | '.join(labels)} |", "|---" * (len(labels) + 1) + "|"]
    for position, heading in enumerate(comparison.headings):
        name = f"{heading.name} ({heading.unit})" if heading.unit else heading.name
        lines.append(f"| {name} | {' | '.join(_shown(row.cells[position]) for row in comparison.rows)} |")
    return "\n".join(lines)


def _shown(cell: Cell | None) -> str:
    return f"{cell.value} ({cell.interval}, n = {cell.n})" if cell else "–"


def _bibtex(citation: Path) -> str:
    """The entry of a CITATION.cff file as BibTeX."""
    entry = yaml.safe_load(read_text(citation))
    authors = " and ".join(
        "{" + author["name"] + "}" if "name" in author else f"{author['family-names']}, {author['given-names']}"
        for author in entry["authors"]
    )
    return f"""```bibtex
@software{{mamba_narrative,
  author = {{{authors}}},
  title = {{{entry["title"]}}},
  version = {{{entry["version"]}}},
  license = {{{entry["license"]}}}
}}
```"""
