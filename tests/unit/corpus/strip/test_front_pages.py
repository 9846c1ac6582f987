import pytest

from mamba_narrative.corpus.raw.header import Header
from unit.corpus.stripping_texts import BOOK, CLEANED, HEADER, JOINED, PARAGRAPH, cleaned, rules

TITLE_PAGE = "A LAMP\n\nBY\n\nN. WRITER\n\nLONDON\n1890"


@pytest.mark.parametrize("header", [Header("A Lamp", "N. Writer"), Header("Another Book", "M. Author"), Header()])
def test_a_title_page_goes_if_it_repeats_the_header_or_says_who_wrote_the_book(header):
    assert cleaned(f"{TITLE_PAGE}\n\n{BOOK}", header=header) == CLEANED
    assert rules(f"{TITLE_PAGE}\n\n{BOOK}", header) == {"title_page"}


def test_the_title_of_the_first_story_is_no_title_page():
    contents = "CONTENTS\n\nTHE LAMP\nTHE RAIN\nTHE DOG"
    text = f"THE LAMP AND OTHER STORIES\n\n{contents}\n\nTHE LAMP\n\n{BOOK}\n\nTHE RAIN\n\n{BOOK}"
    assert cleaned(text, header=Header("The Lamp and Other Stories", "N. Writer")).startswith(f"THE LAMP\n\n{JOINED}")
    assert cleaned(f"A LAMP\n\n{BOOK}", header=Header("Another Book")).startswith("A LAMP\n\n")


PAGES = {
    "title page in pieces": ('A LAMP\n\nA Novel\n\nBy\n\nNora Writer\n\nAuthor of "The Rain"', "title_page"),
    "imprint": ("LONDON\nLAMPWICK & CO., LIMITED\n12 QUAY STREET\n1890\n\nAll rights reserved", "title_page"),
    "copyright": ("Copyright, 1911, by\nLAMPWICK COMPANY\n\nPublished April, 1911", "title_page"),
    "editions": ("First Edition   May 1888\nSecond Impression   January 1889", "title_page"),
    "other hands": ("Translated from the Danish by N. Hand\n\nWith eight illustrations by M. Brush", "title_page"),
    "dedication, brief": ("To My Mother", "dedication"),
    "dedication in pieces": ("TO\n\nMY BROTHER\n\nTHIS BOOK IS INSCRIBED", "dedication"),
    "dedication with a heading": ("DEDICATION\n\nTo all who have sat in the dark,\nand waited.", "dedication"),
    "dedication, inscribed": ("This tale is inscribed\nto the memory of a dog.", "dedication"),
    "books with prices": (
        "Uniform with this volume\n\nTHE RAIN. Crown 8vo, 6s.\nTHE DOG. Crown 8vo, 6s.",
        "advertisement",
    ),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("below", ["", "CHAPTER I\n\nTHE RAIN\n\n"])
def test_each_page_in_front_of_the_text_goes(page, below):
    words, rule = PAGES[page]
    assert cleaned(f"{words}\n\n{below}{BOOK}", header=HEADER) == f"{below}{CLEANED}"
    assert rules(f"{words}\n\n{below}{BOOK}", HEADER) == {rule}


def test_a_title_that_is_repeated_before_the_first_chapter_goes_everywhere():
    text = f"A LAMP\n\nby Nora Writer\n\nPREFACE\n\n{PARAGRAPH}\n\nN. W.\n\nA LAMP\n\nCHAPTER I\n\n{BOOK}"
    assert cleaned(text, header=HEADER) == f"PREFACE\n\n{JOINED}\n\nN. W.\n\nCHAPTER I\n\n{CLEANED}"


def test_a_few_unknown_words_between_two_pages_go_with_them():
    page = "A LAMP\n\nby Nora Writer\n\nCOMPLETE AND UNABRIDGED\n\nLONDON\n1890"
    assert cleaned(f"{page}\n\nCHAPTER I\n\n{BOOK}", header=HEADER) == f"CHAPTER I\n\n{CLEANED}"


def test_a_list_of_titles_goes_but_a_title_right_above_the_story_stays():
    books = "BY THE SAME AUTHOR\n\nTHE RAIN\n\nTHE DOG\n\nTHE DOOR"
    assert cleaned(f"{books}\n\nCHAPTER I\n\n{BOOK}", header=HEADER) == f"CHAPTER I\n\n{CLEANED}"
    assert cleaned(f"{books}\n\n{BOOK}", header=HEADER) == f"THE DOOR\n\n{CLEANED}"


@pytest.mark.parametrize(
    "kept",
    [
        "“To my mother,” he said, “I owe the lamp.”",
        "To my surprise the lamp was lit, and he had gone.",
        "“The lamp is low, the rain is near.”",
        "PROLOGUE",
        "In the company of a dog.",
        "London was dark.",
        "THE RAIN",
        "AUTHOR'S NOTE",
    ],
)
def test_the_first_words_of_the_story_stay(kept):
    assert cleaned(f"A LAMP\n\nby Nora Writer\n\n{kept}\n\n{BOOK}", header=HEADER) == f"{kept}\n\n{CLEANED}"


def test_nothing_below_the_first_chapter_is_a_page_in_front_of_it():
    below = "TO MY MOTHER\n\nLONDON\n1890\n\nA LAMP"
    text = f"CHAPTER I\n\n{below}\n\n{BOOK}"
    assert cleaned(text, header=HEADER) == f"CHAPTER I\n\n{below}\n\n{CLEANED}"


def test_the_signature_below_an_authors_preface_stays():
    preface = f"FOREWORD\n\n{PARAGRAPH}\n\nNora Writer."
    assert "Nora Writer." in cleaned(f"{preface}\n\nCHAPTER I\n\n{BOOK}", header=HEADER)
