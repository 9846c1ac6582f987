"""Started by torchrun in ``test_processes``: a run that may be stopped or lose its second process on the way."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from mamba_narrative.training.loop import Trainer
from mamba_narrative.training.run_training import train_run
from mamba_narrative.training.stop import StopRequest
from unit.training.tiny_run import settings_of

if __name__ == "__main__":
    tokens, root, settings, event = sys.argv[1:]
    torch.set_num_threads(1)
    update, run_trainer = Trainer._update, Trainer.run

    def update_and_event(trainer: Trainer) -> str:
        if trainer.step == 3 and os.environ["RANK"] == "1":
            if event == "stop":
                StopRequest.requested = True
            if event == "lost":
                os._exit(9)
        return update(trainer)

    def run_and_event(trainer: Trainer, title: str, should_stop: Callable[[], bool]) -> bool:
        finished = run_trainer(trainer, title, should_stop)
        if event == "stop at the end" and os.environ["RANK"] == "1":
            StopRequest.requested = True
        return finished

    Trainer._update, Trainer.run = update_and_event, run_and_event
    run = settings_of(**json.loads(settings))
    sys.exit(train_run("tiny", run, Path(tokens), Path(root) / "output", Path(root) / "state"))
