"""Run a command on GPUs that no other command of this kind uses, and wait where none is free.

The command takes the place of this process, with CUDA_VISIBLE_DEVICES set. Without GPUs, and in a SLURM job, whose
devices the scheduler assigned, it runs as it is. It is asked to stop (SIGTERM) when the process that started it dies.
"""

from __future__ import annotations

import argparse
import os

from mamba_narrative.command import command_parser, number_argument, run_command
from mamba_narrative.gpu_lease import lease_gpus
from mamba_narrative.orphans import stop_with_parent


def main(arguments: argparse.Namespace) -> None:
    stop_with_parent()
    devices = lease_gpus(arguments.count)
    if devices is not None:
        # Numbers in CUDA_VISIBLE_DEVICES count in this order.
        os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(devices)}
    os.execvp(arguments.command[0], arguments.command)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", "python scripts/lease_gpus.py --count 2 python scripts/train_run.py ...")
    parser.add_argument("--count", type=number_argument(int, 0, 4_096), required=True, help="number of GPUs; 0: none")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command with its arguments")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
