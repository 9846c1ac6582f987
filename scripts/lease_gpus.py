"""Run a command on GPUs that no other command of this kind uses, and wait where none is free.

The command takes the place of this process, with CUDA_VISIBLE_DEVICES set. Without GPUs, and in a SLURM job, whose
devices the scheduler assigned, it runs as it is. It is asked to stop (SIGTERM) when the process that started it dies.

example:
  python scripts/lease_gpus.py --count 2 python scripts/train_run.py ...
"""

import os
from typing import Annotated

from mamba_narrative.argument_types import number_argument
from mamba_narrative.command import run_command
from mamba_narrative.gpu_lease import lease_gpus
from mamba_narrative.orphans import stop_with_parent


def main(
    *command: Annotated[str, "the command with its arguments"],
    count: Annotated[int, number_argument(int, 0, 4_096), "number of GPUs; 0: none"],
) -> None:
    stop_with_parent()
    devices = lease_gpus(count)
    if devices is not None:
        # Numbers in CUDA_VISIBLE_DEVICES count in this order.
        os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(devices)}
    os.execvp(command[0], command)


if __name__ == "__main__":
    run_command(main, __doc__)
