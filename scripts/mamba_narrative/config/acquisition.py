"""How books are brought from elsewhere: which ones, from where, and how politely."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from mamba_narrative.config.base import Distinct, LanguageCode, Section, Seed
from mamba_narrative.config.paths import ConfiguredPath, PathOrAddress

MAIN_SITE_HOSTS = frozenset({"gutenberg.org", "www.gutenberg.org", "m.gutenberg.org"})
"""Project Gutenberg's own pages are for people; programs may take its feeds and use its mirrors."""
FEEDS_PATH = "/cache/epub/feeds/"
_FEEDS = f"https://www.gutenberg.org{FEEDS_PATH}"


def address_fault(url: str) -> str:
    """What keeps ``url`` from being a web address that may be asked; empty where nothing does."""
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError as error:
        return str(error)
    if address.scheme not in ("http", "https"):
        return "it does not begin with https://"
    if not address.hostname or port == 0:
        return "it names no host, or port 0"
    if address.username is not None or address.password is not None:
        return "it holds a user name or password"
    return "" if url.isprintable() else "it holds control characters"


Variant = Literal["generated", "utf8", "8bit", "ascii"]
Rights = Literal["public_domain", "not_copyrighted", "any"]


class ChoiceSettings(Section):
    """Which books of a catalogue are wanted; a book must meet every criterion that is given."""

    languages: Distinct[LanguageCode] = Field(default=("en",), max_length=200)
    """ISO 639-1 codes, any of them; empty: all languages. A book of which no language is known is taken."""
    kinds: Distinct[str] = Field(default=("Text",), max_length=20)
    """Column `Type` of the catalogue (`Text`, `Sound`, `Dataset` ...), any of them; empty: all."""
    classes: Distinct[Annotated[str, Field(pattern=r"^[A-Z]{1,3}[0-9.]{0,9}$")]] = Field(default=(), max_length=1_000)
    """Library of Congress classes or their beginnings, any of them: `[PR, PS, PZ]`; empty: all."""
    subjects: Distinct[str] = Field(default=(), max_length=1_000)
    """Words in a subject or bookshelf, any of them, in either case: `[fiction]`; empty: all."""
    authors: Distinct[str] = Field(default=(), max_length=1_000)
    """Words in the authors, any of them, in either case; empty: all."""
    ids: Distinct[str] = Field(default=(), max_length=10_000)
    """These books and no others, whatever the criteria above say; for more than 10,000 use `corpus.lock`."""
    count: int | None = Field(default=None, ge=1, le=10_000_000)
    """At most so many: of a catalogue a random sample that `seed` decides, of a dataset its first."""
    seed: Seed = 1
    """Seed of the sample. A catalogue that grows changes the sample little."""

    @field_validator("ids", mode="before")
    @classmethod
    def _numbers_are_ids_too(cls, ids: object) -> object:
        """Whole numbers, and digits without leading zeros, since `0007` is book 7."""
        if not isinstance(ids, list | tuple):
            return ids
        texts = [str(item) if type(item) is int else item for item in ids]
        return [
            text.lstrip("0") or "0" if isinstance(text, str) and text.isascii() and text.isdigit() else text
            for text in texts
        ]


