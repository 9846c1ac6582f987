"""Books that share text: candidate pairs from sketches, confirmed on the texts, joined to clusters.

Containment of a pair is the part of the smaller book's distinct shingles that the other has too; it finds a story
inside a collection as well as two editions. Clusters are the connected components of pairs that share enough.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.formats.cluster_table import write_clusters
from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.pair_table import write_pairs
from mamba_narrative.corpus.formats.selection_table import read_kept_text, read_selections
from mamba_narrative.corpus.overlap.shingles import Hashes, count_shared, shingle_hashes
from mamba_narrative.corpus.overlap.sketches import Sketches, read_all_sketches
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
Role = Literal["representative", "duplicate", "related"]
_CONFIDENCE = 3.0
"""Standard deviations by which a sketch may underestimate the containment of a pair that is still looked at."""
_MIN_SHARED_HASHES, _MUCH_OF_A_SKETCH = 3, 0.05
"""Hashes in common, or their part of the smaller sketch, that are more than chance and proverbs."""
_CACHED_BOOKS = 64
"""Books whose shingles are kept in memory, about a megabyte each: a cluster's pairs come one after the other."""


@dataclass(frozen=True)
class Pair:
    """Two books and the distinct shingles that they share, counted on the texts; ``book_a`` comes first in order."""

    book_a: str
    book_b: str
    shared: int
    shingles_a: int
    shingles_b: int

    @property
    def containment(self) -> float:
        """Part of the smaller book that the other has too."""
        return self.shared / max(min(self.shingles_a, self.shingles_b), 1)

    @property
    def jaccard(self) -> float:
        """Part of all shingles of both that both have."""
        return self.shared / max(self.shingles_a + self.shingles_b - self.shared, 1)

    def containment_of(self, book_id: str) -> float:
        """Part of ``book_id`` (one of the two) that the other has too."""
        return self.shared / max(self.shingles_a if book_id == self.book_a else self.shingles_b, 1)

    def other(self, book_id: str) -> str:
        """The book of the two that is not ``book_id``."""
        return self.book_b if book_id == self.book_a else self.book_a


@dataclass(frozen=True)
class ClusterMember:
    """A used book and its place in its cluster; the cluster is named after its smallest book id."""

    book_id: str
    cluster: str
    role: Role
    duplicate_of: str = ""


def candidate_pairs(sketches: Sketches, settings: DuplicatesSettings) -> list[tuple[int, int]]:
    """Positions of books whose sketches share enough to look at the texts, sorted.

    A shingle of up to ``max_books_per_shingle`` books pairs all of them; one of more books only neighbours in their
    order, so that many copies of one book still hang together while boilerplate costs no more than its books.
    """
    if not len(sketches.hashes):
        return []
    # 75,000 books have about 160 million hashes; most occur once and are left out before anything else is made.
    order = np.argsort(sketches.hashes, kind="stable")  # stable: equal hashes stay in the order of their books
    hashes = sketches.hashes[order]
    equals_next = np.append(hashes[1:] == hashes[:-1], False)
    repeated = equals_next.copy()
    repeated[1:] |= equals_next[:-1]
    hashes, order = hashes[repeated], order[repeated]
    owners = np.searchsorted(sketches.offsets, order, side="right") - 1
    begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    sizes = np.diff(np.append(begins, len(hashes)))
    books = len(sketches.book_ids)
    codes: list[NDArray[np.int64]] = []
    # One step of the loop pairs every owner of a hash with the owner ``distance`` places on.
    for distance in range(1, min(settings.max_books_per_shingle, int(sizes.max(initial=1)) - 1) + 1):
        paired = sizes > distance
        if distance > 1:
            paired &= sizes <= settings.max_books_per_shingle
        lengths = sizes[paired] - distance
        first = np.repeat(begins[paired], lengths) + _places(lengths)
        codes.append(owners[first] * books + owners[first + distance])
    if ubiquitous := int(np.count_nonzero(sizes > settings.max_books_per_shingle)):
        _LOG.info("%d hashes are in more than %d books each", ubiquitous, settings.max_books_per_shingle)
    if not codes:
        return []
    found, shared = np.unique(np.concatenate(codes), return_counts=True)
    first, second = found // books, found % books
    sketch_sizes = np.diff(sketches.offsets)
    smaller = np.minimum(sketch_sizes[first], sketch_sizes[second])
    likely = wilson_upper_bound(shared, smaller) >= settings.cluster_containment
    # One hash or two in common are a proverb, or a book so short that they are much of it.
    likely &= (shared >= _MIN_SHARED_HASHES) | (shared >= _MUCH_OF_A_SKETCH * smaller)
    return list(zip(first[likely].tolist(), second[likely].tolist(), strict=True))


