from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.formats.split_table import write_split
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import sha256_file, write_table
from mamba_narrative.tokens.reader import BOOK_COLUMNS, TokenFile, read_book_table
from mamba_narrative.tokens.tokenizer import END_OF_TEXT, Tokenizer, load_tokenizer
from mamba_narrative.tokens.writer import assemble_splits, encode_books
from unit.corpus.stripped_shard import write_stripped

TEXTS = {
    "000": {
        "12": "A lamp burned.\n\nNobody came.\n",
        "7": "",
        "30": "Dropped words.",
        "31": f"Odd {END_OF_TEXT} é words\n",
    },
    "001": {"5": "Rain fell on the slates all night."},
    "002": {},
}
DECISIONS = {"30": "drop", "31": "partial"}


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return load_tokenizer("gpt2")


def encode(root: Path, shard: str, tokenizer: Tokenizer) -> None:
    stripped = root / "stripped" / shard
    texts = TEXTS[shard]
    manifest = write_stripped(stripped, texts)
    write_selection(
        root / f"{shard}.selection.tsv",
        (),
        [
            {"book_id": "99", "decision": "drop", "reasons": "unreadable_empty"},
            *({"book_id": book_id, "decision": DECISIONS.get(book_id, "keep")} for book_id in texts),
        ],
    )
    encode_books(
        root / f"{shard}.selection.tsv",
        stripped,
        manifest,
        tokenizer,
        root / "shards" / f"{shard}.bin",
        root / "shards" / f"{shard}.books.tsv",
    )


def write_books(path: Path, books: list[tuple[str, str]]) -> Path:
    write_split(path, [{"book_id": book_id, "shard": shard} for book_id, shard in books])
    return path


@pytest.fixture
def corpus(tmp_path: Path, gpt2: Tokenizer) -> Path:
    for shard in TEXTS:
        encode(tmp_path, shard, gpt2)
    splits = {
        "train": write_books(tmp_path / "train.tsv", [("5", "001"), ("31", "000"), ("12", "000")]),
        "validation": write_books(tmp_path / "validation.tsv", [("7", "000")]),
        "test": write_books(tmp_path / "test.tsv", []),
    }
    assemble_splits(splits, tmp_path / "shards", gpt2.describe(), tmp_path / "tokens")
    return tmp_path


def test_a_shard_holds_every_kept_or_partial_book_closed_by_an_end_of_text(corpus: Path, gpt2: Tokenizer) -> None:
    books = read_book_table(corpus / "shards" / "000.books.tsv")
    assert [book.book_id for book in books] == ["12", "7", "31"]
    ids = np.fromfile(corpus / "shards" / "000.bin", "<u2")
    for book in books:
        text = TEXTS["000"][book.book_id]
        own = ids[book.first_token : book.first_token + book.tokens].tolist()
        assert own == [*gpt2.encode(text), gpt2.end_of_text_id]
        assert (book.characters, book.bytes) == (len(text), len(text.encode("utf-8")))


def test_a_shard_without_books_is_an_empty_file(corpus: Path) -> None:
    assert (corpus / "shards" / "002.bin").read_bytes() == b""
    assert read_book_table(corpus / "shards" / "002.books.tsv") == []


def test_a_split_follows_its_manifest(corpus: Path, gpt2: Tokenizer) -> None:
    train = TokenFile(corpus / "tokens", "train")
    assert [book.book_id for book in train.books] == ["5", "31", "12"]
    for book in train.books:
        text = TEXTS["001" if book.book_id == "5" else "000"][book.book_id]
        assert gpt2.decode(train.book_ids(book)[:-1].tolist()) == text
        assert train.book_ids(book)[-1] == train.end_of_text_id
    assert train.manifest["tokenizer"] == gpt2.describe()
    assert train.manifest["sha256"] == sha256_file(corpus / "tokens" / "train.bin")


