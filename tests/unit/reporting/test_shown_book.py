import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.encoding import decode
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.reporting.shown_book import HEADING, lines_of, summary, to_html, to_terminal

REPOSITORY = Path(__file__).resolve().parents[3]
PROSE = "The lamp went out before the tale was done, and nobody in the room said a word about it.\n"
RAW = (
    "The Project Gutenberg EBook of A Lamp, by N. Writer\n\nTitle: A Lamp\n\nAuthor: N. Writer\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n\nProduced by A Volunteer\n\nA LAMP\n\nby N. Writer\n\n"
    f"CHAPTER I\n\n{PROSE * 5}\nA dog [Illustration: a <dog>] lay down beside the door.\n\n{PROSE * 30}\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n" + "A line of the licence of Project Gutenberg eBooks.\n" * 40
).encode()


@pytest.fixture(scope="module")
def book():
    return strip_book(RAW, StrippingSettings())


def test_every_line_of_the_file_is_shown_once_and_in_order(book):
    text = decode(RAW).text
    assert "\n".join(line.text for line in lines_of(text, book)) == text


def test_lines_say_what_became_of_them(book):
    rules = {line.text: line.rule for line in lines_of(decode(RAW).text, book) if line.text}
    assert rules["Produced by A Volunteer"] == "producer_credit"
    assert rules["CHAPTER I"] == HEADING
    assert rules[PROSE.strip()] is None
    partly = next(line for line in lines_of(decode(RAW).text, book) if "dog" in line.text)
    assert (partly.rule, partly.begins) == (None, "illustration")
    assert partly.pieces[1] == ("[Illustration: a <dog>]", "illustration")


def test_the_terminal_shows_the_reason_beside_each_removal(book):
    shown = "\n".join(to_terminal("12", decode(RAW).text, book, colour=False))
    assert "producer_credit - Produced by A Volunteer" in shown
    assert "chapter ━ CHAPTER I" in shown
    assert "more lines" in shown
    assert all(f"{size:,} characters" in shown for _, _, size in summary(book))
    assert "\x1b" not in shown
    coloured = "\n".join(to_terminal("12", decode(RAW).text, book, colour=True))
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).replace(" ", "") == shown.replace(" ", "")


def test_brief_output_shortens_what_was_kept(book):
    text = decode(RAW).text
    brief, whole = (list(to_terminal("12", text, book, colour=False, brief=brief)) for brief in (True, False))
    assert len(brief) < len(whole)


def test_the_page_is_self_contained_and_escapes_the_book(book):
    page = to_html("12", decode(RAW).text, book)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "<dog>" not in page
    assert "a &lt;dog&gt;" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert '<h2 id="c0">CHAPTER I</h2>' in page


@given(st.lists(st.sampled_from(["\n", "word. ", "[Illustration]", "CONTENTS\n\n", "I. A  3\n", "\n\n"]), max_size=25))
@settings(max_examples=100, deadline=None)
def test_any_text_is_shown_whole(parts):
    text = "".join(parts)
    stripped = strip_book(text.encode(), StrippingSettings())
    assert "\n".join(line.text for line in lines_of(text, stripped)) == text
    to_html("x", text, stripped)


def test_the_command_shows_a_sample_book_and_refuses_an_unknown_one(tmp_path):
    def run(*arguments):
        command = [sys.executable, str(REPOSITORY / "scripts" / "show_book.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    page = tmp_path / "book.html"
    assert run("900001", "--html", str(page)).returncode == 0
    assert "Holmby" in page.read_text(encoding="utf-8")
    assert "header_start_marker" in run("900001", "--brief").stdout
    unknown = run("1")
    assert unknown.returncode == 2
    assert "no book 1" in unknown.stderr
