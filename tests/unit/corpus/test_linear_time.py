"""Text code takes time in proportion to the text, and says the same as the plain forms of its rules."""

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.formats.chapter_table import Heading
from mamba_narrative.corpus.normal_forms import normalise
from mamba_narrative.corpus.overlap import authors
from mamba_narrative.corpus.overlap.shingles import word_hashes
from mamba_narrative.corpus.raw import header
from mamba_narrative.corpus.select import features, parts
from mamba_narrative.corpus.select.selection import select_book
from mamba_narrative.corpus.strip import (
    back_matter,
    boilerplate,
    brackets,
    chapters,
    contents,
    front_pages,
    imprint,
    notes,
    prefaces,
    rendering,
)
from mamba_narrative.corpus.strip.paragraphs import Block, split_blocks
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.corpus.strip.typography import Signs, join_lines, mend_divided_words
from mamba_narrative.evaluation import next_chapter as evaluated_chapters
from mamba_narrative.evaluation import text_statistics

HEAD = (
    "The Project Gutenberg EBook of A Tale\n\nTitle: A Tale\n\n*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n\n"
)
PROSE = "It was a cold evening when she came to the door and knocked,\nand nobody in the house answered.\n\n"
END_MARK = "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n"

MAX_GROWTH = 24


def growth(call, make, size, limit=MAX_GROWTH):
    """How many times longer a text of eight times the size takes: 8 for linear time, 64 for quadratic."""
    texts = [make(size), make(8 * size)]
    best = [float("inf")] * 2
    for _ in range(4):
        for place, text in enumerate(texts):
            started = time.process_time()
            call(text)
            best[place] = min(best[place], time.process_time() - started)
        if best[1] / best[0] < limit / 2:
            break  # well below it
    return best[1] / best[0]


def repeated(unit):
    return lambda size: unit * (size // len(unit))


def distinct_hyphens(size):
    lines = size // 60
    return "\n".join(f"the word that nobody in the house had said was {_word(n)}-" for n in range(lines))


def _word(number):
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(5))


@pytest.mark.parametrize(
    ("before", "make", "after"),
    [
        ("", repeated("_"), "\n\nA Tale"),
        ("", repeated("'"), " preface\n\n" + PROSE),
        ("", repeated("e\u0301\u0316\u0301\u0316" + 50 * "\u0301\u0316"), ""),
        (PROSE * 20, repeated(END_MARK), PROSE * 20),
        (PROSE * 20, repeated(END_MARK + PROSE), PROSE * 20),
        ("", repeated("Gutenberg utenberg "), ""),
        ("", distinct_hyphens, ""),
        ("", repeated("[Illustration: [a] "), ""),
        ("", repeated("[Illustration: a dog\n\n"), ""),
        (PROSE * 20, repeated("Transcriber's Note:\n\nA word said.\n\n"), ""),
        (PROSE * 20, repeated("A word,* he said.\n\n* A note.\n\n"), ""),
        ("CONTENTS\n\nCHAPTER I\n\nThe Lamp\n\n" + PROSE * 50 + "CHAPTER I\n\n", repeated("The Lamp\n\n"), ""),
        ("CONTENTS", repeated(" "), "x\n\n" + PROSE * 20),
        ("CONTENTS\n\n", repeated("12\n\n"), ""),
        (PROSE * 20, repeated(PROSE[:-3] + " and\n\n[Illustration]\n\n"), ""),
        (PROSE * 20 + "INDEX\n\n", repeated("Smith, "), "x"),
        (PROSE * 20 + "INDEX\n\n", repeated("-----\n"), ""),
        ("By A", repeated("B"), "!\n\n" + PROSE * 20),
        (PROSE * 5 + "\n\n", repeated("! ? "), "a\n\n" + PROSE),
    ],
    ids=[
        *("underscores", "quotes", "combining marks", "end markers", "end markers and prose", "half a name"),
        *("divided words", "brackets in brackets", "open brackets", "notes of transcribers", "starred notes"),
        *("a heading again and again", "spaces after contents", "numbers of contents", "interrupted sentences"),
        *("index of one name", "lines in an index", "a long author", "ends of sentences"),
    ],
)  # fmt: skip
def test_a_strange_book_takes_no_more_time_for_its_size_than_another(before, make, after):
    def strip(text):
        book = strip_book(f"{HEAD}{before}{text}{after}".encode(), StrippingSettings())
        select_book({"book_id": "1"}, book.text, None, SelectionSettings(), [c.offset for c in book.chapters])

    strip(PROSE)
    assert growth(strip, make, 12_000) < MAX_GROWTH


