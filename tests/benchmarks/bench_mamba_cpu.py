"""A training step of a small Mamba on the CPU and its scan alone, ours beside transformers' own path, in one run.

A step is forward, loss, backward, gradient clipping and fused AdamW, in float32 from the same weights on the same
random ids. Beside it what the head and the loss alone cost, forward and backward: nothing in the layers can make a step
cheaper than that. The scan has gate, skip, bias and softplus; each side gets the memory layout that its model gives it.
Seconds of the wall clock; medians. transformers loops over time in Python: about a minute a step, so once by default.

    python tests/benchmarks/bench_mamba_cpu.py [--repetitions 7 --peer-repetitions 1]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from timing import Row, machine, show
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from mamba_narrative.config.architectures.mamba import MambaSettings
from mamba_narrative.model.convert_mamba import hugging_face_config, to_hugging_face
from mamba_narrative.model.mamba import MambaLanguageModel
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.scan.dispatch import selective_scan
from mamba_narrative.model.storage import unpadded_weights
from mamba_narrative.training.loss import summed_cross_entropy

VOCABULARY = 50_257
Step = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """Of the model and of a batch."""

    d_model: int = 256
    n_layer: int = 4
    batch: int = 8
    length: int = 256
    threads: int = 2

    @property
    def tokens(self) -> int:
        """In a batch."""
        return self.batch * self.length


def seconds(step: Step) -> float:
    """Of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def medians(steps: dict[str, Step], repetitions: int) -> dict[str, float]:
    """Median seconds of each after one call to warm up, taken in turns so that all see the same machine."""
    for step in steps.values():
        step()
    times = [{name: seconds(step) for name, step in steps.items()} for _ in range(repetitions)]
    return {name: statistics.median(turn[name] for turn in times) for name in steps}


def update(model: nn.Module, loss: Callable[[], Tensor]) -> Step:
    """A whole step of training on what ``loss`` gives."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def training_steps(size: Size) -> tuple[dict[str, Step], Step]:
    """Ours (the step, and its head and loss alone) and transformers'."""
    from transformers import MambaConfig, MambaForCausalLM

    settings = MambaSettings(d_model=size.d_model, n_layer=size.n_layer, scan_backend="cpu")
    ours = build_model("mamba", settings, VOCABULARY, seed=1)
    assert isinstance(ours, MambaLanguageModel)
    theirs = MambaForCausalLM(MambaConfig(**hugging_face_config(ours, None)))
    theirs.load_state_dict(to_hugging_face(unpadded_weights(ours)), strict=False)
    theirs.tie_weights()
    ids = torch.randint(0, VOCABULARY, (size.batch, size.length + 1), generator=torch.Generator().manual_seed(1))
    seen, targets = ids[:, :-1], ids[:, 1:]

    def our_loss(hidden: Tensor) -> Tensor:
        total, count = summed_cross_entropy(hidden, ours.head_weight(), VOCABULARY, targets)
        return total / count

    def their_loss() -> Tensor:
        scores = theirs(seen, use_cache=False).logits[..., :VOCABULARY]
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten())

    with torch.no_grad():
        difference = abs(float(our_loss(ours(seen)[0])) - float(their_loss()))
    assert difference < 1e-3, f"the two models differ: by {difference} nats"
    hidden = ours(seen)[0].detach().requires_grad_()

    def head_and_loss() -> None:
        torch.autograd.grad(our_loss(hidden), [hidden, ours.head_weight()])

    our_steps = {"step": update(ours, lambda: our_loss(ours(seen)[0])), "head and loss": head_and_loss}
    return our_steps, update(theirs, their_loss)


def scan_passes(size: Size, d_state: int) -> tuple[Step, Step]:
    """Forward and backward of the scan, ours and transformers'."""
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    generator = torch.Generator().manual_seed(1)
    channels = 2 * size.d_model

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    arguments = {name: normal(size.batch, size.length, channels) for name in ("u", "delta", "z")}
    arguments |= {name: normal(size.batch, size.length, d_state) for name in ("B", "C")}
    arguments |= {
        "A": -torch.arange(1.0, d_state + 1).expand(channels, d_state).contiguous(),
        "D": torch.ones(channels),
        "delta_bias": normal(channels) - 4.0,
    }
    leaves = {name: tensor.requires_grad_() for name, tensor in arguments.items()}
    dy = normal(size.batch, size.length, channels)

    def ours() -> tuple[Tensor, ...]:
        y, _ = selective_scan(**leaves, softplus=True, backend="cpu")
        return torch.autograd.grad(y, list(leaves.values()), dy)

    def theirs() -> tuple[Tensor, ...]:
        # Views: transformers' mixer, too, gets its inputs by transposing what linear layers gave.
        turned = {name: tensor.transpose(1, 2) if tensor.ndim == 3 else tensor for name, tensor in leaves.items()}
        named = {"hidden_states": turned.pop("u"), "dt": turned.pop("delta"), **turned}
        y = mamba_selective_scan(**named, delta_softplus=True)
        assert isinstance(y, Tensor)
        return torch.autograd.grad(y, list(leaves.values()), dy.transpose(1, 2))

    return ours, theirs


def rows(
    size: Size = Size(),
    repetitions: int = 7,
    peer_repetitions: int = 1,
) -> list[Row]:
    """The step, the share of its head and loss, and the scan."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(size.threads)
    try:
        return [*_step_rows(size, repetitions, peer_repetitions), _scan_row(size, repetitions, peer_repetitions)]
    finally:
        torch.set_num_threads(threads_before)


def _step_rows(size: Size, repetitions: int, peer_repetitions: int) -> list[Row]:
    our_steps, their_step = training_steps(size)
    ours = medians(our_steps, repetitions)
    theirs = statistics.median(seconds(their_step) for _ in range(peer_repetitions))
    step, head = ours["step"], ours["head and loss"]
    where = f"{size.d_model} wide, {size.n_layer} layers, {size.batch} x {size.length}, {size.threads} threads"
    note = f"{step * 1000:.0f} ms, of which head and loss alone {head * 1000:.0f} ms; transformers {theirs:.1f} s"
    return [
        Row(
            f"CPU training step, {where}",
            "tokens/s",
            "transformers",
            size.tokens / theirs,
            size.tokens / step,
            "10x",
            "",
            note=note,
        ),
        Row("CPU training step, share of head and loss alone", "%", "-", None, 100 * head / step, "", "near 100"),
    ]


def _scan_row(size: Size, repetitions: int, peer_repetitions: int, d_state: int = 16) -> Row:
    our_pass, their_pass = scan_passes(size, d_state)
    ours = medians({"scan": our_pass}, repetitions)["scan"]
    theirs = statistics.median(seconds(their_pass) for _ in range(peer_repetitions))
    measure = f"CPU scan forward + backward, {size.batch} x {size.length} x {2 * size.d_model} x {d_state}"
    return Row(measure, "ms", "transformers' loop", theirs * 1000, ours * 1000, "30x", "100x", higher_is_better=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Size):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--peer-repetitions", type=int, default=1, help="of transformers")
    options = parser.parse_args()
    chosen = Size(**{field.name: getattr(options, field.name) for field in fields(Size)})
    torch.set_num_threads(chosen.threads)
    print(machine())
    show(rows(chosen, options.repetitions, options.peer_repetitions))
