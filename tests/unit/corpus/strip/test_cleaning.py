import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.strip.spans import Span, mask
from unit.corpus.stripping_texts import BOOK, CLEANED, JOINED, PARAGRAPH, cleaned, kept_stretches, rules


@pytest.mark.parametrize(
    ("rule", "front"),
    [
        ("producer_credit", "Produced by A Volunteer and the Online\nDistributed Proofreading Team at www.pgdp.net"),
        ("producer_credit", "This etext was prepared by A Volunteer"),
        ("producer_credit", "E-text prepared by A Volunteer"),
        ("transcriber_note", "[Transcriber's Note: misprints [two of them] were\ncorrected.\n\nNothing else.]"),
        ("transcriber_note", "Transcriber's Notes:\n\nSpelling was retained.\n\nHyphens were changed."),
        ("transcriber_note", "+-----------------+\n| Transcriber's Note: |\n| Typos corrected. |\n+-----------------+"),
        ("gutenberg_note", "There is an improved edition of this title at Project Gutenberg."),
        ("illustration", "[Illustration]"),
        ("illustration", "[Illustration: A lamp [drawn\n\nby hand] on a table]"),
        ("illustration", "[Frontispiece: A lamp]"),
    ],
)
def test_what_is_not_the_book_goes(rule, front):
    assert cleaned(f"{front}\n\n{BOOK}") == CLEANED
    assert rules(f"{front}\n\n{BOOK}") == {rule}


def test_a_transcribers_note_at_the_end_goes_to_the_last_line():
    note = "TRANSCRIBER'S NOTES\n\nPage 3: lampe changed to lamp.\n\nChapter 2.\n\nPage 9: hyphen removed."
    assert cleaned(f"{BOOK}\n\n{note}") == CLEANED


@pytest.mark.parametrize(
    "kept",
    [
        "[Enter the butler.]",
        "[Drawing his sword, and falling back.]",
        "“Produced by whom?” he asked.",
        "She had transcribed it herself, and noted the time.",
        "CONTENTS of the drawer were on the floor.",
        "PREFACE",
        "1865.",
    ],
)
def test_what_only_resembles_apparatus_stays(kept):
    assert cleaned(f"{PARAGRAPH}\n\n{kept}\n\n{BOOK}") == f"{JOINED}\n\n{kept}\n\n{CLEANED}"


def test_an_illustration_whose_bracket_is_never_closed_takes_no_more_than_its_paragraph():
    assert cleaned(f"{PARAGRAPH}\n\n[Illustration: A lamp\n\n{BOOK}") == f"{JOINED}\n\n{CLEANED}"


CONTENTS = {
    "numbers and pages": "CONTENTS\n\n I. THE LAMP      1\n II. THE RAIN     20\n III. THE DOG     31",
    "one line a block": "Contents\n\nCHAPTER I. THE LAMP\n\nCHAPTER II. THE RAIN\n\nCHAPTER III. THE DOG",
    "titles only": "Table of Contents\n\nTHE LAMP\nTHE RAIN\nTHE DOG",
}


@pytest.mark.parametrize("style", CONTENTS)
@pytest.mark.parametrize("heading", ["CHAPTER I\n\nTHE LAMP", "I. THE LAMP", "THE LAMP"])
def test_contents_go_but_the_first_heading_of_the_text_stays(style, heading):
    text = f"{CONTENTS[style]}\n\n{heading}\n\n{BOOK}\n\nTHE RAIN\n\n{BOOK}\n\nTHE DOG\n\n{BOOK}"
    result = cleaned(text)
    assert result == f"{heading}\n\n{CLEANED}\n\nTHE RAIN\n\n{CLEANED}\n\nTHE DOG\n\n{CLEANED}"
    assert rules(text) == {"contents"}


