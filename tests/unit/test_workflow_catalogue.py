"""What the Snakemake workflow catalogue asks for under "standardized usage" is where it looks."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_files_of_the_layout_are_there():
    for name in ("workflow/Snakefile", "config/README.md", ".snakemake-workflow-catalog.yml"):
        assert (ROOT / name).is_file(), name
    assert list((ROOT / "workflow" / "rules").glob("*.smk"))


def test_the_catalogue_is_told_how_software_is_deployed_and_that_there_is_a_report():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert usage["software-stack-deployment"] == {
        "conda": "conda:" in rules,
        "apptainer": "container:" in rules,
        "apptainer+conda": False,
    }
    assert usage["report"] is True
    assert not usage["mandatory-flags"]
