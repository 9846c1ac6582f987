"""Records and results of earlier code under the names of now: in JSON, and in the cells of tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mamba_narrative.config.renamed import RENAMED, with_new_names
from mamba_narrative.io import read_json, read_text, recorded_outputs, sha256_file, verify, write_json, write_text

_CELL = re.compile(rf"(?m)(?<![^,\t\n])(?:{'|'.join(RENAMED)})(?![^,\t\r\n])")
"""A cell that is a name and nothing else."""
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_TABLES = (".csv", ".tsv")


def convert_folder(folder: Path) -> int:
    """The number of files below ``folder`` that were rewritten: those with old names, and those with their hashes.

    Values stay as they are. Raises FileFormatError where a file is not the one whose hash was recorded.
    """
    files = [path for path in sorted(folder.rglob("*")) if not _hidden(path, folder) and path.is_file()]
    renewed = _rewritten((path for path in files if path.suffix in (".json", *_TABLES)), convert_file)
    changed = len(renewed)
    listing = [path for path in files if path.suffix in (".json", ".sha256", *_TABLES) or path.name == "sha256"]
    while renewed:  # a list of hashes has a hash itself
        renewed = _rewritten(listing, lambda path, known=renewed: _with_new_hashes(path, known))
        changed += len(renewed)
    return changed


def convert_file(path: Path) -> bool:
    """Whether the file held an old name; if so, it is rewritten."""
    if path.suffix == ".json":
        before = read_json(path)
        after = with_new_names(before)
        if after != before:
            write_json(path, after)
        return after != before
    return path.suffix in _TABLES and _changed(path, lambda text: _CELL.sub(lambda name: RENAMED[name[0]], text))


def _hidden(path: Path, folder: Path) -> bool:
    """Of Snakemake, a cache, or the record of a hash, which is renewed with its file."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _rewritten(paths: Iterable[Path], convert: Callable[[Path], bool]) -> dict[str, str]:
    """The hash of each file that ``convert`` changed, and what it is now."""
    renewed = {}
    for path in paths:
        before = sha256_file(path)
        with recorded_outputs(verify(path)):
            if convert(path):
                renewed[before] = sha256_file(path)
    return renewed


def _with_new_hashes(path: Path, renewed: Mapping[str, str]) -> bool:
    return _changed(path, lambda text: _HASH.sub(lambda found: renewed.get(found[0], found[0]), text))


def _changed(path: Path, change: Callable[[str], str]) -> bool:
    before = read_text(path)
    after = change(before)
    if after != before:
        write_text(path, after)
    return after != before
