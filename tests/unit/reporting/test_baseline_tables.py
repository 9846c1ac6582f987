"""Tables of a published baseline, and the pages that show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json, write_text
from mamba_narrative.reporting.baseline_tables import TABLES, headline_table, training_table, update_page

REPOSITORY = Path(__file__).parents[3]
PUBLISHED = REPOSITORY / "workflow" / "baselines" / "gutenberg-697"


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    measured = {"definition": "bits_per_byte", "value": 1.2624, "n": 75, "interval_95": [1.2333, 1.2918]}
    without = {**measured, "value": 2.5, "interval_95": None}
    for name, measure in (("large", measured), ("unigram", without)):
        write_json(tmp_path / "evaluation" / name / "likelihood.json", {"metrics": {"bits_per_byte": measure}})
    other = {"compressed_bits_per_byte": {**measured, "definition": "compressed_bits_per_byte"}}
    write_json(tmp_path / "evaluation" / "xz" / "likelihood.json", {"metrics": other})  # no measure of the main table
    record = {
        "parameters": 1000, "steps": 20, "weights_of_step": 10, "tokens_seen": 5_000_000, "epochs": 1.25,
        "seconds": 75.0, "tokens_per_second": 66_666.7, "share_of_peak_flops": None, "energy_kwh": None, "resumed": 2,
    }  # fmt: skip
    write_json(tmp_path / "runs" / "large" / "run.json", record)
    write_text(tmp_path / "runs" / "large" / "validation.csv", "step,bits_per_byte\n10,1.3\n20,1.4\n")
    return tmp_path


def test_runs_stand_before_baselines_each_with_its_interval(baseline: Path) -> None:
    assert headline_table(baseline).splitlines() == [
        "| measure | better | large | unigram |",
        "| :-- | --: | --: | --: |",
        "| Bits per byte | lower | 1.262 (1.233 to 1.292) | 2.500 |",
    ]


def test_a_run_is_shown_with_its_best_validation(baseline: Path) -> None:
    row = training_table(baseline).splitlines()[2]
    assert row == "| large | 1,000 | 20 | 10 | 5 million (1.2) | 1 min 15 s | 66,667 | – | – | 2 | 1.300 |"


def test_only_what_stands_between_the_marks_is_written(baseline: Path) -> None:
    page = "before\n<!-- baseline: headline -->\nold\n<!-- /baseline -->\nafter <!-- baseline -->\n"
    written = update_page(page, baseline)
    assert written == page.replace("old\n", headline_table(baseline))
    assert update_page(written, baseline) == written


def test_an_unknown_table_is_named(baseline: Path) -> None:
    with pytest.raises(UserError, match=r"headlines.*headline, all, training"):
        update_page("<!-- baseline: headlines -->\n<!-- /baseline -->", baseline)


@pytest.mark.parametrize("name", ["README.md", "BASELINE.md"])
def test_pages_show_what_is_published(name: str) -> None:
    page = (REPOSITORY / name).read_text("utf-8")
    assert any(f"<!-- baseline: {table} -->" in page for table in TABLES)
    assert update_page(page, PUBLISHED) == page, (
        "python scripts/tabulate_baseline.py --baseline ... README.md BASELINE.md"
    )