class GutenbergSettings(Section):
    """Where Project Gutenberg's books are taken from."""

    mirrors: Distinct[str] = Field(default=("https://gutenberg.pglaf.org/",), min_length=1, max_length=50)
    """Web addresses of mirrors (https://www.gutenberg.org/MIRRORS.ALL lists them), tried in this order."""
    variants: Distinct[Variant] = Field(default=("generated", "utf8", "8bit", "ascii"), min_length=1, max_length=4)
    """Files of a book, tried in this order: `cache/epub/N/pgN.txt` (UTF-8), `N-0.txt`, `N-8.txt`, `N.txt`."""
    method: Literal["files", "archive"] = "files"
    """`files`: one request a book; `archive`: all texts in one file of about 11 GB, for thousands of books."""
    archive: PathOrAddress = f"{_FEEDS}txt-files.tar.zip"
    """Web address or path of the archive of all texts, for `method: archive`."""
    catalogue_url: str = f"{_FEEDS}pg_catalog.csv"
    """Web address of the catalogue: `pg_catalog.csv`, or `rdf-files.tar.bz2` or `.zip`, which says the rights too.
    Not used where `corpus.catalogue` names a file."""

    @field_validator("catalogue_url")
    @classmethod
    def _catalogue_has_an_address(cls, address: str) -> str:
        return _web_address(address, "https://HOST/pg_catalog.csv")

    @field_validator("mirrors")
    @classmethod
    def _mirrors_are_not_the_main_site(cls, mirrors: tuple[str, ...]) -> tuple[str, ...]:
        for mirror in mirrors:
            if urlsplit(_web_address(mirror, "https://HOST/ of a mirror")).hostname in MAIN_SITE_HOSTS:
                raise ValueError(
                    f"{mirror!r} is the main site, which is for people and blocks programs; choose a mirror from "
                    "https://www.gutenberg.org/MIRRORS.ALL"
                )
        return mirrors


def _web_address(text: str, expected: str) -> str:
    if fault := address_fault(text):
        raise ValueError(f"{text!r} is no web address ({fault}); expected {expected}")
    return text


class ColumnsSettings(Section):
    """Names of a dataset's columns; null: it has no such column."""

    text: str
    """The whole text of a book."""
    id: str | None = None
    """Book id, or an address that ends in the number; null: the number of the row."""
    title: str | None = None
    """Title."""
    authors: str | None = None
    """Authors."""
    language: str | None = None
    """Language as ISO 639-1 code."""
    subjects: str | None = None
    """Subjects, separated by semicolons or a list."""
    rights: str | None = None
    """Copyright status as in Project Gutenberg's RDF: `Public domain in the USA.`"""
    metadata: str | None = None
    """A column of JSON that holds the keys `text_id`, `title`, `authors`, `language`, `subjects` ..."""


class HuggingFaceSettings(Section):
    """A dataset of books, one a row."""

    dataset: ConfiguredPath = "manu/project_gutenberg"
    """Name on the Hugging Face Hub, or a Parquet file, or a folder of Parquet files."""
    configuration: str | None = None
    """Configuration of the dataset, where it has several."""
    split: str = "train"
    """Split to read; `manu/project_gutenberg` has one for each language (`en`, `fr` ...)."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; the lock file names the commit that was read."""
    columns: ColumnsSettings | None = None
    """Meaning of the columns; null: recognised for `manu/project_gutenberg`, `sedthh/gutenberg_english` and PG-19."""


class TransferSettings(Section):
    """Politeness towards servers, and patience with them."""

    requests_per_second: float = Field(default=0.5, ge=0.001, le=1_000)
    """To one host, evenly spaced; a longer `Crawl-delay` of its robots.txt counts. The default is the pace that Project
    Gutenberg's own example for programs keeps."""
    connections: int = Field(default=4, ge=1, le=64)
    """Requests at the same time."""
    timeout_seconds: float = Field(default=60, ge=0.1, le=86_400)
    """A server that sends nothing for so long has failed."""
    max_seconds_per_book: float = Field(default=900, ge=0.1, le=86_400)
    """A transfer that takes longer has failed, however slowly it moves; that of a catalogue or archive, one that brings
    less than 10 MB in this time."""
    retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after a cut connection, a timeout, status 429 or 5xx."""
    first_wait_seconds: float = Field(default=2, ge=0, le=86_400)
    """Wait before the first further attempt, doubled for each one after; a server's `Retry-After` goes first."""
    max_wait_seconds: float = Field(default=600, ge=0.1, le=604_800)
    """A server that wants a longer wait, or such a distance between requests, is left alone until a later run."""
    contact: str | None = Field(default=None, pattern=r"^[\x21-\x7e][\x20-\x7e]*$")
    """E-mail or web address that servers are told, so that their keepers can reach you."""
