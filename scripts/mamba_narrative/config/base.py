"""What all sections of the configuration share: unknown keys are refused, values never change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Section(BaseModel):
    """A part of the configuration; field docstrings become descriptions in the JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def explain(error: ValidationError) -> str:
    """One line for each fault: the key, the value found, and what was expected."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "(top level)"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key (value {fault['input']!r}); check its spelling and its section")
        elif fault["type"] == "missing":
            lines.append(f"{key}: missing; a value is required")
        else:
            lines.append(f"{key}: {fault['msg']}, found {fault['input']!r}")
    return "\n".join(lines)
