from __future__ import annotations

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from synthetic_results import HOSTILE, RUNS, write_environment, write_generation, write_likelihood, write_results

from mamba_narrative.config.experiment import resolve_experiment
from mamba_narrative.config.report import ReportSettings
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.definitions import DEFINITIONS, HEADLINE, UNSEPARATED
from mamba_narrative.io import read_json, write_json
from mamba_narrative.reporting.measured_books import find_entries
from mamba_narrative.reporting.page import build_page
from mamba_narrative.reporting.tables.ranking import write_comparison
from mamba_narrative.reporting.tables.write import write_tables

VOID = {"meta", "img", "br", "link", "input", "hr"}
OPTIONAL = [
    "environment/report.json", "splits/summary.json", "splits/leaks.json", "corpus/duplicates.tsv",
    "report/tables/composition.csv", "report/figures/training_curve.svg",
    "report/figures/loss_by_position.svg", "report/figures/corpus_composition.svg", "report/tables/corpus.csv",
    "report/tables/selection.csv", "report/tables/splits.csv", "report/tables/runs.csv", "report/tables/stripping.csv",
    "report/tables/likelihood.csv", "report/tables/generation.csv", "report/tables/headline.csv",
    "report/tables/comparison.csv",
]  # fmt: skip


class Page(HTMLParser):
    """Checks that tags are balanced, and collects tags with their attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def build(results: Path, configuration: Any = None, **settings: str) -> str:
    return build_page(results, RUNS, ReportSettings(**settings), configuration)


def rebuild(results: Path) -> str:
    write_tables(results, RUNS, results / "report" / "tables")
    return build(results)


def test_the_page_is_well_formed_and_complete(reported: Path) -> None:
    page = Page(build(reported, {"runs": {"small": None}}))
    headings = [attributes.get("id") for attributes in page.all("h2")][1:]
    assert headings == [
        "summary", "corpus", "splits", "runs", "results", "likelihood", "structure", "words", "generation", "samples",
        "environment", "reproduce", "appendix",
    ]  # fmt: skip
    assert "Not available" not in page.text


def test_the_page_needs_nothing_but_itself(reported: Path) -> None:
    html = build(reported, {"corpus": {"directory": "books"}})
    page = Page(html)
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"@import|url\((?!data:)", html)
    assert {"default-src 'none'; img-src data:; style-src 'unsafe-inline'"} < {
        a.get("content") for a in page.all("meta")
    }


def test_links_inside_the_page_have_their_targets_and_ids_are_unique(reported: Path) -> None:
    page = Page(build(reported))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in page.all("a")} <= set(ids)


def test_the_page_can_be_used_without_eyes_and_without_a_mouse(reported: Path) -> None:
    page = Page(build(reported))
    assert page.all("a")[0] == {"class": "skip", "href": "#content"}
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    scrolling = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert scrolling
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in scrolling)
    assert len(page.all("summary")) == len(page.all("details"))
    assert page.all("html") == [{"lang": "en"}]


def test_equal_files_give_an_equal_page(reported: Path) -> None:
    assert build(reported) == build(reported)


def test_hostile_titles_and_texts_are_shown_and_do_nothing(reported: Path) -> None:
    html = build(reported, {"title": HOSTILE}, title=HOSTILE, introduction=HOSTILE)
    page = Page(html)
    assert "<script" not in html
    assert "<img src=x" not in html
    assert page.text.count(HOSTILE) >= 4
    assert "small goes on & on: a <img src=x onerror=alert(1)>" in page.text
    assert "scan <cpu> on cpu" in page.text


def test_hostile_names_in_tables_are_escaped(reported: Path) -> None:
    books = reported / "corpus" / "books.tsv"
    books.write_text(books.read_text().replace("other_language", HOSTILE).replace("The Harbour of Part 10", HOSTILE))
    html = rebuild(reported)
    assert "<script" not in html
    assert HOSTILE in Page(html).text


def test_unknown_reason_codes_are_shown_as_they_are(reported: Path) -> None:
    assert "a_code_nobody_knows" in Page(build(reported)).text


@pytest.mark.parametrize("path", OPTIONAL)
def test_a_missing_part_is_said_and_the_rest_is_shown(path: str, reported: Path) -> None:
    (reported / path).unlink()
    page = Page(build(reported))
    assert f"Not available: {path} does not exist" in page.text
    assert "Reproduce" in page.text


def test_all_parts_but_the_runs_may_be_missing(reported: Path) -> None:
    for path in OPTIONAL:
        (reported / path).unlink()
    shutil.rmtree(reported / "evaluation")
    text = Page(build(reported)).text
    assert text.count("Not available") == len(OPTIONAL) + 1
    assert "nothing is said here of how well the runs predict" in text
    assert "The resolved configuration was not given to this page." in text


def test_a_run_without_its_record_is_refused(reported: Path) -> None:
    with pytest.raises(UserError, match=r"runs/other/run\.json: missing"):
        build_page(reported, ["other"], ReportSettings(), None)


def test_measured_values_are_those_of_the_files(reported: Path) -> None:
    before = Page(build(reported)).text
    write_likelihood(reported, "wide", 3.21, books=3)
    write_generation(reported, "human", 0.0472, 0.9)
    after = Page(rebuild(reported)).text
    (bits,) = {round(read_json(reported / "evaluation/wide/likelihood.json")["metrics"]["bits_per_byte"]["value"], 3)}
    for shown in (f"{bits:.3f}", "0.047", "4.7\u00a0%"):
        assert shown in after
        assert shown not in before


@pytest.mark.parametrize(
    ("path", "old", "new", "shown"),
    [
        ("runs/small/run.json", '"seconds": 528.4', '"seconds": 7400', "2 h 3 min"),
        ("runs/small/run.json", '"parameters": 7050112', '"parameters": 1234567', "1.23 million parameters"),
        ("environment/report.json", "no CUDA device", "driver too old", "driver too old"),
        ("splits/summary.json", "0.0034", "0.0777", "7.77\u00a0%"),
        ("splits/leaks.json", "0.00432", "0.00765", "0.765\u00a0%"),
        ("splits/moves.tsv", "1013", "1019", "1019 from train to test"),
        ("corpus/duplicates.tsv", "0.93", "0.876", "87.6\u00a0%"),
        ("evaluation/small/samples.json", "ferryman", "lighthouse keeper", "lighthouse keeper"),
        ("evaluation/small/generation.json", '"temperature": 0.9', '"temperature": 0.71', "temperature 0.71"),
        ("evaluation/small/likelihood.json", '"words": 70000', '"words": 71234', "71,234 words"),
        ("stripped/000.audit.jsonl", "no_end_marker: no footer found", "odd_warning: looked at", "odd_warning"),
    ],
)
def test_a_changed_file_changes_the_page(path: str, old: str, new: str, shown: str, reported: Path) -> None:
    assert shown not in Page(build(reported)).text
    content = (reported / path).read_text()
    assert old in content
    (reported / path).write_text(content.replace(old, new))
    assert shown in Page(rebuild(reported)).text


def test_figures_are_the_files_of_the_results(reported: Path) -> None:
    before = [attributes["src"] for attributes in Page(build(reported)).all("img")]
    (reported / "report" / "figures" / "training_curve.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    after = [attributes["src"] for attributes in Page(build(reported)).all("img")]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True, True, True]


@pytest.mark.parametrize(("books", "says"), [(1, "there is no interval"), (2, "Only 2 test books were scored")])
def test_few_test_books_are_a_caution_on_the_page(books: int, says: str, reported: Path) -> None:
    for run in (*RUNS, "unigram"):
        write_likelihood(reported, run, 4.0, books)
    assert says in Page(rebuild(reported)).text


def test_the_configuration_and_all_hashes_are_there_to_reproduce(reported: Path) -> None:
    text = Page(build(reported, {"corpus": {"shards": 8}})).text
    record = read_json(reported / "runs" / "small" / "run.json")
    assert json.dumps({"corpus": {"shards": 8}}, indent=2) in text
    for value in (record["weights_sha256"], record["tokenizer"]["sha256"], record["data"]["test"]["sha256"]):
        assert value in text


def test_samples_of_several_runs_stand_beside_the_human_continuation(reported: Path) -> None:
    html = build(reported)
    first = html[html.index('class="sample"') :].partition("</details>")[0]
    assert re.findall(r"<h3>(.*?)</h3>", first) == ["Passage", "The author goes on", "small goes on", "wide goes on"]


def test_failed_checks_come_first_and_are_counted(reported: Path) -> None:
    write_environment(reported)
    html = build(reported)
    assert (
        "Of 3 checks, 1 passed, 1 skipped and 1 failed. The workflow needs what failed: scan &lt;cpu&gt; on cpu."
        in html
    )
    assert "What to do: use the reference" in html
    assert re.findall(r'<td class="status (\w+)"', html) == ["fail", "pass", "skipped"]


def test_energy_and_memory_of_the_card_are_shown_where_a_run_tells_them(reported: Path) -> None:
    assert "Energy (kWh)" not in Page(build(reported)).text
    path = reported / "runs" / "wide" / "run.json"
    write_json(path, read_json(path) | {"energy_kwh": 1.618, "peak_memory_gib": 23.4})
    text = Page(rebuild(reported)).text
    assert "Energy (kWh)–1.618" in text.replace("\n", "")
    assert "23.40" in text


def test_every_figure_of_a_measurement_links_to_its_definition(reported: Path) -> None:
    html = build(reported)
    figures = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert len(figures) == 6
    assert all("Defined: <a href=" in caption for caption in figures[1:])  # the first is the corpus


def test_the_configuration_on_the_page_is_the_experiment(reported: Path) -> None:
    experiment = resolve_experiment(
        {"report": {"title": HOSTILE}, "runs": {"small": {"architecture": "mamba"}, "mamba-sample": None}}
    )
    page = build(reported, experiment.model_dump(mode="json"))
    (shown,) = re.findall(r"<code>(\{.*?)</code>", page, re.DOTALL)
    assert resolve_experiment(json.loads(unescape(shown))) == experiment


def test_a_metric_without_a_registered_definition_is_shown_and_said(reported: Path) -> None:
    path = reported / "evaluation" / "small" / "generation.json"
    report = read_json(path)
    report["metrics"]["novelty"] = report["metrics"]["distinct_2"] | {"definition": "novelty_of_nobody"}
    write_json(path, report)
    assert "novelty_of_nobody No definition is registered" in " ".join(Page(rebuild(reported)).text.split())


def test_books_that_were_scored_in_part_are_said_beside_the_numbers(reported: Path) -> None:
    for run in RUNS:
        path = reported / "evaluation" / run / "likelihood.json"
        write_json(path, read_json(path) | {"books_cut_short": 2, "settings": {"max_tokens_per_book": 8192}})
    assert "of 2 longer books only the first 8,192 tokens" in " ".join(Page(rebuild(reported)).text.split())


def test_the_main_table_has_at_most_eight_measures_each_with_a_reason_and_marks_the_best(tmp_path: Path) -> None:
    results = write_results(tmp_path, test_books=8)
    write_tables(results, RUNS, results / "report" / "tables")
    write_comparison(find_entries([results], RUNS), 200, 1, results / "report" / "tables")
    html = build(results)
    main = html[html.index('id="results"') : html.index('id="likelihood"')]
    # Narrow screens have the links in the caption, too.
    assert 1 < len(set(re.findall(r'href="#definition-([^"]+)"', main))) <= 8
    assert "may have" not in main
    assert main.count(", best, n = ") == 1  # wide, in bits per byte; nothing else has sums by book here
    assert all(reason in main for reason in HEADLINE.values())
    assert "token_perplexity" not in main
    assert "token_perplexity" in html[html.index('id="appendix"') :]


def test_at_most_eight_metrics_are_headline_and_all_are_defined() -> None:
    assert len(HEADLINE) <= 8
    assert set(HEADLINE) <= set(DEFINITIONS)
    assert set(UNSEPARATED) <= set(DEFINITIONS) - set(HEADLINE)
