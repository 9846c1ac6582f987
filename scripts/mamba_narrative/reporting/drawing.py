"""Drawing a figure by its name: `figures/<name>.py` has ``draw(results, runs) -> Figure``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from mamba_narrative.reporting.style import figure_style, save_figure

_FOLDER = Path(__file__).parent / "figures"


def figure_names() -> list[str]:
    """The figures there are, one module each."""
    return sorted(path.stem for path in _FOLDER.glob("[a-z]*.py"))


def draw_figure(name: str, results: Path, runs: Sequence[str], svg: Path, png: Path) -> None:
    """Draw figure ``name`` for ``runs`` from the files of ``results`` and write both forms of it."""
    # By name, so that an edited figure is an input of its own rule only; the workflow adds the module as an input.
    module = importlib.import_module(f"mamba_narrative.reporting.figures.{name}")
    with figure_style():
        figure = module.draw(results, runs)
    save_figure(figure, svg, png)