ANYWHERE, WHOLE, AT_START = re.Pattern.search, re.Pattern.fullmatch, re.Pattern.match
CONTENTS_HEADING = (
    r"[\W_]*(?:(?:the |a )?(?:table|list) of )?"
    r"(?:contents|chapters|illustrations|full[- ]page illustrations|plates|maps)"
    r"(?: (?:of|to) (?:the )?(?:vol|volume|book|part|first|second|third|fourth)\b.{0,30}"
    r"|[ .]*(?:chap\w*)?[. ]*(?:page)?)?[\W_]*"
)
CONTENTS_NUMBER = (
    r"(?i)^\W*(?:(?:chapter|chap\.?|book|part|volume|vol\.?|letter|section|canto|act|scene|stave|"
    r"adventure|episode|story|tale|no\.?)\W+)?"
    r"(?:[ivxlcdm]+|\d{1,3}|(?:the )?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|one|two|three|"
    r"four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|"
    r"(?:twenty|thirty|forty|fifty|sixty)(?:-\w+)?|last))(?:[.:)\]—-]|\s|$)"
)
SCENE_BREAK = (
    r"[\s*]*\*[\s*]*|[\s.]*\.(?:\s+\.){2,}[\s.]*|[\s_~=+#•·—–-]*[_~=+#•·—–-]{3,}[\s_~=+#•·—–-]*|"
    r"\s*[#•·~]\s*|(?:\s*[-—–+#•·~]){3,}\s*"
)
PREFACE = (
    r"[\W_]*(?:the |an? )?(?:[\w'’]+ ){0,3}(?:preface|introduct\w+|foreword|notes?|notice|argument|"
    r"advertisement|prelude|explanatory|proem|apology|memoir|characters|dramatis person\S*|persons\b.{0,40}|"
    r"to the (?:\w+ )?reader.{0,10})\b.{0,60}"
)
SENTENCE_END = r"(?P<marks>[.!?…]+)[\"'”’»)\]_]*(?=\s+[^\w\s]*[^\W_a-z]|\s*\Z)"
FLAGS = re.IGNORECASE
# A rule as it is, how it is used, its plain form, and the pieces of texts that it decides.
RULES = {
    "contents": (contents._HEADING, WHOLE, re.compile(CONTENTS_HEADING, FLAGS),
        ["contents", "list of ", "the ", " ", ".", "chap", "page", "_", "plates", " of the ", "book", "x", "\n"]),
    "number": (contents._NUMBERED, AT_START, re.compile(CONTENTS_NUMBER),
        ["chap", ".", " ", "iv", "12", "the ", "first", "twenty", "-one", "no", ")", "_", "x", "'"]),
    "page": (contents._PAGE_AT_END, ANYWHERE,
        re.compile(r"(?i)(?:[\s.]{2,}|\s)(?:\d{1,4}|[ivxlc]{1,7}|frontispiece|facing page \d+)\W*$"),
        [" ", ".", "12", "iv", "facing page ", "x", "\n", ")", "123456"]),
    "last word": (contents._LAST_WORD, ANYWHERE, re.compile(r"([^\W_]+)[\W_]*$"), ["a", "1", "_", ".", " ", "é", "\n"]),
    "page reference": (features._PAGE_REFERENCE, lambda pattern, text: pattern.search(text) and [],
        re.compile(r"(?:,|\.{2,}|…)\s*\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*\.?$"),
        [",", ".", " ", "12", ";", "-", "…", "a", "12345"]),
    "preface": (front_pages._PREFACE, WHOLE, re.compile(PREFACE, FLAGS),
        ["preface", "introductory", "the ", "a ", "'", "_", "’", " ", "word ", ".", "persons", "x", "\n"]),
    "dedication": (front_pages._DEDICATION_HEADING, WHOLE,
        re.compile(r"[\W_]*(?:the )?(?:dedication|dedicated|dedicatory(?: \w+)?)[\W_]*", FLAGS),
        ["dedicatory", "dedication", "the ", " ", "_", ".", "letter", "\n"]),
    "by": (front_pages._BY, AT_START, re.compile(r"(?i:by)\s+(?:[A-Z][\w.'’-]*\s*){1,5}\W*$"),
        ["by", " ", "A", "a", ".", "'", "-", "!", "_", "1", "\n"]),
    "date": (header._NUMBER, ANYWHERE,
        re.compile(r"\s*[\[(](?:e-?text|e-?book|etext)?\s*#?\s*\d+[\])].*$", FLAGS | re.DOTALL),
        [" ", "[", "(", "etext", "#", "12", "]", ")", "x", "\n"]),
    "decoration": (imprint._DECORATION, lambda pattern, text: list(pattern.finditer(text)),
        re.compile(r"^[\W_]+|[^\w.)\]]+$|_"), ["a", "_", ".", ")", "!", " ", "-", "\n"]),
    "scene break": (rendering._SCENE_BREAK, WHOLE, re.compile(SCENE_BREAK), list("*.#-_~ \n—x")),
    "sentence end": (text_statistics._SENTENCE_END, lambda pattern, text: list(pattern.finditer(text)),
        re.compile(SENTENCE_END), [".", "!", "…", '"', "'", " ", "\n", "A", "a", "_", "1", "-"]),
    "credit": (notes._CREDIT, AT_START,
        re.compile(notes._CREDIT.pattern.replace("]*+(?:", "]*(?:", 1), FLAGS),
        ["*", "(", " ", "_", "[", "produced", " by ", "gutcheck", "this file was ", "x"]),
    "note": (notes._NOTE_HEADING, AT_START,
        re.compile(notes._NOTE_HEADING.pattern.replace("]*+(?:", "]*(?:", 1), FLAGS),
        ["_", "*", " ", "[", "transcriber", "'s", " note", "notes of ", "the ", "x"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=300)
@given(data=st.data())
def test_a_rule_in_linear_time_says_what_its_plain_form_says(name, data):
    pattern, use, plain, pieces = RULES[name]
    text = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=14)))
    found, expected = use(pattern, text), use(plain, text)
    if isinstance(expected, re.Match):
        assert found is not None
        found, expected = [found], [expected]
    if isinstance(expected, list) and expected:
        assert [(m.span(), m.groups()) for m in found] == [(m.span(), m.groups()) for m in expected]
    else:
        assert found == expected


