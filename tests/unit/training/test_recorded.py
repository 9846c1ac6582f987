"""What is recorded when, with a stand-in for CUDA graphs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mamba_narrative.model.interface import State
from mamba_narrative.training import recorded
from mamba_narrative.training.recorded import PartInputs, Recorder


class Replayed:
    """In place of a graph: notes recordings and replays."""

    events: list[tuple[str, bool]]

    def __init__(self, compute: object, inputs: PartInputs, summing: bool, pool: object) -> None:
        self.pool, self._summing = "pool", summing
        self.events.append(("record", summing))

    def replay(self, inputs: PartInputs) -> tuple[Tensor, State]:
        self.events.append(("replay", self._summing))
        return inputs.share, {}


def test_parts_with_and_without_a_sum_over_processes_are_recorded_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, bool]] = []
    monkeypatch.setattr(Replayed, "events", events, raising=False)
    monkeypatch.setattr(recorded, "_Recorded", Replayed)

    def compute(inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
        events.append(("compute", summing))
        return inputs.share, {}

    recorder = Recorder(compute)
    ids = torch.zeros(2, 3, dtype=torch.int64)
    inputs = PartInputs(ids, ids, None, None, torch.ones(()))
    for summing in (False, False, True, False, True):
        recorder(inputs, summing)
    assert events == [
        *(("compute", False), ("record", False), ("replay", False)),
        *(("compute", True), ("record", False), ("replay", False), ("record", True), ("replay", True)),
    ]
    events.clear()
    recorder.forget()
    recorder(inputs, True)
    assert events == [("record", True), ("replay", True)]


def test_a_new_shape_is_computed_with_the_memory_of_what_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    # Stateful batches have resets or none: the second kind ran out of memory beside the graph of the first.
    events: list[tuple[str, bool]] = []
    monkeypatch.setattr(Replayed, "events", events, raising=False)
    monkeypatch.setattr(recorded, "_Recorded", Replayed)
    kept_at_first_sight = []

    def compute(inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
        kept_at_first_sight.append(len(recorder._recorded))
        return inputs.share, {}

    recorder = Recorder(compute)
    ids = torch.zeros(2, 3, dtype=torch.int64)
    plain, with_resets = (PartInputs(ids, ids, resets, None, torch.ones(())) for resets in (None, ids.bool()))
    for inputs in (plain, plain, with_resets, plain, with_resets, plain):
        recorder(inputs, False)
    assert kept_at_first_sight == [0, 0]
    assert [event for event, _ in events] == ["record", "replay", "record", "replay", "record", "replay", "replay"]
