"""Books from a mirror go through the workflow like local ones, and bringing them again outdates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from workflow_project import REPOSITORY, Project, copy_sources

from loopback_library import Library, serve
from mamba_narrative.acquisition.mirrors import mirror_path
from mamba_narrative.io import read_table

# A worker of its own: nothing here needs the finished experiment, whose tests are one long chain.
pytestmark = pytest.mark.xdist_group("acquisition")

CORPUS = """corpus:
  source: gutenberg
  directory: books
  rights: any
  catalogue: workflow/sample/catalog.csv
  choose: {{ids: [{ids}]}}
  gutenberg: {{mirrors: ["{url}"]}}
  transfer: {{requests_per_second: 500, first_wait_seconds: 0.1}}
"""


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    """The sample's plain-text books, as a mirror has them."""
    files = {}
    for path in (REPOSITORY / "workflow" / "sample" / "raw").rglob("900*.txt"):
        book_id, _, variant = path.stem.partition("-")
        files["/" + mirror_path(book_id, "8bit" if variant == "8" else "utf8")] = path.read_bytes()
    with serve(Library(files)) as library:
        yield library


@pytest.fixture(scope="module")
def acquired(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose books are on the mirror; tried without them first, then brought, then run to the tokens."""
    project = Project(tmp_path_factory.mktemp("acquired"))
    copy_sources(project.folder)
    ids = sorted({Path(path).name.split("-")[0] for path in library.files})
    corpus = CORPUS.format(url=library.url, ids=", ".join(ids))
    project.edit("tiny.yaml", lambda text: text.replace("corpus:\n", corpus))
    return project


def bring(project: Project, check: bool = True):
    # Before --configfile, which takes all names that follow it.
    return project.snakemake("--", "acquire_books", check=check)


def test_nothing_is_planned_before_the_books_are_there(acquired):
    outcome = acquired.snakemake("--dry-run", check=False)
    assert outcome.code != 0
    assert "books: the books have not been brought yet; run `snakemake --cores 1 acquire_books`" in outcome.text


def test_the_books_are_brought_and_used_like_local_ones(acquired, library):
    outcome = bring(acquired)
    assert outcome.jobs == {"acquire_books"}
    acquired.snakemake("corpus")
    rows = {row["book_id"] for row in read_table(acquired.folder / "results" / "corpus" / "books.tsv")}
    assert rows == {Path(path).name.split("-")[0] for path in library.files}


def test_bringing_them_again_asks_for_nothing_and_outdates_nothing(acquired, library):
    library.requests.clear()
    assert bring(acquired).jobs == {"acquire_books"}
    assert library.requests == []
    assert acquired.plan("corpus") - {"corpus"} == set()


def test_a_lock_in_another_folder_outdates_nothing_either(acquired, library):
    (acquired.folder / "shared.tsv").write_bytes((acquired.folder / "books" / "books.lock.tsv").read_bytes())
    acquired.edit("tiny.yaml", lambda text: text.replace("  rights: any\n", "  rights: any\n  lock: shared.tsv\n"))
    library.requests.clear()
    bring(acquired)
    assert library.requests == []
    assert acquired.plan("corpus") - {"corpus"} == set()


def test_a_book_that_cannot_be_had_stops_the_workflow_by_name(acquired):
    acquired.edit("tiny.yaml", lambda text: text.replace("  lock: shared.tsv\n", "").replace("ids: [", "ids: [123, "))
    outcome = bring(acquired, check=False)
    assert outcome.code != 0
    assert "1 not_found" in outcome.text
    assert "could not be had" in acquired.snakemake("--dry-run", check=False).text