@pytest.mark.parametrize("name", RULES)
def test_a_rule_takes_linear_time_on_runs_of_its_pieces(name):
    pattern, use, _, pieces = RULES[name]
    for piece in pieces:
        assert (
            growth(lambda text: use(pattern, text), lambda size, unit=piece: unit * size + "\x00", 4_000) < MAX_GROWTH
        )


# Lines without a letter or a digit aside: the plain pattern reads across them.
LINES = st.text(st.sampled_from("A a1,.-_\u2013iv"), max_size=9).filter(lambda line: any(map(str.isalnum, line)))


@given(st.lists(st.one_of(LINES, st.sampled_from(["see A", "  see b, 12", "_see_ c", "A", " B.", "12"])), max_size=6))
def test_entries_of_an_index_are_counted_as_by_the_plain_pattern(lines):
    plain = re.compile(
        r"\S.*?(?:,|\s)\s*(?:\d{1,4}|[ivxlc]{1,6})(?:[-–n]\w+)?[.;,]?_?\s*$|^\s*(?:see|_see)\b|^\W*[A-Z]\W*$",
        re.MULTILINE,
    )
    assert back_matter._count_index_entries(lines) == len(plain.findall("\n".join(lines)))


@given(st.text(st.sampled_from("a(b) \n["), max_size=12))
def test_explanations_in_brackets_go_and_a_bracket_that_nothing_closes_stays(text):
    assert prefaces._EXPLANATION.sub(lambda b: b[1] or "", text) == re.sub(r"\(.*?\)", "", text)
    assert authors._EXPLANATION.sub(authors._without_explanation, text) == re.sub(r"\([^)]*\)", " ", text)


@given(st.text(st.sampled_from("a[]\n"), max_size=12))
def test_a_role_is_anything_in_square_brackets(text):
    assert bool(authors._ROLE.match(text)) == bool(re.search(r"\[[^\]]*\]", text))


PARTS = st.sampled_from(["con", "gre", "gation", "la", "Lamp", "a", "é1"])


