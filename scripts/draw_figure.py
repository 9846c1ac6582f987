"""Draw one figure of the report as SVG and PNG.

example:
  python scripts/draw_figure.py --figure training_curve --results results --runs small --svg curve.svg --png curve.png
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.io import recorded_outputs
from mamba_narrative.reporting.drawing import draw_figure, figure_names


@recorded_outputs()
def main(
    *,
    figure: Annotated[str, figure_names(), "which figure"],
    results: Annotated[Path, "results folder that the figure reads"],
    runs: Annotated[Sequence[str] | None, "runs to show, in this order"] = None,
    svg: Annotated[Path, "where to write the scalable form"],
    png: Annotated[Path, "where to write the pixel form"],
) -> None:
    draw_figure(figure, results, runs or (), svg, png)


if __name__ == "__main__":
    run_command(main, __doc__)
