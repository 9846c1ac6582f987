"""Reading and writing files so that a reader never sees half of one, nor one that was damaged later.

Everything is written beside its target, synced to disk and renamed. What commands write for each other they write
within ``recorded_outputs``: the SHA-256 of each file is kept in the folder ``.sha256`` beside it, and whoever reads the
file through this module, or calls ``verify``, compares. Tables are tab-separated UTF-8 with one header line; backslash,
tab and line ends inside a field are escaped as ``\\\\``, ``\\t``, ``\\n``, ``\\r``.

Texts from outside (titles, authors, names of files) may begin like a formula, which spreadsheets would run, or with a
quote, in which they would look for the end of the field in later rows. Such a text gets a ``\\`` in front in tables, a
``'`` in comma-separated files; readers here take it away again. Numbers, negative ones too, stay as they are.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.process_identity import parse_identity, this_process

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_BEGINS_LIKE_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|nan)", re.IGNORECASE)
_UNESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_RECORDS = ".sha256"
_UNFINISHED = re.compile(r"\..*\.([0-9a-f]{8}-\d+-\d+)(?:\.old)?\.tmp", re.DOTALL)
_SECONDS_OF_A_DAY = 86_400
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Of fcntl.h and renameat2(2)."""
_looked_at: dict[str, float] = {}
_recording: ContextVar[bool] = ContextVar("recording", default=False)


@contextmanager
def recorded_outputs(recorded: bool = True) -> Iterator[None]:
    """Record the SHA-256 of each file that is written meanwhile; also a decorator.

    Files in an ``atomic_directory`` are not recorded: whoever writes a folder lists its hashes in a file of its own.
    """
    token = _recording.set(recorded)
    try:
        yield
    finally:
        _recording.reset(token)


def verify(path: Path) -> bool:
    """Raise FileFormatError where ``path`` has another SHA-256 than recorded; False without a record."""
    if not (record := _record_of(path)).is_file():
        return False
    if sha256_file(path) not in _recorded(record):
        raise damaged(path, record)
    return True


def damaged(path: Path, record: Path, output: Path | None = None) -> FileFormatError:
    """The error for a file whose SHA-256 is not the one in ``record``; ``output`` is the folder that is written as one
    with it, if any."""
    return FileFormatError(
        f"{path}: its sha256 differs from the one recorded in {record}, so it was damaged or changed after it was "
        f"written; delete {output or 'it'} and run again"
    )


def _record_of(path: Path) -> Path:
    path = Path(path)
    return path.parent / _RECORDS / f"{path.name}.sha256"


def _recorded(record: Path) -> list[str]:
    return record.read_bytes().decode("utf-8", "replace").split()


def _record(written: Path, target: Path) -> Callable[[], None]:
    """Record the hash of ``written``, which is about to be renamed to ``target``; call what is returned afterwards.

    A process may die before it renames, so the hash of a file that is there is kept as long as it is there.
    """
    record, sha256 = _record_of(target), sha256_file(written)
    before = sha256_file(target) if record.is_file() and target.is_file() else sha256
    kept = [before] if before != sha256 and before in _recorded(record) else []

    def write(*hashes: str) -> None:
        with recorded_outputs(False):
            write_text(record, "".join(f"{one}\n" for one in hashes))

    write(sha256, *kept)
    return lambda: write(sha256) if kept else None


def sync_directory(directory: Path) -> None:
    """Make a rename inside ``directory`` durable."""
    sync_file(directory)


def sync_file(path: Path) -> None:
    """Force the content of ``path`` to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target``; on success sync it and rename it to ``target``, on error remove it.

    What killed processes left beside it goes, too. An OSError names ``target``.
    """
    with _beside(Path(target)) as beside:
        yield beside
        sync_file(beside)
        if _recording.get():
            settle = _record(beside, target)
            os.replace(beside, target)
            settle()
        else:
            _record_of(target).unlink(missing_ok=True)
            os.replace(beside, target)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; on success it replaces ``target``, on error it is removed.

    Old and new folder change places in one step where system and file system can. Elsewhere the old one is renamed
    first, and a process killed before the next step leaves no ``target``. See ``atomic_path`` for the rest.
    """
    with _beside(Path(target)) as beside:
        beside.mkdir()
        with recorded_outputs(False):
            yield beside
        for path in (*beside.rglob("*"), beside):
            if not path.is_symlink():
                sync_file(path)
        _put_in_place(beside, Path(target))


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path beside ``target`` of this process alone, to be renamed by who asks for it."""
    folder = target.parent
    beside = folder / f".{_shortened(target.name)}.{this_process()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        _remove(beside)
        yield beside
        sync_directory(folder)
    except OSError as error:
        # Errors of writing name no file, others one that is about to be removed.
        if error.filename is None or str(error.filename).startswith(str(beside)):
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        _remove(beside)


