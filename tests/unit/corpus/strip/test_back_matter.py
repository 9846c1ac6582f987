import pytest

from unit.corpus.stripping_texts import BOOK, CLEANED, PARAGRAPH, cleaned, rules, warnings

LONG_BOOK = "\n\n".join([BOOK] * 6)
LONG_CLEANED = "\n\n".join([CLEANED] * 6)
ENTRIES = "\n".join(f"Lamp, the {word}, {number}" for number, word in enumerate(["dim", "old", "red", "low"], 12))
PARTS = {
    "index": (f"INDEX\n\nA\n\n{ENTRIES}\n\nB\n\nBarn, 9, 11\nBell, 7", "index"),
    "index with a title": (f"INDEX OF LAMPS\n\n{ENTRIES}", "index"),
    "glossary": ("GLOSSARY\n\nLamp, a light.\n\nRain, wet weather.\n\nDog, a friend.", "glossary"),
    "appendix": ("APPENDIX A\n\nA list of all lamps between the inn and the sea, with their oil.", "appendix"),
    "addendum": ("ADDENDUM\n\nThe dog appears again in:\n  The Door\n  The Rain", "appendix"),
    "bibliography": ("BIBLIOGRAPHY\n\nWriter, N.: Lamps. 1890.\n\nHand, M.: Rain. 1901.", "appendix"),
    "end notes": ("NOTES\n\n1. It was a Tuesday.\n\n2. The dog was old.\n\n3. So was the lamp.", "footnote"),
    "colophon": ("PRINTED BY\nLAMPWICK AND CO. LTD., QUAY STREET\nLONDON", "title_page"),
    "advertisements": (
        "BOOKS BY NORA WRITER\n\nTHE RAIN. Illustrated. 12mo, Cloth, $1.50.\n\n“A wet book.”—Daily News.\n\n"
        "THE DOG. 12mo, Cloth, $1.25.\n\nLAMPWICK & CO., Publishers, NEW YORK",
        "advertisement",
    ),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("end", ["", "\n\nTHE END"])
def test_each_part_behind_the_text_goes(part, end):
    words, rule = PARTS[part]
    assert cleaned(f"{LONG_BOOK}{end}\n\n{words}") == f"{LONG_CLEANED}{end}"
    assert rules(f"{LONG_BOOK}{end}\n\n{words}") == {rule}


def test_a_list_of_titles_behind_the_end_goes_without_prices():
    titles = "\n".join(
        ["Popular Copyright Novels", "Lamp, The. Nora Writer.", "Rain, The. Nora Writer.", "Dog. M. Hand."]
    )
    assert cleaned(f"{LONG_BOOK}\n\nTHE END\n\n{titles}") == f"{LONG_CLEANED}\n\nTHE END"


@pytest.mark.parametrize(
    "kept",
    [
        "“The price is $5.00, cloth and all,” said the publisher, and put the catalogue away.",
        "NOTE.—The substance of this chapter appeared in a newspaper.",
        "P.S.—The lamp is lit again.",
        "POSTSCRIPT",
        "April 1879.",
    ],
)
def test_the_last_words_of_the_story_stay(kept):
    assert cleaned(f"{LONG_BOOK}\n\n{kept}") == f"{LONG_CLEANED}\n\n{kept}"


def test_a_chapter_called_the_end_is_no_end():
    text = f"{LONG_BOOK}\n\nTHE END\n\n{BOOK}"
    assert cleaned(text) == f"{LONG_CLEANED}\n\nTHE END\n\n{CLEANED}"


def test_an_appendix_in_which_people_talk_stays_with_a_warning():
    talk = "\n\n".join(
        ["“Who lit it?” said the host.", "“I,” he replied, “and nobody else.”", "“So,” said the dog."] * 3
    )
    text = f"{LONG_BOOK}\n\nAPPENDIX\n\n{talk}"
    assert rules(text) == set()
    assert warnings(text) == {"appendix_kept"}


def test_an_index_that_is_a_large_part_of_the_book_stays_with_a_warning():
    text = f"{BOOK}\n\nINDEX\n\n" + "\n".join(f"Lamp number {number}, {number}" for number in range(200))
    assert rules(text) == set()
    assert warnings(text) == {"large_index_kept"}


def test_a_word_in_capitals_amid_the_story_begins_no_part():
    text = f"{PARAGRAPH}\n\nINDEX\n\n{LONG_BOOK}"
    assert rules(text) == set()
