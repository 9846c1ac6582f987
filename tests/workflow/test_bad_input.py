"""Bad books are rows with a reason, bad settings are refused, and every good book goes through."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from workflow_project import REPOSITORY, Project, copy_sources

from mamba_narrative.io import read_table

# A worker of its own: nothing here needs the finished experiment, whose tests are one long chain.
pytestmark = pytest.mark.xdist_group("bad_input")

SAMPLE = REPOSITORY / "workflow" / "sample" / "raw"
GOOD = ["900001", "900002", "900004"]


def good_books() -> dict[str, bytes]:
    found = {}
    for book_id in GOOD:
        path = next(path for path in sorted(SAMPLE.rglob("*")) if book_id in path.name)
        found[path.name] = path.read_bytes()
    return found


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "A text of some length. " * 500)
    return buffer.getvalue()


def fill(raw: Path) -> None:
    raw.mkdir()
    story = "It was a cold evening when she came to the door and knocked, and nobody answered.\n\n" * 200
    files = {
        **good_books(),
        "1.txt": b"",
        "2.txt": bytes(range(256)) * 400,
        "3.txt.gz": gzip.compress(story.encode())[:-20],
        "4.zip": zipped("4-a.txt", "4-b.txt"),
        "no-markers.txt": story.encode(),
        "6.txt": story.replace("door", "gate").encode(),
        "more/6.txt": story.replace("door", "window").encode(),
        "7{x}.txt": story.encode(),
        "odd name's $HOME.txt": story.replace("door", "hatch").encode(),
    }
    for name, content in files.items():
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_bytes(content)
    with open(os.fsencode(raw) + b"/caf\xe9.txt", "wb") as stream:
        stream.write(story.encode())
    (raw / "8.txt").symlink_to("nowhere.txt")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Project:
    """The workflow up to the table of books on a folder of good and bad files."""
    project = Project(tmp_path_factory.mktemp("bad"))
    copy_sources(project.folder)
    fill(project.folder / "raw")
    project.edit(
        "tiny.yaml", lambda text: text.replace("corpus:\n", "corpus:\n  source: directory\n  directory: raw\n")
    )
    project.snakemake("corpus")
    return project


def rows(project: Project) -> dict[str, dict[str, str]]:
    return {row["book_id"]: row for row in read_table(project.folder / "results" / "corpus" / "books.tsv")}


@pytest.mark.parametrize(
    ("book_id", "reason"),
    [
        ("1", "empty_file"),
        ("2", "binary_file"),
        ("3", "truncated_gzip"),
        ("4", "zip_several_members"),
        ("8", "unreadable_file"),
        ("caf%E9", "file_name_not_utf8"),
    ],
)
def test_a_bad_book_is_a_row_with_its_reason(corpus, book_id, reason):
    row = rows(corpus)[book_id]
    assert row["decision"] == "drop"
    assert reason in row["reasons"]
    assert row["split"] == ""


@pytest.mark.parametrize("book_id", GOOD)
def test_good_books_go_through(corpus, book_id):
    assert rows(corpus)[book_id]["decision"] == "keep"
    assert rows(corpus)[book_id]["split"]


def test_a_file_without_markers_is_kept_with_a_warning(corpus):
    audits = [path.read_text() for path in (corpus.folder / "results" / "stripped").glob("*.audit.jsonl")]
    record = next(line for text in audits for line in text.splitlines() if '"no-markers"' in line)
    assert "marker" in record.split('"warnings"')[1]
    assert rows(corpus)["no-markers"]["words"] != "0"


def test_the_second_file_of_an_id_is_reported(corpus):
    audits = "".join(path.read_text() for path in (corpus.folder / "results" / "stripped").glob("*.audit.jsonl"))
    assert "more/6.txt" in audits
    assert "duplicate_id" in audits


def test_an_odd_file_name_is_a_book_like_any_other(corpus):
    assert any("odd" in book_id and row["words"] != "0" for book_id, row in rows(corpus).items())


def test_a_catalogue_without_a_needed_column_is_refused_with_the_columns_found(corpus, tmp_path):
    project = Project(tmp_path / "project")
    shutil.copytree(corpus.folder, project.folder, symlinks=True)
    (project.folder / "catalog.csv").write_text("Text#,Title\n1,A\n")
    project.edit(
        "tiny.yaml", lambda text: text.replace("directory: raw\n", "directory: raw\n  catalogue: catalog.csv\n")
    )
    outcome = project.snakemake("corpus", check=False)
    assert outcome.code != 0
    log = "".join(path.read_text() for path in (project.folder / "results" / "logs" / "corpus").rglob("*.log"))
    assert "catalog.csv" in outcome.text + log
    assert "Language" in outcome.text + log


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission_is_a_row_with_its_reason(corpus, tmp_path):
    project = Project(tmp_path / "project")
    shutil.copytree(corpus.folder, project.folder, symlinks=True)
    (project.folder / "raw" / "6.txt").chmod(0)
    project.snakemake("corpus")
    assert "unreadable_file" in rows(project)["6"]["reasons"]
