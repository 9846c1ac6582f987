"""Real Project Gutenberg books: nothing of the story is lost, nothing of the licence is left."""

from __future__ import annotations

import pytest

from gutenberg_quality import REAL_BOOKS, lost_fraction, marked_books, residue_of
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.stripping import strip_book

needs_books = pytest.mark.skipif(not REAL_BOOKS.is_dir(), reason=f"no real books: {REAL_BOOKS} is missing")
NARRATIVE = "The lamp went out before the tale was done.\n\n[Illustration: A lamp]\n\nNobody in the room said a word.\n"


def test_line_ends_emphasis_and_illustrations_are_no_loss():
    text = "The lamp _went_ out before\nthe tale was done. Nobody in the room said a word."
    assert lost_fraction(NARRATIVE, text) == 0


def test_a_lost_line_counts_by_its_letters():
    assert lost_fraction(NARRATIVE, "Nobody in the room said a word.") == pytest.approx(34 / (34 + 24))


@pytest.mark.parametrize(
    "words",
    ["Produced by A Volunteer", "End of Project Gutenberg's A Lamp", "Spelling has been retained.", "see www.pgdp.net"],
)
def test_residue_is_seen(words):
    assert residue_of(f"{words}\n\n{NARRATIVE * 500}")
    assert not residue_of(NARRATIVE * 500)


@needs_books
def test_at_least_forty_marked_books_are_there():
    assert len(marked_books()) >= 40


@needs_books
@pytest.mark.slow
def test_at_most_a_thousandth_of_the_narrative_is_lost_and_a_hundredth_of_any_book():
    books = marked_books()
    shares = {
        book.book_id: lost_fraction(book.narrative, strip_book(book.raw, StrippingSettings()).text) for book in books
    }
    sizes = {book.book_id: len(book.narrative) for book in books}
    overall = sum(share * sizes[book_id] for book_id, share in shares.items()) / sum(sizes.values())
    print(
        f"{len(books)} books, {sum(sizes.values()):,} characters: {overall:.4%} lost; most: {max(shares.values()):.3%}"
    )
    assert overall <= 0.001
    assert {book_id: share for book_id, share in shares.items() if share > 0.01} == {}


@needs_books
@pytest.mark.slow
def test_at_most_one_book_in_fifty_has_residue():
    paths = sorted(REAL_BOOKS.glob("*.txt"))
    residues = {path.stem: residue_of(strip_book(path.read_bytes(), StrippingSettings()).text) for path in paths}
    found = {book_id: hits[:3] for book_id, hits in residues.items() if hits}
    print(f"{len(found)} of {len(paths)} books: {found}")
    assert len(found) <= 0.02 * len(paths), found
