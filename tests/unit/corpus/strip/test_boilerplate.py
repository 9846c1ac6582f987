import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.corpus.raw.header import parse_header
from mamba_narrative.corpus.strip.boilerplate import find_boundaries
from unit.corpus.stripping_texts import kept_stretches

PROSE = "The lamp went out before the tale was done, and nobody in the room said a word about it.\n"
BODY = "CHAPTER I\n\n" + (PROSE * 8 + "\n") * 30
FIELDS = "Title: A Lamp\n\nAuthor: N. Writer\n\nRelease Date: May 1, 2001 [EBook #99]\n\nLanguage: English\n\n"
# The licence in other words: as dense in the same terms as the real one.
LICENCE = (
    "You may copy this eBook under the Project Gutenberg licence, without any warranty or refund.\n"
    "Donations to the Foundation are tax deductible; volunteers proofread and distribute electronic works.\n\n"
) * 60
SMALL_PRINT_TEXT = (
    'This "Small Print!" disclaims our liability for this etext; read the licence, copyright and refund.\n' * 40
)
OLD_TOP = "**The Project Gutenberg Etext of A Lamp, by N. Writer**\n\nInformation on etexts and donations is below.\n\n"
SMALL_START = "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\n"
SMALL_END = "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n"
MODERN_TOP = "The Project Gutenberg EBook of A Lamp, by N. Writer\n\nThis eBook is for anyone.\n\n" + FIELDS
MODERN_END = "*** END OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n\n" + LICENCE

STYLES = {
    "modern": (MODERN_TOP + "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n", MODERN_END),
    "of the": (MODERN_TOP + "*** START OF THE PROJECT GUTENBERG EBOOK A LAMP ***\n", MODERN_END.replace("THIS", "THE")),
    "unspaced": (
        MODERN_TOP + "***START OF THE PROJECT GUTENBERG EBOOK A LAMP***\n",
        "***END OF THE PROJECT GUTENBERG EBOOK A LAMP***\n\n" + LICENCE,
    ),
    "wrapped title": (
        MODERN_TOP + "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP, OR THE TALE THAT\nNOBODY HEARD ***\n",
        "*** END OF THIS PROJECT GUTENBERG EBOOK A LAMP, OR THE TALE THAT\nNOBODY HEARD ***\n\n" + LICENCE,
    ),
    "wrapped before the name": (
        MODERN_TOP + "*** START OF THIS\nPROJECT GUTENBERG EBOOK A LAMP ***\n",
        "*** END OF THIS\nPROJECT GUTENBERG EBOOK A LAMP ***\n" + LICENCE,
    ),
    "misspelt": (
        MODERN_TOP + "*** START OF THE PROJECT GUTENBURG EBOOK A LAMP ***\n",
        "*** END OF THE PROJECT GUTENBURG EBOOK A LAMP ***\n" + LICENCE,
    ),
    "number only": (
        "*** START OF THE PROJECT GUTENBERG EBOOK 99 ***\n",
        "*** END OF THE PROJECT GUTENBERG EBOOK 99 ***",
    ),
    "small print before": (
        OLD_TOP + SMALL_START + SMALL_PRINT_TEXT + SMALL_END,
        "End of the Project Gutenberg Etext of A Lamp\n",
    ),
    "small print before, spelt with a space": (
        OLD_TOP + SMALL_START + SMALL_PRINT_TEXT + SMALL_END.replace("*END*THE", "*END THE"),
        "End of Project Gutenberg's A Lamp, by N. Writer\n",
    ),
    "small print after": (
        MODERN_TOP + "*** START OF THE PROJECT GUTENBERG EBOOK, A LAMP ***\n",
        "*** END OF THE PROJECT GUTENBERG EBOOK, A LAMP ***\n\n" + SMALL_START + SMALL_PRINT_TEXT + SMALL_END,
    ),
    "end line and end marker": (
        STYLE_START := MODERN_TOP + "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n",
        "End of the Project Gutenberg EBook of A Lamp, by\nN. Writer\n\n" + MODERN_END,
    ),
    "full licence": (
        STYLE_START,
        "End of this Project Gutenberg Etext\n\n" + LICENCE + "*** START: FULL LICENSE ***\n" + LICENCE,
    ),
    "two start markers": (STYLE_START + "\nProduced by volunteers at www.pgdp.net\n\n" + STYLE_START, MODERN_END),
    "German": (
        MODERN_TOP + "*** ANFANG DES PROJEKT GUTENBERG EBOOK A LAMP ***\n",
        "Ende dieses Project Gutenberg Etextes A Lamp\n\n" + LICENCE,
    ),
    "French": (
        MODERN_TOP + "*** DÉBUT DU PROJET GUTENBERG EBOOK A LAMP ***\n",
        "*** FIN DU PROJET GUTENBERG EBOOK A LAMP ***\n\n" + LICENCE,
    ),
    "no markers at all, but a frame": (MODERN_TOP, "\n\n" + LICENCE),
    "naked": ("", ""),
}


