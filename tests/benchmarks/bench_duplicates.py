"""Duplicate pairs and clusters found on real books, beside the truth: exact containment of all pairs.

python tests/benchmarks/bench_duplicates.py [--source raw]

The truth shares nothing with the library but the definition of a shingle (eight words; words are letters, case folded,
without accents and apostrophes): its words come from a pattern, its hashes from Python's own strings, its counts from
every pair that has a shingle in common. All books are compared, also those that the selection would drop.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.catalogue import read_catalogue
from mamba_narrative.corpus.duplicates import find_duplicates
from mamba_narrative.corpus.shingles import shingle_hashes
from mamba_narrative.corpus.sketches import sketch_texts
from mamba_narrative.corpus.stripping import strip_book
from real_books import CATALOGUES, read_books

_WORD = re.compile(r"[^\W\d_]+")
_DROPPED = re.compile("['’‘ʼ`\u00ad\u0300-\u036f]")


def true_shingles(text: str, words: int) -> np.ndarray:
    """Distinct hashes of the shingles of ``text``, from Python strings."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("raw", "packed"), default="raw")
    source = parser.parse_args().source
    settings = DuplicatesSettings()
    texts = {book_id: strip_book(raw, StrippingSettings()).text for book_id, raw in read_books(source)}
    ids = list(texts)
    titles = {book_id: entry.title for book_id, entry in read_catalogue(CATALOGUES[source]).items()}

    started = time.perf_counter()
    sketches = sketch_texts(list(texts.items()), settings)
    quality = {book_id: (1, len(text)) for book_id, text in texts.items()}
    members, pairs = find_duplicates(
        sketches, quality, lambda book_id: shingle_hashes(texts[book_id], settings.shingle_words), settings
    )
    ours = time.perf_counter() - started
    started = time.perf_counter()
    hashes = [true_shingles(texts[book_id], settings.shingle_words) for book_id in ids]
    truth = {}
    for (first, second), shared in true_overlaps(hashes).items():
        containment = shared / min(len(hashes[first]), len(hashes[second]))
        truth[frozenset((ids[first], ids[second]))] = containment
    theirs = time.perf_counter() - started

    found = {frozenset((pair.book_a, pair.book_b)): pair.containment for pair in pairs}
    print(f"{len(ids)} books, {len(ids) * (len(ids) - 1) // 2} pairs; ours {ours:.1f} s, all pairs {theirs:.1f} s")
    for least in (0.5, settings.cluster_containment):
        wanted = {pair for pair, containment in truth.items() if containment >= least}
        missed = wanted - set(found)
        print(f"containment of {least} or more: {len(wanted)} pairs, {len(wanted) - len(missed)} found")
        for pair in missed:
            print(f"    missed {sorted(pair)}: {truth[pair]:.3f}")
    false = {pair for pair in found if truth.get(pair, 0) < settings.cluster_containment}
    error = max((abs(containment - truth.get(pair, 0)) for pair, containment in found.items()), default=0)
    print(f"found pairs that share less in truth: {len(false)}; largest error of a containment: {error:.5f}")
    below = sorted(((share, sorted(pair)) for pair, share in truth.items() if pair not in found), reverse=True)[:12]
    print("largest of all other pairs:")
    for share, pair in below:
        print(f"    {share:.4f} " + " | ".join(f"{book_id} {titles.get(book_id, '')[:38]}" for book_id in pair))
    print("clusters and why (containment of each pair):")
    cluster_of = {member.book_id: member for member in members}
    for cluster in sorted({member.cluster for member in members}, key=int):
        inside = sorted((pair for pair in found if cluster_of[min(pair)].cluster == cluster), key=sorted)
        if inside:
            print(f"  cluster {cluster}:")
        for pair in inside:
            named = " | ".join(
                f"{book_id} {titles.get(book_id, '')[:38]} ({cluster_of[book_id].role})" for book_id in sorted(pair)
            )
            print(f"    {found[pair]:.3f} {named}")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Python's strings hash alike in every run only with a fixed seed.
        sys.exit(subprocess.run([sys.executable, *sys.argv], env={**os.environ, "PYTHONHASHSEED": "0"}).returncode)
    main()
