"""An output without a record in Snakemake's own folder is found, whatever lies around it."""

from base64 import urlsafe_b64encode

import pytest

from mamba_narrative.rerun_record import unrecorded_outputs


def record(results, output: str, kind: str = "metadata", longest: int = 255) -> None:
    """As the pinned Snakemake names it; tests/workflow/test_reruns.py tries the real one."""
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + longest - 1] for start in range(0, len(name), longest - 1)]
    path = results.joinpath(".snakemake", kind, *(f"@{part}" for part in parts[:-1]), parts[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def write(results, *names: str) -> None:
    for name in names:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("x")


def unrecorded(results) -> list[str]:
    return unrecorded_outputs(results, lambda path: path.startswith(("runs/", "stripped/")) and path != "runs/a")


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
