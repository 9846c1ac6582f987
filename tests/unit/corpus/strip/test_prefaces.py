import pytest

from mamba_narrative.corpus.raw.header import Header
from unit.corpus.stripping_texts import BOOK, CLEANED, HEADER, JOINED, cleaned, rules, warnings

ABOUT = (
    "Few readers of this edition will need to be told who Writer was. When the novel was\n"
    "first published, the critics thought little of it; Writer herself never read them, and\n"
    "went on writing romances in a room above a stable until the original text was lost."
)
FRAME = (
    "I found these papers in a box below the stairs of the inn, tied with a cord, and I have\n"
    "changed nothing in them but the names. Whoever wrote them sat in the dark, and knew it.\n"
    "The reader may believe them or not; I have seen the lamp with my own eyes."
)


@pytest.mark.parametrize(
    "heading",
    [
        "INTRODUCTION",
        "PREFACE",
        "EDITOR'S NOTE",
        "Introduction by M. Hand",
        "BIOGRAPHICAL NOTE",
        "TRANSLATOR’S PREFACE",
    ],
)
@pytest.mark.parametrize("below", ["CHAPTER I", "PART ONE\n\nTHE RAIN", "A LAMP\n\nI"])
def test_a_preface_that_speaks_of_the_author_goes(heading, below):
    text = f"{heading}\n\n{ABOUT}\n\nM. HAND.\n\n{below}\n\n{BOOK}"
    assert cleaned(text, header=HEADER) == f"{below.removeprefix('A LAMP').strip()}\n\n{CLEANED}"
    assert "preface" in rules(text, HEADER)


@pytest.mark.parametrize("heading", ["PREFACE", "INTRODUCTION", "TO THE READER", "EDITOR'S PREFACE", "FOREWORD"])
def test_a_frame_that_is_part_of_the_story_stays(heading):
    text = f"{heading}\n\n{FRAME}\n\nCHAPTER I\n\n{BOOK}"
    assert cleaned(text, header=HEADER) == f"{heading}\n\n{' '.join(FRAME.split())}\n\nCHAPTER I\n\n{CLEANED}"


@pytest.mark.parametrize(
    "own",
    [
        f"{ABOUT}\n\nNORA WRITER",
        f"{ABOUT}\n\nN. W.",
        f"{ABOUT} I wrote my first novel there, and my readers were kind to my heroine.",
    ],
)
def test_the_authors_own_preface_stays(own):
    assert "preface" not in rules(f"PREFACE\n\n{own}\n\nCHAPTER I\n\n{BOOK}", HEADER)


def test_without_an_author_only_the_writers_office_tells():
    text = f"INTRODUCTION\n\n{ABOUT}\n\nCHAPTER I\n\n{BOOK}"
    assert "preface" not in rules(text, Header())
    assert "preface" in rules(text.replace("INTRODUCTION", "TRANSLATOR'S INTRODUCTION"), Header())


def test_an_author_whose_name_is_a_word_must_be_named_in_full():
    london = ABOUT.replace("Writer herself", "London itself").replace("Writer was", "London was")
    text = f"INTRODUCTION\n\n{london}\n\nCHAPTER I\n\n{BOOK}"
    assert "preface" not in rules(text, Header("A Lamp", "Jack London"))
    assert "preface" in rules(text.replace("London", "Jack London"), Header("A Lamp", "Jack London"))


def test_accents_and_genitives_do_not_hide_the_author():
    text = f"INTRODUCTION\n\n{ABOUT.replace('Writer', 'Brontë’s sister')}\n\nCHAPTER I\n\n{BOOK}"
    assert "preface" in rules(text, Header("A Lamp", "Emily Bronte"))


def test_an_afterword_goes_too():
    assert cleaned(f"{BOOK}\n\nAFTERWORD\n\n{ABOUT}\n\nM. HAND.", header=HEADER) == CLEANED


def test_a_preface_longer_than_an_eighth_of_the_book_stays_with_a_warning():
    text = f"INTRODUCTION\n\n{ABOUT}\n\n{BOOK[: len(BOOK) // 3]}\n\nCHAPTER I\n\n{BOOK}"
    assert "preface" not in rules(text, HEADER)
    assert "large_preface_kept" in warnings(text, HEADER)


def test_a_preface_in_which_people_talk_is_a_story():
    talk = "“Writer is dead,” said the host.\n\n“Writer was never born,” he replied.\n\n“So,” said the dog."
    text = f"INTRODUCTION\n\n{talk}\n\n{talk}\n\nCHAPTER I\n\n{BOOK}"
    assert "preface" not in rules(text, HEADER)
    assert JOINED in cleaned(text, header=HEADER)
