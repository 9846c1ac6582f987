"""Write the JSON schema of the configuration, which editors use to complete and check YAML files.

The schema is generated from the typed configuration; a test keeps the two in step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.config.experiment import ExperimentSettings
from mamba_narrative.io import write_json


def main(arguments: argparse.Namespace) -> None:
    schema = ExperimentSettings.model_json_schema()
    write_json(arguments.output, {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", "python scripts/write_schema.py")
    default = Path("workflow/schemas/config.schema.json")
    parser.add_argument("--output", type=Path, default=default, help=f"file to write ({default})")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
