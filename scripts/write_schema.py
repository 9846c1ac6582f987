"""Write the JSON schema of the configuration, which editors use to complete and check YAML files.

The schema is generated from the typed configuration; a test keeps the two in step.

example:
  python scripts/write_schema.py
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.experiment import ExperimentSettings
from mamba_narrative.io import write_json


def main(*, output: Annotated[Path, "file to write"] = Path("workflow/schemas/config.schema.json")) -> None:
    schema = ExperimentSettings.model_json_schema()
    write_json(output, {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


if __name__ == "__main__":
    run_command(main, __doc__)
