"""Training, validation and test books: whole clusters, each in the split that its name and the seed give.

A cluster's place is a number in [0, 1) made from SHA-256 of seed and cluster name: below ``test_fraction`` it is a test
cluster, in the next ``validation_fraction`` one of validation, else one of training. So a new book moves no cluster but
the ones it joins; moves against the splits made before are listed. Only where a split came out empty are single
clusters moved, and the summary says so. With ``group_by: author`` the groups of clusters with a common author are
divided instead.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.cluster_table import read_clusters
from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.move_table import read_history, write_history, write_moves
from mamba_narrative.corpus.formats.selection_table import read_selections
from mamba_narrative.corpus.formats.split_table import SPLITS, Split, write_split
from mamba_narrative.corpus.overlap.authors import group_by_author
from mamba_narrative.corpus.overlap.shingles import Hashes, count_shared, distinct
from mamba_narrative.corpus.overlap.sketches import Sketches, read_all_sketches
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import write_json

_LOG = logging.getLogger(__name__)
_COMPARED: tuple[tuple[Split, Split], ...] = (("validation", "train"), ("test", "train"), ("test", "validation"))
_NOWHERE = {"split": "", "cluster": ""}
_WORST_BOOKS = 5
"""Named in messages and in the summary."""
_DIGITS = 6
"""Of shares: no sketch has more than a million hashes."""


def place_of(cluster: str, seed: int) -> float:
    """A number in [0, 1), evenly distributed over cluster names, that depends on nothing else."""
    digest = hashlib.sha256(f"{seed}:{cluster}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(cluster: str, settings: SplitsSettings) -> Split:
    """The split of a cluster, before the repair of empty splits."""
    place = place_of(cluster, settings.seed)
    if place < settings.test_fraction:
        return "test"
    return "validation" if place < settings.test_fraction + settings.validation_fraction else "train"


def split_clusters(clusters: Iterable[str], settings: SplitsSettings) -> tuple[dict[str, Split], list[dict[str, str]]]:
    """The split of every cluster, and the clusters that were moved into a split that was empty.

    An empty split takes from the split with most clusters (training first among equals) the one whose place is
    nearest to the empty split's own range. Raises UserError where there are fewer clusters than splits.
    """
    names = sorted(set(clusters), key=natural_key)
    if len(names) < len(SPLITS):
        kind = "groups of books by author" if settings.group_by == "author" else "clusters of books that share no text"
        raise UserError(
            f"{len(names)} {kind} are left after the selection, but training, validation "
            "and test need at least one each; add books, or see the reasons in corpus/selection"
        )
    splits: dict[str, Split] = {cluster: split_of(cluster, settings) for cluster in names}
    ranges = _ranges(settings)
    moves = []
    for empty in SPLITS:
        if empty in splits.values():
            continue
        sizes = {split: sum(found == split for found in splits.values()) for split in SPLITS}
        giving = max(SPLITS, key=lambda split: sizes[split])
        low, high = ranges[empty]

        def distance(cluster: str, low: float = low, high: float = high) -> tuple[float, tuple[int, int, str]]:
            place = place_of(cluster, settings.seed)
            return max(low - place, place - high, 0.0), natural_key(cluster)

        moved = min((cluster for cluster, split in splits.items() if split == giving), key=distance)
        splits[moved] = empty
        moves.append({"cluster": moved, "from": giving, "to": empty})
    return splits, moves


def measure_overlap(sketches: Sketches, split_by_book: Mapping[str, Split]) -> list[dict[str, Any]]:
    """Text of held-out books that other splits have too, estimated from the sketches.

    One entry for validation against training, test against training, and test against validation. ``containment`` is
    the part of a book's sketch that occurs anywhere in the other split; ``share_of_shingles`` the part of all
    sketched shingles of the split. Books without a hash in their sketch are left out of the means and counted.
    """
    hashes = {split: _hashes_of_split(sketches, split_by_book, split) for split in ("train", "validation")}
    return [_overlap_of(sketches, split_by_book, split, other, hashes[other]) for split, other in _COMPARED]


def write_splits(
    clusters_path: Path,
    sketch_directory: Path,
    selection_directory: Path,
    shard_names: Sequence[str],
    settings: SplitsSettings,
    manifests: Mapping[Split, Path],
    summary: Path,
    moves_path: Path,
    history: Path,
) -> None:
    """Divide all used books but duplicates, and write the manifests (in order of ids) and the summary.

    ``history`` holds the newest splits and those before them. Books that are in another split now, or in none, are
    written to ``moves_path``; a call that finds the splits as they are repeats what it said of them, since the one
    before may have died.
    Raises FileFormatError where the tables do not name the same books.
    """
    selections = read_selections(selection_directory, shard_names)
    members = read_clusters(clusters_path)
    used = {book_id for book_id, row in selections.items() if row["decision"] in USED_DECISIONS}
    if differing := sorted(used ^ set(members), key=natural_key):
        raise FileFormatError(
            f"{clusters_path}: book {differing[0]} and {len(differing) - 1} more are in the clusters or in the "
            "selections alone; run find_duplicates again"
        )
    groups = _groups(members, selections, settings)
    split_of_group, repairs = split_clusters(groups.values(), settings)
    splits: dict[str, Split] = {cluster: split_of_group[group] for cluster, group in groups.items()}
    split_by_book: dict[str, Split] = {
        book_id: splits[members[book_id]["cluster"]]
        for book_id in sorted(members, key=natural_key)
        if members[book_id]["role"] != "duplicate"
    }
    for split in SPLITS:
        rows = [
            selections[book_id] | {"cluster": members[book_id]["cluster"]}
            for book_id, found in split_by_book.items()
            if found == split
        ]
        write_split(manifests[split], rows)
    overlap = measure_overlap(read_all_sketches(sketch_directory, shard_names), split_by_book)
    duplicates = sum(row["role"] == "duplicate" for row in members.values())
    shares = _shares(split_by_book, members, selections, settings)
    write_json(
        summary,
        {
            "seed": settings.seed,
            "splits": shares,
            "duplicates_left_out": duplicates,
            "grouped_by": settings.group_by,
            "groups": len(split_of_group),
            "largest_cluster": _largest_cluster(members, selections),
            "repaired": repairs,
            "overlap": overlap,
            "cluster_splits": splits,
        },
    )
    now = {
        book_id: {"split": split, "cluster": members[book_id]["cluster"]} for book_id, split in split_by_book.items()
    }
    before = _splits_before(history, now)
    moves = moves_since(before, now, selections)
    write_moves(moves_path, moves)
    write_history(history, _history_rows(before, now))
    _report(shares, repairs, overlap)
    for move in moves[:_WORST_BOOKS]:
        _LOG.info("book %s (%s) moved from %s to %s", move["book_id"], move["title"], move["from"], move["to"])
    if moves:
        _LOG.warning("%d books are in another split than before, or in none; see %s", len(moves), moves_path)


def moves_since(
    before: Mapping[str, Mapping[str, str]],
    now: Mapping[str, Mapping[str, str]],
    selections: Mapping[str, Mapping[str, str]],
) -> list[dict[str, str]]:
    """Books whose split is not the one ``before``; new books are no moves, books that left (``to`` empty) are."""
    return [
        {
            "book_id": book_id,
            "title": selections.get(book_id, {}).get("title", ""),
            "from": entry["split"],
            "to": found["split"],
            "cluster_before": entry["cluster"],
            "cluster": found["cluster"],
        }
        for book_id, entry in before.items()
        if (found := now.get(book_id, _NOWHERE))["split"] != entry["split"]
    ]


def _splits_before(history: Path, now: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The newest splits in ``history`` that are not those of ``now``: split and cluster by book."""
    rows = read_history(history)
    newest = {row["book_id"]: {"split": row["split"], "cluster": row["cluster"]} for row in rows if row["split"]}
    if newest != now:
        return newest
    return {
        row["book_id"]: {"split": row["split_before"], "cluster": row["cluster_before"]}
        for row in rows
        if row.get("split_before")
    }


