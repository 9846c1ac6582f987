"""Collections that mix stories with something else are used in part."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.corpus.formats.selection_table import format_ranges, kept_text, parse_ranges
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry
from mamba_narrative.corpus.select.parts import is_collection, narrative_ranges, promises_stories
from mamba_narrative.corpus.select.selection import select_book
from mamba_narrative.errors import FileFormatError
from unit.corpus.selection_texts import essay, play, poems, present_story, story

DEFAULTS = SelectionSettings()
TALE, OTHER_TALE = story(1), story(2)
STORIES = CatalogueEntry("A Title", ("en",), subjects=("Short stories",), loc_classes=("PR",))


def bound(*works: tuple[str, str]) -> str:
    return "\n".join(f"{title}\n\n{text}" for title, text in works)


def select(text, title="Tales and Essays", entry=None, settings=DEFAULTS, **header):
    record = {"book_id": "7", "header": {"title": title, "language": "English"} | header}
    return select_book(record, text, entry, settings)


@pytest.mark.parametrize("other", [essay(words=2_000), poems(words=2_000), play(words=2_000)])
def test_of_a_collection_the_stories_are_used(other):
    text = bound(("THE MILL", TALE), ("SOMETHING ELSE", other), ("THE HARBOUR", OTHER_TALE))
    row = select(text)
    assert row["decision"] == "partial"
    assert "narrative_parts" in row["reasons"].split(";")
    used = kept_text(text, parse_ranges(row["ranges"]))
    assert used == f"THE MILL\n\n{TALE}\nTHE HARBOUR\n\n{OTHER_TALE}"
    assert (row["words"], row["characters"]) == (len(used.split()), len(used))


def test_a_switch_uses_collections_whole():
    text = bound(("THE MILL", TALE), ("ON TASTE", essay(words=900)), ("THE HARBOUR", OTHER_TALE))
    row = select(text, settings=SelectionSettings(keep_narrative_parts=False))
    assert (row["decision"], row["ranges"], row["characters"]) == ("keep", "", len(text))


def test_chapters_of_one_work_and_books_of_one_work_stay_together():
    chapters = bound(("CHAPTER I", TALE), ("CHAPTER II", essay(words=1_200)), ("CHAPTER III", OTHER_TALE))
    assert select(chapters)["ranges"] == ""
    works = bound(("THE MILL", TALE), ("ON TASTE", essay(words=1_200)), ("THE HARBOUR", OTHER_TALE))
    assert select(works, title="The Mill")["ranges"] == ""
    assert select(works, title="The Mill", entry=STORIES)["ranges"] != ""


def test_a_short_poem_between_two_stories_stays():
    text = bound(("THE MILL", TALE), ("A SONG", poems(words=200)), ("THE HARBOUR", OTHER_TALE))
    assert select(text)["ranges"] == ""


def test_a_story_in_the_present_tense_stays_among_stories():
    works = ("THE MILL", TALE), ("THE HARBOUR", OTHER_TALE), ("NOW", present_story(words=900))
    text = bound(*works, ("ON TASTE", essay(words=1_500)))
    (used,) = parse_ranges(select(text)["ranges"])
    assert text[used[1] :].startswith("ON TASTE")


def test_essays_are_not_searched_for_anecdotes():
    text = bound(("ON TASTE", essay(words=6_000)), ("AN ANECDOTE", TALE))
    assert select(text, title="Collected Essays")["decision"] == "drop"
    assert select(text, title="Essays and Tales")["decision"] == "partial"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("The Happy Prince, and Other Tales", (True, True)),
        ("Essays", (True, False)),
        ("Chance: A Tale", (False, False)),
    ],
)
def test_titles_tell_collections(title, expected):
    assert (is_collection(title, None), promises_stories(title, None)) == expected


@given(st.lists(st.sampled_from([TALE, essay(words=700), poems(words=300), "AN END\n", "\n"])), st.integers(1, 9))
def test_ranges_rise_lie_in_the_text_and_survive_the_table(parts, every):
    text = "\n".join(parts)
    headings = [match.start() for match in re.finditer(r"(?<=\n\n)\S", text)][::every]
    for doubtful in (False, True):
        ranges, words = narrative_ranges(text, headings, DEFAULTS, doubtful=doubtful)
        assert parse_ranges(format_ranges(ranges)) == ranges
        assert all(0 <= start < end <= len(text) for start, end in ranges)
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(ranges))
        assert words == sum(len(text[start:end].split()) for start, end in ranges)


@pytest.mark.parametrize("field", ["5", "5-5", "9-5", "1-5;3-9;2-4", "a-b"])
def test_ranges_that_are_none_are_refused(field):
    with pytest.raises(FileFormatError, match="expected"):
        parse_ranges(field)


def test_books_under_copyright_are_dropped_unless_the_setting_allows_them():
    by_catalogue = CatalogueEntry("A Title", ("en",), rights="Copyrighted. Read the copyright notice inside this book.")
    public = CatalogueEntry("A Title", ("en",), rights="Public domain in the USA.")
    assert select(TALE, copyrighted=True)["reasons"] == "copyrighted"
    assert select(TALE, entry=by_catalogue)["reasons"] == "copyrighted"
    assert select(TALE, entry=public)["decision"] == "keep"
    allowed = SelectionSettings(drop_copyrighted=False)
    assert select(TALE, settings=allowed, copyrighted=True)["decision"] == "keep"
