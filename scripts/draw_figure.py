"""Draw one figure of the report as SVG and PNG."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.drawing import draw_figure, figure_names


@recorded_outputs()
def main(arguments: argparse.Namespace) -> None:
    draw_figure(arguments.figure, arguments.results, arguments.runs, arguments.svg, arguments.png)


def parser() -> argparse.ArgumentParser:
    command = command_parser(
        __doc__ or "",
        "python scripts/draw_figure.py --figure training_curve --results results --runs small "
        "--svg curve.svg --png curve.png",
    )
    command.add_argument("--figure", choices=figure_names(), required=True, help="which figure")
    command.add_argument("--results", type=Path, required=True, help="results folder that the figure reads")
    command.add_argument("--runs", nargs="+", default=[], help="runs to show, in this order")
    command.add_argument("--svg", type=Path, required=True, help="where to write the scalable form")
    command.add_argument("--png", type=Path, required=True, help="where to write the pixel form")
    return command


if __name__ == "__main__":
    run_command(main, parser())
