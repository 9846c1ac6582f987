"""Mamba-130M on one GPU: a full training step and generation, ours beside mamba-ssm, in one run.

A training step is forward, backward, gradient clipping and fused AdamW; float32 parameters under bfloat16 autocast, the
same loss code for all: cross entropy of float32 logits. Generation is greedy, bfloat16 weights, recorded steps (CUDA
graphs) on both sides. Random ids; CUDA events; medians. A peer that is not installed is skipped with the reason.

    python tests/benchmarks/bench_model_gpu.py [--batch 16 --length 2048] [--profile]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from timing import Row, cuda_milliseconds, machine, show
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures.mamba import MambaSettings
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
    time = cuda_milliseconds(step, arguments.repeats)
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


def our_graphed_training(arguments: argparse.Namespace) -> dict[str, float]:
    """Forward and backward of the model recorded once as CUDA graphs: a slow processor cannot hold the GPU up."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = ours()

        def forward(self, ids: Tensor) -> Tensor:
            return self.model(ids)[0]

    module = Hidden()
    sample = torch.zeros(arguments.batch, arguments.length, dtype=torch.int64, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
        hidden = torch.cuda.make_graphed_callables(module, (sample,))
    return training(module, lambda ids: module.model.logits(hidden(ids)), arguments)


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

    return _new_tokens(cuda_milliseconds(generate, arguments.repeats // 2, warm_up=2), arguments)


@torch.inference_mode()
def their_generation(arguments: argparse.Namespace) -> dict[str, float]:
    model = mamba_ssm().to(torch.bfloat16).eval()
    prompt = torch.randint(0, VOCABULARY, (arguments.generation_batch, arguments.prompt), device="cuda")

    def generate() -> None:
        model.generate(input_ids=prompt, max_length=arguments.prompt + arguments.new_tokens, cg=True)

    return _new_tokens(cuda_milliseconds(generate, arguments.repeats // 2, warm_up=2), arguments)


def _new_tokens(time: float, arguments: argparse.Namespace) -> dict[str, float]:
    return {"ms": time, "tokens_per_second": arguments.generation_batch * arguments.new_tokens / time * 1000}


CANDIDATES: dict[str, dict[str, Callable[[argparse.Namespace], dict[str, float]]]] = {
    "training step": {
        "mamba-ssm": their_training,
        "ours": lambda arguments: our_training(arguments, compiled=False),
        "ours, torch.compile": lambda arguments: our_training(arguments, compiled=True),
        "ours, CUDA graphs": our_graphed_training,
    },
    "generation": {"mamba-ssm": their_generation, "ours": our_generation},
}
GOALS = {"training step": ("1.6x", "2x"), "generation": ("1x", "1.5x")}


def rows(arguments: argparse.Namespace) -> list[Row]:
    """Tokens per second of every candidate, with the peer's; a peer that is not installed is named as skipped."""
    found = []
    for measure, candidates in CANDIDATES.items():
        peer, peer_value = "mamba-ssm", None
        for name, candidate in candidates.items():
            if arguments.only not in f"{measure}, {name}":
                continue
            try:
                result = candidate(arguments)
            except ImportError as error:
                peer = f"mamba-ssm skipped: {error}"
                continue
            torch.cuda.empty_cache()
            note = ", ".join(f"{key} {value:.2f}" for key, value in result.items() if key != "tokens_per_second")
            print(f"{measure}, {name}: {result['tokens_per_second']:,.0f} tokens/s ({note})", flush=True)
            if name == "mamba-ssm":
                peer_value = result["tokens_per_second"]
                continue
            label = f"{measure}{name.removeprefix('ours')}, {_size(measure, arguments)}"
            must, aim = GOALS[measure]
            found.append(Row(label, "tokens/s", peer, peer_value, result["tokens_per_second"], must, aim, note=note))
    return found


def _size(measure: str, arguments: argparse.Namespace) -> str:
    if measure == "training step":
        return f"{arguments.batch} x {arguments.length}"
    return f"batch {arguments.generation_batch}, {arguments.prompt} + {arguments.new_tokens}"


def profile(arguments: argparse.Namespace) -> None:
    """Where the time of our training step goes."""
    from torch.profiler import ProfilerActivity

    arguments.repeats = 2
    for name, run in (("training step", lambda: our_training(arguments, False)), ("generation", None)):
        with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as recorded:
            (run or (lambda: our_generation(arguments)))()
        runs = arguments.repeats + 3 if run else 3 * arguments.new_tokens
        print(f"{name}: kernel, calls, milliseconds a step (with the copies that build the model)")
        for event in sorted(recorded.key_averages(), key=lambda event: -event.self_device_time_total)[:32]:
            milliseconds = event.self_device_time_total / 1000 / runs
            print(f"  {event.key[:100]:100s} {event.count / runs:6.0f} {milliseconds:8.4f}")


def options() -> argparse.ArgumentParser:
    """The sizes, with the defaults of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("batch", 16), ("length", 2048), ("generation-batch", 64), ("prompt", 128), ("new-tokens", 256), ("repeats", 8),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="", help="candidates with this in their name")
    return parser


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--profile", action="store_true", help="instead: where the time of our training step goes")
    chosen = parser.parse_args()
    print(machine())
    if chosen.profile:
        profile(chosen)
    else:
        show(rows(chosen))
