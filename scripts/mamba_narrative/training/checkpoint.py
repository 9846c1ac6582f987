"""Checkpoints that are whole or do not count.

One folder a checkpoint, ``step-<number>``: safetensors and text files, and ``manifest.json`` with the SHA-256 of
each. It is written beside, synced and renamed, and every hash is checked before anything of it is used. No pickle.
Large groups of tensors are several files, written side by side: training waits meanwhile.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import (
    atomic_directory,
    read_json,
    read_text,
    sha256_file,
    sync_file,
    write_json,
    write_text,
)

FORMAT = 1
_MANIFEST = "manifest.json"
_TENSORS_SUFFIX = ".safetensors"
_FILE_BYTES, _WRITERS = 256 * 2**20, 4
"""A file of tensors is closed when it is larger; so many are written at the same time."""
_FOLDER = re.compile(r"step-(\d{9,})")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to continue after ``step`` updates."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    """Groups of tensors by name, without dots; each becomes one or more safetensors files."""
    texts: Mapping[str, str]
    """Text files by name."""


class CheckpointStore:
    """The newest checkpoints of one run in one folder."""

    def __init__(self, directory: Path, keep: int, keep_every_steps: int | None = None) -> None:
        """``keep`` newest ones, and those at multiples of ``keep_every_steps``, stay."""
        self.directory, self.keep, self.keep_every_steps = Path(directory), keep, keep_every_steps

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write ``checkpoint``, then remove those that are not to be kept."""
        target = self.directory / f"step-{checkpoint.step:09d}"
        try:
            self._write(checkpoint, target)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{target}: the checkpoint could not be written ({error}). Make room there and start the run again: it "
                "continues from the checkpoint before"
            ) from error
        self._remove_others(checkpoint.step)
        return target

    def _write(self, checkpoint: Checkpoint, target: Path) -> None:
        with atomic_directory(target) as beside:
            files = [
                (beside / name, tensors) for group in checkpoint.tensors.items() for name, tensors in _files(*group)
            ]
            with ThreadPoolExecutor(_WRITERS) as writers:
                hashes = dict(writers.map(_write_tensors, files))
            for name, text in checkpoint.texts.items():
                write_text(beside / name, text)
                hashes[name] = sha256_file(beside / name)
            write_json(beside / _MANIFEST, {"format": FORMAT, "step": checkpoint.step, "sha256": hashes})

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; None where there is none. Damaged ones are passed over with a warning."""
        for step, folder in sorted(self._folders().items(), reverse=True):
            try:
                return _load(folder, step)
            except (UserError, OSError, KeyError, TypeError) as error:
                _LOG.warning("%s: this checkpoint is not whole and is passed over (%s)", folder, error)
        return None

    def _folders(self) -> dict[int, Path]:
        if not self.directory.is_dir():
            return {}
        matches = {path: _FOLDER.fullmatch(path.name) for path in self.directory.iterdir()}
        return {int(match[1]): path for path, match in matches.items() if match}

    def remove_passing(self) -> None:
        """Remove all but those that are kept for good."""
        for step, folder in self._folders().items():
            if not self._is_permanent(step):
                shutil.rmtree(folder, ignore_errors=True)

    def _is_permanent(self, step: int) -> bool:
        return bool(self.keep_every_steps) and step % self.keep_every_steps == 0

    def _remove_others(self, newest: int) -> None:
        folders = self._folders()
        # Later ones than the one just written were passed over as damaged.
        kept = sorted(step for step in folders if step <= newest)[-self.keep :]
        for step, folder in folders.items():
            if step not in kept and not (step <= newest and self._is_permanent(step)):
                shutil.rmtree(folder, ignore_errors=True)
        for leftover in self.directory.glob(".step-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)


def _load(folder: Path, step: int) -> Checkpoint:
    manifest = read_json(folder / _MANIFEST)
    if manifest["format"] != FORMAT or manifest["step"] != step:
        raise FileFormatError(f"format {manifest['format']}, step {manifest['step']}; expected {FORMAT}, {step}")
    for name, expected in manifest["sha256"].items():
        if sha256_file(folder / name) != expected:
            raise FileFormatError(f"{name} has another sha256 than in the manifest")
    tensors: dict[str, dict[str, Tensor]] = {}
    texts = {}
    for name in manifest["sha256"]:
        if name.endswith(_TENSORS_SUFFIX):
            tensors.setdefault(name.split(".")[0], {}).update(load_file(folder / name))
        else:
            texts[name] = read_text(folder / name)
    return Checkpoint(step, tensors, texts)


def _files(group: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The files of a group: ``<group>.safetensors``, ``<group>.1.safetensors`` ..."""
    parts, size = [dict[str, Tensor]()], 0
    for key, tensor in tensors.items():
        if size > _FILE_BYTES:
            parts.append({})
            size = 0
        parts[-1][key] = tensor
        size += tensor.numel() * tensor.element_size()
    for number, part in enumerate(parts):
        yield f"{group}.{number}{_TENSORS_SUFFIX}" if number else f"{group}{_TENSORS_SUFFIX}", part


def _write_tensors(file: tuple[Path, Mapping[str, Tensor]]) -> tuple[str, str]:
    """Write and sync a file of tensors; returns its name and hash."""
    path, tensors = file
    # Contiguous, unshared copies on the CPU are what the format takes.
    save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, path)
    sync_file(path)
    return path.name, sha256_file(path)
