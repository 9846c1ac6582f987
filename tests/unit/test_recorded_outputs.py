"""What one command writes and another reads is recorded with its hash."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from mamba_narrative.io import recorded_outputs

RULES = Path(__file__).parents[2] / "workflow" / "rules"
COMMANDS = sorted(
    {name for path in RULES.glob("*.smk") for name in re.findall(r"command\(\"(\w+)\"\)", path.read_text("utf-8"))}
)
# acquire_books: people may edit what it writes. export_*: no command reads it. train_run: its results, not its state.
OTHERS = {"acquire_books", "export_dataset", "export_model", "train_run"}


def test_the_rules_name_their_commands() -> None:
    assert set(COMMANDS) > OTHERS


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in OTHERS])
def test_a_command_of_a_rule_records_what_it_writes(name: str) -> None:
    main = importlib.import_module(name).main
    assert main.__code__ is recorded_outputs()(main).__code__
