"""Duplicate pairs and clusters found on real books, beside the truth: exact containment of all pairs.

python tests/benchmarks/bench_duplicates.py [--source raw]

The truth shares nothing with the library but the definition of a shingle (eight words; words are letters, case folded,
without accents and apostrophes): its words come from a pattern, its hashes from Python's own strings, its counts from
every pair that has a shingle in common. All books are compared, also those that the selection would drop.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.overlap.duplicates import ClusterMember, find_duplicates
from mamba_narrative.corpus.overlap.shingles import shingle_hashes
from mamba_narrative.corpus.overlap.sketches import sketch_texts
from mamba_narrative.corpus.raw.catalogue import read_catalogue
from mamba_narrative.corpus.strip.stripping import strip_book
from real_books import CATALOGUES, read_books

_WORD = re.compile(r"[^\W\d_]+")
_DROPPED = re.compile("['’‘ʼ`\u00ad\u0300-\u036f]")


def true_shingles(text: str, words: int) -> np.ndarray:
    """Distinct hashes of the shingles of ``text``, from Python strings (alike in one process)."""
    folded = _DROPPED.sub("", unicodedata.normalize("NFKD", text.casefold()))
    found = _WORD.findall(folded)
    shingles = {hash(" ".join(found[start : start + words])) for start in range(len(found) - words + 1)}
    return np.fromiter(shingles, np.int64, len(shingles))


def true_overlaps(hashes: list[np.ndarray]) -> dict[tuple[int, int], int]:
    """Number of common shingles of every pair of books that has any."""
    owners = np.repeat(np.arange(len(hashes)), [len(part) for part in hashes])
    everything = np.concatenate(hashes)
    order = np.argsort(everything, kind="stable")
    everything, owners = everything[order], owners[order]
    shared: Counter[tuple[int, int]] = Counter()
    for distance in range(1, len(hashes)):
        same = everything[distance:] == everything[:-distance]
        if not same.any():
            break
        codes, counts = np.unique(owners[:-distance][same] * len(hashes) + owners[distance:][same], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            shared[divmod(code, len(hashes))] += count
    return shared


@dataclass(frozen=True)
class Comparison:
    """Pairs found by the library and the containment of all pairs that share any shingle, by the two book ids."""

    members: list[ClusterMember]
    found: dict[frozenset[str], float]
    truth: dict[frozenset[str], float]
    seconds: float
    seconds_of_truth: float

    def missed(self, containment: float) -> list[frozenset[str]]:
        """Pairs that share so much and were not found."""
        return [pair for pair, share in self.truth.items() if share >= containment and pair not in self.found]

    def false(self, containment: float) -> list[frozenset[str]]:
        """Found pairs that share less."""
        return [pair for pair in self.found if self.truth.get(pair, 0) < containment]


def compare(source: str, settings: DuplicatesSettings) -> Comparison:
    """Both ways through all real books of ``source``."""
    texts = {book_id: strip_book(raw, StrippingSettings()).text for book_id, raw in read_books(source)}
    ids = list(texts)
    started = time.perf_counter()
    sketches = sketch_texts(list(texts.items()), settings)
    quality = {book_id: (1, len(text)) for book_id, text in texts.items()}
    members, pairs = find_duplicates(
        sketches, quality, lambda book_id: shingle_hashes(texts[book_id], settings.shingle_words), settings
    )
    ours = time.perf_counter() - started
    started = time.perf_counter()
    hashes = [true_shingles(texts[book_id], settings.shingle_words) for book_id in ids]
    truth = {
        frozenset((ids[first], ids[second])): shared / min(len(hashes[first]), len(hashes[second]))
        for (first, second), shared in true_overlaps(hashes).items()
    }
    theirs = time.perf_counter() - started
    found = {frozenset((pair.book_a, pair.book_b)): pair.containment for pair in pairs}
    return Comparison(members, found, truth, ours, theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("raw", "packed"), default="raw")
    source = parser.parse_args().source
    settings = DuplicatesSettings()
    result = compare(source, settings)
    books = len(result.members)
    titles = {book_id: entry.title for book_id, entry in read_catalogue(CATALOGUES[source]).items()}
    print(
        f"{books} books, {books * (books - 1) // 2} pairs; "
        f"ours {result.seconds:.1f} s, all pairs {result.seconds_of_truth:.1f} s"
    )
    for least in (0.5, settings.cluster_containment):
        wanted, missed = sum(share >= least for share in result.truth.values()), result.missed(least)
        print(f"containment of {least} or more: {wanted} pairs, {wanted - len(missed)} found")
        for pair in missed:
            print(f"    missed {sorted(pair)}: {result.truth[pair]:.3f}")
    error = max((abs(share - result.truth.get(pair, 0)) for pair, share in result.found.items()), default=0)
    false = result.false(settings.cluster_containment)
    print(f"found pairs that share less in truth: {len(false)}; largest error of a containment: {error:.5f}")
    others = sorted(((share, sorted(pair)) for pair, share in result.truth.items() if pair not in result.found))
    print("largest of all other pairs:")
    for share, pair in others[:-13:-1]:
        print(f"    {share:.4f} " + " | ".join(f"{book_id} {titles.get(book_id, '')[:38]}" for book_id in pair))
    print("clusters and why (containment of each pair):")
    member_of = {member.book_id: member for member in result.members}
    for cluster in sorted({member.cluster for member in result.members}, key=int):
        inside = sorted(sorted(pair) for pair in result.found if member_of[min(pair)].cluster == cluster)
        if inside:
            print(f"  cluster {cluster}:")
        for pair in inside:
            named = (f"{book_id} {titles.get(book_id, '')[:38]} ({member_of[book_id].role})" for book_id in pair)
            print(f"    {result.found[frozenset(pair)]:.3f} " + " | ".join(named))


if __name__ == "__main__":
    main()
