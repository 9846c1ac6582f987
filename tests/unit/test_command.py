"""Commands fail with a message for people and an exit code for programs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

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


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "scripts").glob("*.py")))
def test_every_command_explains_itself_with_an_example(script):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / f"{script}.py", "--help"], capture_output=True, text=True, check=True
    )
    assert f"scripts/{script}.py" in done.stdout.split("example:")[1]
    assert len((ROOT / "scripts" / f"{script}.py").read_text().splitlines()) <= 60
