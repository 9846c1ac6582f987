import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.paragraphs import split_blocks
from mamba_narrative.corpus.strip.rendering import render
from mamba_narrative.corpus.strip.spans import Span, mask
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.corpus.strip.typography import Signs, join_lines, mend_divided_words
from unit.corpus.stripping_texts import BOOK, CLEANED, JOINED, PARAGRAPH, cleaned


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("_A lamp_ and =a dog=", "A lamp and a dog"),
        ("~A lamp~ and +a dog+ and *the rain*", "A lamp and a dog and the rain"),
        ("2 * 3 * 4 = 24, a = b, 5~6", "2 * 3 * 4 = 24, a = b, 5~6"),
        ("<i>A lamp</i>&mdash;and a dog &amp; rain; AT&T", "A lamp—and a dog & rain; AT&T"),
        ("|THE lamp | was lit", "THE lamp | was lit"),
        ("A lamp[1] and a dog[A] and rain{3b}", "A lamp and a dog and rain"),
        ("[Pg 12]A lamp {13} was lit", "A lamp  was lit"),
    ],
)
def test_signs_of_the_typist_go_and_the_authors_stay(raw, expected):
    assert Signs(StrippingSettings()).removed_from(raw) == expected


def test_marks_of_known_footnotes_go_and_other_stars_stay():
    text = "A lamp,* and a dog(1), * and (1) rain* * *"
    assert Signs(StrippingSettings(), ["*", "(1)"]).removed_from(text) == "A lamp, and a dog, * and (1) rain * *"
    assert Signs(StrippingSettings()).removed_from("A lamp,* and a dog(1)") == "A lamp,* and a dog(1)"


def test_punctuation_is_normalised_only_if_asked_for():
    text = "“A lamp,” he said--‘a dog’ ---- and"
    assert Signs(StrippingSettings()).removed_from(text) == text
    normalised = Signs(StrippingSettings(normalise_punctuation=True)).removed_from(text)
    assert normalised == "\"A lamp,\" he said—'a dog' ---- and"


def mended(lines, book):
    """The lines as one, mended by what the book writes elsewhere."""
    return mend_divided_words(join_lines(lines, mark_joints=True), book)


def test_a_divided_word_is_mended_only_where_the_book_writes_it_in_one():
    book = "The congregation went home. A watch-dog, a watch-\ndog, a con-\ngregation."
    assert mended(["a con-", "gregation"], book) == "a congregation"
    assert mended(["a watch-", "dog"], book) == "a watch-dog"
    assert mended(["a lamp-", "lighter"], book) == "a lamp-lighter"
    assert mended(["a con-", "Gregation"], book) == "a con-Gregation"
    assert mended(["con-", "gre-", "gation"], f"{book} congre gregation") == "congregation"


def test_mending_can_be_switched_off():
    text = PARAGRAPH.replace("the room\nsaid", "the ro-\nom said")
    assert cleaned(f"{text}\n\n{BOOK}") == f"{JOINED}\n\n{CLEANED}"
    assert "the ro-om said" in cleaned(f"{text}\n\n{BOOK}", StrippingSettings(mend_hyphenation=False))


@given(st.lists(st.text(st.sampled_from("ab -—"), max_size=8), max_size=6))
def test_joining_lines_loses_no_letter(lines):
    joined = mended(lines, "\n".join(lines))
    assert [c for c in joined if c in "ab"] == [c for line in lines for c in line if c in "ab"]
    assert "\n" not in joined


def test_paragraphs_without_a_blank_line_between_them_come_out_apart():
    short = "And so he sat there, and the rain went on, and the dog did not move\nat all."
    block = "\n".join([PARAGRAPH, short] * 12)
    expected = "\n\n".join([JOINED, " ".join(short.split())] * 12)
    assert cleaned(f"{block}\n\n{BOOK}") == f"{expected}\n\n{CLEANED}"


def test_a_long_poem_is_not_taken_for_prose_without_blank_lines():
    verse = "\n".join(f"And {word} the lamp is low, and all the rain is near the door again." for word in "abcdef" * 8)
    assert cleaned(f"{verse}\n\n{BOOK}") == f"{verse}\n\n{CLEANED}"


def test_a_sentence_that_an_illustration_interrupts_is_made_whole():
    before = PARAGRAPH.removesuffix(".")
    text = f"{before}\n\n[Illustration: A lamp]\n\nand was not seen again.\n\n{BOOK}"
    assert strip_book(text.encode(), StrippingSettings()).text.startswith(
        f"{JOINED.removesuffix('.')} and was not seen again.\n\n"
    )


def test_paragraphs_are_joined_only_across_a_removal():
    text = f"{PARAGRAPH.removesuffix('.')}\n\nand was not seen again."
    blocks = list(split_blocks(mask(text, [Span(0, 0, "x")])))
    assert "\n\nand" in render(blocks, StrippingSettings()).text