def test_an_empty_split_is_readable(corpus: Path) -> None:
    test = TokenFile(corpus / "tokens", "test")
    assert (len(test), test.books, test.ids.dtype) == (0, [], np.dtype("<u2"))


def test_an_empty_book_is_one_end_of_text(corpus: Path) -> None:
    validation = TokenFile(corpus / "tokens", "validation")
    assert validation.ids.tolist() == [validation.end_of_text_id]


def test_the_same_input_gives_the_same_bytes(corpus: Path, gpt2: Tokenizer, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (corpus / "shards").iterdir()}
    for shard in TEXTS:
        encode(tmp_path, shard, gpt2)
    assert {path: path.read_bytes() for path in (corpus / "shards").iterdir()} == before


def test_a_text_other_than_the_described_one_is_refused(corpus: Path, gpt2: Tokenizer) -> None:
    (corpus / "stripped" / "001" / "5.txt").write_text("Another text.", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match=r"5\.txt: its sha256 differs .*001\.manifest\.tsv.*; delete .*001 and run again"
    ):
        encode_books(
            corpus / "001.selection.tsv",
            corpus / "stripped" / "001",
            corpus / "stripped" / "001.manifest.tsv",
            gpt2,
            corpus / "new.bin",
            corpus / "new.books.tsv",
        )
    assert not (corpus / "new.bin").exists()


def test_a_split_book_that_no_shard_holds_is_named(corpus: Path, gpt2: Tokenizer) -> None:
    manifest = write_books(corpus / "more.tsv", [("30", "000")])
    with pytest.raises(FileFormatError, match="book 30 of"):
        assemble_splits({"train": manifest}, corpus / "shards", gpt2.describe(), corpus / "tokens")


def test_shards_of_another_tokenizer_are_refused(corpus: Path, gpt2: Tokenizer) -> None:
    manifest = write_books(corpus / "more.tsv", [("12", "000")])
    with pytest.raises(FileFormatError, match="another tokenizer"):
        assemble_splits(
            {"train": manifest}, corpus / "shards", {**gpt2.describe(), "end_of_text_id": 1}, corpus / "tokens"
        )


def test_a_cut_token_file_is_refused_by_its_size(corpus: Path) -> None:
    path = corpus / "tokens" / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match=r"train\.bin: \d+ bytes, expected \d+"):
        TokenFile(corpus / "tokens", "train")


def test_changed_tokens_are_refused(corpus: Path) -> None:
    path = corpus / "tokens" / "train.bin"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FileFormatError, match=r"train\.bin: its sha256 differs .*train\.json"):
        TokenFile(corpus / "tokens", "train")


def test_a_changed_book_table_is_refused(corpus: Path) -> None:
    path = corpus / "tokens" / "train.books.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("31\t", "32\t"), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"books\.tsv: its sha256 differs"):
        TokenFile(corpus / "tokens", "train")


@pytest.mark.parametrize(("key", "value"), [("dtype", "<u4"), ("split", "test")])
def test_a_manifest_of_something_else_is_refused(corpus: Path, key: str, value: str) -> None:
    path = corpus / "tokens" / "train.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), key: value}), encoding="utf-8")
    with pytest.raises(FileFormatError, match=value):
        TokenFile(corpus / "tokens", "train")


def test_a_missing_token_file_is_named(corpus: Path) -> None:
    (corpus / "tokens" / "train.bin").unlink()
    with pytest.raises(UserError, match=r"train\.bin: cannot be read"):
        TokenFile(corpus / "tokens", "train")


def test_books_with_a_gap_between_them_are_refused(tmp_path: Path) -> None:
    row = {"tokens": 3, "characters": 1, "bytes": 1, "words": 1}
    write_table(
        tmp_path / "x.books.tsv",
        BOOK_COLUMNS,
        [{**row, "book_id": "a", "first_token": 0}, {**row, "book_id": "b", "first_token": 4}],
    )
    with pytest.raises(FileFormatError, match=r"x\.books\.tsv:3: book b"):
        read_book_table(tmp_path / "x.books.tsv")
