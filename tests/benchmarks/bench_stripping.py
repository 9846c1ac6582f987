"""Quality and speed of stripping, ours beside the peers of PyPI, on the same real books in one run.

python tests/benchmarks/bench_stripping.py [--books 254]

The books lie in ../shared/gutenberg/raw. Peers that are not installed are skipped, and the line says how to get them.
"residue": books with any licence, credit or transcriber's note left. "lost": share of the true narrative's letters that
are gone, on the books whose bounds were marked by hand. "MB/s": raw bytes a second of CPU time on one core; ours also
decodes, cleans, unwraps paragraphs and accounts for every removal in that time, the peers get decoded text.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests")]

from gutenberg_quality import BOUNDARIES, REAL_BOOKS, decoded, lost_fraction, marked_books, residue_of  # noqa: E402
from mamba_narrative.config.stripping import StrippingSettings  # noqa: E402
from mamba_narrative.corpus.strip.stripping import strip_book  # noqa: E402

Stripper = Callable[[bytes], str]


def ours() -> Stripper:
    settings = StrippingSettings()
    return lambda raw: strip_book(raw, settings).text


def unstripped() -> Stripper:
    return decoded


def gutenbergpy() -> Stripper:
    from gutenbergpy.textget import strip_headers  # pyright: ignore[reportMissingImports]

    return lambda raw: decoded(strip_headers(raw))


def gutenberg_cleaner() -> Stripper:
    from gutenberg_cleaner import simple_cleaner  # pyright: ignore[reportMissingImports]

    return lambda raw: simple_cleaner(decoded(raw))


STRIPPERS: dict[str, tuple[Callable[[], Stripper], str]] = {
    "ours": (ours, ""),
    "gutenbergpy": (gutenbergpy, "pip install gutenbergpy"),
    "gutenberg-cleaner": (gutenberg_cleaner, "pip install gutenberg-cleaner"),
    "nothing stripped": (unstripped, ""),
}


def measure(strip: Stripper, paths: list[Path]) -> str:
    """One row of the table."""
    marked = {book.book_id: book for book in marked_books()}
    residues = failures = size = 0
    seconds = lost = characters = worst = 0.0
    for path in paths:
        raw = path.read_bytes()
        started = time.process_time()
        try:
            text = strip(raw)
        except Exception as error:
            failures += 1
            print(f"  {path.name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        seconds += time.process_time() - started
        size += len(raw)
        residues += bool(residue_of(text))
        if (book := marked.get(path.stem)) is not None:
            share = lost_fraction(book.narrative, text)
            lost += share * len(book.narrative)
            characters += len(book.narrative)
            worst = max(worst, share)
    return (
        f"{residues / max(len(paths), 1):>8.1%} {lost / max(characters, 1):>10.4%} {worst:>10.3%} "
        f"{size / 1e6 / max(seconds, 1e-9):>9.1f} {failures:>7}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, help="only so many books")
    arguments = parser.parse_args()
    if not REAL_BOOKS.is_dir():
        sys.exit(f"no real books: {REAL_BOOKS} is missing")
    paths = sorted(REAL_BOOKS.glob("*.txt"))[: arguments.books]
    present = {path.stem for path in paths}
    marked = sum(book.book_id in present for book in marked_books())
    print(f"{len(paths)} books; {marked} of them marked in {BOUNDARIES.relative_to(REPOSITORY)}\n")
    print(f"{'':20} {'residue':>8} {'lost':>10} {'worst book':>10} {'MB/s':>9} {'failed':>7}")
    for name, (make, command) in STRIPPERS.items():
        try:
            strip = make()
        except ImportError:
            print(f"{name:20} skipped: {command}")
            continue
        print(f"{name:20} {measure(strip, paths)}", flush=True)


if __name__ == "__main__":
    main()
