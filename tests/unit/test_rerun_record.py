"""An output without a record in Snakemake's own folder is found, whatever lies around it."""

from pathlib import Path

import pytest
import snakemake
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from mamba_narrative.rerun_record import KNOWN_VERSION, SNAKEMAKE_FOLDER, another_version, unrecorded_outputs

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"


def record(results, output: str, kind: str = "metadata", longest: int = 255) -> None:
    """Let the installed Snakemake write the entry of an output, on a file system with names of ``longest`` bytes."""
    persistence = FilePersistence(path=results / SNAKEMAKE_FOLDER)
    persistence._max_len = longest
    if kind == "metadata":
        persistence._write_record(output, MetadataRecord())
    else:
        persistence._mark_incomplete(output, None)


def write(results, *names: str) -> None:
    for name in names:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("x")


def unrecorded(results) -> list[str]:
    return unrecorded_outputs(results, lambda path: path.startswith(("runs/", "stripped/")) and path != "runs/a")


def test_the_record_is_that_of_the_pinned_snakemake():
    assert f"snakemake=={KNOWN_VERSION}\n" in REQUIREMENTS.read_text(encoding="utf-8")
    assert snakemake.__version__ == KNOWN_VERSION, "with another Snakemake these tests say nothing about the pinned one"


def test_another_version_of_snakemake_is_named_as_a_possible_cause():
    assert another_version(KNOWN_VERSION) == ""
    assert "this is Snakemake 10.0.0" in another_version("10.0.0")
    assert f"{KNOWN_VERSION}; install that" in another_version("10.0.0")


def test_an_output_without_record_is_named(tmp_path):
    write(tmp_path, "runs/a/run.json", "runs/a/train.csv")
    record(tmp_path, "runs/a/run.json")
    assert unrecorded(tmp_path) == ["runs/a/train.csv"]


@pytest.mark.parametrize("kind", ["metadata", "incomplete"])
def test_an_output_with_a_record_is_known_and_so_is_one_that_a_killed_job_left(tmp_path, kind):
    write(tmp_path, "runs/a/run.json")
    record(tmp_path, "runs/a/run.json", kind)
    assert unrecorded(tmp_path) == []


def test_a_recorded_folder_stands_for_what_is_in_it(tmp_path):
    write(tmp_path, "stripped/000/1.txt")
    record(tmp_path, "stripped/000")
    assert unrecorded(tmp_path) == []


def test_long_names_are_read_too(tmp_path):
    name = "runs/" + "a" * 300
    record(tmp_path, name)
    record(tmp_path, "runs/b", longest=40)
    write(tmp_path, "runs/b")
    assert unrecorded(tmp_path) == []


def test_files_that_are_no_outputs_and_hidden_ones_do_not_count(tmp_path):
    write(tmp_path, "notes.txt", "logs/a.log", ".cache/digests.json", "runs/.b.tmp")
    assert unrecorded(tmp_path) == []


def test_a_folder_that_is_not_there_yet_has_no_results(tmp_path):
    assert unrecorded(tmp_path / "nowhere") == []
