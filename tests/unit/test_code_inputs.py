"""The code that a rule declares is the code that its command runs, and each command explains itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mamba_narrative.code_inputs import Code
from mamba_narrative.config import architectures

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COMMANDS = sorted(path.stem for path in SCRIPTS.glob("*.py"))

REPORT_LOADED_MODULES = """
import runpy, sys
sys.argv = ["command", "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit:
    pass
for module in list(sys.modules.values()):
    name = getattr(module, "__name__", "")
    if name.split(".")[0] == "mamba_narrative" and getattr(module, "__file__", None):
        print(module.__file__, file=sys.stderr)
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def test_imports_are_followed_through_modules_packages_and_functions(tmp_path):
    root = write(
        tmp_path,
        {
            "go.py": "from mamba_narrative.a import f\nimport os\n",
            "mamba_narrative/__init__.py": "",
            "mamba_narrative/a.py": "def f():\n    from mamba_narrative.deep import b\n",
            "mamba_narrative/deep/__init__.py": "",
            "mamba_narrative/deep/b.py": "import mamba_narrative.c as c\n",
            "mamba_narrative/c.py": "",
            "mamba_narrative/unused.py": "",
        },
    )
    assert names(Code(root).files("go"), root) == [
        "go.py",
        "mamba_narrative/__init__.py",
        "mamba_narrative/a.py",
        "mamba_narrative/c.py",
        "mamba_narrative/deep/__init__.py",
        "mamba_narrative/deep/b.py",
    ]


def test_modules_imported_by_name_are_added_with_what_they_import(tmp_path):
    root = write(
        tmp_path,
        {
            "go.py": "",
            "mamba_narrative/__init__.py": "",
            "mamba_narrative/plot.py": "from mamba_narrative.style import x\n",
            "mamba_narrative/style.py": "x = 1\n",
        },
    )
    found = names(Code(root).files("go", ["mamba_narrative.plot"]), root)
    assert "mamba_narrative/plot.py" in found
    assert "mamba_narrative/style.py" in found
    with pytest.raises(FileNotFoundError, match="no_such_plot"):
        Code(root).files("go", ["mamba_narrative.no_such_plot"])


def test_a_word_list_is_part_of_the_modules_beside_it(tmp_path):
    root = write(
        tmp_path,
        {
            "go.py": "import mamba_narrative.strip.notes\n",
            "stay.py": "import mamba_narrative.other\n",
            "mamba_narrative/__init__.py": "",
            "mamba_narrative/other.py": "",
            "mamba_narrative/strip/__init__.py": "",
            "mamba_narrative/strip/notes.py": "",
            "mamba_narrative/strip/towns.txt": "# From title pages.\nlondon\nparis\n",
        },
    )
    towns = root / "mamba_narrative" / "strip" / "towns.txt"

    def digests():
        code = Code(root)
        return code.digest("go"), code.digest("stay")

    go, stay = digests()
    towns.write_text("# From title pages\n# of old books.\n\nlondon\nparis\n")
    assert digests() == (go, stay)
    towns.write_text("# From title pages.\nlondon\nparis\nrome\n")
    assert digests()[0] != go
    assert digests()[1] == stay


@pytest.mark.parametrize(
    ("words", "reached", "spared"),
    [
        (
            "strip/towns",
            {"strip_books", "show_book"},
            {"select_books", "find_duplicates", "assemble_tokens", "acquire_books"},
        ),
        ("select/past_verbs", {"select_books"}, {"strip_books", "sketch_books", "encode_books"}),
        ("overlap/titles_of_persons", {"split_books"}, {"strip_books", "select_books", "encode_books"}),
    ],
)
def test_a_new_word_changes_the_commands_that_read_the_list(tmp_path, words, reached, spared):
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "scripts" / "mamba_narrative" / "corpus" / f"{words}.txt"
    path.write_text(path.read_text("utf-8") + "newword\n", "utf-8")
    before, after = Code(SCRIPTS), Code(tmp_path / "scripts")
    changed = {command for command in COMMANDS if before.digest(command) != after.digest(command)}
    assert reached <= changed
    assert not spared & changed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_and_loads_declared_modules_only(command):
    script = SCRIPTS / f"{command}.py"
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})" + REPORT_LOADED_MODULES.format(script=str(script))
    # Both in one test because a start takes seconds where torch is loaded.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"scripts/{command}.py" in done.stdout.split("example:")[1]
    assert len(script.read_text().splitlines()) <= 60
    # A run is checked by the settings of all architectures, of which only its own count (`code_for_run`).
    settings = [f"mamba_narrative.config.architectures.{name}" for name in architectures.names()]
    declared = {str(path) for path in Code(SCRIPTS).files(command, settings)}
    loaded = {line for line in done.stderr.splitlines() if line.endswith(".py")}
    assert str(SCRIPTS / "mamba_narrative" / "command.py") in loaded
    assert loaded <= declared
