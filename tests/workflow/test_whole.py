"""One call of snakemake makes everything that the contract of files names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from workflow_project import REPOSITORY, Project, copy_sources

from mamba_narrative.io import read_json, read_table
from mamba_narrative.reporting.sources import read_csv

pytestmark = pytest.mark.xdist_group("workflow")

TARGETS = ["environment", "corpus", "tokens", "train", "evaluate", "figures", "report"]


def test_every_raw_book_of_the_sample_gets_the_expected_decision(finished):
    rows = {row["book_id"]: row for row in read_table(finished.folder / "results" / "corpus" / "books.tsv")}
    expected = read_table(REPOSITORY / "tests" / "data" / "sample_expectations.tsv")
    assert set(rows) == {row["book_id"] for row in expected}
    for row in expected:
        found = rows[row["book_id"]]
        if row["duplicate_of"]:
            assert (found["role"], found["duplicate_of"]) == ("duplicate", row["duplicate_of"])
            assert found["split"] == ""
        else:
            assert found["decision"] == row["decision"], (row["book_id"], found["reasons"])
            assert bool(found["split"]) == (row["decision"] == "keep")


def test_the_splits_hold_whole_books_and_share_nothing(finished):
    splits = {
        split: {row["book_id"] for row in read_table(finished.folder / "results" / "splits" / f"{split}.tsv")}
        for split in ("train", "validation", "test")
    }
    assert all(splits.values())
    assert sum(map(len, splits.values())) == len(set.union(*splits.values()))


def test_tokens_decode_to_the_stripped_texts(finished):
    from mamba_narrative.tokens.reader import TokenFile
    from mamba_narrative.tokens.tokenizer import load_tokenizer

    results, tokenizer = finished.folder / "results", load_tokenizer("gpt2")
    for split in ("train", "validation", "test"):
        tokens = TokenFile(results / "tokens", split)
        shards = {row["book_id"]: row["shard"] for row in read_table(results / "splits" / f"{split}.tsv")}
        for row in tokens.books:
            ids = tokens.ids[row.first_token : row.first_token + row.tokens].tolist()
            assert ids.pop() == tokenizer.end_of_text_id
            text = (results / "stripped" / shards[row.book_id] / f"{row.book_id}.txt").read_bytes().decode("utf-8")
            assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    "path",
    [
        "environment/report.json",
        "environment/report.md",
        "corpus/clusters.tsv",
        "corpus/duplicates.tsv",
        "splits/summary.json",
        "splits/leaks.tsv",
        "splits/leaks.json",
        "splits/moves.tsv",
        "runs/tiny-a/train.csv",
        "runs/tiny-a/validation.csv",
        "runs/tiny-a/model/README.md",
        "evaluation/tiny-a/samples.json",
        "evaluation/unigram/likelihood.json",
        "evaluation/ngram/likelihood.json",
        "evaluation/xz/likelihood.json",
        "evaluation/untrained/likelihood.json",
        "evaluation/tiny-a/context.json",
        "evaluation/untrained/state.csv",
        "evaluation/untrained/structure.json",
        "evaluation/untrained/words.json",
        "evaluation/tiny-a/context_books.csv",
        "evaluation/human/generation_books.csv",
        "report/tables/sanity.md",
        "report/tables/headline.csv",
        "report/tables/comparison.csv",
        "report/tables/comparison.md",
        "report/figures/use_of_context.png",
        "evaluation/human/generation.json",
        "report/tables/likelihood.md",
        "report/tables/generation.csv",
        "report/figures/training_curve.png",
        "logs/runs/tiny-a/train_run.log",
        "benchmarks/runs/tiny-a/train_run.tsv",
    ],
)
def test_the_files_of_the_contract_exist(finished, path):
    assert (finished.folder / "results" / path).stat().st_size > 0


@pytest.mark.parametrize("table", ["likelihood", "context", "structure", "words"])
def test_the_untrained_model_stands_beside_the_runs(finished, table):
    rows = read_csv(finished.folder / "results" / "report" / "tables" / f"{table}.csv", ("run",))
    assert {"tiny-a", "tiny-b", "untrained"} <= {row["run"] for row in rows}


def test_every_metric_has_definition_n_and_an_interval_or_a_reason(finished):
    for run in ("tiny-a", "tiny-b", "unigram"):
        metrics = read_json(finished.folder / "results" / "evaluation" / run / "likelihood.json")["metrics"]
        for metric in metrics.values():
            if metric["interval_95"] is None:
                assert metric["reason"]
            else:
                assert metric["interval_95"][0] <= metric["value"] <= metric["interval_95"][1]
            assert metric["n"] >= 1
            assert metric["definition"]


def test_the_page_needs_no_other_file(finished):
    class Links(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag, attrs):
            found.extend(value or "" for name, value in attrs if name in ("src", "href") and tag != "a")

    found: list[str] = []
    parser = Links()
    parser.feed((finished.folder / "results" / "report" / "index.html").read_text(encoding="utf-8"))
    assert all(link.startswith("data:") for link in found), found


def test_snakemakes_own_report_works(finished, tmp_path):
    finished.snakemake("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
        page = archive.read("report/report.html").decode("utf-8")
    assert {"index.html", "likelihood.csv", "runs.csv", "training_curve.svg", "next_chapter.svg"} <= set(names)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.?https?:", page)
    categories = json.loads(re.search(r"var categories = (\{.*\})", page)[1])
    assert categories.keys() == {"Evaluation", "Figures", "Report", "Tables"}
    results = json.loads(re.search(r"var results = (\{\"report/.*\})", page)[1])
    assert results.keys() >= {"report/index.html", "report/figures/training_curve.svg"}
    assert all(result["caption"] for result in results.values())


@pytest.mark.parametrize("targets", [TARGETS, *(pytest.param([name], marks=pytest.mark.slow) for name in TARGETS)])
def test_each_target_can_be_asked_for_by_name(finished, targets):
    assert finished.plan(*targets) <= set(targets)


def test_lint_has_nothing_to_say():
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "corpsu=1"], "corpsu: unknown key"),
        (["--config", "splits={seed: many}"], "splits.seed:"),
        (["--config", "corpus={source: directory, directory: nowhere}"], "nowhere is not a folder"),
        (["--config", "corpus={source: directory, directory: envs}"], "no raw books found"),
        (
            ["--config", "corpus={source: directory, directory: workflow/sample/raw, catalogue: none.csv}"],
            "corpus.catalogue: none.csv does not exist",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_job_starts(finished, arguments, message):
    outcome = finished.snakemake("--dry-run", *arguments, check=False)
    assert outcome.code != 0
    assert message in outcome.text
    assert not outcome.jobs


def test_token_files_alone_are_enough_to_train_and_measure_where_the_books_are_not(finished, tmp_path):
    elsewhere = Project(tmp_path)
    copy_sources(tmp_path)
    elsewhere.edit(
        "tiny.yaml", lambda text: text.replace("corpus:", "corpus:\n  source: directory\n  directory: gone", 1)
    )
    tokens = finished.folder / "results" / "tokens"
    shutil.copytree(tokens, tmp_path / "results" / "tokens", ignore=shutil.ignore_patterns("shards"))
    profile = ("--workflow-profile", "workflow/profiles/from-tokens")
    planned = {job.partition(":")[0] for job in elsewhere.plan(*profile, "train", "evaluate")}
    assert {"train_run", "evaluate_context", "evaluate_human"} <= planned
    assert all(
        rule.startswith(("train", "evaluate", "summarise", "initialise_run", "write_model_card")) for rule in planned
    ), planned
    assert elsewhere.run(*profile, "runs/tiny-a/run.json") == {"train_run:tiny-a"}
    refused = elsewhere.snakemake("--dry-run", check=False)
    assert refused.code != 0
    assert "gone: not there" in refused.text
    assert "profiles/from-tokens" in refused.text
