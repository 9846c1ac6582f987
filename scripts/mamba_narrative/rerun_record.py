"""Carry Snakemake's record of what made each result along with the results.

Snakemake keeps the checksums and parameters behind every output in ``.snakemake/metadata``, beside the
Snakefile. Without them a results folder copied into a fresh clone would be computed again. They are
therefore written into the results folder after each run, and taken from there where they are missing.
"""

from __future__ import annotations

import os
import shutil
from base64 import urlsafe_b64decode
from pathlib import Path

RECORD_FOLDER = ".rerun-record"


def save_record(snakemake_folder: Path, results: Path) -> int:
    """Mirror the metadata of all outputs below ``results`` into it; returns how many files were written."""
    source, target = snakemake_folder / "metadata", results / RECORD_FOLDER
    if not source.is_dir() or not results.is_dir():
        return 0
    wanted = _records(source, f"{os.path.normpath(results)}{os.sep}")
    copied = sum(_copy_if_newer(source / name, target / name) for name in sorted(wanted))
    if target.is_dir():
        for path in target.rglob("*"):
            if path.is_file() and path.relative_to(target) not in wanted:
                path.unlink()
    return copied


def restore_record(snakemake_folder: Path, results: Path) -> int:
    """Put the metadata kept in ``results`` where Snakemake looks for it, unless it knows this results folder already.

    Returns how many files were restored.
    """
    source, target = results / RECORD_FOLDER, snakemake_folder / "metadata"
    if not source.is_dir():
        return 0
    kept = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    if any((target / name).exists() for name in kept):
        return 0
    return sum(_copy_if_newer(source / name, target / name) for name in kept)


def _records(metadata: Path, prefix: str) -> set[Path]:
    """Relative paths of the metadata files whose output lies under ``prefix``.

    Snakemake names them by the URL-safe base64 of the output's path, cut into folders that begin with ``@``.
    """
    found = set()
    for path in metadata.rglob("*"):
        if path.is_file():
            relative = path.relative_to(metadata)
            encoded = "".join(part.removeprefix("@") for part in relative.parts)
            try:
                output = urlsafe_b64decode(encoded).decode("utf-8")
            except ValueError:
                continue
            if os.path.normpath(output).startswith(prefix):
                found.add(relative)
    return found


def _copy_if_newer(source: Path, target: Path) -> bool:
    if target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name[:200] + ".tmp")
    shutil.copy2(source, beside)
    os.replace(beside, target)
    return True
