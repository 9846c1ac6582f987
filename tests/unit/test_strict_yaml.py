"""What a YAML reader would drop or change in silence is refused, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.errors import UserError
from mamba_narrative.strict_yaml import parse_yaml, read_yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "workflow").rglob("*.yaml"))]


def refused(text: str) -> str:
    with pytest.raises(UserError) as error:
        parse_yaml(text, "mine.yaml")
    return str(error.value)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_the_project_read_as_with_a_usual_reader(path):
    assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", (1, 3)),
        ("training:\n  steps: 10\n\n  steps: 20\n", "training.steps", (2, 4)),
        ("runs: {a: 1,\n  'a': 2}", "runs.a", (1, 2)),
        ("list:\n- x: 1\n  y: 1\n  x: 1\n", "list.0.x", (2, 4)),
        ("yes: 1\ntrue: 2\n", "true", (1, 2)),
        ("a:\n  <<: {b: 1}\n  <<: {c: 1}\n", "a.<<", (2, 3)),
        ('{"a": {"b": 1,\n"b": 2}}', "a.b", (1, 2)),
        ('{\n\t"a": 1,\n\t"a": 2\n}', "a", (2, 3)),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text, key, lines):
    first, second = lines
    assert refused(text) == f"mine.yaml:{second}: {key} is there twice, first in line {first}; keep one of the two"


def test_anchors_and_merged_maps_are_written_out():
    text = "base: &base {a: 1, b: 2}\none: *base\ntwo:\n  <<: *base\n  b: 3\n"
    assert parse_yaml(text, "mine.yaml") == {"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 2}, "two": {"a": 1, "b": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [touch x]\n", ":2: the tag"),
        ("a: !!binary aGVsbG8=\n", ":1: the tag"),
        ("a: !x 1\n", ":1: the tag"),
        ("a: ! 1\n", ":1: the tag"),
        ("a: &a [1, *a]\n", ":1: an alias leads into itself"),
        ("a: *b\n", ":1: not valid YAML (found undefined alias"),
        ("a: [1\nb: 2\n", ":2: not valid YAML"),
        ("a:\n\tb: 1\n", ":2: not valid YAML"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML"),
        ("a: \x07\n", "mine.yaml: not valid YAML"),
        ("[a, b]: 1\n", ":1: a key must be a word"),
        ("a: 1\nseed: 010\n", ":2: YAML reads 010 as 8"),
        ("steps: 1:30\n", ":1: YAML reads 1:30 as 90"),
        ("steps: 1:30.5\n", ":1: YAML reads 1:30.5 as 90.5"),
        ("a: 2024-13-45\n", ":1: '2024-13-45' is no value that can be read"),
        (f"a: {'9' * 5_000}\n", ":1: '999"),
        ("[" * 20_000, ":1: nested more than 50 times"),
        ("{a: " * 20_000, ":1: nested more than 50 times"),
        ("a: 1\n" * 300_000, "1,500,000 characters"),
    ],
)
def test_what_is_no_plain_value_is_refused_with_its_line(text, message):
    assert message in refused(text)
    assert len(refused(text)) < 300


def test_aliases_cannot_stand_for_more_values_than_a_configuration_has():
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert "more than 100,000 values" in refused("\n".join(lines))


def test_what_people_write_is_what_they_get():
    text = "a: 1_000\nb: 0x10\nc: '010'\nd: 1.0e-3\ne: 1e-3\nf: 0\ng: 'no'\nh: ~\ni: '1:30'\nj: 0.5\n"
    assert parse_yaml(text, "mine.yaml") == {
        "a": 1_000,
        "b": 16,
        "c": "010",
        "d": 0.001,
        "e": "1e-3",
        "f": 0,
        "g": "no",
        "h": None,
        "i": "1:30",
        "j": 0.5,
    }
    assert parse_yaml("", "mine.yaml") is None


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for name in ("none.yaml", "latin.yaml"):
        with pytest.raises(UserError, match=name):
            read_yaml(tmp_path / name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([None, "\t", 2]), st.booleans())
def test_any_json_is_read_as_json(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if "\ud800" <= max(text, default="") <= "\udfff":
        return
    assert json.dumps(parse_yaml(text, "mine.json")) == json.dumps(value)
