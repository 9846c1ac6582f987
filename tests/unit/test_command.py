"""Commands fail with a message for people and an exit code for programs."""

import errno
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_calls import parser_of
from killing import contents

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))

PROGRAM = """
import errno, logging, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from mamba_narrative.command import run_command
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.errors import UserError

def main(settings: SplitsSettings | None = None):
    {body}

run_command(main, "Do a thing.")
"""


def run(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(scripts=str(ROOT / "scripts"), body=body)
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)


def test_success_is_exit_code_0():
    assert run("pass").returncode == 0


def test_wrong_input_is_exit_code_2_and_a_message_without_traceback(tmp_path):
    done = run("raise UserError('x.txt: empty; expected a book')", "--log", str(tmp_path / "logs" / "x.log"))
    assert done.returncode == 2
    assert "error: x.txt: empty; expected a book" in done.stderr
    assert "Traceback" not in done.stderr
    assert "x.txt: empty" in (tmp_path / "logs" / "x.log").read_text()


def test_a_bug_is_exit_code_1_with_the_traceback_in_the_log(tmp_path):
    done = run("1 / 0", "--log", str(tmp_path / "x.log"))
    assert done.returncode == 1
    assert "ZeroDivisionError" in (tmp_path / "x.log").read_text()


def test_ctrl_c_is_exit_code_130():
    done = run("raise KeyboardInterrupt")
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("as_file", [True, False])
def test_settings_come_as_json_or_from_a_yaml_file(tmp_path, as_file):
    (tmp_path / "s.yaml").write_text("seed: 7\n")
    value = str(tmp_path / "s.yaml") if as_file else '{"seed": 7}'
    assert run("sys.exit(settings.seed)", "--settings", value).returncode == 7


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"sede": 7}', "sede: unknown key"),
        ('{"seed": "x"}', "found 'x'"),
        ("{", "neither JSON nor"),
        ("no.yaml", "no.yaml"),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(value, message):
    done = run("print('ran')", "--settings", value)
    assert done.returncode == 2
    assert message in done.stderr
    assert "ran" not in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_is_explained(script, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    assert [action.dest for action in parser_of(importlib.import_module(script))._actions if not action.help] == []


def test_a_reader_that_closes_its_pipe_is_no_fault():
    program = PROGRAM.format(
        scripts=str(ROOT / "scripts"), body="sys.stdout.writelines(f'{n} words\\n' for n in range(99_999))"
    )
    command = f'{sys.executable} -c "$0" | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command, program], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "words", "0"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--tokens", "0", "'0' is not a whole number from 1 to 10,000,000"),
        ("--tokens", "1" + "0" * 30, "is not a whole number from 1 to 10,000,000"),
        ("--seed", "-1", "is not a whole number from 0 to"),
        ("--seed", str(2**63), "is not a whole number from 0 to"),
        ("--tokens", "many", "'many' is not a whole number"),
        ("--top-p", "1.5", "'1.5' is not a number from 0 to 1"),
        ("--temperature", "nan", "'nan' is not a number from 0 to 100"),
    ],
)
def test_numbers_outside_their_range_are_refused(option, value, message, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    with pytest.raises(SystemExit) as stopped:
        parser_of(importlib.import_module("generate")).parse_args(["nowhere", option, value])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


# Faults of the machine


@pytest.mark.parametrize(
    "name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "ESTALE", "EMFILE", "ENFILE", "EAGAIN"]
)
def test_a_fault_of_the_machine_is_told_with_path_and_advice_and_is_no_bug(name):
    done = run(f"import errno, os; raise OSError(errno.{name}, os.strerror(errno.{name}), 'results/x.txt')")
    assert done.returncode == 2
    reason = re.escape(os.strerror(getattr(errno, name)))
    assert re.search(rf"error: results/x\.txt: {reason}; \w+", done.stderr)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError()",
        "MemoryError('Unable to allocate 7.28 TiB')",
        "RuntimeError('[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: not enough memory: you tried ...')",
        "OSError(12, 'Cannot allocate memory')",
    ],
)
def test_too_little_memory_is_no_bug(error):
    done = run(f"raise {error}")
    assert done.returncode == 2
    assert re.search(r"error: Cannot allocate memory.*; .*more memory", done.stderr)


