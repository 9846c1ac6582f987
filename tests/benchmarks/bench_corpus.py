"""Raw bytes to selected, deduplicated tokens: speed, memory, growth with the corpus, and the cost of one more book.

python tests/benchmarks/bench_corpus.py [--parts real growth one_more] [--cores 2] [--megabytes 10 100] [--books 1000]

Runs the workflow itself (target `tokens`), so job starts and Snakemake count. `real`: the raw and the packed books
with their catalogue. `growth`: books whose words are drawn at random from a real one, so that no shingle of eight words
repeats; one measure a size. `one_more`: such books of 20 kB, then nothing, then one more.
Memory is that of the largest process; as many run at once as there are cores. On a machine that does other work, too,
the seconds of processors say more than those on the clock.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.io import read_json, read_table
from real_books import CATALOGUES, GUTENBERG, REPOSITORY, unpack_books

MEGABYTE = 1_000_000
_BOOK_BYTES = 400_000


def resampled_book(words: list[str], characters: int, seed: int) -> str:
    """A book of about ``characters`` whose words are drawn from ``words``, in Project Gutenberg's frame."""
    chance = random.Random(seed)
    paragraphs, length = [], 0
    while length < characters:
        drawn = chance.choices(words, k=80)
        lines = [" ".join(drawn[start : start + 12]) for start in range(0, len(drawn), 12)]
        paragraphs.append("\r\n".join(lines).capitalize() + ".")
        length += len(paragraphs[-1])
    title = f"The Story of {seed}"
    return "\r\n\r\n".join(
        [
            f"The Project Gutenberg EBook of {title}, by Nobody",
            f"Title: {title}\r\n\r\nAuthor: Nobody {seed % 97}\r\n\r\nLanguage: English",
            f"*** START OF THIS PROJECT GUTENBERG EBOOK {title.upper()} ***",
            *paragraphs,
            f"*** END OF THIS PROJECT GUTENBERG EBOOK {title.upper()} ***",
        ]
    )


def source_words() -> list[str]:
    """The words of one narrative book."""
    folder = GUTENBERG / "raw" if GUTENBERG.is_dir() else REPOSITORY / "workflow" / "sample" / "raw"
    path = max(folder.glob("1[0-9][0-9].txt" if GUTENBERG.is_dir() else "9000*.txt"), key=lambda path: path.name)
    return [word for word in strip_book(path.read_bytes(), StrippingSettings()).text.split() if word.isalpha()]


