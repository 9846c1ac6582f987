"""Commands fail with a message for people and an exit code for programs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))

PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.errors import UserError

def main(arguments):
    {body}

parser = command_parser("Do a thing.", "thing --settings x.yaml")
parser.add_argument("--settings", type=settings_argument(SplitsSettings))
run_command(main, parser)
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
    assert run("sys.exit(arguments.settings.seed)", "--settings", value).returncode == 7


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
    if (parser := getattr(importlib.import_module(script), "parser", None)) is not None:
        assert [action.dest for action in parser()._actions if not action.help] == []


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
        ("--tokens", "0", "'0' is not a whole number from 1 to 1,000,000"),
        ("--tokens", "many", "'many' is not a whole number"),
        ("--top-p", "1.5", "'1.5' is not a number from 0 to 1"),
        ("--temperature", "nan", "'nan' is not a number at least 0"),
    ],
)
def test_numbers_outside_their_range_are_refused(option, value, message, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("generate").parser().parse_args(["nowhere", option, value])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
