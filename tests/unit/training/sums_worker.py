"""Started by torchrun in ``test_flat_gradients``: gradients of several processes, added up along with the backward pass
and, to compare, after it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from mamba_narrative.io import write_json
from mamba_narrative.model.interface import State
from mamba_narrative.tokens.batches import ShuffledBatches
from mamba_narrative.tokens.windows import WindowSampler
from mamba_narrative.training import flat_gradients
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.gradients import GradientSum
from mamba_narrative.training.processes import Processes
from unit.training.stand_in import END_OF_TEXT, RecurrentModel, recurrent_model, some_books

CPU = Compute(torch.device("cpu"), torch.float32)
ROWS = 4
"""Of each process."""


class Counted(Processes):
    """Counts the sums that were started."""

    started = 0

    def start_sum(self, values: Tensor) -> dist.Work:
        self.started += 1
        return super().start_sum(values)


def with_extra(used: bool) -> RecurrentModel:
    """A model with one more parameter in the middle, which it uses or not."""
    model = recurrent_model()
    model.mixing.register_parameter("extra", nn.Parameter(torch.full((12,), 0.5)))
    forward = model.forward

    def forward_with_extra(ids: Tensor, state: State | None = None, resets: Tensor | None = None) -> object:
        hidden, after = forward(ids, state, resets)
        return (hidden * model.mixing.extra, after) if used else (hidden, after)

    model.forward = forward_with_extra  # type: ignore[method-assign, assignment]
    return model


def named_gradients(model: nn.Module) -> dict[str, Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        found[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
    return found


def compute(processes: Counted, users: str, micro_batch: int, reduction: str, output: Path) -> None:
    """Leave what was found and expected in ``output``, and the numbers of sums that were started."""
    output.mkdir(exist_ok=True)
    processes.started = 0
    ids, books = some_books()
    dtype = getattr(torch, reduction)
    used = users == "both" or (users == "first" and processes.is_main)
    alone, together = (with_extra(used) for _ in range(2))
    sampler = WindowSampler(ids, books, sequence_length=16, seed=1, end_of_text_id=END_OF_TEXT)
    batch = ShuffledBatches(sampler, books, ROWS * processes.count).batch(0)
    tokens = int((batch.targets >= 0).sum())
    rows = batch.part(processes.rows(len(batch.inputs)))

    by_itself = Processes(CPU.device)
    by_itself.count = 1
    GradientSum(alone, CPU, processes=by_itself).add(rows, None, tokens, micro_batch)
    expected = named_gradients(alone)
    for gradient in expected.values():
        travelling = gradient.to(dtype)
        dist.all_reduce(travelling)
        gradient.copy_(travelling)

    seen: list[int] = []
    # The tied weight is the first one used; it is the last to get its gradient.
    together.embedding.weight.register_post_accumulate_grad_hook(lambda _: seen.append(processes.started))
    gradients = GradientSum(together, CPU, processes=processes, reduction=dtype)
    if processes.is_main:  # what only one process tries needs no other
        gradients.add(rows, None, tokens, micro_batch, trial=True)
    assert processes.started == 0
    together.zero_grad(set_to_none=True)
    seen.clear()
    for _ in range(2):  # the second one is not added to the first
        gradients.add(rows, None, tokens, micro_batch)
    name = f"{processes.rank}"
    save_file(expected, output / f"{name}-expected.safetensors")
    save_file(named_gradients(together), output / f"{name}-found.safetensors")
    write_json(output / f"{name}.json", {"seen": seen, "started": processes.started})


if __name__ == "__main__":
    torch.set_num_threads(1)
    flat_gradients.BUCKET_BYTES = 512
    processes = Counted(CPU.device)
    with processes:
        for argument in sys.argv[2:]:
            users, micro_batch, reduction = argument.split("-")
            compute(processes, users, int(micro_batch), reduction, Path(sys.argv[1]) / argument)
