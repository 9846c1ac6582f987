"""The folder of an acquisition: its layout, and whether it holds what the settings ask for.

    raw/                  the books; the rest of the workflow reads nothing else but
    catalog.csv           what the catalogue says of them
    books.lock.tsv        id, address, SHA-256, length and date of each book
    missing.tsv           books that could not be had or were refused, with reasons
    acquisition.json      what was asked for, and how it ended
    .acquisition/         downloaded catalogue and archive, books no longer chosen, work in progress

Planning calls ``find_acquired``, so only light modules are imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mamba_narrative.config.corpus import CorpusSettings
from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json, read_json, sha256_file, sha256_text


@dataclass(frozen=True)
class Layout:
    """Paths below the folder of an acquisition."""

    directory: Path

    @property
    def raw(self) -> Path:
        """The books."""
        return self.directory / "raw"

    @property
    def catalogue(self) -> Path:
        """Project Gutenberg's columns for the books that are there."""
        return self.directory / "catalog.csv"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.directory / "books.lock.tsv"

    @property
    def missing(self) -> Path:
        """Books that are not there, with reasons."""
        return self.directory / "missing.tsv"

    @property
    def status(self) -> Path:
        """What was asked for and how it ended; written last."""
        return self.directory / "acquisition.json"

    @property
    def work(self) -> Path:
        """Everything that the workflow does not read."""
        return self.directory / ".acquisition"


def request_key(settings: CorpusSettings) -> str:
    """Hash of all settings that decide which books are wanted; how they are fetched does not count."""
    request = settings.model_dump(mode="json", include={"source", "choose", "rights", "max_book_bytes"})
    if settings.source == "huggingface":
        request["dataset"] = settings.huggingface.model_dump(mode="json")
    for name, path in (("lock", settings.lock), ("catalogue", settings.catalogue)):
        if path is not None:
            try:
                request[name] = sha256_file(Path(path))
            except OSError as error:
                raise UserError(f"corpus.{name}: {path} cannot be read ({error.strerror})") from None
    return sha256_text(canonical_json(request))


def find_acquired(settings: CorpusSettings, origin: Path = Path()) -> Layout:
    """The folder that ``snakemake acquire_books`` has filled for these settings, whose paths begin at ``origin``.

    Raises UserError, with what to do, where it has not, where the settings have changed since, or where books are
    missing and ``corpus.allow_missing`` does not say that this is all right.
    """
    layout = Layout(origin / (settings.directory or ""))
    advice = "run `snakemake --cores 1 acquire_books` with the same --configfile"
    if not layout.status.is_file():
        raise UserError(f"{layout.directory}: the books have not been brought yet; {advice}")
    status = read_json(layout.status)
    if status.get("request") != request_key(settings):
        raise UserError(f"{layout.directory}: brought for other settings of the section `corpus`; {advice}")
    if status.get("not_had") and not settings.allow_missing:
        raise UserError(
            f"{layout.directory}: {status['not_had']:,} of {status['wanted']:,} books could not be had "
            f"({layout.missing} says why); {advice} to try again, or set corpus.allow_missing: true"
        )
    return layout
