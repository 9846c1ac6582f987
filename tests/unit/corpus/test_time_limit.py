import re
import threading

import pytest

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook
from mamba_narrative.corpus.select import selection
from mamba_narrative.corpus.select.selection import select_shard
from mamba_narrative.corpus.strip import stripping
from mamba_narrative.corpus.strip.stripping import strip_shard
from mamba_narrative.corpus.time_limit import seconds_allowed, time_limit
from mamba_narrative.io import read_json_lines, read_table
from mamba_narrative.reporting.reasons import meaning_of

BOOK = "The lamp went out before the tale was done, and she said that nobody had seen it.\n\n" * 40


def never_ends():
    # One regular expression, no step of the interpreter: only its own look at signals can end it.
    re.match(r"(?:a|aa)+$", "a" * 60 + "b")


def slow_on(word, function):
    """The function, without an end on texts that hold the word."""

    def call(*arguments, **keywords):
        if any(word in str(argument) for argument in arguments):
            never_ends()
        return function(*arguments, **keywords)

    return call


def test_a_regular_expression_without_end_is_interrupted():
    with pytest.raises(UnreadableBook, match="too_slow"), time_limit(0.05):
        never_ends()


def test_nothing_is_interrupted_after_the_block():
    with time_limit(0.05):
        pass
    assert sum(range(3_000_000)) > 0


def test_in_another_thread_there_is_no_limit():
    done = []

    def work():
        with time_limit(0.001):
            done.append(sum(range(1_000_000)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(done) == 1


def test_the_limit_grows_with_the_book():
    assert seconds_allowed(0) == 10
    assert seconds_allowed(2_000_000) == 110


@pytest.fixture
def shard(tmp_path):
    """Strip and select a folder of books in one shard; returns the audit and the selection by book id."""
    raw = tmp_path / "raw"
    raw.mkdir()
    files = {name: tmp_path / name for name in ("stripped", "audit", "chapters", "manifest")}

    def run():
        strip_shard(raw, "000", 1, StrippingSettings(), 10_000_000, **files)
        select_shard(*(files[name] for name in ("audit", "stripped", "manifest", "chapters")), tmp_path / "selection")
        records = {record["book_id"]: record for record in read_json_lines(files["audit"])}
        return records, {row["book_id"]: row for row in read_table(tmp_path / "selection", ("book_id", "reasons"))}

    for name, word in (("1", "rain"), ("2", "endless"), ("3", "dog")):
        (raw / f"{name}.txt").write_text(BOOK + f"It was about the {word}.\n", encoding="utf-8")
    return run


def test_a_book_that_takes_too_long_to_strip_is_reported_and_stops_no_other(shard, monkeypatch):
    monkeypatch.setattr(stripping, "seconds_allowed", lambda size: 0.5)
    monkeypatch.setattr(stripping, "strip_book", slow_on("endless", stripping.strip_book))
    records, rows = shard()
    assert (records["2"]["status"], records["2"]["reason"]) == ("failed", "too_slow")
    assert [records[book]["status"] for book in ("1", "3")] == ["stripped", "stripped"]
    assert rows["2"]["reasons"] == "unreadable_too_slow"
    assert meaning_of("unreadable_too_slow") == meaning_of("too_slow") != ""


def test_a_book_that_takes_too_long_to_judge_is_dropped_with_the_reason(shard, monkeypatch):
    monkeypatch.setattr(selection, "measure_text", slow_on("endless", selection.measure_text))
    selection.detect_language(BOOK)
    monkeypatch.setattr(selection, "seconds_allowed", lambda size: 0.5)
    _, rows = shard()
    assert (rows["2"]["decision"], rows["2"]["reasons"]) == ("drop", "unreadable_too_slow")
    assert "too_slow" not in rows["1"]["reasons"] + rows["3"]["reasons"]


def test_a_book_of_too_many_lines_is_reported(shard, monkeypatch):
    monkeypatch.setattr(stripping, "MAX_LINES", 10)
    records, _ = shard()
    assert {record["reason"] for record in records.values()} == {"too_many_lines"}
    assert meaning_of("too_many_lines")
