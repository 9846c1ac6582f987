"""Token files on a disk of the machine: copied once, shared while in use, gone afterwards."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from pathlib import Path

import pytest

from mamba_narrative import io
from mamba_narrative.errors import UserError
from mamba_narrative.io import write_text
from mamba_narrative.process_identity import this_process
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.staging import staged_tokens
from unit.training.tiny_run import write_tokens

SPLITS = ("train", "validation")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return write_tokens(tmp_path / "corpus")


def copies(disk: Path) -> list[Path]:
    return [path for path in disk.iterdir() if path.is_dir()]


def test_without_a_folder_the_files_are_read_where_they_are(tokens):
    with staged_tokens(tokens, SPLITS, "") as folder:
        assert folder == tokens


def test_the_copy_is_what_was_copied_and_is_removed_after_use(tokens, tmp_path):
    disk = tmp_path / "disk"
    with staged_tokens(tokens, SPLITS, str(disk)) as folder:
        assert folder.parent == disk
        for split in SPLITS:
            copy, original = (TokenFile(where, split) for where in (folder, tokens))
            assert copy.ids.tolist() == original.ids.tolist()
    assert copies(disk) == []


def test_the_copy_is_removed_when_its_use_fails(tokens, tmp_path):
    with pytest.raises(ZeroDivisionError), staged_tokens(tokens, SPLITS, str(tmp_path / "disk")):
        raise ZeroDivisionError
    assert copies(tmp_path / "disk") == []


def test_one_copy_serves_all_until_the_last_one_ends(tokens, tmp_path):
    disk = tmp_path / "disk"
    with staged_tokens(tokens, SPLITS, str(disk)) as first:
        with staged_tokens(tokens, SPLITS, str(disk)) as second:
            assert first == second
        assert copies(disk) == [first]
    assert copies(disk) == []


def test_other_tokens_are_another_copy(tokens, tmp_path):
    disk = tmp_path / "disk"
    with staged_tokens(tokens, SPLITS, str(disk)) as before:
        write_text(tokens / "train.json", (tokens / "train.json").read_text() + "\n")
        with staged_tokens(tokens, SPLITS, str(disk)) as after:
            assert before != after


def test_machines_that_see_the_same_folder_keep_a_copy_each(tokens, tmp_path, monkeypatch):
    with staged_tokens(tokens, SPLITS, str(tmp_path / "shared")) as here:
        monkeypatch.setattr("socket.gethostname", lambda: "another")
        with staged_tokens(tokens, SPLITS, str(tmp_path / "shared")) as there:
            assert here != there
        assert copies(tmp_path / "shared") == [here]


def _use(tokens: Path, disk: Path, seconds: float) -> None:
    with staged_tokens(tokens, SPLITS, str(disk)) as folder:
        time.sleep(seconds)
        TokenFile(folder, "train")


def test_processes_that_come_and_go_never_lose_the_copy(tokens, tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_use, args=(tokens, tmp_path / "disk", 0.002 * (n % 7))) for n in range(30)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 30
    assert copies(tmp_path / "disk") == []


def test_what_a_killed_process_left_is_cleared_away(tokens, tmp_path):
    disk = tmp_path / "disk"
    with staged_tokens(tokens, SPLITS, str(disk)) as folder:
        name = folder.name
    left = disk / f".{name}.{dataclasses.replace(this_process(), pid=2**22 + 1)}.tmp"
    left.mkdir()
    io._looked_at.clear()  # as in another process
    with staged_tokens(tokens, SPLITS, str(disk)):
        assert not left.exists()


def test_variables_are_those_of_the_machine(tokens, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH_OF_NODE", str(tmp_path / "scratch"))
    with staged_tokens(tokens, SPLITS, "$SCRATCH_OF_NODE/tokens") as folder:
        assert folder.parent == tmp_path / "scratch" / "tokens"
    monkeypatch.delenv("SCRATCH_OF_NODE")
    with (
        pytest.raises(UserError, match=r"\$SCRATCH_OF_NODE/tokens: a variable in it is not set"),
        staged_tokens(tokens, SPLITS, "$SCRATCH_OF_NODE/tokens"),
    ):
        pass


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tokens, tmp_path, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with (
        pytest.raises(UserError, match=r"staging_directory: .* GB free, the tokens need"),
        staged_tokens(tokens, SPLITS, str(tmp_path)),
    ):
        pass
    assert not list(tmp_path.glob("*mamba-narrative-tokens*/"))


def test_a_folder_that_cannot_be_made_is_named(tokens, tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"staging_directory: .*file/below cannot be written"),
        staged_tokens(tokens, SPLITS, str(tmp_path / "file" / "below")),
    ):
        pass


def test_a_missing_token_file_is_named(tokens, tmp_path):
    (tokens / "validation.bin").unlink()
    with (
        pytest.raises(UserError, match=r"validation\.bin: no such token file"),
        staged_tokens(tokens, SPLITS, str(tmp_path)),
    ):
        pass