def run_workflow(
    folder: Path, raw: Path, shards: int, cores: int, catalogue: Path | None = None
) -> tuple[float, float]:
    """Run the workflow up to the tokens of the books in ``raw``; seconds on the clock, and of all processors."""
    configuration = folder / "corpus.yaml"
    configuration.write_text(
        f"results_dir: {folder}/results\n"
        f"corpus: {{source: directory, directory: {raw}, shards: {shards}, catalogue: {catalogue or 'null'}}}\n"
    )
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--quiet", "progress"]
    defaults = ["--configfile", str(REPOSITORY / "config.yaml"), str(configuration)]
    started, processors = time.perf_counter(), processor_seconds()
    done = subprocess.run(
        [*snakemake, "--cores", str(cores), "--directory", str(folder), *defaults, "--", "tokens"],
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return seconds, processor_seconds() - processors


def processor_seconds() -> float:
    """Seconds of processors that finished child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(name: str, folder: Path, raw: Path, times: tuple[float, float]) -> None:
    """Print speed and memory of a finished run, and the seconds of each rule."""
    seconds, processors = times
    size = sum(path.stat().st_size for path in raw.iterdir())
    results = folder / "results"
    tokens = sum(read_json(results / "tokens" / f"{split}.json")["tokens"] for split in ("train", "validation", "test"))
    clusters = Counter(row["role"] for row in read_table(results / "corpus" / "clusters.tsv"))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{name}: {size / MEGABYTE:.0f} MB, {len(list(raw.iterdir()))} books, {seconds:.1f} s, "
        f"{size / MEGABYTE / seconds:.2f} MB/s ({processors:.1f} s of processors); "
        f"{tokens:,} tokens of {clusters.total()} books, "
        f"{clusters['duplicate']} duplicates left out; largest process so far {memory:.0f} MiB"
    )
    rules: dict[str, list[float]] = defaultdict(list)
    for path in (results / "benchmarks").rglob("*.tsv"):
        stage = path.relative_to(results / "benchmarks")
        rules[str(stage.parent) if path.stem.isdigit() else str(stage.with_suffix(""))].append(
            float(read_table(path)[0]["s"])
        )
    print("    seconds of all jobs: " + ", ".join(f"{rule} {sum(times):.1f}" for rule, times in sorted(rules.items())))


def measure_real(folder: Path, cores: int) -> None:
    """The raw and the packed books together."""
    raw = folder / "raw"
    for source in ("raw", "packed"):
        unpack_books(source, raw)
    catalogue = folder / "catalogue.csv"
    rows = [CATALOGUES[source].read_text(encoding="utf-8").splitlines(keepends=True) for source in ("raw", "packed")]
    catalogue.write_text("".join(rows[0] + rows[1][1:]), encoding="utf-8")
    report("real books", folder, raw, run_workflow(folder, raw, 8, cores, catalogue))


def write_generated(raw: Path, words: list[str], books: int, characters: int) -> None:
    """Write ``books`` generated books of about ``characters`` each."""
    raw.mkdir(parents=True)
    for number in range(1, books + 1):
        (raw / f"{number}.txt").write_bytes(resampled_book(words, characters, number).encode())


def measure_growth(folders: Iterator[Path], cores: int, megabytes: list[int]) -> None:
    """Generated corpora of growing size."""
    words, times = source_words(), []
    for size in megabytes:
        folder = next(folders)
        write_generated(folder / "raw", words, max(3, size * MEGABYTE // _BOOK_BYTES), _BOOK_BYTES)
        taken = run_workflow(folder, folder / "raw", max(4, size // 40), cores)
        report(f"generated, {size} MB", folder, folder / "raw", taken)
        times.append(taken)
    for (smaller, first), (larger, second) in zip(
        zip(megabytes, times, strict=True), list(zip(megabytes, times, strict=True))[1:], strict=False
    ):
        print(
            f"    {larger / smaller:.1f} times the bytes took {second[0] / first[0]:.1f} times the time on the clock, "
            f"{second[1] / first[1]:.1f} times that of processors"
        )


def measure_one_more(folder: Path, cores: int, books: int) -> None:
    """What one more book costs, and a run with nothing to do."""
    words = source_words()
    write_generated(folder / "raw", words, books, 20_000)
    shards = max(4, books // 300)
    taken = run_workflow(folder, folder / "raw", shards, cores)
    report(f"{books} small books in {shards} shards", folder, folder / "raw", taken)
    nothing, _ = run_workflow(folder, folder / "raw", shards, cores)
    new = folder / "raw" / f"{books + 1}.txt"
    new.write_bytes(resampled_book(words, 20_000, books + 1).encode())
    more, _ = run_workflow(folder, folder / "raw", shards, cores)
    print(f"    nothing to do {nothing:.1f} s; one more book {more:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("real", "growth", "one_more")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--megabytes", nargs="+", type=int, default=[10, 100], help="sizes of the generated corpora")
    parser.add_argument("--books", type=int, default=1_000, help="small books to which one is added")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = (Path(temporary) / str(number) for number in range(1_000))
        if "real" in arguments.parts:
            measure_real(next(folders), arguments.cores)
        if "growth" in arguments.parts:
            measure_growth(folders, arguments.cores, arguments.megabytes)
        if "one_more" in arguments.parts:
            measure_one_more(next(folders), arguments.cores, arguments.books)


if __name__ == "__main__":
    main()
