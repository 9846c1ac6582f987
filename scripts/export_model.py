"""Write a trained run as a folder to hand on: transformers' form with a complete card, and mamba-ssm's own format.

example:
  python scripts/export_model.py --results results --run mamba-sample --output results/models/mamba-sample
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.model.export import export_model
from mamba_narrative.reporting.model_card import complete_card

CITATION = Path(__file__).resolve().parents[1] / "CITATION.cff"


def main(
    *,
    results: Annotated[Path, "results folder with the run and the report"],
    run: Annotated[str, "name of the run"],
    citation: Annotated[Path, "what to cite"] = CITATION,
    output: Annotated[Path, "folder to write; an older one is replaced"],
) -> None:
    export_model(results / "runs" / run / "model", complete_card(results, run, citation), output)


if __name__ == "__main__":
    run_command(main, __doc__)
