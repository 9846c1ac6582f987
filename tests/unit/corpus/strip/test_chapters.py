import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.corpus.strip.chapters import find_chapters

PROSE = "The lamp went out before the tale was done, and nobody in the room said a word about it."


def headings(text, listed=frozenset()):
    return [chapter.heading for chapter in find_chapters(text, listed)]


@pytest.mark.parametrize(
    "heading",
    [
        "CHAPTER I", "Chapter 12", "CHAPTER THE FIRST", "Chapter Twenty-One", "CHAPTER IV. THE LAMP",
        "CHAPTER I\nIn Which a Lamp Goes Out", "BOOK II--THE RAIN", "PART ONE", "LETTER III", "THE SECOND PART",
        "PROLOGUE", "Epilogue.", "PREFACE",
    ],
)  # fmt: skip
def test_a_heading_that_says_so_is_one(heading):
    assert headings(f"{heading}\n\n{PROSE}\n") == [heading]


@pytest.mark.parametrize(
    "paragraph",
    [
        PROSE, "Part of it was true.", "Book ten seats for me.", "Chapter two was the best, he said.", "I saw him.",
        "I.", "VI", "* * *", "The end.", "1865.",
    ],
)  # fmt: skip
def test_a_sentence_or_a_lone_numeral_is_none(paragraph):
    assert headings(f"{PROSE}\n\n{paragraph}\n\n{PROSE}\n") == []


def test_numerals_count_from_three_in_a_row_on_and_may_begin_again():
    parts = ["I", PROSE, "II.", PROSE, "III", PROSE, "I", PROSE, "II", PROSE, "III", PROSE]
    assert headings("\n\n".join(parts)) == ["I", "II.", "III", "I", "II", "III"]
    assert headings("\n\n".join(parts[:4])) == []
    titled = ["I. The Lamp", "II. The Rain", "III. The Dog"]
    assert headings("\n\n".join(part for title in titled for part in (title, PROSE))) == titled


def test_titles_that_the_contents_list_are_headings():
    assert headings(f"The Lamp\n\n{PROSE}\n\nThe Rain\n\n{PROSE}\n", frozenset({"the lamp"})) == ["The Lamp"]


@given(
    st.lists(
        st.sampled_from(["CHAPTER I", "CHAPTER II\nThe Rain", "I", "II", "III", PROSE, "* * *", "x\ny"]), max_size=12
    )
)
def test_every_offset_points_at_its_heading_and_offsets_rise(paragraphs):
    text = "\n\n".join(paragraphs) + "\n"
    chapters = find_chapters(text)
    assert all(text[c.offset : c.offset + len(c.heading)] == c.heading for c in chapters)
    assert [c.offset for c in chapters] == sorted({c.offset for c in chapters})