def _history_rows(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, str]]:
    for book_id in sorted(before.keys() | now.keys(), key=natural_key):
        old, new = before.get(book_id, _NOWHERE), now.get(book_id, _NOWHERE)
        yield {"book_id": book_id, **new, "split_before": old["split"], "cluster_before": old["cluster"]}


def _groups(
    members: Mapping[str, Mapping[str, str]], selections: Mapping[str, Mapping[str, str]], settings: SplitsSettings
) -> dict[str, str]:
    """What is divided: the group of every cluster, itself unless authors are kept together."""
    clusters = {book_id: row["cluster"] for book_id, row in members.items()}
    if settings.group_by == "author":
        return group_by_author(clusters, {book_id: selections[book_id].get("author", "") for book_id in clusters})
    return {cluster: cluster for cluster in clusters.values()}


def _largest_cluster(
    members: Mapping[str, Mapping[str, str]], selections: Mapping[str, Mapping[str, str]]
) -> dict[str, Any] | None:
    """The cluster with most words of books that are no duplicates, and its share of all of them."""
    words: Counter[str] = Counter()
    books: Counter[str] = Counter()
    for book_id, row in members.items():
        if row["role"] != "duplicate":
            words[row["cluster"]] += int(selections[book_id]["words"])
            books[row["cluster"]] += 1
    if not words:
        return None
    cluster = max(words, key=lambda name: (words[name], natural_key(name)))
    return {
        "cluster": cluster,
        "books": books[cluster],
        "words": words[cluster],
        "share_of_words": round(words[cluster] / max(words.total(), 1), _DIGITS),
    }


