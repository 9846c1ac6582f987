"""Mamba-130M on one GPU: a full training step and generation, ours beside mamba-ssm, in one run.

A training step is forward, backward, gradient clipping and fused AdamW; float32 parameters under bfloat16 autocast, the
same loss code for all: cross entropy of float32 logits. Generation is greedy, bfloat16 weights, recorded steps (CUDA
graphs) on both sides. Random ids; CUDA events; medians. A peer that is not installed is skipped with the reason.

    python tests/benchmarks/bench_model_gpu.py [--json FILE] [--batch 16 --length 2048]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures import MambaSettings
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.model.registry import build_model

VOCABULARY, D_MODEL, N_LAYER = 50_257, 768, 24
Logits = Callable[[Tensor], Tensor]


def ours(backend: str = "auto") -> LanguageModel:
    settings = MambaSettings(d_model=D_MODEL, n_layer=N_LAYER, scan_backend=backend)
    return build_model("mamba", settings, VOCABULARY, seed=1).cuda()


def mamba_ssm() -> nn.Module:
    from mamba_ssm.models.config_mamba import MambaConfig
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    config = MambaConfig(d_model=D_MODEL, n_layer=N_LAYER, vocab_size=VOCABULARY, ssm_cfg={"layer": "Mamba1"})
    return MambaLMHeadModel(config, device="cuda")


def milliseconds(step: Callable[[], object], repeats: int, warm_up: int = 3) -> float:
    """Median time of a step by CUDA events."""
    for _ in range(warm_up):
        step()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def training(model: nn.Module, logits: Logits, arguments: argparse.Namespace) -> dict[str, float]:
    """Time and memory of full updates."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, VOCABULARY, (arguments.batch, arguments.length + 1), device="cuda")

    def step() -> None:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            scores = logits(ids[:, :-1])
            loss = F.cross_entropy(scores.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    torch.cuda.reset_peak_memory_stats()
    time = milliseconds(step, arguments.repeats)
    tokens = arguments.batch * arguments.length
    return {
        "ms": time,
        "tokens_per_second": tokens / time * 1000,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def our_training(arguments: argparse.Namespace, compiled: bool) -> dict[str, float]:
    model = ours()

    def logits(ids: Tensor) -> Tensor:
        return model.logits(model(ids)[0])

    return training(model, torch.compile(logits) if compiled else logits, arguments)


def their_training(arguments: argparse.Namespace) -> dict[str, float]:
    model = mamba_ssm()
    return training(model, lambda ids: model(ids).logits, arguments)


@torch.inference_mode()
def our_generation(arguments: argparse.Namespace) -> dict[str, float]:
    model = ours().eval()
    for parameter in model.parameters():
        if parameter.ndim == 2 and parameter.shape[1] != MambaSettings().d_state:
            parameter.data = parameter.data.bfloat16()  # matrices; A_log, biases and norms stay float32
    prompt = torch.randint(0, VOCABULARY, (arguments.generation_batch, arguments.prompt), device="cuda")

    decoder = Decoder(model, torch.bfloat16)

    def generate() -> None:
        decoder.forget()
        read = prompt
        for _ in range(arguments.new_tokens):
            read = decoder.read(read).argmax(dim=-1, keepdim=True)

    return _new_tokens(milliseconds(generate, arguments.repeats // 2, warm_up=2), arguments)


@torch.inference_mode()
def their_generation(arguments: argparse.Namespace) -> dict[str, float]:
    model = mamba_ssm().to(torch.bfloat16).eval()
    prompt = torch.randint(0, VOCABULARY, (arguments.generation_batch, arguments.prompt), device="cuda")

    def generate() -> None:
        model.generate(input_ids=prompt, max_length=arguments.prompt + arguments.new_tokens, cg=True)

    return _new_tokens(milliseconds(generate, arguments.repeats // 2, warm_up=2), arguments)


def _new_tokens(time: float, arguments: argparse.Namespace) -> dict[str, float]:
    return {"ms": time, "tokens_per_second": arguments.generation_batch * arguments.new_tokens / time * 1000}


def main(arguments: argparse.Namespace) -> None:
    candidates: dict[str, Callable[[], dict[str, float]]] = {
        "training, mamba-ssm": lambda: their_training(arguments),
        "training, ours": lambda: our_training(arguments, compiled=False),
        "training, ours, torch.compile": lambda: our_training(arguments, compiled=True),
        "generation, mamba-ssm": lambda: their_generation(arguments),
        "generation, ours": lambda: our_generation(arguments),
    }
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; Mamba-130M")
    print(
        f"{arguments.length}; generation {arguments.generation_batch} x ({arguments.prompt} + {arguments.new_tokens})"
    )
    results: dict[str, dict[str, float] | str] = {}
    for name, measure in candidates.items():
        if arguments.only not in name:
            continue
        try:
            results[name] = found = measure()
            ratio = ""
            peer = results.get(f"{name.split(',')[0]}, mamba-ssm")
            if isinstance(peer, dict):
                ratio = f"{found['tokens_per_second'] / peer['tokens_per_second']:5.2f}x"
            memory = f"{found['peak_gib']:6.1f} GiB" if "peak_gib" in found else " " * 10
            print(f"{name:32s} {found['ms']:9.2f} ms {found['tokens_per_second']:10,.0f} tokens/s {memory} {ratio}")
        except ImportError as error:
            results[name] = f"skipped: {error}"
            print(f"{name:32s} skipped: {error}")
        torch.cuda.empty_cache()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("batch", 16), ("length", 2048), ("generation-batch", 64), ("prompt", 128), ("new-tokens", 256), ("repeats", 8),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--only", default="", help="candidates with this in their name")
    main(parser.parse_args())
