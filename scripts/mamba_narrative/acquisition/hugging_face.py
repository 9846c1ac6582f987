"""Books out of a dataset of the Hugging Face Hub, or of local Parquet files of the same shape, row by row.

Only formats that hold nothing but data are read: no code of a repository is run, no pickle is opened.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamba_narrative.acquisition.acceptance import NotAccepted, check_book, check_rights
from mamba_narrative.acquisition.choice import meets
from mamba_narrative.acquisition.lock import LockedBook
from mamba_narrative.acquisition.store import BookStore, MissingBook, Wish
from mamba_narrative.config.acquisition import ColumnsSettings, HuggingFaceSettings
from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.corpus.raw.catalogue import CatalogueEntry, entry_fields, entry_of
from mamba_narrative.corpus.raw.inventory import book_id_of
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_json, write_json
from mamba_narrative.progress import Progress

_LOG = logging.getLogger(__name__)
_SAFE_FORMATS = ("parquet", "json", "csv", "arrow")
_COMMIT = re.compile(r"@([0-9a-f]{40})/")
_ROWS_BETWEEN_POSITIONS = 200
KNOWN_COLUMNS = (
    ("PG-19", ColumnsSettings(text="text", id="url", title="short_book_title")),
    ("sedthh/gutenberg_english", ColumnsSettings(text="TEXT", metadata="METADATA")),
    ("sedthh/gutenberg_multilang", ColumnsSettings(text="TEXT", metadata="META")),
    ("manu/project_gutenberg", ColumnsSettings(text="text", id="id")),
)
_METADATA_KEYS = {
    "Title": "title",
    "Authors": "authors",
    "Language": "language",
    "Subjects": "subjects",
    "LoCC": "locc",
    "Bookshelves": "bookshelves",
    "Issued": "issued",
    "Rights": "rights",
}


@dataclass
class Position:
    """How far a dataset has been read, and what that gave; enough to go on after an interruption."""

    rows: int = 0
    state: dict[str, Any] | None = None
    wanted: dict[str, CatalogueEntry] = field(default_factory=dict)
    missing: dict[str, MissingBook] = field(default_factory=dict)
    repeated: int = 0

    @property
    def taken(self) -> int:
        """Books that are wanted and there."""
        return len(self.wanted) - len(self.missing)


def bring_rows(
    store: BookStore,
    settings: CorpusSettings,
    catalogue: Mapping[str, CatalogueEntry],
    pinned: Mapping[str, LockedBook] | None,
    request: str,
) -> tuple[dict[str, CatalogueEntry], dict[str, MissingBook]]:
    """Write the chosen rows into the store; returns all wanted books and those that could not be had, by id.

    ``catalogue`` goes before what the dataset says of a book; with ``pinned`` exactly these books are wanted.
    """
    dataset, origin = _open_dataset(settings.huggingface)
    columns = settings.huggingface.columns or _recognise(dataset)
    saved = store.layout.work / "position.json"
    position = _read_position(saved, request)
    if position.state is not None:
        dataset.load_state_dict(position.state)
        _LOG.info("going on after row %s", f"{position.rows:,}")
    limit = len(pinned) if pinned is not None else settings.choose.count
    with Progress("reading", None, "rows", position.rows) as progress:
        for row in _rows(dataset):
            if limit is not None and position.taken >= limit:
                break
            wish = _wish(row, columns, position.rows, settings, catalogue, pinned)
            position.rows += 1
            progress.advance(note=f"{position.taken:,} books")
            if wish is not None:
                _take(wish, row.get(columns.text), f"{origin}#{wish.book_id}", store, settings, position)
            if position.rows % _ROWS_BETWEEN_POSITIONS == 0:
                position.state = dataset.state_dict()
                _write_position(saved, request, position)
    if position.repeated:
        _LOG.warning("%s rows had the id of an earlier row and were passed over", f"{position.repeated:,}")
    _check_columns_fit(position, columns)
    for book_id in (pinned or {}).keys() - position.wanted.keys():
        position.missing[book_id] = MissingBook(book_id, "not_found", "no row of the dataset has this id", origin)
    return ({id_: book.entry for id_, book in pinned.items()} if pinned else position.wanted), position.missing


def _take(wish: Wish, text: object, url: str, store: BookStore, settings: CorpusSettings, position: Position) -> None:
    if wish.book_id in position.wanted:
        position.repeated += 1
        return
    position.wanted[wish.book_id] = wish.entry
    held = store.held.get(wish.book_id)
    file = f"{wish.book_id}.txt"
    target = store.partial / file
    try:
        if held is not None and (wish.pinned is None or wish.pinned.sha256 == held.sha256):
            check_rights(store.path_of(wish.book_id), wish.entry, settings.rights)
            return
        target.write_bytes(_bytes_of(text))
        sha256 = check_book(target, wish.entry, settings.rights, settings.max_book_bytes, wish.pinned, False)
        store.put(wish.book_id, url, sha256, wish.pinned.file if wish.pinned else file, target)
    except NotAccepted as error:
        position.missing[wish.book_id] = MissingBook(wish.book_id, error.reason, error.detail, url)
    finally:
        target.unlink(missing_ok=True)


def _bytes_of(text: object) -> bytes:
    """The bytes of a book; raises NotAccepted where the value is no text. Halves of surrogate pairs become U+FFFD."""
    if text is None or isinstance(text, bytes):
        return text or b""
    if not isinstance(text, str):
        raise NotAccepted("no_text", f"the column of the text holds a value of type {type(text).__name__}")
    return _valid(text).encode()


def _valid(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _wish(
    row: Mapping[str, Any],
    columns: ColumnsSettings,
    number: int,
    settings: CorpusSettings,
    catalogue: Mapping[str, CatalogueEntry],
    pinned: Mapping[str, LockedBook] | None,
) -> Wish | None:
    """What a row is wanted as, or None."""
    metadata = _metadata(row, columns)
    value = row.get(columns.id) if columns.id else metadata.get("text_id", number)
    book_id = _book_id(value, number)
    if pinned is not None:
        return Wish(book_id, pinned[book_id].entry, pinned[book_id]) if book_id in pinned else None
    entry = catalogue.get(book_id) or _entry(row, columns, metadata)
    wanted = book_id in settings.choose.ids if settings.choose.ids else meets(entry, settings.choose)
    return Wish(book_id, entry) if wanted else None


def _book_id(value: object, number: int) -> str:
    """The id under which the file of a row will be known; of an address its last part (``.../ebooks/1342``).

    A row whose id is empty is known by its number, as ``row-7``: 7 is another book. Numbers of columns that lack some
    values are floats.
    """
    text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
    last = text.rstrip("/").rsplit("/", 1)[-1].removesuffix(".txt")
    plain = "" if value is None or value != value else re.sub(r"[^\w.-]", "_", last).lstrip(".")
    return book_id_of(f"{plain}.txt") or f"row-{number}"


def _metadata(row: Mapping[str, Any], columns: ColumnsSettings) -> dict[str, Any]:
    value = row.get(columns.metadata) if columns.metadata else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _entry(row: Mapping[str, Any], columns: ColumnsSettings, metadata: Mapping[str, Any]) -> CatalogueEntry:
    fields = {name: _joined(metadata.get(key)) for name, key in _METADATA_KEYS.items()}
    own = {"Title": columns.title, "Authors": columns.authors, "Language": columns.language}
    own |= {"Subjects": columns.subjects, "Rights": columns.rights}
    fields |= {name: _joined(row.get(column)) for name, column in own.items() if column is not None}
    return entry_of(fields)


def _joined(value: Any) -> str:
    if value is None:
        return ""
    return _valid("; ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value))


def _open_dataset(settings: HuggingFaceSettings) -> tuple[Any, str]:
    """The dataset as a stream of rows, and where it is, with its commit. Raises UserError where it cannot be opened."""
    import datasets

    try:
        if (files := _parquet_files(Path(settings.dataset))) is not None:
            stream = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
            return stream, settings.dataset
        builder = datasets.load_dataset_builder(settings.dataset, settings.configuration, revision=settings.revision)
        _check_format_is_safe(builder, settings.dataset)
        commit = _COMMIT.search(str(builder.config.data_files))
        revision = commit[1] if commit else settings.revision or "main"
        stream = builder.as_streaming_dataset(split=settings.split)
        return stream, f"hf://datasets/{settings.dataset}@{revision}/{settings.split}"
    except UserError:
        raise
    except Exception as error:
        # The library raises whatever its parts raise: of the Hub, of file systems, of Parquet.
        hint = "; a copy as Parquet is needed, for deepmind/pg19 emozilla/pg19" if "script" in str(error) else ""
        raise UserError(
            f"dataset {settings.dataset}: cannot be opened ({type(error).__name__}: {error}){hint}"
        ) from None


def _check_format_is_safe(builder: Any, dataset: str) -> None:
    modules = [base.__module__.split(".") for base in type(builder).__mro__]
    formats = {module[2] for module in modules if module[:2] == ["datasets", "packaged_modules"]}
    if not formats or not formats <= {*_SAFE_FORMATS}:
        raise UserError(
            f"{dataset}: its format ({', '.join(sorted(formats)) or 'its own code'}) may run code when it is read; "
            f"expected {', '.join(_SAFE_FORMATS)}"
        )


def _parquet_files(path: Path) -> list[str] | None:
    if path.is_file():
        return [str(path)]
    if path.is_dir():
        if files := sorted(str(file) for file in path.rglob("*.parquet")):
            return files
        raise UserError(f"{path}: no Parquet file in this folder")
    return None


def _rows(dataset: Any) -> Iterator[Mapping[str, Any]]:
    rows = iter(dataset)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise UserError(
                f"the dataset broke off ({type(error).__name__}: {error}); what was read stays, run again to go on"
            ) from None
        yield row


def _recognise(dataset: Any) -> ColumnsSettings:
    names = dataset.column_names or list(next(iter(_rows(dataset)), {}))
    for _, columns in KNOWN_COLUMNS:
        if {name for name in columns.model_dump().values() if name} <= {*names}:
            return columns
    raise UserError(
        f"the dataset has the columns {', '.join(names)}; name their meaning in corpus.huggingface.columns, "
        "at least `text` and, if there is one, `id`"
    )


def _check_columns_fit(position: Position, columns: ColumnsSettings) -> None:
    empty = sum(book.reason == "empty_file" for book in position.missing.values())
    if position.missing and empty == len(position.wanted):
        raise UserError(f"no row has a text in column {columns.text!r}; see corpus.huggingface.columns")


def _read_position(path: Path, request: str) -> Position:
    saved = read_json(path) if path.is_file() else {}
    if saved.get("request") != request:
        return Position()
    wanted = {book_id: entry_of(fields) for book_id, fields in saved["wanted"].items()}
    missing = {book_id: MissingBook(**book) for book_id, book in saved["missing"].items()}
    return Position(saved["rows"], saved["state"], wanted, missing, saved["repeated"])


def _write_position(path: Path, request: str, position: Position) -> None:
    wanted = {book_id: entry_fields(entry) for book_id, entry in position.wanted.items()}
    missing = {book_id: vars(book) for book_id, book in position.missing.items()}
    rest = {"rows": position.rows, "state": position.state, "repeated": position.repeated}
    write_json(path, {"request": request, **rest, "wanted": wanted, "missing": missing})