def _ranges(settings: SplitsSettings) -> dict[Split, tuple[float, float]]:
    held_out = settings.test_fraction + settings.validation_fraction
    return {
        "test": (0.0, settings.test_fraction),
        "validation": (settings.test_fraction, held_out),
        "train": (held_out, 1.0),
    }


def _hashes_of_split(sketches: Sketches, split_by_book: Mapping[str, Split], split: Split) -> Hashes:
    parts = [
        sketches.of(position)
        for position, book_id in enumerate(sketches.book_ids)
        if split_by_book.get(book_id) == split
    ]
    return distinct(np.concatenate([np.empty(0, dtype=np.uint64), *parts]))


def _overlap_of(
    sketches: Sketches, split_by_book: Mapping[str, Split], split: Split, other: Split, hashes: Hashes
) -> dict[str, Any]:
    containments: dict[str, float] = {}
    all_hashes = shared_hashes = without = 0
    for position, book_id in enumerate(sketches.book_ids):
        if split_by_book.get(book_id) != split:
            continue
        own = sketches.of(position)
        if not len(own):
            without += 1
            continue
        shared = count_shared(own, hashes)
        containments[book_id] = round(shared / len(own), _DIGITS)
        all_hashes += len(own)
        shared_hashes += shared
    worst = sorted(containments, key=lambda book_id: (-containments[book_id], natural_key(book_id)))[:_WORST_BOOKS]
    return {
        "split": split,
        "other": other,
        "books": len(containments),
        "books_without_sketch": without,
        "max_containment": max(containments.values(), default=None),
        "mean_containment": round(sum(containments.values()) / len(containments), _DIGITS) if containments else None,
        "share_of_shingles": round(shared_hashes / all_hashes, _DIGITS) if all_hashes else None,
        "largest": {book_id: containments[book_id] for book_id in worst if containments[book_id] > 0},
    }


def _shares(
    split_by_book: Mapping[str, Split],
    members: Mapping[str, Mapping[str, str]],
    selections: Mapping[str, Mapping[str, str]],
    settings: SplitsSettings,
) -> dict[str, Any]:
    expected = {"validation": settings.validation_fraction, "test": settings.test_fraction}
    expected["train"] = 1 - sum(expected.values())
    books: dict[Split, list[str]] = defaultdict(list)
    for book_id, split in split_by_book.items():
        books[split].append(book_id)
    clusters = {split: len({members[book_id]["cluster"] for book_id in books[split]}) for split in SPLITS}
    words = {split: sum(int(selections[book_id]["words"]) for book_id in books[split]) for split in SPLITS}
    return {
        split: {
            "clusters": clusters[split],
            "books": len(books[split]),
            "words": words[split],
            "characters": sum(int(selections[book_id]["characters"]) for book_id in books[split]),
            "expected_share_of_clusters": round(expected[split], 12),
            "share_of_clusters": clusters[split] / sum(clusters.values()),
            "share_of_words": words[split] / max(sum(words.values()), 1),
        }
        for split in SPLITS
    }


def _report(
    shares: Mapping[str, Any], moves: Sequence[Mapping[str, str]], overlap: Sequence[Mapping[str, Any]]
) -> None:
    for split in SPLITS:
        found = shares[split]
        _LOG.info(
            "%s: %d books in %d clusters, %.1f %% of the words (expected %.1f %%)",
            split, found["books"], found["clusters"], 100 * found["share_of_words"],
            100 * found["expected_share_of_clusters"],
        )  # fmt: skip
    for move in moves:
        _LOG.warning(
            "%s was empty: cluster %s was moved there from %s; with so few books shares are far from expected",
            move["to"], move["cluster"], move["from"],
        )  # fmt: skip
    for entry in overlap:
        if entry["books"]:
            _LOG.info(
                "%s books share %.2f %% of their shingles with %s, at most %.2f %%",
                entry["split"], 100 * entry["mean_containment"], entry["other"], 100 * entry["max_containment"],
            )  # fmt: skip
