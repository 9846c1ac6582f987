"""Training Mamba-130M on one and on several GPUs of this machine, by the command that the workflow calls.

Each run is ``scripts/train_run.py`` on the token files of an experiment; speeds are medians over its steps. Efficiency
is the speed over that of one GPU times their number, once with the same batch in all, once with the same batch a GPU.
Then the losses of one GPU beside those of several, with gradients added up in float32 and in bfloat16, and of a run
that was stopped twice and went on with another number of GPUs.

With ``--profile`` instead: how much of the exchange of gradients lies beside the backward pass
(``profile_processes_gpu.py``), with and without recorded steps.

    python tests/benchmarks/bench_processes_gpu.py --tokens results/baseline-697/tokens [--steps 60] [--only then]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from timing import machine

ROOT = Path(__file__).parents[2]
WARM_UP_STEPS = 8


def settings_of(arguments: argparse.Namespace, **training: object) -> str:
    """A run as the command reads it."""
    model = json.loads(arguments.model)
    recipe = {
        "steps": arguments.steps, "sequence_length": arguments.length, "batch_size": arguments.batch,
        "warmup_steps": arguments.steps // 4, "learning_rate": 1e-3, "precision": arguments.precision,
        "validate_every_steps": arguments.steps, "validation_tokens": 10_000, "checkpoint_every_steps": 10_000,
    }  # fmt: skip
    return json.dumps({"architecture": "mamba", "model": model, "training": recipe | training})


def train(arguments: argparse.Namespace, folder: Path, processes: Sequence[int], **training: object) -> list[dict]:
    """The log of a run that is stopped and goes on with the next number of processes, as many as are given."""
    if len(processes) > 1:
        training["validate_every_steps"] = arguments.steps // len(processes) - 1  # stops follow a validation
    for number, count in enumerate(processes):
        settings = settings_of(arguments, processes=count, **training)
        command = [sys.executable, str(ROOT / "scripts" / "train_run.py"), "--run", "bench", "--settings", settings]
        command += ["--tokens", str(arguments.tokens), "--output", str(folder / "output")]
        command += ["--state-directory", str(folder / "state")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stderr is not None
            log = ""
            stopped = number == len(processes) - 1
            for line in process.stderr:
                log += line
                if not stopped and "validation loss" in line:
                    os.kill(process.pid, signal.SIGTERM)
                    stopped = True
        if number == len(processes) - 1 and process.returncode:
            raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{log[-4000:]}")
    resumed = json.loads((folder / "output" / "run.json").read_text(encoding="utf-8"))["resumed"]
    if resumed != len(processes) - 1:
        print(f"a run that was to go on {len(processes) - 1} times did so {resumed} times: take more steps")
    with (folder / "output" / "train.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def profile(arguments: argparse.Namespace) -> None:
    """Print the overlap of exchange and computing, a line for each way to train."""
    print(machine(), flush=True)
    for training in ({}, {"cuda_graphs": False}, {"reduce_dtype": "bfloat16"}):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        command += [str(arguments.gpus), str(Path(__file__).with_name("profile_processes_gpu.py"))]
        command += ["--tokens", str(arguments.tokens)]
        command += ["--settings", settings_of(arguments, processes=arguments.gpus, **training)]
        subprocess.run(command, check=True)


def speed(log: Sequence[Mapping[str, str]]) -> float:
    """Median tokens a second."""
    return statistics.median(float(row["tokens_per_second"]) for row in log[WARM_UP_STEPS:])


def difference(log: Sequence[Mapping[str, str]], other: Sequence[Mapping[str, str]]) -> str:
    """Of the losses, step by step, and of their means over the last quarter."""
    pairs = [(float(a["loss_nats"]), float(b["loss_nats"])) for a, b in zip(log, other, strict=True)]
    last = pairs[-len(pairs) // 4 :]
    drift = statistics.mean(a - b for a, b in last)
    return f"largest {max(abs(a - b) for a, b in pairs):.2e}, mean of the last quarter {drift:+.2e} nats a token"


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    started, several, batch = time.perf_counter(), arguments.gpus, arguments.batch
    print(machine())
    runs: dict[str, tuple[list[int], dict[str, object]]] = {
        "1 GPU": ([1], {}),
        f"{several} GPUs, the same batch in all": ([several], {}),
        f"{several} GPUs, the same batch a GPU": ([several], {"batch_size": several * batch}),
        f"{several} GPUs, gradients in bfloat16": ([several], {"reduce_dtype": "bfloat16"}),
        f"{several} GPUs, then 1, then {several}": ([several, 1, several], {}),
    }
    logs = {}
    for name, (processes, training) in runs.items():
        if arguments.only not in name and name != "1 GPU":
            continue
        with tempfile.TemporaryDirectory() as folder:
            logs[name] = train(arguments, Path(folder), processes, **training)
        one = speed(logs["1 GPU"])
        gpus = processes[0]
        line = f"{name}: {speed(logs[name]):,.0f} tokens/s, efficiency {speed(logs[name]) / one / gpus:.1%}"
        if "batch_size" not in training and gpus > 1:
            line += f"; loss beside 1 GPU: {difference(logs[name], logs['1 GPU'])}"
        print(line, flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of token files")
    parser.add_argument("--gpus", type=int, default=2, help="processes beside one (default: 2)")
    parser.add_argument("--steps", type=int, default=60, help="updates of a run (default: 60)")
    parser.add_argument("--batch", type=int, default=32, help="windows of an update (default: 32)")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a window (default: 2048)")
    parser.add_argument("--precision", default="bfloat16", help="float32 or bfloat16 (default)")
    parser.add_argument("--model", default='{"d_model": 768, "n_layer": 24}', help="size as JSON")
    parser.add_argument("--only", default="", help="runs with this in their name, beside one GPU")
    parser.add_argument("--profile", action="store_true", help="only the overlap of exchange and computing")
    given = parser.parse_args()
    (profile if given.profile else main)(given)
