from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import RUNS

import draw_figure
import make_tables
import write_report
from command_calls import run


def test_tables_then_figures_then_the_page(results: Path, tmp_path: Path) -> None:
    report = results / "report"
    run(make_tables, "--results", results, "--runs", *RUNS, "--output", report / "tables")
    svg, png = report / "figures" / "loss_by_position.svg", report / "figures" / "loss_by_position.png"
    run(draw_figure, "--figure", "loss_by_position", "--results", results, "--runs", *RUNS, "--svg", svg, "--png", png)
    configuration = tmp_path / "configuration.json"
    configuration.write_text('{"splits": {"seed": 4711}}')
    pages = []
    for given in (configuration, configuration.read_text()):
        run(
            write_report, "--results", results, "--runs", *RUNS, "--settings", '{"title": "A title"}',
            "--configuration", given, "--output", report / "index.html",
        )  # fmt: skip
        pages.append((report / "index.html").read_text())
    assert pages[0] == pages[1]
    assert "<title>A title</title>" in pages[0]
    assert "4711" in pages[0]
    assert pages[0].count("data:image/svg+xml") == 1
    assert str(results) not in pages[0]


@pytest.mark.parametrize(
    "wrong", [["--settings", '{"titel": "x"}'], ["--settings", "{}", "--configuration", "no-such-file.json"]]
)
def test_wrong_settings_are_refused_before_anything_is_written(
    wrong: list[str], results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(write_report, "--results", results, "--runs", *RUNS, "--output", tmp_path / "page.html", *wrong)
    message = capsys.readouterr().err
    assert ("titel: unknown key" in message) or ("no-such-file.json" in message)
    assert not (tmp_path / "page.html").exists()


def test_only_figures_that_exist_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(draw_figure, "--figure", "nothing")
    assert "corpus_composition" in capsys.readouterr().err