@pytest.mark.parametrize(
    "raising",
    [
        "raise Exception('I/O error: No space left on device (os error 28)')",
        "raise ValueError('of a library') from OSError(28, 'No space left on device', 'x.txt')",
    ],
)
def test_faults_that_a_library_wraps_are_found(raising):
    done = run(raising)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "make room" in done.stderr


def test_an_error_that_is_not_the_machines_is_still_a_bug():
    assert run("open('/nowhere/x.txt')").returncode == 1
    assert run("raise RuntimeError('shapes do not fit')").returncode == 1


WRITE = "from mamba_narrative.io import write_text; write_text(Path({path!r}), 'x' * 10**6)"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB with an old table."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    (disk / "table.tsv").write_text("old")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_nothing_half_written_is_left(small_disk):
    done = run(WRITE.format(path=str(small_disk / "table.tsv")))
    assert done.returncode == 2
    assert f"error: {small_disk}/table.tsv: No space left on device; make room there" in done.stderr
    assert contents(small_disk) == {"table.tsv": b"old"}


def test_a_folder_on_a_full_disk_is_told_and_the_old_one_stays(small_disk):
    (small_disk / "texts").mkdir()
    (small_disk / "texts" / "1.txt").write_text("old")
    body = (
        "from mamba_narrative.io import atomic_directory\n"
        f"    with atomic_directory(Path({str(small_disk / 'texts')!r})) as folder:\n"
        "        for number in range(99):\n"
        "            (folder / f'{number}.txt').write_bytes(bytes(10_000))"
    )
    done = run(body)
    assert done.returncode == 2
    assert f"error: {small_disk}/texts: No space left on device" in done.stderr
    assert contents(small_disk / "texts") == {"1.txt": b"old"}
    assert sorted(contents(small_disk)) == ["table.tsv", "texts", "texts/1.txt"]


@pytest.mark.parametrize(
    ("limit", "number", "message"),
    [
        ("RLIMIT_FSIZE", 8192, r"table\.tsv: File too large; .*ulimit -f"),
        ("RLIMIT_NOFILE", 3, r"Too many open files; .*ulimit -n"),
    ],
)
def test_limits_of_the_shell_are_told(tmp_path, limit, number, message):
    limited = f"import mamba_narrative.io, resource; resource.setrlimit(resource.{limit}, ({number}, {number})); "
    done = run(limited + WRITE.format(path=str(tmp_path / "table.tsv")))
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert contents(tmp_path) == {}


def test_output_that_cannot_be_written_is_told(tmp_path):
    program = PROGRAM.format(scripts=str(ROOT / "scripts"), body="print('result')")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "No space left on device; make room" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_cannot_be_written_is_said_once_and_the_work_goes_on():
    done = run("[logging.getLogger('mamba_narrative').info('%d', n) for n in range(9)]", "--log", "/dev/full")
    assert done.returncode == 0
    assert done.stderr.count("the log cannot be written (No space left on device)") == 1
    assert "Traceback" not in done.stderr


def test_a_log_that_cannot_be_opened_is_told(tmp_path):
    done = run("pass", "--log", str(tmp_path / ("x" * 300)))
    assert done.returncode == 2
    assert "File name too long; choose a shorter name" in done.stderr


def test_sigterm_removes_what_is_half_written(tmp_path):
    body = (
        "from mamba_narrative.io import atomic_path\n"
        f"    with atomic_path(Path({str(tmp_path / 'table.tsv')!r})) as beside:\n"
        "        beside.write_text('half')\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)"
    )
    done = run(body)
    assert done.returncode == 143
    assert "stopped by SIGTERM; nothing half-written is left" in done.stderr
    assert contents(tmp_path) == {}