@settings(max_examples=300)
@given(
    st.lists(st.lists(PARTS, min_size=1, max_size=2).map(" ".join), min_size=1, max_size=5),
    st.lists(st.tuples(PARTS, st.sampled_from(["", "-", " ", "-\n"])).map("".join), max_size=10).map("".join),
)
def test_divided_words_are_mended_as_by_searching_the_book_for_each(pieces, book):
    expected = ""
    for number, piece in enumerate(pieces):
        if number:
            # The line before as it was, not as it was mended.
            first, second = re.search(r"[^\W\d_]{2,}$", pieces[number - 1]), re.match(r"[^\W\d_]{2,}", piece)
            if first and second and second[0][0].islower():
                whole, hyphenated = first[0] + second[0], f"{first[0]}-{second[0]}"
                if re.search(rf"\b{whole}\b", book) and hyphenated not in book:
                    expected = expected[:-1]
        expected += piece + ("-" if number < len(pieces) - 1 else "")
    lines = [f"{piece}-" for piece in pieces[:-1]] + pieces[-1:]
    assert mend_divided_words(join_lines(lines, mark_joints=True), book) == expected


@given(st.text(st.sampled_from("[]a\n"), max_size=30))
def test_brackets_are_paired_as_by_one_stack(text):
    expected, stack = {}, []
    for place, character in enumerate(text):
        if character == "[":
            expected[place] = (None, not stack)
            stack.append(place)
        elif character == "]" and stack:
            opening = stack.pop()
            expected[opening] = (place + 1, expected[opening][1])
    found = list(brackets._pairs(text, 0, len(text)))
    assert [(p.opening, p.close, p.is_outermost) for p in found] == [(o, *rest) for o, rest in sorted(expected.items())]


@given(st.lists(st.sampled_from(["a", "*", "utenb", "\n", "*\n", "x utenb\n"]), max_size=12).map("".join))
def test_suspicious_lines_are_those_that_hold_a_sign(text):
    starts = {text.rfind("\n", 0, match.start()) + 1 for match in boilerplate._SUSPICIOUS.finditer(text)}
    assert boilerplate._suspicious_lines(text) == sorted(starts)


MARKS = [
    END_MARK,
    "*** START OF THIS PROJECT GUTENBERG EBOOK B ***\n",
    "*END*THE SMALL PRINT!\n",
    "x " * 3_000 + "\n",
    "a\n",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(MARKS), max_size=9).map("".join))
def test_what_is_cut_inside_a_book_is_what_looking_ahead_from_each_mark_finds(text):
    markers = boilerplate.find_markers(text)
    expected, position = [], 0
    while position < len(markers):
        last = position
        for later in range(position + 1, len(markers)):
            if boilerplate._is_foreign_between(text, markers[later - 1], markers[later]):
                break
            if markers[position].kind in boilerplate._CLOSES_BOOK and markers[later].kind in boilerplate._OPENS_BOOK:
                last = later
        expected.append((markers[position].start, markers[last].end))
        position = last + 1
    assert [(span.start, span.end) for span in boilerplate._inside(text, markers, [])] == expected


