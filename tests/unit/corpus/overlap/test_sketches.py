"""Hashes of word shingles and the sketches made from them."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.formats.selection_table import write_selection
from mamba_narrative.corpus.overlap.shingles import count_shared, shingle_hashes
from mamba_narrative.corpus.overlap.sketches import (
    join_sketches,
    read_all_sketches,
    read_sketches,
    sketch,
    sketch_shard,
    sketch_texts,
    write_sketches,
)
from mamba_narrative.errors import FileFormatError, UserError
from unit.corpus.selection_texts import story
from unit.corpus.stripped_shard import write_stripped

DEFAULTS = DuplicatesSettings()
WORDS = st.lists(st.sampled_from(["a", "be", "sea", "house", "ran", "the"]), max_size=60)


def brute_force(text: str, size: int) -> set[tuple[str, ...]]:
    words = re.findall("[a-z]+", text.lower())
    return {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(2, 6))
def test_there_is_one_hash_for_each_distinct_shingle(words, size):
    hashes = shingle_hashes(" ".join(words), size)
    assert len(hashes) == len(brute_force(" ".join(words), size))
    assert np.all(hashes[1:] > hashes[:-1])


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS, st.integers(2, 4))
def test_texts_share_as_many_hashes_as_shingles(first, second, size):
    shared = brute_force(" ".join(first), size) & brute_force(" ".join(second), size)
    hashes = np.intersect1d(shingle_hashes(" ".join(first), size), shingle_hashes(" ".join(second), size))
    assert len(hashes) == len(shared)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_shared_hashes_are_counted_exactly(first, second):
    arrays = [np.array(sorted(values), dtype=np.uint64) for values in (first, second)]
    assert count_shared(*arrays) == len(first & second)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("“Don’t go,” he said", '"Don\'t go" -- HE SAID!'),
        ("a naïve café owner", "A NAIVE\ncafe owner"),
        ("the _old_ house, by 1 sea", "the old house by sea"),
        ("a so\u00adft word or two", "a soft word or two"),
        ("Straße der Stra\u00dfe wegen", "strasse DER strasse wegen"),
        ("cafe\u0301 by the sea", "caf\u00e9 by the sea"),
    ],
)
def test_case_punctuation_quotes_accents_and_line_ends_make_no_difference(text, same):
    hashes = shingle_hashes(text, 3)
    assert len(hashes) > 0
    assert np.array_equal(hashes, shingle_hashes(same, 3))


@pytest.mark.parametrize(
    ("text", "other"), [("a bc d", "ab c d"), ("one two three", "one three two"), ("abc d e", "acb d e")]
)
def test_word_borders_and_order_do_make_a_difference(text, other):
    assert not np.array_equal(shingle_hashes(text, 3), shingle_hashes(other, 3))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_hashed(text):
    hashes = shingle_hashes(text, 2)
    assert hashes.dtype == np.uint64
    assert np.array_equal(hashes, shingle_hashes(text.replace("\n", "  "), 2))


def test_hashes_are_the_same_in_every_process():
    code = (
        "from mamba_narrative.corpus.overlap.shingles import shingle_hashes as s; "
        "print(s('we went to the sea', 3).tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{shingle_hashes('we went to the sea', 3).tolist()}\n"}


def test_a_sketch_is_the_same_part_of_every_text_and_about_the_fraction_asked_for():
    first = shingle_hashes(
        " ".join(
            f"w{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{'uvwxyz'[n % 6]}" * (n % 7 + 1) for n in range(20_000)
        ),
        8,
    )
    small = sketch(first, 1 / 8)
    assert set(small.tolist()) == {value for value in first.tolist() if value < 2**64 / 8}
    assert 0.8 < len(small) / (len(first) / 8) < 1.2
    assert np.array_equal(sketch(first, 1.0), first)


def test_a_shard_is_sketched_written_and_read_again(tmp_path):
    texts = {"2": story(1), "10": story(2), "11": "dropped"}
    manifest = write_stripped(tmp_path / "000", texts)
    rows = [
        {"book_id": "2", "decision": "keep"},
        {"book_id": "10", "decision": "partial"},
        {"book_id": "11", "decision": "drop"},
    ]
    write_selection(tmp_path / "selection.tsv", (), rows)
    for name in ("000.npz", "again.npz"):
        sketch_shard(tmp_path / "selection.tsv", tmp_path / "000", manifest, DEFAULTS, tmp_path / name)
    assert (tmp_path / "000.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    found = read_sketches(tmp_path / "000.npz")
    assert found.book_ids == ("2", "10")
    for position, book_id in enumerate(found.book_ids):
        hashes = shingle_hashes(texts[book_id], DEFAULTS.shingle_words)
        assert found.shingles[position] == len(hashes)
        assert np.array_equal(found.of(position), sketch(hashes, DEFAULTS.sketch_fraction))


def test_a_shard_without_kept_books_has_empty_sketches(tmp_path):
    write_sketches(tmp_path / "000.npz", sketch_texts([], DEFAULTS))
    write_sketches(tmp_path / "001.npz", sketch_texts([("5", story())], DEFAULTS))
    found = read_all_sketches(tmp_path, ["000", "001"])
    assert found.book_ids == ("5",)
    assert np.array_equal(found.of(0), sketch(shingle_hashes(story(), 8), 1 / 32))


def test_sketches_that_cannot_be_compared_are_refused():
    first = sketch_texts([("1", story())], DEFAULTS)
    with pytest.raises(FileFormatError, match="5 words"):
        join_sketches([first, sketch_texts([("2", story())], DuplicatesSettings(shingle_words=5))])
    with pytest.raises(FileFormatError, match="book 1 has two sketches"):
        join_sketches([first, first])


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 broken"])
def test_a_damaged_or_missing_file_is_an_error_for_people(tmp_path, content):
    (tmp_path / "000.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"000\.npz"):
        read_sketches(tmp_path / "000.npz")
    with pytest.raises(UserError, match=r"001\.npz"):
        read_all_sketches(tmp_path, ["001"])
    with pytest.raises(UserError, match="no shard names"):
        read_all_sketches(tmp_path, [])


def test_arrays_of_other_kinds_are_refused(tmp_path):
    np.savez(tmp_path / "000.npz", book_ids=np.array(["1"]))
    with pytest.raises(FileFormatError, match="not a file of sketches"):
        read_sketches(tmp_path / "000.npz")
    np.savez(tmp_path / "001.npz", book_ids=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(FileFormatError, match="not a file of sketches"):
        read_sketches(tmp_path / "001.npz")
