"""Every key of the schema has limits: what lies at them is accepted, what lies beyond is refused with its key."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mamba_narrative.config.experiment import ExperimentSettings, resolve_experiment
from mamba_narrative.errors import UserError

SCHEMA = ExperimentSettings.model_json_schema()
REQUIRED = {"published": {"name": "other", "path": "models/other"}, "columns": {"text": "text"}}
# What must change with a key for its least or largest value to make sense. The last words of a key's path decide.
MOST, LEAST = "most", "least"
COMPANIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("training.steps", LEAST): {"warmup_steps": 0},
    ("training.warmup_steps", MOST): {"steps": 100_000_000},
    ("training.processes", MOST): {"batch_size": 4_096},
    ("training.nodes", MOST): {"batch_size": 1_024, "processes": 1_024},
    ("training.micro_batch_size", MOST): {"batch_size": 65_536},
    ("model.d_model", MOST): {"n_layer": 1},
    ("model.dt_rank", MOST): {"d_model": 16_384, "n_layer": 1},
    ("model.n_head", MOST): {"d_model": 2_048},
    ("duplicates.cluster_containment", MOST): {"duplicate_containment": 1},
    ("duplicates.duplicate_containment", LEAST): {"cluster_containment": 0.0001},
    ("selection.max_other_form_fraction", LEAST): {"partial_other_form_fraction": 0},
    ("selection.partial_other_form_fraction", MOST): {"max_other_form_fraction": 1},
    ("splits.validation_fraction", MOST): {"test_fraction": 0.05},
    ("splits.test_fraction", MOST): {"validation_fraction": 0.05},
}

OF_TRANSFORMERS = {"attention_dropout"}


@dataclass(frozen=True)
class Key:
    """A key of the schema; `[]` in its path is a list, whose values it describes."""

    path: tuple[str, ...]
    rules: dict[str, Any]

    def configuration(self, value: Any, beside: dict[str, Any] | None = None) -> dict[str, Any]:
        """A whole configuration with this key, and keys of the same section beside it."""
        *sections, last = self.path
        inner: Any = [value] if last == "[]" else {**(beside or {}), last: value}
        for number, name in reversed(list(enumerate(sections))):
            if name == "[]":
                inner = [{**REQUIRED[sections[number - 1]], **inner} if isinstance(inner, dict) else inner]
            elif name in ("mamba", "transformer"):
                inner = {"run": {"architecture": name, **inner}}
            else:
                inner = {name: {**REQUIRED.get(name, {}), **inner} if isinstance(inner, dict) else inner}
        architecture = "transformer" if last in OF_TRANSFORMERS else "mamba"
        return {"runs": {"run": {"architecture": architecture}}, **inner}

    def ends_with(self, end: str) -> bool:
        return ".".join(self.path).endswith(end)

    def companions(self, extreme: str) -> dict[str, Any]:
        return {
            key: value
            for (end, side), beside in COMPANIONS.items()
            if side == extreme and self.ends_with(end)
            for key, value in beside.items()
        }


def keys(rules: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Key]:
    """All keys that hold a value, with the rules of that value."""
    if "$ref" in rules:
        rules = {**rules, **SCHEMA["$defs"][rules["$ref"].rpartition("/")[2]]}
    for choice in (*rules.get("anyOf", ()), *rules.get("oneOf", ())):
        yield from keys(choice, path)
    if "properties" in rules:
        run = rules["properties"].get("architecture", {}).get("const")
        for name, inner in rules["properties"].items():
            yield from keys(inner, (*path, run, name) if run else (*path, name))
    elif isinstance(rules.get("additionalProperties"), dict):
        yield from keys(rules["additionalProperties"], path)
    elif "prefixItems" in rules.get("items", {}):
        pass  # points of a schedule: test_experiment.py tries their limits and their order
    elif rules.get("type") == "array":
        yield Key(path, rules)
        yield from keys(rules["items"], (*path, "[]"))
    elif rules.get("type") not in (None, "null", "object") or "enum" in rules:
        yield Key(path, rules)


KEYS = list(keys(SCHEMA))


def of_type(*types: str) -> list[Any]:
    return [
        pytest.param(key, id=".".join(key.path))
        for key in KEYS
        if key.rules.get("type") in types and not {"enum", "const"} & key.rules.keys()
    ]


def accepted(configuration: dict[str, Any]) -> bool:
    try:
        resolve_experiment(configuration)
    except UserError as error:
        print(error)
        return False
    return True


def refused(key: Key, value: Any, beside: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as error:
        resolve_experiment(key.configuration(value, beside))
    # The last key of the file's own stands in the message: list places and the run's architecture do not.
    assert next(name for name in reversed(key.path) if name != "[]") in str(error.value)
    return str(error.value)


def test_the_walk_finds_all_sections():
    found = {key.path[0] for key in KEYS}
    assert found == set(ExperimentSettings.model_fields)
    assert {key.path[1] for key in KEYS if key.path[0] == "runs"} == {"mamba", "transformer"}
    assert len(KEYS) > 200


@pytest.mark.parametrize("end", sorted({end for end, _ in COMPANIONS}))
def test_every_exception_of_this_test_is_a_key(end):
    assert any(key.ends_with(end) for key in KEYS)


@pytest.mark.parametrize("key", of_type("integer", "number"))
def test_a_number_has_a_least_and_a_largest_value(key):
    least, most = key.rules["minimum"], key.rules["maximum"]
    assert math.isfinite(least)
    assert math.isfinite(most)
    assert accepted(key.configuration(least, key.companions(LEAST)))
    heeded = key.path[-1] not in OF_TRANSFORMERS or "mamba" not in key.path
    assert accepted(key.configuration(most, key.companions(MOST))) == heeded
    if key.rules["type"] == "integer":
        below, above = least - 1, most + 1
        refused(key, 2.5)
    else:
        below, above = math.nextafter(least, -math.inf), math.nextafter(most, math.inf)
    refused(key, below, key.companions(LEAST))
    refused(key, above, key.companions(MOST))
    for nonsense in (True, "many", math.nan, math.inf, 10**400, [1], {}):
        refused(key, nonsense)


@pytest.mark.parametrize("key", of_type("string"))
def test_a_text_has_a_least_and_a_largest_length(key):
    most = key.rules["maxLength"]
    refused(key, "a" * (most + 1))
    if key.rules["minLength"]:
        refused(key, "")
    for nonsense in (True, "a\0b", "a\x1b[31mb", "\ud800", ["a"]):
        refused(key, nonsense)
    if not key.ends_with("ids.[]"):
        assert "put text into quotes" in refused(key, 5)


def many_values(key: Key, count: int) -> list[Any]:
    """Up to ``count`` values that a list takes, all different."""
    item = next(item for item in KEYS if item.path[: len(key.path) + 1] == (*key.path, "[]"))
    if "enum" in item.rules:
        return item.rules["enum"]
    if item.rules["type"] == "integer":
        return list(range(item.rules["minimum"], item.rules["minimum"] + count))
    words = [f"{chr(65 + n // 676)}{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}" for n in range(min(count, 26**3))]
    if key.ends_with("languages"):
        return [word.lower() for word in words]
    if key.ends_with("mirrors"):
        return [f"https://{word}.org/" for word in words]
    return [{"name": word, "path": word} for word in words] if item.path[-1] != "[]" else words


@pytest.mark.parametrize("key", of_type("array"))
def test_a_list_has_a_largest_length_and_holds_nothing_twice(key):
    assert key.rules["uniqueItems"]
    most = key.rules["maxItems"]
    values = many_values(key, most + 1)
    assert accepted(key.configuration(values[:most]))
    if len(values) > most:
        assert f"at most {most} item" in refused(key, values)
    if key.rules.get("minItems"):
        refused(key, [])
    else:
        assert accepted(key.configuration([]))
    assert any(word in refused(key, [values[0], values[0]]) for word in ("twice", "must rise"))
    refused(key, values[0])


@pytest.mark.parametrize("key", of_type("boolean"))
def test_a_switch_is_true_or_false(key):
    assert accepted(key.configuration(True))
    assert accepted(key.configuration(False))
    for nonsense in (2, "maybe", None, [True]):
        refused(key, nonsense)


@pytest.mark.parametrize("key", [key for key in KEYS if "enum" in key.rules], ids=lambda key: ".".join(key.path))
def test_a_choice_is_one_of_its_words(key):
    refused(key, "something-else")
    refused(key, True)
