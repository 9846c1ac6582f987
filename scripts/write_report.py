"""Write the page that people read: corpus, runs, measurements, figures, samples, environment in one HTML file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mamba_narrative.command import command_parser, run_command, settings_argument
from mamba_narrative.config.report import ReportSettings
from mamba_narrative.io import recorded_outputs, write_text
from mamba_narrative.reporting.page import build_page


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    page = build_page(arguments.results, arguments.runs, arguments.settings, arguments.configuration)
    write_text(arguments.output, page)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/write_report.py --results results --runs small --settings '{}' "
        "--output results/report/index.html",
    )
    command.add_argument("--results", type=Path, required=True, help="results folder that the page is about")
    command.add_argument("--runs", nargs="+", required=True, help="runs to show, in this order")
    command.add_argument(
        "--settings", type=settings_argument(ReportSettings), required=True, help="section `report`: JSON or a file"
    )
    command.add_argument("--configuration", type=_json, help="resolved configuration to show: JSON or a JSON file")
    command.add_argument("--output", type=Path, required=True, help="where to write the page")
    return command


def _json(value: str) -> Any:
    try:
        return json.loads(value if value.lstrip().startswith("{") else Path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"neither JSON nor a readable JSON file: {error}") from None


if __name__ == "__main__":
    run_command(main, parser())
