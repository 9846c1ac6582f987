"""Every stage may be killed, or find the disk full, at any of its writes; called again, it does as if nothing was."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from command_calls import run
from killing import NEVER, contents, run_and_kill, run_on_full_disk
from loopback_library import Library, serve
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.config.corpus import CorpusSettings
from unit.reporting.synthetic_results import RUNS, write_results
from unit.training.tiny_run import settings_of, write_tokens

pytestmark = pytest.mark.slow
SAMPLE = Path(__file__).parents[2] / "workflow" / "sample"
SHARDS = ("000", "001")
KILLS, KILLS_OF_OTHERS = 40, 12
"""At most so many of a stage's writes are tried, evenly spread. `unit/training/test_killed.py` has more of training."""

STAGES: dict[str, Sequence[str]] = {
    "strip_books": (
        *("--source-directory", str(SAMPLE / "raw"), "--shard", "{shard}", "--shards", str(len(SHARDS))),
        *("--stripped", "{results}/stripped/{shard}", "--audit", "{results}/stripped/{shard}.audit.jsonl"),
        *("--chapters", "{results}/stripped/{shard}.chapters.tsv", "--hashes", "{results}/stripped/{shard}.sha256"),
        *("--manifest", "{results}/stripped/{shard}.manifest.tsv"),
    ),
    "select_books": (
        *("--stripped", "{results}/stripped/{shard}", "--audit", "{results}/stripped/{shard}.audit.jsonl"),
        *("--chapters", "{results}/stripped/{shard}.chapters.tsv", "--catalogue", str(SAMPLE / "catalog.csv")),
        *("--manifest", "{results}/stripped/{shard}.manifest.tsv"),
        *("--output", "{results}/corpus/selection/{shard}.tsv"),
    ),
    "sketch_books": (
        *("--selection", "{results}/corpus/selection/{shard}.tsv", "--stripped", "{results}/stripped/{shard}"),
        *("--manifest", "{results}/stripped/{shard}.manifest.tsv"),
        *("--output", "{results}/corpus/sketches/{shard}.npz", "--hashes", "{results}/corpus/sketches/{shard}.sha256"),
    ),
    "find_duplicates": (
        *("--sketch-directory", "{results}/corpus/sketches", "--selection-directory", "{results}/corpus/selection"),
        *("--stripped-root", "{results}/stripped", "--shard-names", *SHARDS),
        *("--clusters", "{results}/corpus/clusters.tsv", "--duplicates", "{results}/corpus/duplicates.tsv"),
        *("--hashes", "{results}/corpus/clusters.sha256"),
    ),
    "split_books": (
        *("--clusters", "{results}/corpus/clusters.tsv", "--sketch-directory", "{results}/corpus/sketches"),
        *("--selection-directory", "{results}/corpus/selection", "--shard-names", *SHARDS),
        *("--settings", '{{"seed": {seed}}}', "--train", "{results}/splits/train.tsv"),
        *("--validation", "{results}/splits/validation.tsv", "--test", "{results}/splits/test.tsv"),
        *("--summary", "{results}/splits/summary.json", "--moves", "{results}/splits/moves.tsv"),
        *("--history", "{results}/splits/history.tsv", "--hashes", "{results}/splits/splits.sha256"),
    ),
    "measure_leaks": (
        *("--splits-directory", "{results}/splits", "--selection-directory", "{results}/corpus/selection"),
        *("--stripped-root", "{results}/stripped", "--shard-names", *SHARDS),
        *("--table", "{results}/splits/leaks.tsv", "--summary", "{results}/splits/leaks.json"),
    ),
    "encode_books": (
        *("--selection", "{results}/corpus/selection/{shard}.tsv", "--stripped", "{results}/stripped/{shard}"),
        *("--manifest", "{results}/stripped/{shard}.manifest.tsv", "--tokens", "{results}/tokens/shards/{shard}.bin"),
        *("--books", "{results}/tokens/shards/{shard}.books.tsv"),
        *("--hashes", "{results}/tokens/shards/{shard}.sha256"),
    ),
    "assemble_tokens": (
        *("--train", "{results}/splits/train.tsv", "--validation", "{results}/splits/validation.tsv"),
        *("--test", "{results}/splits/test.tsv", "--shard-tokens-directory", "{results}/tokens/shards"),
        *("--stripped-directory", "{results}/stripped", "--output", "{results}/tokens"),
    ),
    "join_books": (
        *("--selection-directory", "{results}/corpus/selection", "--shard-names", *SHARDS),
        *("--clusters", "{results}/corpus/clusters.tsv", "--splits-directory", "{results}/splits"),
        *("--tokens-directory", "{results}/tokens", "--output", "{results}/corpus/books.tsv"),
        *("--hashes", "{results}/corpus/books.sha256"),
    ),
    "make_tables": ("--results", "{results}", "--runs", *RUNS, "--output", "{results}/report/tables"),
    "compare_runs": ("--results", "{results}", "--runs", *RUNS, "--output", "{results}/report/tables"),
    "draw_figure": (
        *("--figure", "training_curve", "--results", "{results}", "--runs", *RUNS),
        *("--svg", "{results}/report/figures/training_curve.svg"),
        *("--png", "{results}/report/figures/training_curve.png"),
    ),
    "write_report": (
        *("--results", "{results}", "--runs", *RUNS, "--settings", "{{}}", "--output", "{results}/report/index.html"),
    ),
}
REPORTING = ("make_tables", "compare_runs", "draw_figure", "write_report")