def test_contents_of_several_parts_go_and_the_first_headings_of_the_text_stay():
    contents = "CONTENTS\n\nPART I\n\n 1. THE LAMP\n 2. THE RAIN\n\nPART II\n\n 3. THE DOG\n 4. THE DOOR"
    text = "PART ONE\n\nCHAPTER I\n\nTHE LAMP\n\n“It is dark,” said the dog."
    assert cleaned(f"{contents}\n\n{text}\n\n{BOOK}") == f"{text}\n\n{CLEANED}"


def test_a_title_without_a_page_below_entries_with_pages_is_the_first_of_the_text():
    contents = (
        "LIST OF CHAPTERS\n\n                    PAGE\nThe Lamp          1\nThe Rain        20\nThe Dog        31"
    )
    text = "\n\n".join(
        ["The Old Lamp", *(f"Night {word} came, and nobody lit the lamp." for word in ("one", "two", "three"))]
    )
    assert cleaned(f"{contents}\n\n{text}\n\n{BOOK}") == f"{text}\n\n{CLEANED}"


def test_contents_in_words_go_up_to_the_first_chapter():
    contents = (
        "CONTENTS\n\nPART 1\n\n  ONE  THE LAMP\n  TWO  THE RAIN\n\nPART 2\n\n  TWENTY-ONE  THE DOG\n  SIXTY  THE DOOR"
    )
    text = f"CHAPTER ONE\n\nTHE LAMP\n\n“Dark,” said the dog, and sat.\n\n{BOOK}"
    assert cleaned(f"{contents}\n\n{text}").startswith("CHAPTER ONE\n\nTHE LAMP\n\n“Dark,”")


def test_footnotes_go_with_their_marks_wherever_they_stand():
    aside = "[Footnote A: An aside,\n\nwith two paragraphs.]"
    text = f"{PARAGRAPH}[1] And more.[A]\n\n{aside}\n\n{BOOK}\n\nFOOTNOTES:\n\n[1] Said so."
    assert cleaned(text) == f"{JOINED} And more.\n\n{CLEANED}"


def test_a_bracketed_number_that_no_mark_leads_to_stays_a_paragraph():
    assert "said aloud" in cleaned(f"[1] said aloud\n\n{BOOK}")


def test_signs_of_the_typist_go_and_blanks_stay():
    text = "He _said_ it, _twice\nover_, to Mr. ____ of =Lamp= & Co.{12} on page[Pg 13] one, H_2O, a = b = c."
    assert " ".join(cleaned(f"{text}\n\n{BOOK}").split()).startswith(
        "He said it, twice over, to Mr. ____ of Lamp & Co. on page one, H_2O, a = b = c."
    )


@pytest.mark.parametrize("line", ["*", "***", "  *       *       *", "* * * * *", "-----", "· · ·", "_____"])
def test_scene_breaks_are_written_one_way(line):
    assert cleaned(f"{PARAGRAPH}\n\n{line}\n\n{line}\n\n{BOOK}") == f"{JOINED}\n\n* * *\n\n{CLEANED}"


VERSE = "The lamp is low, the rain is near,\n  The dog is at the door,\nAnd he is here\n  To tell no more."
LETTER = "LONDON, May 1.\n\nMy dear friend,"
LIST = "One lamp\nTwo dogs\nThree doors"
LONG_VERSE = "\n".join(
    f"And line the {word} goes on and on until the rain has reached the door"
    for word in ["first", "next", "third", "last"]
)


@pytest.mark.parametrize("lines", [VERSE, LETTER, LIST, LONG_VERSE])
def test_verse_letters_and_lists_keep_their_lines(lines):
    assert cleaned(f"{PARAGRAPH}\n\n{lines}\n\n{BOOK}") == f"{JOINED}\n\n{lines}\n\n{CLEANED}"


def test_an_indented_quotation_in_prose_is_unwrapped_too():
    quotation = "\n".join(f"    {line}" for line in PARAGRAPH.split("\n"))
    assert cleaned(f"{BOOK}\n\n{quotation}\n\n{PARAGRAPH}") == f"{CLEANED}\n\n{JOINED}\n\n{JOINED}"


