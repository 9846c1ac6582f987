"""Tables of a published baseline, and the pages that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json
from mamba_narrative.reporting.baseline_tables import TABLES, all_measures, headline, training, update_page

REPOSITORY = Path(__file__).parents[3]
PUBLISHED = REPOSITORY / "workflow" / "baselines" / "gutenberg-697"


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    measured = {"definition": "bits_per_byte", "value": 1.2624, "n": 75, "interval_95": [1.2333, 1.2918]}
    without = {**measured, "value": 2.5, "interval_95": None}
    compressed = {**without, "definition": "compressed_bits_per_byte"}
    for name, measure in (("large", measured), ("unigram", without), ("xz", compressed)):
        write_json(tmp_path / "evaluation" / name / "likelihood.json", {"metrics": {"bits_per_byte": measure}})
    loops = {"definition": "loop_fraction", "value": 0.5, "n": 64, "interval_95": None}  # no measure of the main table
    write_json(tmp_path / "evaluation" / "human" / "generation.json", {"metrics": {"loop_fraction": loops}})
    record = {
        "run": "large", "parameters": 1000, "steps": 20, "weights_of_step": 10, "tokens_seen": 5_000_000,
        "epochs": 1.25, "seconds": 75.0, "tokens_per_second": 66_666.7, "mfu": None, "energy_kwh": None,
        "resumed": 2, "validation": {"bits_per_byte": 1.3}, "settings": {"training": {"seed": 7}},
    }  # fmt: skip
    write_json(tmp_path / "runs" / "large" / "run.json", record)
    return tmp_path


def test_runs_stand_before_baselines_each_with_its_interval(baseline: Path) -> None:
    assert headline(baseline).splitlines() == [
        "| Measure | Better | large | xz | unigram baseline |",
        "| :-- | --: | --: | --: | --: |",
        "| Bits per byte | lower | 1.262 (1.233 to 1.292) | 2.500 (no interval) | 2.500 (no interval) |",
    ]


def test_all_measures_stand_with_their_ids(baseline: Path) -> None:
    assert [line.split(" | ")[0] for line in all_measures(baseline).splitlines()[2:]] == [
        "| Bits per byte (`bits_per_byte`)",
        "| Repetition loops (`loop_fraction`)",
    ]


def test_a_run_is_shown_with_its_best_validation(baseline: Path) -> None:
    row = training(baseline).splitlines()[2]
    assert row == "| large | 1,000 | 7 | 20 | 10 | 5,000,000 | 1.250 | 75.00 | 66,667 |  |  | 2 | 1.300 |"


def test_only_what_stands_between_the_marks_is_written(baseline: Path) -> None:
    page = "before\n<!-- baseline: headline -->\nold\n<!-- /baseline -->\nafter <!-- baseline -->\n"
    written = update_page(page, baseline)
    assert written == page.replace("old\n", headline(baseline))
    assert update_page(written, baseline) == written


def test_an_unknown_table_is_named(baseline: Path) -> None:
    with pytest.raises(UserError, match=r"headlines.*headline, all, training"):
        update_page("<!-- baseline: headlines -->\n<!-- /baseline -->", baseline)


@pytest.mark.parametrize("table", TABLES)
def test_a_folder_without_runs_leaves_the_page_alone(table: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no runs"):
        update_page(f"<!-- baseline: {table} -->\nold\n<!-- /baseline -->", tmp_path)


def test_a_block_without_an_end_is_refused_and_takes_no_other_ones(baseline: Path) -> None:
    page = "<!-- baseline: headline -->\nkept\n<!-- baseline: training -->\n<!-- /baseline -->\n"
    with pytest.raises(UserError, match="no <!-- /baseline --> after it"):
        update_page(page, baseline)


@pytest.mark.parametrize("name", ["README.md", "BASELINE.md"])
def test_pages_show_what_is_published(name: str) -> None:
    page = (REPOSITORY / name).read_text("utf-8")
    assert any(f"<!-- baseline: {table} -->" in page for table in TABLES)
    assert update_page(page, PUBLISHED) == page, (
        "python scripts/tabulate_baseline.py --baseline ... README.md BASELINE.md"
    )
