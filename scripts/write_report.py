"""Write the page that people read: corpus, runs, measurements, figures, samples, environment in one HTML file.

example:
  python scripts/write_report.py --results results --runs small --settings '{}' --output results/report/index.html
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from mamba_narrative.command import run_command
from mamba_narrative.config.report import ReportSettings
from mamba_narrative.io import recorded_outputs, write_text
from mamba_narrative.reporting.page import build_page


def _json(value: str) -> Any:
    try:
        return json.loads(value if value.lstrip().startswith("{") else Path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"neither JSON nor a readable JSON file: {error}") from None


@recorded_outputs()
def main(
    *,
    results: Annotated[Path, "results folder that the page is about"],
    runs: Annotated[Sequence[str], "runs to show, in this order"],
    settings: Annotated[ReportSettings, "section `report`"],
    configuration: Annotated[Any, _json, "resolved configuration to show: JSON or a JSON file"] = None,
    output: Annotated[Path, "where to write the page"],
) -> None:
    write_text(output, build_page(results, runs, settings, configuration))


if __name__ == "__main__":
    run_command(main, __doc__)