def _shortened(name: str) -> str:
    """``name``, or its beginning, so that about 50 bytes more are still a name."""
    return os.fsencode(name)[:200].decode("utf-8", "ignore")


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes left in ``folder`` that were killed while they wrote there.

    A process of another machine counts as dead where its file was not changed for a day. Looks once a second at
    most, so that writing many files to one folder takes linear time.
    """
    now = time.monotonic()
    if now - _looked_at.get(str(folder), -math.inf) < 1:
        return
    _looked_at[str(folder)] = now
    for entry in os.scandir(folder):
        match = _UNFINISHED.fullmatch(entry.name)
        writer = match and parse_identity(match[1])
        if writer is None:
            continue
        with suppress(OSError):  # Somebody else removes it, or owns it.
            dead = writer.is_dead()
            if dead is None:
                dead = time.time() - entry.stat(follow_symlinks=False).st_mtime > _SECONDS_OF_A_DAY
            if dead:
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _put_in_place(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``, whatever is there and whoever else does the same."""
    old = folder.with_name(f"{folder.stem}.old.tmp")
    while not _exchange(folder, target):
        try:
            os.replace(folder, target)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        _remove(old)
        with suppress(FileNotFoundError):
            os.replace(target, old)
    if os.path.lexists(old):
        sync_directory(target.parent)
        _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where that is not possible (NFS, Lustre, other systems)."""
    rename = _renameat2()
    return rename is not None and (
        rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0
    )


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    return getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` atomically."""
    with atomic_path(path) as beside:
        beside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically as UTF-8, line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def create_text(path: Path, text: str) -> bool:
    """Write ``text`` atomically to a file that is not there; False, with nothing changed, where it is.

    Of several processes one succeeds, on network file systems too. Where the file system has no hard links a process
    that is killed may leave half a file.
    """
    with _beside(Path(path)) as beside:
        beside.write_bytes(text.encode("utf-8"))
        sync_file(beside)
        try:
            os.link(beside, path)
        except FileExistsError:
            return beside.stat().st_nlink == 2  # It was the second message of one request to a file server.
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            try:
                with open(path, "xb") as stream:
                    stream.write(text.encode("utf-8"))
            except FileExistsError:
                return False
    return True


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def canonical_json(value: Any) -> str:
    """One line of JSON with sorted keys: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def read_json(path: Path) -> Any:
    """Read one JSON file. Raises FileFormatError with path and line where it is not JSON."""
    return _parse_json(read_text(path), path)


def _parse_json(text: str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{path}:{line or error.lineno}: not valid JSON ({error.msg})") from None
    except ValueError:
        raise FileFormatError(f"{path}: a number has thousands of digits, as no size or setting has") from None
    except RecursionError:
        raise FileFormatError(f"{path}: nested too deeply; expected a few levels") from None


def read_bytes(path: Path) -> bytes:
    """Read one file. Raises UserError where it cannot be read, FileFormatError where it is not as it was written."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if (record := _record_of(path)).is_file() and sha256_bytes(data) not in _recorded(record):
        raise damaged(path, record)
    return data


def read_text(path: Path) -> str:
    """Read one UTF-8 file, line ends as they are. Raises as ``read_bytes`` does."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: not UTF-8 at byte {error.start}") from None


def write_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line. Raises FileFormatError with path and line."""
    # Split at "\n" alone: str.splitlines would also cut at characters such as U+2028 inside a JSON string.
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [_parse_json(line, path, number) for number, line in lines if line]


def _escape(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    begins_plainly = escaped.startswith("\\") or not (_computes(text) or text.startswith('"'))
    return escaped if begins_plainly else f"\\{escaped}"


def _computes(text: str) -> bool:
    return _BEGINS_LIKE_FORMULA.match(text) is not None and _NUMBER.fullmatch(text) is None


def csv_field(text: str) -> str:
    """``text`` as a field of a comma-separated file, before quoting; see the module on texts like formulas."""
    return f"'{text}" if _computes(text.lstrip("'")) and _NUMBER.fullmatch(text) is None else text


def csv_cell(value: object) -> str:
    """A value as such a field: nothing for None, ten digits of a float."""
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else csv_field(str(value))


def from_csv_field(field: str) -> str:
    """The text of which ``csv_field`` made ``field``."""
    return field[1:] if field.startswith("'") and csv_field(field[1:]) == field else field


def _unescape(field: str) -> str:
    if "\\" not in field:
        return field
    characters = iter(field)
    return "".join(
        _UNESCAPES.get(following := next(characters, ""), following) if character == "\\" else character
        for character in characters
    )


def format_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Tab-separated text of ``rows``; a missing key or None is an empty field, floats have six digits."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(_escape(row.get(column)) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a tab-separated table atomically (see ``format_table``)."""
    write_text(path, format_table(columns, rows))


def read_table(path: Path, required: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read a tab-separated table as one dict of strings a row.

    Raises FileFormatError where the header lacks one of ``required`` or a row has another number of fields.
    """
    header, *lines = read_text(path).split("\n")
    columns = header.split("\t")
    if missing := [name for name in required if name not in columns]:
        raise FileFormatError(f"{path}: column {', '.join(missing)} missing; found {', '.join(columns)}")
    rows = []
    for number, line in enumerate(lines, start=2):
        if line:
            fields = line.split("\t")
            if len(fields) != len(columns):
                raise FileFormatError(f"{path}:{number}: {len(fields)} fields, expected {len(columns)}")
            rows.append({name: _unescape(field) for name, field in zip(columns, fields, strict=True)})
    return rows


def write_hashes(target: Path, paths: Iterable[Path]) -> None:
    """List the SHA-256 of files, and of all files in folders, in the form that ``sha256sum -c`` checks.

    Paths are written relative to the folder of ``target``. The list stands for files too large to compare.
    """
    files = [
        file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()
    ]
    root = Path(target).parent
    write_text(target, "".join(f"{sha256_file(file)}  {os.path.relpath(file, root)}\n" for file in files))


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_text(text: str) -> str:
    """Hexadecimal SHA-256 of ``text`` in UTF-8."""
    return sha256_bytes(text.encode("utf-8"))


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
