"""Text of held-out books that training books have, too: runs of 13 words, counted on the texts themselves.

The clusters should leave none but quotations and proverbs; this is the test of it, independent of sketches and
clusters. Words are those of the shingles. Memory is bounded: of a corpus with more than ``MAX_RUNS`` held-out runs the
part with the lowest hashes is compared, the same part of every book, and the rates are estimates.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.selection_table import read_kept_text, read_selections
from mamba_narrative.corpus.formats.split_table import HELD_OUT, read_split
from mamba_narrative.corpus.overlap.shingles import Hashes, distinct, run_hashes
from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json, write_table
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
RUN_WORDS = 13
"""Length of a run: the customary one of contamination tests since GPT-3 (Brown et al. 2020, appendix C)."""
MAX_RUNS = 25_000_000
"""Held-out runs kept in memory, about 28 bytes each at most."""
LEAK_COLUMNS = (
    "book_id",
    "split",
    "title",
    "runs",
    "shared",
    "rate",
    "largest_source",
    "largest_source_shared",
    "example_offset",
    "example_words",
    "example",
)
_TABLE_BITS = 27
"""A table of 128 MiB, in which ``MAX_RUNS`` fill less than a fifth."""
_WORST_SHOWN, _WORST_LISTED = 5, 10
"""Books in messages and in the summary; the table has all."""
_EXAMPLE_WORDS = 12
"""Of the longest shared passage: a line."""
_WORD = re.compile(r"(?:[^\W\d_]['’‘ʼ`\u00ad\u0300-\u036f]*)+")


@dataclass(frozen=True)
class Leak:
    """What one held-out book shares with the training books."""

    book_id: str
    runs: int
    """Runs of 13 words compared (all positions, or the sampled ones)."""
    shared: int
    """Those of them that occur in a training book."""
    largest_source: str = ""
    """The training book with most of them (each run is counted for the first book that has it)."""
    largest_source_shared: int = 0
    longest_start: int = 0
    """Position, in words, of the longest stretch of shared runs."""
    longest_words: int = 0

    @property
    def rate(self) -> float:
        """Part of the runs that is shared."""
        return self.shared / max(self.runs, 1)


def find_leaks(
    held_out: Sequence[tuple[str, str]], training: Iterator[tuple[str, str]], max_runs: int = MAX_RUNS
) -> tuple[list[Leak], float]:
    """One entry a held-out book, in order, and the part of all runs that was compared.

    ``held_out`` and ``training``: book ids with their texts; the training books are read once, one at a time.
    """
    runs = [run_hashes(text, RUN_WORDS) for _, text in held_out]
    total = sum(map(len, runs))
    fraction = min(1.0, max_runs / total) if total else 1.0
    positions = [_below(hashes, fraction) for hashes in runs]
    runs = [hashes[kept] for hashes, kept in zip(runs, positions, strict=True)]
    wanted = distinct(np.concatenate([np.empty(0, np.uint64), *runs]))
    # Most runs of a training book are unknown: a table of first bits says so at once.
    is_known = np.zeros(1 << _TABLE_BITS, np.bool_)
    is_known[_first_bits(wanted)] = True
    sources = np.full(len(wanted), -1, np.int32)
    training_ids: list[str] = []
    for book_id, text in training:
        hashes = run_hashes(text, RUN_WORDS)
        hashes = hashes[_below(hashes, fraction)]
        places = _places(wanted, hashes[is_known[_first_bits(hashes)]])
        places = places[sources[places] < 0]
        sources[places] = len(training_ids)
        training_ids.append(book_id)
    leaks = []
    for (book_id, _), hashes, kept in zip(held_out, runs, positions, strict=True):
        order = np.argsort(hashes)  # neighbours are looked up one after the other
        found = np.empty(len(hashes), np.int32)
        found[order] = sources[np.searchsorted(wanted, hashes[order])]
        leaks.append(_leak(book_id, found, kept, training_ids))
    return leaks, fraction


def check_leaks(leaks: Sequence[Leak], settings: SplitsSettings) -> None:
    """Raises UserError with the worst books where one shares more than ``max_shared_13gram_rate``."""
    limit = settings.max_shared_13gram_rate
    over = sorted((leak for leak in leaks if leak.rate > limit), key=lambda leak: -leak.rate)
    if not over:
        return
    worst = "; ".join(
        f"{leak.book_id} shares {leak.rate:.2%} of its runs of {RUN_WORDS} words, most with {leak.largest_source}"
        for leak in over[:_WORST_SHOWN]
    )
    raise UserError(
        f"{len(over)} held-out books share more than {limit:.2%} of their text with training books "
        f"(splits.max_shared_13gram_rate): {worst}. Lower duplicates.cluster_containment so that such books land "
        "in one split, leave one of them out of the corpus, or raise the limit if what they share is no narrative text"
    )


def write_leaks(
    manifests: Mapping[str, Path],
    selection_directory: Path,
    stripped_root: Path,
    shard_names: Sequence[str],
    settings: SplitsSettings,
    table: Path,
    summary: Path,
) -> None:
    """Measure validation and test books against the training books and write table and summary.

    Raises UserError where a text is missing, or a book shares more than the settings allow.
    """
    selections = read_selections(selection_directory, shard_names)
    rows = {split: read_split(path) for split, path in manifests.items()}

    def texts(split: str) -> Iterator[tuple[str, str]]:
        for row in track(rows[split], f"runs of {split} books", len(rows[split]), "books"):
            yield row["book_id"], read_kept_text(stripped_root / row["shard"], selections[row["book_id"]])

    held_out = [(split, *book) for split in HELD_OUT for book in texts(split)]
    leaks, fraction = find_leaks([(book_id, text) for _, book_id, text in held_out], texts("train"))
    entries = [
        asdict(leak)
        | {"split": split, "rate": leak.rate, "title": selections[book_id].get("title", "")}
        | _example(text, leak)
        for (split, book_id, text), leak in zip(held_out, leaks, strict=True)
    ]
    entries.sort(key=lambda entry: (-entry["rate"], entry["book_id"]))
    totals = {split: _total([entry for entry in entries if entry["split"] == split]) for split in HELD_OUT}
    for split, total in totals.items():
        _LOG.info(
            "%s: %.3f %% of all runs of %d words are in training books, too; the worst book has %.2f %%",
            split, 100 * total["rate"], RUN_WORDS, 100 * total["max_rate"],
        )  # fmt: skip
    for entry in entries[:_WORST_SHOWN]:
        if entry["shared"]:
            _LOG.info(
                "%s (%s): %.2f %%, most with %s, at %d: %s ...",
                entry["book_id"], entry["title"], 100 * entry["rate"], entry["largest_source"],
                entry["example_offset"], entry["example"],
            )  # fmt: skip
    check_leaks(leaks, settings)
    write_table(table, LEAK_COLUMNS, entries)
    write_json(
        summary,
        {
            "run_words": RUN_WORDS,
            "max_shared_13gram_rate": settings.max_shared_13gram_rate,
            "compared_fraction": fraction,
            "splits": totals,
            "worst": [entry for entry in entries[:_WORST_LISTED] if entry["shared"]],
        },
    )


def _below(hashes: Hashes, fraction: float) -> NDArray[np.int64]:
    """Positions of the hashes in the lowest ``fraction`` of their range."""
    if fraction >= 1:
        return np.arange(len(hashes))
    return np.flatnonzero(hashes < np.uint64(int(fraction * 2**64)))


def _first_bits(hashes: Hashes) -> NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)


def _places(wanted: Hashes, hashes: Hashes) -> NDArray[np.int64]:
    """Places in ``wanted`` (sorted, distinct) of those ``hashes`` that are in it."""
    if not len(wanted):
        return np.empty(0, np.int64)
    ordered = distinct(hashes)
    places = np.minimum(np.searchsorted(wanted, ordered), len(wanted) - 1)
    return places[wanted[places] == ordered]


def _leak(book_id: str, found: NDArray[np.int32], positions: NDArray[np.int64], training_ids: Sequence[str]) -> Leak:
    shared = np.flatnonzero(found >= 0)
    if not len(shared):
        return Leak(book_id, len(found), 0)
    by_source = np.bincount(found[shared])
    source = int(by_source.argmax())
    breaks = np.flatnonzero(np.diff(shared) > 1) + 1
    stretches = np.split(shared, breaks)
    longest = max(stretches, key=len)
    start, end = int(positions[longest[0]]), int(positions[longest[-1]])
    return Leak(
        book_id, len(found), len(shared), training_ids[source], int(by_source[source]), start, end - start + RUN_WORDS
    )  # fmt: skip


def _example(text: str, leak: Leak) -> dict[str, Any]:
    """Where the longest shared stretch begins in the text, in characters, and its first words."""
    if not leak.shared:
        return {"example_offset": None, "example_words": None, "example": ""}
    begins = [match.start() for match in _WORD.finditer(text)]
    offset = begins[min(leak.longest_start, len(begins) - 1)]
    words = text[offset : offset + 40 * _EXAMPLE_WORDS].split()[:_EXAMPLE_WORDS]
    return {"example_offset": offset, "example_words": leak.longest_words, "example": " ".join(words)}


def _total(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    runs, shared = (sum(entry[key] for entry in entries) for key in ("runs", "shared"))
    return {
        "books": len(entries),
        "runs": runs,
        "shared": shared,
        "rate": shared / max(runs, 1),
        "max_rate": max((entry["rate"] for entry in entries), default=0.0),
        "books_with_shared_runs": sum(entry["shared"] > 0 for entry in entries),
    }
