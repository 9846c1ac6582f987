"""Published records of earlier code under the names of now: JSON keys and the header lines of CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from mamba_narrative.config.renamed import RENAMED, with_new_names
from mamba_narrative.io import read_json, read_text, write_hashes, write_json, write_text


def convert_folder(folder: Path) -> int:
    """The number of files below ``folder`` that were rewritten; its list ``sha256`` of hashes is brought up to date."""
    changed = sum(convert_file(path) for path in sorted(folder.rglob("*")) if path.is_file())
    hashes = folder / "sha256"
    if changed and hashes.is_file():
        write_hashes(hashes, [folder / line.split(None, 1)[1] for line in read_text(hashes).splitlines()])
    return changed


def convert_file(path: Path) -> bool:
    """Whether the file held an old name; if so, it is rewritten. Values stay as they are."""
    if path.suffix == ".json":
        before = read_json(path)
        after = with_new_names(before)
        if after == before:
            return False
        write_json(path, after)
    elif path.suffix == ".csv":
        header, _, rows = read_text(path).partition("\n")
        columns = next(csv.reader([header]), [])
        if not set(columns) & set(RENAMED):
            return False
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([RENAMED.get(column, column) for column in columns])
        write_text(path, f"{line.getvalue()}\n{rows}")
    else:
        return False
    return True
