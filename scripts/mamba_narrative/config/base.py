"""What all sections of the configuration share: unknown keys are refused, values never change, each has limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from mamba_narrative.config.renamed import RENAMED

Item = TypeVar("Item")
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?"
"""Names of runs and models, which are names of folders too."""
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LONGEST_SHOWN = 80
_YAML_KINDS = {bool: "true or false", int: "a number", float: "a number", type(None): "null"}


NOTHING: dict[str, Any] = {"changes": "nothing"}
"""Mark of a field (``json_schema_extra``) on which no number depends, but for rounding: another value is no reason to
compute anything again, and what was interrupted goes on with it."""
SUMMARY: dict[str, Any] = {"changes": "summary"}
"""Mark of a field that changes how measured numbers are summarised, and not what is measured."""


class Section(BaseModel):
    """A part of the configuration; field docstrings become descriptions in the JSON schema.

    Texts have 1 to 1,024 characters unless a field says otherwise.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        str_min_length=1,
        str_max_length=1_024,
    )

    @model_validator(mode="before")
    @classmethod
    def _values_are_what_they_look_like(cls, data: Any) -> Any:
        """Refuse what Python would take: ``True`` as the number 1, and characters that no file or command can hold.

        A name that was replaced is refused with the one that replaced it.
        """
        if not isinstance(data, Mapping):
            return data
        renamed = {old: new for old, new in RENAMED.items() if old in data and new in cls.model_fields}
        faults = [_fault(old, data[old], f"this setting is called {new} now") for old, new in renamed.items()]
        for key in (key for key in data if key in cls.model_fields):
            switch = cls.model_fields[key].annotation is bool
            for item in data[key] if isinstance(data[key], list | tuple) else [data[key]]:
                if isinstance(item, bool) and not switch:
                    faults.append(_fault(key, item, "expected a number or text, and YAML reads this as true or false"))
                if isinstance(item, str) and (found := _UNWRITABLE.search(item)):
                    faults.append(_fault(key, item, f"{found[0]!a} is a control character"))
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return data


def numbers_of(section: BaseModel, without: tuple[str, ...] = ("nothing",)) -> Any:
    """``section`` as JSON without the fields whose mark says that they change ``nothing`` (or what is named)."""
    return _without_marked(section, section.model_dump(mode="json"), without)


def _without_marked(value: Any, dumped: Any, without: tuple[str, ...]) -> Any:
    if isinstance(value, RootModel):
        return _without_marked(value.root, dumped, without)
    if isinstance(value, BaseModel):
        marks = {name: field.json_schema_extra for name, field in type(value).model_fields.items()}
        return {
            name: _without_marked(getattr(value, name), dumped[name], without)
            for name, mark in marks.items()
            if not (isinstance(mark, dict) and mark.get("changes") in without)
        }
    if isinstance(value, Mapping):
        return {key: _without_marked(item, dumped[key], without) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_marked(item, one, without) for item, one in zip(value, dumped, strict=True)]
    return dumped


def _fault(key: str, value: object, message: str) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("misread", "{message}", {"message": message}), loc=(key,), input=value
    )


def _distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(values)) < len(values):
        raise ValueError("holds a value twice; each must be there once")
    return values


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must rise from each value to the next")
    return values


Distinct = Annotated[tuple[Item, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
"""A list that holds nothing twice."""
Rising = Annotated[tuple[Item, ...], AfterValidator(_rising), Field(json_schema_extra={"uniqueItems": True})]
"""A list of numbers, each larger than the one before."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""What both torch and numpy take as a seed."""
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""ISO 639 code; YAML reads `no` as false, so Norwegian needs quotes."""


def explain(error: ValidationError) -> str:
    """One line for each fault: the key, the value found, and what was expected."""
    faults = error.errors()
    # Of a list with a wrong value pydantic also says that it is too short without it.
    inner = {fault["loc"][:-1] for fault in faults if fault["loc"]}
    return "\n".join(
        f"{'.'.join(str(part) for part in fault['loc']) or '(top level)'}: {_told(fault['type'], fault)}"
        for fault in faults
        if fault["type"] != "too_short" or fault["loc"] not in inner
    )


def _told(kind: str, fault: Any) -> str:
    value = fault["input"]
    shown = repr(value) if len(repr(value)) <= _LONGEST_SHOWN else f"{repr(value)[:_LONGEST_SHOWN]} ..."
    if kind == "extra_forbidden":
        return f"unknown key (value {shown}); check its spelling and its section"
    if kind == "missing":
        return "missing; a value is required"
    told = fault["msg"].removeprefix("Value error, ").replace("tuple", "list").replace("Tuple", "List")
    if kind == "value_error" and isinstance(value, Mapping):
        return told
    told = f"{told}, found {shown}"
    if kind == "string_type" and isinstance(value, int | float | date | None):
        return f"{told}: YAML reads this as {_YAML_KINDS.get(type(value), 'a date')}; put text into quotes"
    if kind in ("int_parsing", "int_from_float"):
        return f"{told}: write a whole number in digits, such as 1000"
    if kind == "float_parsing":
        return f"{told}: write a number such as 0.001 or 1.0e-3"
    return told