@given(st.lists(st.integers(0, 2), max_size=24))
def test_a_loop_is_the_same_phrase_three_times_at_the_end(ids):
    expected = any(ids[-n:] * 3 == ids[-3 * n :] for n in range(2, len(ids) // 3 + 1))
    assert text_statistics.ends_in_loop(ids) == expected


def test_loops_are_looked_for_in_linear_time():
    assert growth(text_statistics.ends_in_loop, lambda size: [1] * size + [2], 4_000) < MAX_GROWTH


MARKS_OF_LETTERS = "\u0301\u0316\u0345\u0f73\u0f71\u0344\uff9e\u3099a\u00e9\u1f82\u05b0\uac00\u1161"


@settings(deadline=None)
@given(
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
    st.lists(st.text(st.sampled_from(MARKS_OF_LETTERS), max_size=5).map(lambda t: t * 12), max_size=6).map("".join),
)
def test_normal_forms_are_those_of_unicode(form, text):
    assert normalise(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("unit", ["\u0301\u0316", "\u0f73", "\u0301\uff9e"])
def test_marks_are_put_in_order_in_linear_time(unit):
    normalise("NFKD", unit * 50)
    assert growth(lambda text: normalise("NFKD", text), repeated(unit), 8_000) < MAX_GROWTH


def test_one_long_word_among_short_ones_is_hashed_in_linear_time():
    assert growth(word_hashes, lambda size: "ab " * size + "x" * size, 8_000) < MAX_GROWTH


HEADINGS = st.lists(
    st.sampled_from(["CHAPTER I", "I", "II", "The Lamp", "PROLOGUE", "A Dog\nand Rain", "Part Two"]), max_size=7
)


@given(HEADINGS, st.sets(st.integers(0, 6)))
def test_a_number_and_the_titles_right_below_it_are_one_heading(headings, apart):
    found, offset = [], 0
    for number, heading in enumerate(headings):
        found.append(chapters.Chapter(offset, heading))
        offset += len(heading) + 2 + 5 * (number in apart)
    expected = []
    for chapter in found:
        above = expected[-1] if expected else None
        if (
            above is not None
            and above.offset + len(above.heading) + 2 == chapter.offset
            and chapters._says_number(above.heading)
            and not chapters._says_number(chapter.heading)
            and chapters._NAMED.fullmatch(chapter.heading) is None
        ):
            expected[-1] = chapters.Chapter(above.offset, f"{above.heading}\n\n{chapter.heading}")
        else:
            expected.append(chapter)
    assert chapters._with_titles(found) == expected


@given(st.lists(st.sampled_from(["A TITLE", "word " * 60, "I", "Two\nlines", "THE LAMP"]), min_size=1, max_size=8))
def test_sections_end_at_the_first_title_after_enough_words(paragraphs):
    text = "\n\n".join(paragraphs)
    begins = sorted({0, *(at for at in parts._lines_in_capitals(text) if not parts._NUMBERED.match(text, at))})
    expected, start = [], 0
    for end in [*begins[1:], len(text)]:
        if len(text[start:end].split()) >= parts._MIN_SECTION_WORDS or end == len(text):
            expected.append((start, end))
            start = end
    assert parts._sections(text, []) == expected


@given(
    st.lists(
        st.sampled_from(["Spelling was retained.", "It rained.", "page 12: a", "word " * 30]), min_size=1, max_size=30
    )
)
def test_back_matter_is_what_talks_like_notes_near_the_end(paragraphs):
    blocks = list(split_blocks("\n\n".join(paragraphs)))
    expected = set()
    for number in range(len(blocks)):
        rest = blocks[number:]
        size = rest[-1].end - rest[0].start
        said = sum(len(block.text) for block in rest if notes._continues_note(block, first=False))
        if size <= 0.1 * (rest[-1].end - blocks[0].start) and said >= 0.3 * sum(len(block.text) for block in rest):
            expected.add(number)
    assert notes._back_matter(blocks) == expected


@given(
    st.lists(
        st.lists(st.sampled_from(["A", "B 12", "CHAPTER I", "The Lamp. 7", "b"]), min_size=1, max_size=3), min_size=1
    )
)
def test_an_entry_is_known_from_the_first_block_that_has_it(entries):
    *listed, last = [Block(0, 0, tuple(lines)) for lines in entries]
    seen = contents._Seen()
    for block in listed:
        seen.add(block)
    titles = {key for line in last.lines if (key := contents.title_key(line))}
    expected = [
        place
        for place, keys in enumerate(map(contents._keys, listed))
        if keys & contents._keys(last) or titles & set(map(contents.title_key, keys))
    ]
    assert seen.first_place(last) == (expected[0] if expected else None)


def test_headings_that_a_shortened_book_lacks_are_looked_for_in_linear_time():
    def breaks(text):
        missing = [Heading(3 * n + 1, f"CHAPTER {n}\n\nNo") for n in range(len(text) // 20)]
        evaluated_chapters._breaks(text, missing)

    assert growth(breaks, repeated("CHAPTER 1\n\nYes\n\n"), 8_000) < MAX_GROWTH


def test_the_title_before_a_stop_is_looked_for_nearby():
    assert growth(text_statistics.split_sentences, repeated("It rained. "), 8_000) < MAX_GROWTH
    assert text_statistics.split_sentences("We saw Messrs. Smith. All left.") == ["We saw Messrs. Smith.", "All left."]


def test_many_marks_of_footnotes_cost_no_more_than_few():
    def remove(marks):
        Signs(StrippingSettings(), [f"({number})" for number in range(1, marks)]).removed_from(PROSE * 300)

    assert growth(remove, int, 100, limit=4) < 4
