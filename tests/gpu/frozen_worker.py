"""Started by torchrun in ``test_processes_cuda``: a run whose second process stands still before a recorded step."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from gpu.test_processes_cuda import FROZEN_SECONDS, TIMEOUT_SECONDS, run_of
from mamba_narrative.training import processes
from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_training import train_run

if __name__ == "__main__":
    tokens, root = (Path(argument) for argument in sys.argv[1:])
    processes._TIMEOUT = timedelta(seconds=TIMEOUT_SECONDS)
    update = Trainer._update

    def update_or_freeze(trainer: Trainer) -> str:
        if trainer.step == 6:
            assert trainer._gradient_sum._graphs._recorded, "the steps are not recorded"
            if os.environ["RANK"] == "1":
                time.sleep(FROZEN_SECONDS)
        return update(trainer)

    Trainer._update = update_or_freeze
    sys.exit(train_run("two", run_of(), tokens, root / "output", root / "state"))
