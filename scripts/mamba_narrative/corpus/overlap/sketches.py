"""Sketches of the word shingles of books: a small, fixed part of all hashes, the same part for every book.

A shingle is a run of ``shingle_words`` words (see ``shingles``). FracMinHash (Irber et al. 2022,
doi:10.1101/2022.01.11.475838) keeps the hashes below a fixed fraction of their range: what two sketches share estimates
what the books share, also when one book is a small part of the other.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.formats.decisions import USED_DECISIONS
from mamba_narrative.corpus.formats.selection_table import read_kept_text, read_selection
from mamba_narrative.corpus.formats.stripped_texts import read_manifest
from mamba_narrative.corpus.overlap.shingles import Hashes, shingle_hashes
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import atomic_path, verify
from mamba_narrative.progress import track

_LOG = logging.getLogger(__name__)
_LEAST_HASHES = 16
"""Of a sketch: of fewer no share can be estimated."""
_NO_HASHES: Hashes = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class Sketches:
    """Sketches of several books, one after the other."""

    book_ids: tuple[str, ...]
    offsets: NDArray[np.int64]
    """[books + 1]; the hashes of book ``n`` are ``hashes[offsets[n]:offsets[n + 1]]``, sorted."""
    hashes: Hashes
    """[all], distinct within a book."""
    shingles: NDArray[np.int64]
    """[books], number of distinct shingles of the whole book."""
    shingle_words: int
    sketch_fraction: float

    def of(self, position: int) -> Hashes:
        """The sketch of the book at ``position``."""
        return self.hashes[self.offsets[position] : self.offsets[position + 1]]


def sketch(hashes: Hashes, fraction: float) -> Hashes:
    """The part of sorted ``hashes`` that lies in the lowest ``fraction`` of their range, or the 16 lowest.

    So that texts of few shingles, in which the same words come again and again, are compared, too.
    """
    if fraction >= 1:
        return hashes
    return hashes[: max(_LEAST_HASHES, int(np.searchsorted(hashes, np.uint64(int(fraction * 2**64)))))]


def sketch_texts(texts: Sequence[tuple[str, str]], settings: DuplicatesSettings) -> Sketches:
    """Sketches of ``(book_id, text)`` pairs, in their order."""
    sketches, shingles = [], []
    for _, text in texts:
        hashes = shingle_hashes(text, settings.shingle_words)
        sketches.append(sketch(hashes, settings.sketch_fraction))
        shingles.append(len(hashes))
    return Sketches(
        book_ids=tuple(book_id for book_id, _ in texts),
        offsets=np.cumsum([0, *map(len, sketches)], dtype=np.int64),
        hashes=np.concatenate([_NO_HASHES, *sketches]),
        shingles=np.asarray(shingles, dtype=np.int64),
        shingle_words=settings.shingle_words,
        sketch_fraction=settings.sketch_fraction,
    )


def sketch_shard(selection: Path, stripped: Path, manifest: Path, settings: DuplicatesSettings, output: Path) -> None:
    """Sketch the kept books of a shard, in the order of ``selection``.

    Raises FileFormatError where a kept book is not in ``manifest`` or has another text, UserError where it has none.
    """
    listed = read_manifest(manifest)
    kept = [row for row in read_selection(selection) if row["decision"] in USED_DECISIONS]
    if missing := [row["book_id"] for row in kept if row["book_id"] not in listed]:
        raise FileFormatError(f"{selection}: book {missing[0]} is kept, but {manifest} does not list it")
    parts = [
        sketch_texts([(row["book_id"], read_kept_text(stripped, row, manifest))], settings)
        for row in track(kept, "sketches", len(kept), "books")
    ]
    sketches = join_sketches(parts) if parts else sketch_texts([], settings)
    write_sketches(output, sketches)
    _LOG.info("%d books sketched with %d hashes", len(kept), len(sketches.hashes))


def join_sketches(parts: Sequence[Sketches]) -> Sketches:
    """One collection from several (at least one). Raises FileFormatError if they were made differently or overlap."""
    first = parts[0]
    for part in parts[1:]:
        if (part.shingle_words, part.sketch_fraction) != (first.shingle_words, first.sketch_fraction):
            raise FileFormatError(
                f"sketches of {first.shingle_words} words and fraction {first.sketch_fraction} cannot be joined with "
                f"sketches of {part.shingle_words} words and fraction {part.sketch_fraction}; make all of them again"
            )
    book_ids = tuple(book_id for part in parts for book_id in part.book_ids)
    if len(set(book_ids)) != len(book_ids):
        repeated = next(book_id for number, book_id in enumerate(book_ids) if book_id in book_ids[:number])
        raise FileFormatError(f"book {repeated} has two sketches; expected each book in one shard")
    return Sketches(
        book_ids=book_ids,
        offsets=np.cumsum(
            np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)]), dtype=np.int64
        ),
        hashes=np.concatenate([part.hashes for part in parts]),
        shingles=np.concatenate([part.shingles for part in parts]),
        shingle_words=first.shingle_words,
        sketch_fraction=first.sketch_fraction,
    )


def write_sketches(path: Path, sketches: Sketches) -> None:
    """Write one ``.npz`` file, atomically; equal sketches give equal bytes."""
    with atomic_path(path) as beside, beside.open("wb") as stream:
        np.savez(
            stream,
            book_ids=np.asarray(sketches.book_ids, dtype=np.str_),
            offsets=sketches.offsets,
            hashes=sketches.hashes,
            shingles=sketches.shingles,
            shingle_words=np.int64(sketches.shingle_words),
            sketch_fraction=np.float64(sketches.sketch_fraction),
        )


def read_sketches(path: Path) -> Sketches:
    """Read one file of ``write_sketches``. Raises UserError (FileFormatError) where it is not readable."""
    try:
        verify(path)
        with np.load(path, allow_pickle=False) as arrays:
            sketches = Sketches(
                book_ids=tuple(str(book_id) for book_id in arrays["book_ids"]),
                offsets=arrays["offsets"].astype(np.int64),
                hashes=arrays["hashes"].astype(np.uint64),
                shingles=arrays["shingles"].astype(np.int64),
                shingle_words=int(arrays["shingle_words"]),
                sketch_fraction=float(arrays["sketch_fraction"]),
            )
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"{path}: not a file of sketches ({error}); make it again with sketch_books") from None
    books = len(sketches.book_ids)
    if (
        len(sketches.offsets) != books + 1
        or len(sketches.shingles) != books
        or sketches.offsets[-1] != len(sketches.hashes)
    ):
        raise FileFormatError(f"{path}: its arrays do not fit together; make it again with sketch_books")
    return sketches


def read_all_sketches(directory: Path, shard_names: Sequence[str]) -> Sketches:
    """The sketches of all shards. Raises UserError where ``shard_names`` is empty or a file is missing."""
    if not shard_names:
        raise UserError(f"{directory}: no shard names given; expected at least one, such as 000")
    return join_sketches([read_sketches(directory / f"{shard}.npz") for shard in shard_names])
