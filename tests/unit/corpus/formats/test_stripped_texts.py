"""A stripped text is read as it was written, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.formats.audit import write_audit
from mamba_narrative.corpus.formats.chapter_table import write_chapters
from mamba_narrative.corpus.formats.selection_table import read_kept_text, write_selection
from mamba_narrative.corpus.formats.stripped_texts import read_stripped_text
from mamba_narrative.corpus.overlap.sketches import sketch_shard
from mamba_narrative.corpus.select.selection import select_shard
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import encode_books
from unit.corpus.stripped_shard import write_stripped

TEXT = "It was late. The ferry had left before dawn.\n"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    write_stripped(tmp_path / "000", {"7": TEXT, "8": "Another.\n"})
    write_selection(tmp_path / "000.tsv", (), [{"book_id": "7", "decision": "keep", "words": 9}])
    write_audit(tmp_path / "000.audit.jsonl", [{"book_id": "7", "status": "ok"}])
    write_chapters(tmp_path / "000.chapters.tsv", [])
    return tmp_path


def encode(shard: Path) -> None:
    outputs = shard / "000.bin", shard / "000.books.tsv"
    encode_books(shard / "000.tsv", shard / "000", shard / "000.manifest.tsv", load_tokenizer("gpt2"), *outputs)


def select(shard: Path) -> None:
    inputs = (shard / f"000.{name}" for name in ("manifest.tsv", "chapters.tsv"))
    select_shard(shard / "000.audit.jsonl", shard / "000", *inputs, shard / "new.tsv")


def sketch(shard: Path) -> None:
    sketch_shard(shard / "000.tsv", shard / "000", shard / "000.manifest.tsv", DuplicatesSettings(), shard / "000.npz")


def keep(shard: Path) -> None:
    read_kept_text(shard / "000", {"book_id": "7"})


@pytest.mark.parametrize("read", [encode, select, sketch, keep])
def test_every_stage_refuses_a_text_with_a_flipped_bit(shard: Path, read: Callable[[Path], None]) -> None:
    path = shard / "000" / "7.txt"
    path.write_text(TEXT.replace("ferry", "fdrry"), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"7\.txt: its sha256 differs .*000\.manifest\.tsv.* delete .*000 and"):
        read(shard)


def test_texts_are_those_written_also_when_a_shard_was_stripped_again(shard: Path) -> None:
    assert read_stripped_text(shard / "000", "7") == TEXT
    write_stripped(shard / "000", {"7": "New.\n"})
    assert read_stripped_text(shard / "000", "7") == "New.\n"


def test_a_text_that_is_not_listed_or_not_there_is_named(shard: Path) -> None:
    with pytest.raises(FileFormatError, match=r"000\.manifest\.tsv: book 9 is missing"):
        read_stripped_text(shard / "000", "9")
    (shard / "000" / "8.txt").unlink()
    with pytest.raises(UserError, match=r"8\.txt: cannot be read"):
        read_stripped_text(shard / "000", "8")
