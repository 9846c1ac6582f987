"""What code means: syntax without prose, the same under every Python."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mamba_narrative.code_inputs import Code
from mamba_narrative.code_meaning import imported_names, meanings

MODULE = '''
"""A module."""

import argparse
from os import path as p

LIMIT: int = 3
"""How many."""


class Thing(dict, metaclass=type):
    """A thing."""

    size = 1_000.0

    def read(self, *rest: int, key: str = "a", **more: object) -> None:
        """Read it."""
        with open(key) as stream, open(key):
            [x async for x in stream if x] if rest else lambda a, /, b: (a := b)


def main(most: Annotated[int, at_least(1), f"at most {LIMIT}"] = LIMIT):
    """Options."""
    parser = ArgumentParser(description="It reads.")
    parser.add_argument("--least", type=int, default=1, help="at least 1")
    return parser


def told(x):
    match x:
        case [1, *_] | {"a": None}:
            return f"{x!r:>{LIMIT}} and {x:,} {x=}" "tail", b"".decode()
    try:
        return 0x10, 1j, ..., -1
    except* ValueError:
        raise
'''
SAME = {
    "a comment": ("LIMIT: int = 3", "LIMIT: int = 3  # why"),
    "a docstring": ('"""A thing."""', '"""Another thing."""'),
    "no docstring": ('    """Options."""\n', ""),
    "a docstring of a module": ('"""A module."""', '"""Read things."""'),
    "a docstring of an attribute": ('"""How many."""', '"""How many at most."""'),
    "help of a parameter": ('f"at most {LIMIT}"', '"no more"'),
    "no help of a parameter": (', f"at most {LIMIT}"', ""),
    "a text of help": ("at least 1", "no less"),
    "a description": ("It reads.", "It reads more."),
    "quotes": ('"a"', "'a'"),
    "layout": (
        'f"{x!r:>{LIMIT}} and {x:,} {x=}" "tail"',
        '(f"{x!r:>{LIMIT}} and "\n                f"{x:,} {x=}tail")',
    ),
    "the writing of a number": ("1_000.0", "1e3"),
}
OTHER = {
    "a number": ("LIMIT: int = 3", "LIMIT: int = 4", ["LIMIT"]),
    "the type of a number": ("1_000.0", "1000", ["Thing"]),
    "a default of a parameter": ("= LIMIT)", "= 7)", ["main"]),
    "a limit of a parameter": ("at_least(1)", "at_least(2)", ["main"]),
    "the kind of a parameter": ("Annotated[int", "Annotated[float", ["main"]),
    "a default of an option": ("default=1", "default=7", ["main"]),
    "a name of an option": ("--least", "--fewest", ["main"]),
    "a text that is computed with": ("tail", "tale", ["told"]),
    "an import": ("import argparse", "import sys", [""]),
    "a true docstring that is a value": ('key: str = "a"', 'key: str = "b"', ["Thing"]),
    "a body that only had a docstring": ('    """Options."""\n', "    return None\n", ["main"]),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_prose_and_formatting_mean_nothing(change: tuple[str, str]) -> None:
    assert change[0] in MODULE
    assert meanings(MODULE.replace(*change).encode()) == meanings(MODULE.encode())


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_all_else_means_something_and_is_named(change: tuple[str, str, list[str]]) -> None:
    old, new, names = change
    assert old in MODULE
    before, after = meanings(MODULE.encode()), meanings(MODULE.replace(old, new).encode())
    assert [name for name in before if before[name] != after[name]] == names


def test_digests_are_those_of_every_python() -> None:
    """Found with 3.11.7, 3.12.1 and 3.13.0, whose `ast.dump` of this module all differ."""
    found = hashlib.sha256(json.dumps(meanings(MODULE.encode()), sort_keys=True).encode()).hexdigest()
    assert found[:16] == "4d09598589b1c21a"


def test_two_definitions_of_a_name_count_both() -> None:
    first, second = (meanings(f"def f(): return {n}\ndef f(): return 9".encode())["f"] for n in (1, 2))
    assert first != second


def test_imports_are_found_in_functions_and_may_name_what_is_in_a_module() -> None:
    found = imported_names(b"import a.b\ndef f():\n    from c import d\nfrom . import e\n")
    assert found == {"a.b", "c", "c.d"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mamba_narrative").mkdir()
    (tmp_path / "go.py").write_text('"""Go."""\nfrom mamba_narrative.a import f\n')
    (tmp_path / "mamba_narrative" / "__init__.py").write_text("")
    (tmp_path / "mamba_narrative" / "a.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    (tmp_path / "words.txt").write_text("one\n")
    return tmp_path


def test_data_files_count_by_their_bytes(project: Path) -> None:
    before = Code(project).digest("go", data=[project / "words.txt"])
    (project / "words.txt").write_text("one\ntwo\n")
    assert Code(project).digest("go", data=[project / "words.txt"]) != before


def test_definitions_tell_which_one_changed(project: Path) -> None:
    before = Code(project).meaning("go")
    module = project / "mamba_narrative" / "a.py"
    module.write_text(module.read_text().replace("return 2", "return 3  # more"))
    after = Code(project).meaning("go")
    assert [name for name in after if after[name] != before[name]] == ["mamba_narrative/a.py:g"]


def test_a_source_that_is_no_python_is_named(project: Path) -> None:
    (project / "mamba_narrative" / "a.py").write_text("def f(:\n")
    with pytest.raises(SyntaxError) as found:
        Code(project).digest("go")
    assert found.value.filename == str(project / "mamba_narrative" / "a.py")


def test_the_cache_answers_by_content_and_may_be_damaged(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = project / "cache.json"
    code = Code(project, cache)
    before = code.digest("go")
    code.save()
    with monkeypatch.context() as patch:
        patch.setattr("mamba_narrative.code_inputs.meanings", None)  # nothing is parsed again
        assert Code(project, cache).digest("go") == before
    module = project / "mamba_narrative" / "a.py"
    module.write_text(module.read_text().replace("return 1", "return 4"))
    assert Code(project, cache).digest("go") != before
    for damage in ("", "[]", '{"format": 1}', '{"sources": {}}'):
        cache.write_text(damage)
        module.write_text(module.read_text().replace("return 4", "return 1"))
        assert Code(project, cache).digest("go") == before