def call(stage: str, results: Path, shard: str = SHARDS[0], seed: int = 1) -> None:
    """What ``python scripts/<stage>.py`` does, but for its messages."""
    arguments = [part.format(results=results, shard=shard, seed=seed) for part in STAGES[stage]]
    run(importlib.import_module(stage), *arguments)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A results folder as each stage finds it."""
    root = tmp_path_factory.mktemp("before")
    (root / "strip_books").mkdir()
    folders = {"strip_books": root / "strip_books"}
    corpus = [stage for stage in STAGES if stage not in REPORTING]
    for number, stage in enumerate(corpus):
        reached = folders[stage]
        # The first shard is what the killed call makes.
        folders[corpus[number + 1] if number + 1 < len(corpus) else "end"] = after = root / f"after {stage}"
        if "{shard}" in " ".join(STAGES[stage]):
            call(stage, reached, shard=SHARDS[1])
        shutil.copytree(reached, after)
        call(stage, after)
    return folders | {stage: write_results(root / stage, test_books=6) for stage in REPORTING}


def assert_may_be_killed_anywhere(
    work: Callable[[Path], object], start: Path, root: Path, compared: str = "", kills: int = KILLS
) -> None:
    """``work`` on a copy of ``start``, killed and repeated, leaves the same files below ``compared`` as at once."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(start, root / name))

    straight = copy("straight")
    changes = run_and_kill(lambda: work(straight), straight, NEVER)
    assert changes > 2
    expected = contents(straight / compared)
    assert expected != contents(start / compared)
    tried = range(1, changes + 1) if changes <= kills else {1 + n * (changes - 1) // (kills - 1) for n in range(kills)}
    for change in sorted(tried):
        folder = copy(f"killed before {change}")
        assert run_and_kill(lambda folder=folder: work(folder), folder, change) == change
        assert run_and_kill(lambda folder=folder: work(folder), folder, NEVER) > 0
        found = contents(folder / compared)
        assert found.keys() == expected.keys(), f"killed before write {change}"
        assert found == expected, f"killed before write {change}"
        shutil.rmtree(folder)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_killed_and_called_again(before: dict[str, Path], stage: str, tmp_path: Path) -> None:
    assert_may_be_killed_anywhere(lambda results: call(stage, results), before[stage], tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_on_a_full_disk(before: dict[str, Path], stage: str, tmp_path: Path) -> None:
    straight = Path(shutil.copytree(before[stage], tmp_path / "straight"))
    changes = run_and_kill(lambda: call(stage, straight), straight, NEVER)
    expected = contents(straight)
    for number in range(KILLS_OF_OTHERS):
        change = 1 + number * (changes - 1) // (KILLS_OF_OTHERS - 1)
        results = Path(shutil.copytree(before[stage], tmp_path / f"full from {change} on"))
        ended = run_on_full_disk(lambda results=results: call(stage, results), results, change)
        left = contents(results)
        assert left.items() <= expected.items() | contents(before[stage]).items(), f"full from write {change} on"
        call(stage, results)
        assert contents(results) == expected, f"full from write {change} on"
        assert not ended or left == expected
        shutil.rmtree(results)


def test_a_shard_stripped_again_over_another_text(before: dict[str, Path], tmp_path: Path) -> None:
    start = Path(shutil.copytree(before["strip_books"], tmp_path / "start"))
    shutil.copytree(start / "stripped" / SHARDS[1], start / "stripped" / SHARDS[0])
    assert_may_be_killed_anywhere(lambda results: call("strip_books", results), start, tmp_path)


def test_books_that_move_to_another_split_are_listed_however_often_the_split_dies(
    before: dict[str, Path], tmp_path: Path
) -> None:
    start = before["measure_leaks"]
    assert_may_be_killed_anywhere(lambda results: call("split_books", results, seed=5), start, tmp_path)


def test_a_training(tmp_path: Path) -> None:
    from mamba_narrative.training.run_training import train_run

    (tmp_path / "start" / "corpus").mkdir(parents=True)
    write_tokens(tmp_path / "start" / "corpus")

    def train(root: Path) -> None:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        assert train_run("tiny", settings_of(), root / "corpus" / "tokens", root / "output", root / "state") == 0
        for name in ("run.json", "train.csv"):  # They hold times, and how often the run went on.
            (root / "output" / name).unlink()
            (root / "output" / ".sha256" / f"{name}.sha256").unlink()

    assert_may_be_killed_anywhere(train, tmp_path / "start", tmp_path, kills=KILLS_OF_OTHERS)


def test_bringing_books(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    with serve(Library()) as library:
        library.add_books(*range(1, 6))

        def bring(root: Path) -> None:
            settings = {
                "source": "gutenberg",
                "directory": str(root / "books"),
                "gutenberg": {
                    "mirrors": [library.url],
                    "catalogue_url": f"{library.url}/cache/epub/feeds/pg_catalog.csv",
                },
                "transfer": {"requests_per_second": 500, "connections": 1, "first_wait_seconds": 0.02},
            }
            acquire(CorpusSettings.model_validate(settings))
            # It holds what was brought, in any order, for a call that the lock file does not tell.
            (root / "books" / ".acquisition" / "journal.jsonl").unlink(missing_ok=True)

        assert_may_be_killed_anywhere(bring, tmp_path / "start", tmp_path, "books")
