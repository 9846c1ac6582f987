import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.inventory import shard_of
from mamba_narrative.corpus.strip import stripping
from mamba_narrative.corpus.strip.stripping import strip_book, strip_shard
from mamba_narrative.io import read_json_lines, read_table, sha256_file

PARAGRAPH = (
    "The lamp went out before the tale was done, and nobody in the café\n"
    "said a word about it. Outside, the rain had begun again, and the dog\n"
    "lay down beside the door, where the cold came in.\n\n"
)
HEADER = (
    "The Project Gutenberg EBook of A Lamp, by N. Writer\n\nTitle: A Lamp\n\nAuthor: N. Writer\n\nLanguage: English\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n\nProduced by A Volunteer\n\nA LAMP\n\nby N. Writer\n\n"
)
FOOTER = (
    "End of Project Gutenberg's A Lamp, by N. Writer\n\n*** END OF THIS PROJECT GUTENBERG EBOOK A LAMP ***\n\n"
    + "You may copy this eBook under the Project Gutenberg licence without warranty, refund or royalties.\n" * 50
)
BOOK = f"{HEADER}CHAPTER I\n\n{PARAGRAPH * 20}[Illustration: A dog]\n\nCHAPTER II\n\n{PARAGRAPH * 20}{FOOTER}"
JOINED = PARAGRAPH.strip().replace("\n", " ")
TEXT = "\n\n".join(["CHAPTER I", *[JOINED] * 20, "CHAPTER II", *[JOINED] * 20]) + "\n"


def test_a_book_becomes_its_text_with_a_full_account():
    book = strip_book(BOOK.replace("\n", "\r\n").encode("latin-1"), StrippingSettings())
    assert book.text == TEXT
    assert (book.encoding, book.header.title, book.header.author) == ("latin-1", "A Lamp", "N. Writer")
    assert [chapter.heading for chapter in book.chapters] == ["CHAPTER I", "CHAPTER II"]
    assert book.start_marker == "*** START OF THIS PROJECT GUTENBERG EBOOK A LAMP ***"
    assert [span.rule for span, _ in book.removed] == [
        "header_start_marker", "producer_credit", "title_page", "title_page", "illustration", "footer_end_line",
    ]  # fmt: skip
    assert all(" ".join(BOOK[span.start : span.end].split()).startswith(shown) for span, shown in book.removed)
    assert book.warnings == ()


def test_stripping_a_stripped_text_changes_nothing():
    assert strip_book(TEXT.encode(), StrippingSettings()).text == TEXT


FRAGMENTS = [
    "[Illustration", "[", "]", "\n\n", "\n", "*", "***", "_a_", "[1]", "[1] note", "CONTENTS\n\n", "I. A  3\n", "word ",
    "FOOTNOTES:\n\n", "Transcriber's Note", "*** START OF THIS PROJECT GUTENBERG EBOOK A ***\n", "Produced by me\n\n",
    "End of Project Gutenberg's A\n", "   ", "\t", PARAGRAPH,
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_stripped_and_comes_out_in_the_agreed_form(text):
    book = strip_book(text.encode("utf-8", "replace"), StrippingSettings())
    assert not book.text or (book.text.endswith("\n") and not book.text.startswith("\n"))
    assert "\n\n\n" not in book.text
    assert all(book.text[c.offset : c.offset + len(c.heading)] == c.heading for c in book.chapters)
    assert all(a.end <= b.start for (a, _), (b, _) in zip(book.removed, book.removed[1:], strict=False))


HOSTILE = [
    "[" * 60_000, "[" * 50_000 + "]" * 50_000, "_" * 200_000, "* " * 100_000, "[Illustration: " * 20_000,
    "a" * 2_000_000, " \n" * 200_000, "[1]" * 60_000, "=" * 200_000, "." + " ." * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_text_takes_no_more_than_moments(bad):
    strip_book((HEADER + bad + FOOTER).encode(), StrippingSettings())


@pytest.fixture
def shard(tmp_path):
    source = tmp_path / "raw"
    source.mkdir()
    (source / "12.txt").write_bytes(BOOK.encode())
    (source / "7.txt.gz").write_bytes(gzip.compress(BOOK.encode()))
    (source / "7-8.txt").write_bytes(BOOK.encode("latin-1"))
    (source / "8.txt").write_bytes(b"")
    (source / "9.txt").write_bytes(bytes(range(256)) * 20)
    (source / "10.txt").write_bytes((HEADER + FOOTER).encode())
    return source


def run(source, folder, name="000", shards=1):
    strip_shard(
        source, name, shards, StrippingSettings(), 1_000_000,
        stripped=folder / name, audit=folder / "audit.jsonl", chapters=folder / "chapters.tsv",
        manifest=folder / "manifest.tsv",
    )  # fmt: skip
    return {record["book_id"]: record for record in read_json_lines(folder / "audit.jsonl")}


def test_every_book_of_a_shard_is_accounted_for(shard, tmp_path):
    records = run(shard, tmp_path / "out")
    assert list(records) == ["7", "8", "9", "10", "12"]
    assert {book_id: record["reason"] for book_id, record in records.items()} == {
        "7": None, "8": "empty_file", "9": "binary_file", "10": "no_text_left", "12": None,
    }  # fmt: skip
    assert [path.name for path in sorted((tmp_path / "out/000").iterdir())] == ["12.txt", "7.txt"]
    assert records["7"]["other_files"] == [{"path": "7.txt.gz", "reason": "other_variant"}]


def test_manifest_and_chapters_describe_the_texts(shard, tmp_path):
    out = tmp_path / "out"
    run(shard, out)
    for row in read_table(out / "manifest.tsv"):
        path = out / "000" / f"{row['book_id']}.txt"
        text = path.read_text(encoding="utf-8")
        assert row["sha256"] == sha256_file(path)
        assert (int(row["characters"]), int(row["bytes"])) == (len(text), path.stat().st_size)
        assert int(row["words"]) == len(text.split())
    for row in read_table(out / "chapters.tsv"):
        text = (out / "000" / f"{row['book_id']}.txt").read_text(encoding="utf-8")
        assert text[int(row["offset"]) :].startswith(row["heading"])


def test_the_same_books_give_the_same_bytes(shard, tmp_path):
    run(shard, tmp_path / "one")
    run(shard, tmp_path / "two")
    for name in ("audit.jsonl", "chapters.tsv", "manifest.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_shards_divide_the_books_and_an_empty_one_is_fine(shard, tmp_path):
    expected = {book_id for book_id in ("7", "8", "9", "10", "12") if shard_of(book_id, 3) == "001"}
    assert set(run(shard, tmp_path / "out", "001", 3)) == expected
    assert run(shard, tmp_path / "none", "500", 1000) == {}


def test_a_bug_in_one_book_stops_no_other(shard, tmp_path, monkeypatch, caplog):
    original = stripping.strip_book

    def broken(raw, settings):
        if b"cold" not in raw:
            raise ZeroDivisionError("this book only")
        return original(raw, settings)

    monkeypatch.setattr(stripping, "strip_book", broken)
    records = run(shard, tmp_path / "out")
    assert (records["10"]["status"], records["10"]["reason"]) == ("failed", "internal_error")
    assert records["10"]["detail"] == "ZeroDivisionError: this book only"
    assert records["12"]["status"] == "stripped"
    assert any(entry.levelname == "ERROR" for entry in caplog.records)


def test_a_failed_record_has_the_same_keys_as_a_good_one(shard, tmp_path):
    records = run(shard, tmp_path / "out")
    assert {tuple(json.loads(json.dumps(record))) for record in records.values()} == {tuple(records["12"])}
