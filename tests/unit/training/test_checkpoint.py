from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mamba_narrative.training.checkpoint import Checkpoint, CheckpointStore


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"model": {"w": torch.full((3, 2), float(step))}}, {"state.json": f'{{"step": {step}}}\n'})


def folders(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(checkpoint(7))
    loaded = CheckpointStore(tmp_path, keep=2).newest()
    assert loaded is not None
    assert loaded.step == 7
    assert torch.equal(loaded.tensors["model"]["w"], torch.full((3, 2), 7.0))
    assert loaded.texts == {"state.json": '{"step": 7}\n'}


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "absent", keep=1).newest() is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (5, 10, 100, 20):
        store.save(checkpoint(step))
    assert folders(store) == ["step-000000010", "step-000000020"]


def test_transposed_and_shared_tensors_are_saved_as_they_look(tmp_path: Path) -> None:
    base = torch.arange(6.0).view(2, 3)
    CheckpointStore(tmp_path, 1).save(Checkpoint(1, {"model": {"a": base.T}}, {}))
    loaded = CheckpointStore(tmp_path, 1).newest()
    assert loaded is not None
    assert torch.equal(loaded.tensors["model"]["a"], base.T)


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "removed", "one bit"])
def test_a_damaged_checkpoint_is_passed_over_for_the_newest_whole_one(
    tmp_path: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(checkpoint(1))
    path = store.save(checkpoint(2)) / name
    data = bytearray(path.read_bytes())
    if damage == "removed":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-5])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    loaded = store.newest()
    assert loaded is not None
    assert loaded.step == 1
    assert "step-000000002: this checkpoint is not whole" in caplog.text


def test_a_damaged_checkpoint_never_pushes_out_a_whole_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(checkpoint(9))
    (tmp_path / "step-000000009" / "state.json").unlink()
    store.save(checkpoint(5))
    assert folders(store) == ["step-000000005"]


def test_a_half_written_folder_is_no_checkpoint_and_is_cleared_away(tmp_path: Path) -> None:
    leftover = tmp_path / ".step-000000004.123.tmp"
    leftover.mkdir()
    store = CheckpointStore(tmp_path, keep=1)
    assert store.newest() is None
    store.save(checkpoint(5))
    assert folders(store) == ["step-000000005"]


def test_large_groups_are_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamba_narrative.training.checkpoint._FILE_BYTES", 30)
    tensors = {f"w{n}": torch.full((3,), float(n)) for n in range(7)}
    path = CheckpointStore(tmp_path, keep=1).save(Checkpoint(3, {"model": tensors, "state": {}}, {}))
    names = {"model.safetensors", "model.1.safetensors", "model.2.safetensors", "state.safetensors"}
    assert {file.name for file in path.glob("*.safetensors")} == names
    loaded = CheckpointStore(tmp_path, keep=1).newest()
    assert loaded is not None
    assert list(loaded.tensors["model"]) == list(tensors)
    assert all(torch.equal(loaded.tensors["model"][name], tensor) for name, tensor in tensors.items())
    assert loaded.tensors["state"] == {}