@pytest.mark.parametrize("style", STYLES)
def test_each_style_yields_exactly_the_book(style):
    header, footer = STYLES[style]
    found = find_boundaries(f"{header}\n\n{BODY}\n\n{footer}", 0.4)
    text = f"{header}\n\n{BODY}\n\n{footer}"
    assert text[found.start : found.end].strip() == BODY.strip()
    assert len([span for span in found.removed if span.rule.startswith(("licence", "marker"))]) == 0


@pytest.mark.parametrize("style", [style for style in STYLES if style != "naked"])
@pytest.mark.parametrize("body", ["A poem\nof two lines.", "One word."])
def test_a_tiny_book_survives_a_licence_many_times_its_size(style, body):
    header, footer = STYLES[style]
    text = f"{header}\n\n{body}\n\n{footer}"
    found = find_boundaries(text, 0.4)
    kept = text[found.start : found.end]
    assert body in kept or any(warning.startswith(("no_", "header_not", "footer_not")) for warning in found.warnings)
    if not any("not_cut" in warning or "no_" in warning for warning in found.warnings):
        assert kept.strip() == body


def test_the_small_print_end_in_the_footer_does_not_take_the_book_with_it():
    text = BODY + SMALL_START + SMALL_PRINT_TEXT + SMALL_END
    found = find_boundaries(text, 0.4)
    assert (found.start, text[found.start : found.end]) == (0, BODY)


def test_two_books_in_one_file_both_stay_and_the_licence_between_them_goes():
    header, footer = STYLES["modern"]
    text = header + BODY + footer + header + BODY + footer
    found = find_boundaries(text, 0.4)
    kept = "".join(text[start:end] for start, end in kept_stretches(found.removed, len(text)))
    assert kept == BODY + BODY
    assert any(warning.startswith("licence_inside") for warning in found.warnings)


def test_an_end_line_in_the_middle_is_cut_alone():
    header, footer = STYLES["modern"]
    text = header + BODY + "End of Project Gutenberg's A Lamp, Part 1\n" + BODY + footer
    found = find_boundaries(text, 0.4)
    kept = "".join(text[start:end] for start, end in kept_stretches(found.removed, len(text)))
    assert kept == BODY + BODY


def test_a_large_stretch_that_does_not_read_like_boilerplate_is_kept_whatever_the_marker_says():
    marker = "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n"
    text = BODY + marker + BODY
    found = find_boundaries(text, 0.4)
    kept = "".join(text[start:end] for start, end in kept_stretches(found.removed, len(text)))
    assert kept == BODY + BODY


def test_a_large_header_that_reads_like_boilerplate_is_cut_with_a_warning():
    text = MODERN_TOP + LICENCE * 4 + "*** START OF THE PROJECT GUTENBERG EBOOK A LAMP ***\n" + BODY
    found = find_boundaries(text, 0.4)
    assert text[found.start : found.end] == BODY
    assert any(warning.startswith("large_header") for warning in found.warnings)


def test_a_book_that_speaks_of_ends_and_prints_is_not_cut():
    line = "He saw the end of the small print, *started*, and put the book of Gutenberg's trade down.\n"
    text = STYLES["modern"][0] + (PROSE * 5 + line) * 40 + STYLES["modern"][1]
    found = find_boundaries(text, 0.4)
    assert text[found.start : found.end] == (PROSE * 5 + line) * 40


PIECES = [
    PROSE * 3, "\n", LICENCE[:400], SMALL_START, SMALL_END, MODERN_TOP, FIELDS, "***", "*** END",
    "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n", "*** END OF THIS PROJECT GUTENBERG EBOOK X\n",
    "End of Project Gutenberg's X\n", "*** START: FULL LICENSE ***\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.floats(0.05, 0.9))
@settings(max_examples=200, deadline=None)
def test_removed_and_kept_stretches_account_for_every_character(text, max_cut_fraction):
    found = find_boundaries(text, max_cut_fraction)
    position = 0
    for span in found.removed:
        assert position <= span.start < span.end <= len(text)
        position = span.end
    removed = sum(span.end - span.start for span in found.removed)
    kept = sum(end - start for start, end in kept_stretches(found.removed, len(text)))
    assert removed + kept == len(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (FIELDS, ("A Lamp", "N. Writer", "English", "May 1, 2001")),
        ("Title: A Lamp\n       Or the Tale\n\nAuthor: N. Writer\n", ("A Lamp Or the Tale", "N. Writer", None, None)),
        ("**The Project Gutenberg Etext of A Lamp, by N. Writer**\n\nJuly, 1993  [Etext #73]\n",
         ("A Lamp", "N. Writer", None, "July, 1993")),
        ("Project Gutenberg's A Lamp, or the Tale that\nNobody Heard, by N. Writer\n\n",
         ("A Lamp, or the Tale that Nobody Heard", "N. Writer", None, None)),
        ("Some other text\n", (None, None, None, None)),
    ],
)  # fmt: skip
def test_header_fields_are_read_also_where_they_wrap(header, expected):
    parsed = parse_header(header)
    assert (parsed.title, parsed.author, parsed.language, parsed.release_date) == expected
