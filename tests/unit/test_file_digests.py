"""What decides is the content of a file; its times only decide whether it is read again."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from mamba_narrative import file_digests
from mamba_narrative.file_digests import FileDigests


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files that were really read. Times of a moment ago count as settled."""
    paths: list[str] = []
    read = file_digests._read
    monkeypatch.setattr(file_digests, "_read", lambda path: paths.append(Path(path).name) or read(path))
    monkeypatch.setattr(file_digests, "_TICK_NS", 0)
    return paths


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(folder, name: str = "a.txt") -> str:
    """By a new object, as a new call of the workflow has one."""
    return FileDigests(folder / "cache.json").of(folder / name)


def test_an_unchanged_file_is_read_once_in_all_calls(tmp_path, reads):
    (tmp_path / "a.txt").write_text("text")
    assert [digest_of(tmp_path) for _ in range(3)] == [sha256("text")] * 3
    assert reads == ["a.txt"]


def test_a_touched_file_is_read_again_and_found_equal(tmp_path, reads):
    (tmp_path / "a.txt").write_text("text")
    before = digest_of(tmp_path)
    os.utime(tmp_path / "a.txt", (1, 1))
    assert digest_of(tmp_path) == before
    assert reads == ["a.txt", "a.txt"]


def test_a_file_replaced_by_an_older_one_of_equal_size_is_another_one(tmp_path, reads):
    (tmp_path / "a.txt").write_text("text")
    digest_of(tmp_path)
    (tmp_path / "b.txt").write_text("next")
    os.utime(tmp_path / "b.txt", (1, 1))
    os.replace(tmp_path / "b.txt", tmp_path / "a.txt")
    assert digest_of(tmp_path) == sha256("next")


def test_a_file_rewritten_in_place_with_its_old_time_is_another_one(tmp_path, reads):
    path = tmp_path / "a.txt"
    path.write_text("text")
    times = path.stat()
    digest_of(tmp_path)
    time.sleep(0.02)
    path.write_text("next")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest_of(tmp_path) == sha256("next")


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    digest_of(tmp_path)
    assert json.loads((tmp_path / "cache.json").read_text()) == {}


def test_one_object_gives_the_same_answer_all_its_life(tmp_path, reads):
    (tmp_path / "a.txt").write_text("text")
    digests = FileDigests(tmp_path / "cache.json")
    before = digests.of(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("another text")
    assert digests.of(tmp_path / "a.txt") == before


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}', '{"a": [[1], 2, 3]}'])
def test_a_damaged_cache_is_an_empty_one(tmp_path, damage):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "cache.json").write_text(damage)
    assert digest_of(tmp_path) == sha256("text")


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    assert digest_of(tmp_path, "missing.txt") == "unreadable: No such file or directory"


def test_a_file_that_claims_to_be_empty_is_not_waited_for(tmp_path):
    (tmp_path / "a.txt").symlink_to("/proc/kmsg")
    assert digest_of(tmp_path) in (sha256(""), "unreadable: Operation not permitted", "unreadable: Permission denied")


def test_files_are_many_and_answers_keep_their_order(tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(50)]
    for path in paths:
        path.write_text(path.name)
    found = FileDigests(tmp_path / "cache.json").of_all([*map(str, paths), str(paths[0])])
    assert found == [sha256(path.name) for path in [*paths, paths[0]]]