def test_paragraphs_told_apart_by_indents_are_separated():
    block = "\n".join(f"   {PARAGRAPH}" for _ in range(5))
    assert cleaned(f"{block}\n\n{BOOK}") == "\n\n".join([JOINED] * 5) + f"\n\n{CLEANED}"


def test_dashes_and_hyphens_at_line_ends_are_joined_without_a_space():
    text = PARAGRAPH.replace("in the room\nsaid", "in the room--\nsaid").replace("the dog\nlay", "the watch-\ndog lay")
    assert "in the room--said" in cleaned(f"{text}\n\n{BOOK}")
    assert "the watch-dog lay" in cleaned(f"{text}\n\n{BOOK}")


def test_unwrapping_can_be_switched_off():
    assert cleaned(BOOK, StrippingSettings(unwrap_paragraphs=False)) == BOOK


SWITCHES = {
    "remove_credits": "Produced by A Volunteer",
    "remove_transcriber_notes": "[Transcriber's Note: misprints were corrected.]",
    "remove_illustrations": "[Illustration: A lamp]",
    "remove_footnotes": "[Footnote A: An aside.]",
    "remove_page_numbers": "[Pg 12]",
    "remove_sidenotes": "[Sidenote: The lamp goes out.]",
    "remove_lists_of_illustrations": "ILLUSTRATIONS\n\n A LAMP      1\n THE RAIN     20\n A DOG     31",
    "remove_contents": "CONTENTS\n\n I. THE LAMP      1\n II. THE RAIN     20\n III. THE DOG     31",
    "remove_markup": "_A lamp_",
    "normalise_scene_breaks": "*****",
}


FRONT_SWITCHES = {
    "remove_dedications": "TO\n\nMY MOTHER",
    "remove_advertisements": "BY THE SAME AUTHOR\n\nTHE RAIN, Crown 8vo, 6s.",
    "remove_title_page": "Printed in Great Britain\n\nLondon, 1890",
    "remove_prefaces": "TRANSLATOR'S PREFACE\n\n"
    + "This translation of the novel follows the first edition, now lost.\n" * 3,
}
BACK_SWITCHES = {
    "remove_indexes": "INDEX\n\nLamp, 12\nRain, 13\nDog, 14",
    "remove_glossaries": "GLOSSARY\n\nLamp, a light.\n\nRain, water.",
    "remove_appendices": "APPENDIX\n\nA list of all lamps.",
}


@pytest.mark.parametrize("switch", FRONT_SWITCHES | BACK_SWITCHES)
def test_every_rule_for_front_and_back_has_a_switch(switch):
    story = f"CHAPTER I\n\n{BOOK}\n\n{BOOK}"
    part = FRONT_SWITCHES.get(switch) or BACK_SWITCHES[switch]
    text = f"{part}\n\n{story}" if switch in FRONT_SWITCHES else f"{story}\n\n{part}"
    first_word = part.split("\n")[0]
    assert first_word in cleaned(text, StrippingSettings(**{switch: False}))
    assert cleaned(text) == f"CHAPTER I\n\n{CLEANED}\n\n{CLEANED}"


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_rule_has_a_switch(switch):
    text = f"{PARAGRAPH}\n\n{SWITCHES[switch]}\n\n{BOOK}"
    first_word = SWITCHES[switch].split("\n")[0]
    assert first_word in cleaned(text, StrippingSettings(**{switch: False}))
    assert first_word not in cleaned(text)


@given(
    st.text(st.sampled_from("ab \n[]"), max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=5),
)
def test_masking_keeps_offsets_and_line_ends(text, pairs):
    spans = [Span(min(a, len(text)), min(max(a, b), len(text)), "x") for a, b in pairs]
    masked = mask(text, spans)
    assert len(masked) == len(text)
    assert [i for i, c in enumerate(masked) if c == "\n"] == [i for i, c in enumerate(text) if c == "\n"]
    for start, end in kept_stretches(spans, len(text)):
        assert masked[start:end] == text[start:end]
