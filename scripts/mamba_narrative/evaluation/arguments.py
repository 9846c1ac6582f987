"""What the commands that measure are told: the run, for models, tokens, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

RunDirectory = Annotated[Path, "folder of the run: run.json and model/"]
TestTokens = Annotated[Path, "folder of the test token files"]
TrainAndTestTokens = Annotated[Path, "folder of the train and test token files"]
OutputDirectory = Annotated[Path, "folder for the results"]
