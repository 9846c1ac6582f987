"""What is recorded when, with a stand-in for CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mamba_narrative.config.training import TrainingSettings
from mamba_narrative.model.interface import State
from mamba_narrative.tokens.batches import ShuffledBatches
from mamba_narrative.training import cuda_graphs
from mamba_narrative.training.compute import Compute
from mamba_narrative.training.cuda_graphs import CudaGraphs, FixedGraph, PartInputs
from mamba_narrative.training.loop import Trainer
from unit.training.stand_in import recurrent_model


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
    monkeypatch.setattr(cuda_graphs, "_PartGraph", Replayed)

    def compute(inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
        events.append(("compute", summing))
        return inputs.share, {}

    graphs = CudaGraphs(compute)
    ids = torch.zeros(2, 3, dtype=torch.int64)
    inputs = PartInputs(ids, ids, None, None, torch.ones(()))
    for summing in (False, False, True, False, True):
        graphs(inputs, summing)
    assert events == [
        *(("compute", False), ("record", False), ("replay", False)),
        *(("compute", True), ("record", False), ("replay", False), ("record", True), ("replay", True)),
    ]
    events.clear()
    graphs.forget()
    graphs(inputs, True)
    assert events == [("record", True), ("replay", True)]


def test_a_new_shape_is_computed_with_the_memory_of_what_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    # Stateful batches have resets or none: the second kind ran out of memory beside the graph of the first.
    events: list[tuple[str, bool]] = []
    monkeypatch.setattr(Replayed, "events", events, raising=False)
    monkeypatch.setattr(cuda_graphs, "_PartGraph", Replayed)
    kept_at_first_sight = []

    def compute(inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
        kept_at_first_sight.append(len(graphs._recorded))
        return inputs.share, {}

    graphs = CudaGraphs(compute)
    ids = torch.zeros(2, 3, dtype=torch.int64)
    plain, with_resets = (PartInputs(ids, ids, resets, None, torch.ones(())) for resets in (None, ids.bool()))
    for inputs in (plain, plain, with_resets, plain, with_resets, plain):
        graphs(inputs, False)
    assert kept_at_first_sight == [0, 0]
    assert [event for event, _ in events] == ["record", "replay", "record", "replay", "record", "replay", "replay"]


class Graph:
    """In place of ``torch.cuda.CUDAGraph``, of which ``events`` tells."""

    events: list[str]
    works = True

    def replay(self) -> None:
        self.events.append("replay")


@contextmanager
def recording(graph: Graph) -> Iterator[None]:
    graph.events.append("record")
    if not graph.works:
        raise RuntimeError("operation not permitted when stream is capturing")
    yield


def fixed_graph(monkeypatch: pytest.MonkeyPatch) -> tuple[FixedGraph[str], list[str]]:
    events: list[str] = []
    monkeypatch.setattr(Graph, "events", events, raising=False)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    return FixedGraph(lambda: events.append("compute") or "result"), events


def test_what_stays_in_place_is_recorded_at_second_sight_and_anew_where_it_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, events = fixed_graph(monkeypatch)
    here, there = torch.zeros(2), torch.zeros(2)
    for place in (here, here, here, there, there):
        assert graph([place]) == "result"
    record = ["record", "compute", "replay"]
    assert events == ["compute", *record, "replay", "compute", *record]


def test_what_cannot_be_recorded_is_computed_each_time_after_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    graph, events = fixed_graph(monkeypatch)
    monkeypatch.setattr(Graph, "works", False)
    place = torch.zeros(2)
    for _ in range(4):
        assert graph([place]) == "result"
    assert events == ["compute", "record", "compute", "compute", "compute"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


class Readings(TorchFunctionMode):
    """Notes where the processor reads what the device computed, and so waits for it."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def __torch_function__(self, function, types, arguments=(), named=None):  # type: ignore[no-untyped-def]
        if function in (Tensor.item, Tensor.tolist, Tensor.__float__, Tensor.cpu):
            self._events.append("read")
        return function(*arguments, **(named or {}))


@pytest.mark.parametrize(("count", "expected"), [(2, ["replay", "sum", "read"]), (1, ["replay", "read"])])
def test_a_sum_with_a_timeout_follows_a_replay_before_anything_waits_for_it(
    count: int, expected: list[str], batches: ShuffledBatches, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    settings = TrainingSettings(steps=1, sequence_length=16, batch_size=3, warmup_steps=0)
    trainer = Trainer(recurrent_model(), settings, batches, [], Compute(torch.device("cpu"), torch.float32), folder)
    trainer.processes.count = count

    class Replaying:
        def __call__(self, inputs: PartInputs, summing: bool) -> tuple[Tensor, State]:
            events.append("replay")
            return trainer._gradient_sum._part(inputs, False)

    monkeypatch.setattr(trainer._gradient_sum, "_graphs", Replaying())
    monkeypatch.setattr(dist, "all_reduce", lambda values: events.append("sum"))
    with Readings(events):
        trainer._update()
    assert events[: len(expected)] == expected
    assert events.count("sum") == count - 1
