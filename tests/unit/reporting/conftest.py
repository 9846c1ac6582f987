from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import RUNS, write_results

from mamba_narrative.reporting.drawing import draw_figure, figure_names
from mamba_narrative.reporting.measured_books import find_entries
from mamba_narrative.reporting.tables.ranking import write_comparison
from mamba_narrative.reporting.tables.write import write_tables


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What the stages before reporting leave behind, for two runs."""
    return write_results(tmp_path / "results")


@pytest.fixture
def reported(results: Path) -> Path:
    """``results`` with tables, and with small stand-ins for the figures, which are tested by themselves."""
    write_tables(results, RUNS, results / "report" / "tables")
    write_comparison(find_entries([results], RUNS), 200, 1, results / "report" / "tables")
    folder = results / "report" / "figures"
    folder.mkdir(parents=True)
    for name in figure_names():
        (folder / f"{name}.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'><title>{name}</title></svg>")
    return results


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every figure of the synthetic results, drawn once."""
    results = write_results(tmp_path_factory.mktemp("drawn") / "results")
    for name in figure_names():
        draw_figure(name, results, RUNS, results / f"{name}.svg", results / f"{name}.png")
    return results