def wilson_upper_bound(successes: NDArray[np.int64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Upper end of Wilson's score interval (1927) at three standard deviations, elementwise."""
    share, squared = successes / trials, _CONFIDENCE**2
    spread = _CONFIDENCE * np.sqrt(share * (1 - share) / trials + squared / (4 * trials**2))
    return (share + squared / (2 * trials) + spread) / (1 + squared / trials)


def measure_pairs(pairs: Iterable[tuple[str, str]], hashes_of: Callable[[str], Hashes]) -> list[Pair]:
    """Exact overlap of each pair of book ids; ``hashes_of`` gives all sorted shingle hashes of a book."""
    measured = []
    for first, second in pairs:
        book_a, book_b = sorted((first, second), key=natural_key)
        hashes_a, hashes_b = hashes_of(book_a), hashes_of(book_b)
        measured.append(Pair(book_a, book_b, count_shared(hashes_a, hashes_b), len(hashes_a), len(hashes_b)))
    return measured


def connected_components(items: Sequence[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of ``items`` that ``links`` connect; groups and members in natural order of ids."""
    parents = {item: item for item in items}

    def root(item: str) -> str:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    for first, second in links:
        smaller, larger = sorted((root(first), root(second)), key=natural_key)
        parents[larger] = smaller
    groups: dict[str, list[str]] = defaultdict(list)
    for item in sorted(items, key=natural_key):
        groups[root(item)].append(item)
    return list(groups.values())


def assign_roles(
    cluster: Sequence[str], pairs: Sequence[Pair], quality: Mapping[str, tuple[int, int]], settings: DuplicatesSettings
) -> list[ClusterMember]:
    """Roles of the members of one cluster, in the order of ``cluster`` (whose first id names it).

    Books are visited from the best to the worst by ``quality`` (larger is better), equals by id: the first is the
    representative; one contained to at least ``duplicate_containment`` in a book that is not itself a duplicate is a
    duplicate of the one that contains most of it; the others are related.
    """
    of_book: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_book[pair.book_a].append(pair)
        of_book[pair.book_b].append(pair)
    members: dict[str, ClusterMember] = {}
    for book_id in sorted(cluster, key=lambda book_id: ([-part for part in quality[book_id]], natural_key(book_id))):
        containers = [
            (-pair.containment_of(book_id), natural_key(other), other)
            for pair in of_book[book_id]
            if (other := pair.other(book_id)) in members
            and members[other].role != "duplicate"
            and pair.containment_of(book_id) >= settings.duplicate_containment
        ]
        if containers:
            members[book_id] = ClusterMember(book_id, cluster[0], "duplicate", min(containers)[2])
        else:
            members[book_id] = ClusterMember(book_id, cluster[0], "related" if members else "representative")
    return [members[book_id] for book_id in cluster]


def find_duplicates(
    sketches: Sketches,
    quality: Mapping[str, tuple[int, int]],
    hashes_of: Callable[[str], Hashes],
    settings: DuplicatesSettings,
) -> tuple[list[ClusterMember], list[Pair]]:
    """Clusters of all sketched books, and the confirmed pairs of at least ``cluster_containment``, in order of ids."""
    ids = sketches.book_ids
    candidates = [(ids[first], ids[second]) for first, second in candidate_pairs(sketches, settings)]
    tracked = track(candidates, "pairs compared on their texts", len(candidates), "pairs")
    pairs = [pair for pair in measure_pairs(tracked, hashes_of) if pair.containment >= settings.cluster_containment]
    clusters = connected_components(ids, [(pair.book_a, pair.book_b) for pair in pairs])
    pairs += _pairs_with_the_best(clusters, pairs, quality, hashes_of, settings)
    of_cluster: dict[str, list[Pair]] = defaultdict(list)
    cluster_of = {book_id: cluster[0] for cluster in clusters for book_id in cluster}
    for pair in pairs:
        of_cluster[cluster_of[pair.book_a]].append(pair)
    members = [
        member for cluster in clusters for member in assign_roles(cluster, of_cluster[cluster[0]], quality, settings)
    ]
    return (
        sorted(members, key=lambda member: natural_key(member.book_id)),
        sorted(pairs, key=lambda pair: (natural_key(pair.book_a), natural_key(pair.book_b))),
    )


def write_duplicates(
    sketch_directory: Path,
    selection_directory: Path,
    stripped_root: Path,
    shard_names: Sequence[str],
    settings: DuplicatesSettings,
    clusters_path: Path,
    duplicates_path: Path,
) -> None:
    """Find the clusters of a whole corpus and write both tables.

    Raises UserError where a file is missing, FileFormatError where sketches and selections name other books.
    """
    selections = read_selections(selection_directory, shard_names)
    used = {book_id: row for book_id, row in selections.items() if row["decision"] in USED_DECISIONS}
    sketches = read_all_sketches(sketch_directory, shard_names)
    check_sketched(sketches, used)
    if sketches.shingle_words != settings.shingle_words:
        raise FileFormatError(
            f"{sketch_directory}: sketches of {sketches.shingle_words} words, but duplicates.shingle_words is "
            f"{settings.shingle_words}; make the sketches again"
        )
    quality = {book_id: quality_of(row, settings) for book_id, row in used.items()}
    cache: OrderedDict[str, Hashes] = OrderedDict()

    def hashes_of(book_id: str) -> Hashes:
        if book_id not in cache:
            text = read_kept_text(stripped_root / used[book_id]["shard"], used[book_id])
            cache[book_id] = shingle_hashes(text, settings.shingle_words)
            if len(cache) > _CACHED_BOOKS:
                cache.popitem(last=False)
        cache.move_to_end(book_id)
        return cache[book_id]

    members, pairs = find_duplicates(sketches, quality, hashes_of, settings)
    write_clusters(clusters_path, map(vars, members))
    write_pairs(
        duplicates_path,
        ({**vars(pair), "containment": pair.containment, "jaccard": pair.jaccard} for pair in pairs),
    )
    _report(members, pairs)


def quality_of(row: Mapping[str, str], settings: DuplicatesSettings) -> tuple[int, int]:
    """What decides which edition stands for the others, larger is better; ``row`` is a book's row of the selection."""
    number = int(row["book_id"]) if row["book_id"].isascii() and row["book_id"].isdigit() else 0
    preference = {"longest": int(row["words"]), "earliest": -number, "latest": number}[settings.representative]
    return int(row["decision"] == "keep"), preference


def check_sketched(sketches: Sketches, used: Iterable[str]) -> None:
    """Raises FileFormatError unless exactly the ``used`` books have a sketch."""
    differing = sorted(set(sketches.book_ids) ^ set(used), key=natural_key)
    if differing:
        raise FileFormatError(
            f"sketches and selections do not name the same books (book {differing[0]} and {len(differing) - 1} more "
            "are in one alone); run sketch_books again"
        )


def _places(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """``0 .. length - 1`` for each of ``lengths``, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _pairs_with_the_best(
    clusters: Sequence[Sequence[str]],
    pairs: Sequence[Pair],
    quality: Mapping[str, tuple[int, int]],
    hashes_of: Callable[[str], Hashes],
    settings: DuplicatesSettings,
) -> list[Pair]:
    """Pairs of every member with the best of its cluster that were no candidates: one copy among very many."""
    known = {(pair.book_a, pair.book_b) for pair in pairs}
    missing = []
    for cluster in clusters:
        if len(cluster) > settings.max_books_per_shingle:
            best = min(cluster, key=lambda book_id: ([-part for part in quality[book_id]], natural_key(book_id)))
            others = (tuple(sorted((best, book_id), key=natural_key)) for book_id in cluster if book_id != best)
            missing += [(first, second) for first, second in others if (first, second) not in known]
    return [pair for pair in measure_pairs(missing, hashes_of) if pair.containment >= settings.cluster_containment]


def _report(members: Sequence[ClusterMember], pairs: Sequence[Pair]) -> None:
    sizes: dict[str, int] = defaultdict(int)
    for member in members:
        sizes[member.cluster] += 1
    duplicates = sum(member.role == "duplicate" for member in members)
    largest = max(sizes, key=lambda cluster: (sizes[cluster], cluster), default="")
    _LOG.info(
        "%d books in %d clusters: %d pairs share text, %d books are duplicates; the largest cluster (%s) has %d books",
        len(members), len(sizes), len(pairs), duplicates, largest or "none", sizes[largest] if largest else 0,
    )  # fmt: skip
