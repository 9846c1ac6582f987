"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """What was looked at and what came of it.

    A failed check that is ``required`` means that the workflow cannot be trusted here; another one only costs speed.
    """

    name: str
    status: Literal["pass", "fail", "skipped"]
    detail: str
    remedy: str = ""
    required: bool = True

    @property
    def blocks(self) -> bool:
        """Whether the workflow must not go on."""
        return self.required and self.status == "fail"
