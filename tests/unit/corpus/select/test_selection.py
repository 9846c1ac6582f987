"""Which books are kept: form, narration, catalogue, language and length, each with its reason."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.selection import SelectionSettings
from mamba_narrative.corpus.formats.audit import write_audit
from mamba_narrative.corpus.formats.chapter_table import write_chapters
from mamba_narrative.corpus.formats.selection_table import read_selection, read_selections, write_selection
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry
from mamba_narrative.corpus.select.features import forms_of, measure_text
from mamba_narrative.corpus.select.selection import select_book, select_shard
from mamba_narrative.errors import FileFormatError, UserError
from unit.corpus.selection_texts import (
    NAMES,
    essay,
    french,
    index,
    letters,
    play,
    poems,
    present_story,
    recipes,
    story,
    wrapped,
)
from unit.corpus.stripped_shard import write_stripped

DEFAULTS = SelectionSettings()
FICTION = CatalogueEntry("A Tale", ("en",), subjects=("Orphans -- Fiction",), loc_classes=("PR",))
SHARES = ("prose_fraction", "verse_fraction", "play_fraction", "list_fraction")


def record(book_id: str = "7", language: str | None = "English", **fields):
    header = {"title": "A Title", "author": "An Author", "language": language, "release_date": None}
    return {"book_id": book_id, "status": "stripped", "reason": None, "header": header} | fields


def decide(text, entry=None, settings=DEFAULTS, language="English"):
    row = select_book(record(language=language), text, entry, settings)
    return row["decision"], row["reasons"].split(";") if row["reasons"] else []


@pytest.mark.parametrize("quotes", ["“”", '""', "‘’", "''"])
@pytest.mark.parametrize("entry", [None, FICTION])
@pytest.mark.parametrize("form", [lambda text: text, wrapped])
def test_a_short_story_is_kept_with_and_without_catalogue_wrapped_or_not(quotes, entry, form):
    assert decide(form(story(quotes=quotes)), entry) == ("keep", [])


@pytest.mark.parametrize("entry", [None, FICTION])
def test_a_story_in_letters_is_kept(entry):
    assert decide(letters(), entry) == ("keep", [])


def test_a_story_in_the_present_tense_is_kept_where_the_catalogue_says_fiction():
    text = present_story()
    assert measure_text(text).narrative_fraction == 0
    assert decide(text, FICTION) == ("keep", [])
    assert decide(essay(), FICTION) == ("drop", ["little_narration"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (poems(), "mostly_verse"),
        (play(), "play"),
        (index(), "mostly_lists"),
        (recipes(), "little_narration"),
        (essay(), "little_narration"),
        (wrapped(essay()), "little_narration"),
        (story(words=600), "too_short"),
        (french(), "text_in_other_language"),
        ("1 2 3 4 5\n\n" * 400, "text_in_other_language"),
    ],
)
def test_other_texts_are_dropped_without_any_catalogue_and_say_why(text, reason):
    decision, reasons = decide(text)
    assert decision == "drop"
    assert reason in reasons


def test_a_text_without_any_statement_of_language_is_judged_by_itself():
    row = select_book(record(language=None), story(), None, DEFAULTS)
    assert (row["decision"], row["language"], row["language_source"]) == ("keep", "en", "text")
    row = select_book(record(language=None), french(), None, DEFAULTS)
    assert (row["decision"], row["reasons"], row["language"]) == ("drop", "other_language", "fr")


def test_the_catalogue_goes_before_the_header_and_a_disagreement_is_a_reason():
    finnish = dataclasses.replace(FICTION, languages=("fi",))
    row = select_book(record(), story(), finnish, DEFAULTS)
    assert (row["language"], row["language_source"]) == ("fi", "catalogue")
    assert (row["decision"], row["reasons"]) == ("drop", "other_language;language_disagrees")
    assert decide(french(), FICTION) == ("drop", ["text_in_other_language", "language_disagrees"])


def test_a_book_with_long_passages_in_another_language_is_dropped():
    assert decide(story(words=1_500) + french(words=1_200)) == ("drop", ["mixed_languages"])


@pytest.mark.parametrize(
    ("subjects", "loc_classes", "outcome"),
    [
        ("Generals -- Biography", "E", ("drop", ["catalogue_nonfiction"])),
        ("Cooking", "TX", ("drop", ["catalogue_cookery"])),
        ("Love stories", "TX", ("keep", [])),
        ("Epic poetry, Greek", "PA", ("partial", ["catalogue_poetry"])),
        ("Detective stories -- Periodicals", "AP", ("partial", ["catalogue_periodical"])),
        ("", "PR", ("keep", [])),
    ],
)
def test_the_catalogue_decides_on_contents_and_the_text_on_form(subjects, loc_classes, outcome):
    entry = CatalogueEntry("A Title", ("en",), subjects=(subjects,), loc_classes=(loc_classes,))
    assert decide(story(), entry) == outcome


def test_fiction_in_the_catalogue_does_not_save_poems_or_plays():
    assert decide(poems(), FICTION)[0] == "drop"
    assert decide(play(), FICTION)[0] == "drop"


def test_stories_with_many_poems_between_them_are_partial():
    decision, reasons = decide(story(words=2_000) + "\n" + poems(words=1_000))
    assert (decision, reasons) == ("partial", ["other_forms"])


def test_what_is_no_text_in_the_catalogue_is_dropped():
    assert decide(story(), dataclasses.replace(FICTION, kind="Sound")) == ("drop", ["not_a_text"])


def test_thresholds_are_settings():
    text = story(words=600)
    assert decide(text, settings=SelectionSettings(min_words=500)) == ("keep", [])
    assert decide(essay(), settings=SelectionSettings(min_narrative_fraction=0, min_person_rate=0))[0] == "keep"
    _, reasons = decide(french(), settings=SelectionSettings(languages=("fr",)), language="French")
    assert reasons == ["little_narration"]


def test_thresholds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="must not exceed"):
        SelectionSettings(max_other_form_fraction=0.1, partial_other_form_fraction=0.2)


@pytest.mark.parametrize(
    ("block", "form"),
    [
        ("He went home and sat down by the fire, for it was late.", "prose"),
        ("“Come!”", "prose"),
        ("CHAPTER THE FIRST", "list"),
        ("Lantern, the, 12, 47-49", "list"),
        ("I walked alone beside the mill,\nAnd saw the evening fall.", "verse"),
        ("bread   2 ounces\nmilk    1 pint\nsalt    a little", "list"),
        ("Mr. Brown came home.", "prose"),
        ("He went home with her and sat down there,\nfor it was late, and rain had begun to fall\nthere.", "prose"),
    ],
)
def test_a_block_has_a_form(block, form):
    assert forms_of([block]) == [form]


@pytest.mark.parametrize("width", [45, 60, 75])
def test_the_measures_hardly_depend_on_where_lines_were_wrapped(width):
    plain, other = measure_text(story()), measure_text(wrapped(story(), width))
    for name in (*SHARES, "narrative_fraction", "dialogue_fraction", "past_rate", "present_rate", "person_rate"):
        assert getattr(other, name) == pytest.approx(getattr(plain, name), abs=0.02)


def test_paragraphs_that_begin_with_titles_make_no_play():
    text = "\n\n".join(["Mr. Brown went home and sat down by the fire.", "Mrs. Brown said that she was tired."] * 20)
    assert measure_text(text).play_fraction == 0


def test_one_speaker_alone_makes_no_play():
    assert set(forms_of([f"{NAMES[0]}. She came home and sat down."] * 9)) == {"prose"}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([story(1, 80), poems(1, 60), play(1, 90), index(1, 40), essay(1, 90), "\n\n", "a\nb\n"]))
)
def test_the_shares_of_any_text_add_up(parts):
    text = "\n\n".join(parts)
    features = measure_text(text)
    assert features.words == len(text.split())
    assert sum(getattr(features, name) for name in SHARES) == pytest.approx(1 if features.words else 0)
    assert 0 <= features.narrative_fraction <= features.prose_fraction + 1e-9
    assert 0 <= features.dialogue_fraction <= 1


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=3_000))
def test_any_text_gets_a_decision_with_reasons_for_a_drop(text):
    row = select_book(record(), text, None, DEFAULTS)
    assert row["decision"] in ("keep", "partial", "drop")
    assert row["decision"] == "keep" or row["reasons"]


def write_shard(folder, texts, failed=()):
    manifest = write_stripped(folder / "000", texts)
    records = [record(book_id) for book_id in texts]
    records += [record(book_id, status="failed", reason="empty_file") for book_id in failed]
    write_audit(folder / "000.audit.jsonl", records)
    write_chapters(folder / "000.chapters.tsv", [])
    return folder / "000.audit.jsonl", folder / "000", manifest, folder / "000.chapters.tsv"


def test_every_raw_book_of_a_shard_has_one_row_also_without_a_text(tmp_path):
    inputs = write_shard(tmp_path, {"3": story(), "10": essay()}, failed=["11"])
    select_shard(*inputs, tmp_path / "000.tsv")
    rows = read_selection(tmp_path / "000.tsv")
    assert [(row["book_id"], row["decision"]) for row in rows] == [("3", "keep"), ("10", "drop"), ("11", "drop")]
    assert rows[2]["reasons"] == "unreadable_empty_file"
    assert (rows[0]["title"], rows[0]["author"], rows[0]["words"]) == (
        "A Title",
        "An Author",
        str(len(story().split())),
    )


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    inputs = write_shard(tmp_path, {"3": story(), "10": letters()})
    for name in ("a.tsv", "b.tsv"):
        select_shard(*inputs, tmp_path / name)
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_a_listed_text_that_is_missing_is_an_error_for_people(tmp_path):
    inputs = write_shard(tmp_path, {"3": story()})
    (tmp_path / "000" / "3.txt").unlink()
    with pytest.raises(UserError, match=r"3\.txt: cannot be read"):
        select_shard(*inputs, tmp_path / "000.tsv")
    assert not (tmp_path / "000.tsv").exists()


def test_selections_of_all_shards_are_read_with_their_shard(tmp_path):
    row = {"decision": "keep", "reasons": "", "words": 5, "characters": 30}
    write_selection(tmp_path / "000.tsv", (), [{"book_id": "1"} | row])
    write_selection(tmp_path / "001.tsv", (), [{"book_id": "2"} | row])
    write_selection(tmp_path / "002.tsv", (), [{"book_id": "1"} | row])
    found = read_selections(tmp_path, ["000", "001"])
    assert {book_id: row["shard"] for book_id, row in found.items()} == {"1": "000", "2": "001"}
    assert len(read_selection(tmp_path / "002.tsv")) == 1
    with pytest.raises(FileFormatError, match="book 1 is in shards 000 and 002"):
        read_selections(tmp_path, ["000", "002"])
    with pytest.raises(UserError, match=r"003\.tsv: cannot be read"):
        read_selections(tmp_path, ["003"])
    with pytest.raises(UserError, match="no shard names"):
        read_selections(tmp_path, [])
