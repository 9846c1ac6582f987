"""What finished results folders cost from raw books to tokens, and what more books would: the README's table.

    python tests/benchmarks/bench_cost.py results/gutenberg-local --extrapolate 3000 75000

Hours and memory are those that Snakemake wrote to `benchmarks/` of each folder: the seconds of every job summed, as if
one ran after the other, and the largest memory of a job. A machine that does other things makes them longer.
Extrapolated rows multiply the last folder's by the number of raw books; memory of the jobs that see all books grows too
and is left out. Training is not in the table: it costs its tokens / tokens a second, printed for each run there.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.io import read_json, read_table

# The folders below a results folder that hold a stage's files, which are also those of its benchmarks.
STAGES = ("stripped", "corpus", "splits", "tokens")


@dataclass(frozen=True)
class Cost:
    """Raw books, tokens in the splits, bytes on disk, seconds of all jobs, memory of the largest job."""

    books: int
    tokens: int
    disk_bytes: int
    seconds: float
    memory_mib: float


def corpus_cost(results: Path) -> Cost:
    """From raw books to tokens."""
    jobs = [job for stage in STAGES for job in jobs_of(results / "benchmarks" / stage)]
    files = (path for stage in STAGES for path in (results / stage).rglob("*") if path.is_file())
    return Cost(
        len(read_table(results / "corpus" / "books.tsv", ("book_id",))),
        sum(read_json(path)["tokens"] for path in (results / "tokens").glob("*.json")),
        sum(path.stat().st_size for path in files),
        sum(float(job["s"]) for job in jobs),
        max(float(job["max_rss"]) for job in jobs if job["max_rss"] != "NA"),
    )


def jobs_of(folder: Path) -> Iterator[dict[str, str]]:
    """The line of each job's benchmark."""
    for path in folder.rglob("*.tsv"):
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream, delimiter="\t")


def row(cost: Cost, books: int) -> str:
    """One line of the table, in proportion to the number of books where it is another than was measured."""
    share = books / cost.books
    note = "measured" if books == cost.books else "extrapolated"
    memory = f"{cost.memory_mib / 1024:.1f} GiB" if books == cost.books else ""
    cells = [
        f"{books:,} books, {note}",
        f"{share * cost.tokens / 1e6:,.0f} million",
        f"{share * cost.disk_bytes / 2**30:,.1f} GiB",
        memory,
        f"{share * cost.seconds / 3600:,.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="results folders whose tokens are made")
    parser.add_argument("--extrapolate", type=int, nargs="*", default=[], help="numbers of raw books")
    arguments = parser.parse_args()
    print("| raw books to tokens | tokens | disk | memory of a job | hours of jobs |")
    print("|---|--:|--:|--:|--:|")
    costs = [corpus_cost(results) for results in arguments.results]
    print("\n".join(row(cost, cost.books) for cost in costs))
    print("\n".join(row(costs[-1], books) for books in arguments.extrapolate))
    for path in (path for results in arguments.results for path in sorted(results.glob("runs/*/run.json"))):
        record = read_json(path)
        if speed := record.get("tokens_per_second"):
            hours, seen = record["seconds"] / 3600, record["tokens_seen"]
            print(f"{record['run']}: {seen:,} tokens in {hours:.2f} h, {speed:,.0f} tokens/s")


if __name__ == "__main__":
    main()
