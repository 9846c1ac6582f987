"""Tokens per second of a training step on the CPU: reference, cpu, and transformers' path without kernels.

All in one run, one after the other in each repetition, so that they see the same machine. The body is the model
without head and loss; the head costs the same for all. Medians of the repetitions; takes minutes, nearly all of them in
transformers, whose cost grows with the square of the length.

    python tests/benchmarks/bench_scan_cpu.py --d-model 256 --n-layer 4 --batch 8 --length 256
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.model.convert import hugging_face_config, to_hugging_face
from mamba_narrative.model.mamba import MambaLanguageModel
from mamba_narrative.model.registry import build_model

VOCABULARY = 50_257


def _steps(arguments: argparse.Namespace, ids: torch.Tensor) -> dict[str, Callable[[], None]]:
    """One forward and backward of each candidate."""
    from transformers import MambaConfig, MambaModel

    steps: dict[str, Callable[[], None]] = {}
    for backend in ("reference", "cpu"):
        settings = MambaSettings(d_model=arguments.d_model, n_layer=arguments.n_layer, scan_backend=backend)
        model = build_model("mamba", settings, VOCABULARY, seed=1)
        steps[f"{backend}, body"] = lambda model=model: model(ids[:, :-1])[0].sum().backward()

    assert isinstance(model, MambaLanguageModel)
    theirs = MambaModel(MambaConfig(**hugging_face_config(model, None)))
    weights = {name.removeprefix("backbone."): tensor for name, tensor in to_hugging_face(model.state_dict()).items()}
    theirs.load_state_dict(weights)
    steps["transformers, body"] = lambda: theirs(ids[:, :-1], use_cache=False).last_hidden_state.sum().backward()

    def with_head() -> None:
        hidden, _ = model(ids[:, :-1])
        F.cross_entropy(model.logits(hidden).flatten(0, 1), ids[:, 1:].flatten()).backward()

    steps["cpu, with head and loss"] = with_head
    return steps


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    ids = torch.randint(0, VOCABULARY, (arguments.batch, arguments.length + 1))
    steps = {name: step for name, step in _steps(arguments, ids).items() if arguments.only in name}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.repetitions):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    print(
        f"torch {torch.__version__}, {arguments.threads} threads; d_model {arguments.d_model}, "
        f"{arguments.n_layer} layers, batch {arguments.batch} x {arguments.length}"
    )
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"{name:24s} {arguments.batch * arguments.length / median:9,.0f} tokens/s  {median:7.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("d-model", 256), ("n-layer", 4), ("batch", 8), ("length", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", help="candidates with this in their name")
    main(parser.parse_args())
