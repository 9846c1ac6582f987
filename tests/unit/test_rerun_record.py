"""Snakemake's record of what made the results travels with the results folder."""

from base64 import urlsafe_b64encode
from pathlib import Path

from mamba_narrative.rerun_record import restore_record, save_record


def record(snakemake_folder: Path, output: str, content: str) -> None:
    path = snakemake_folder / "metadata" / urlsafe_b64encode(output.encode()).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def records(snakemake_folder: Path) -> list[str]:
    return sorted(path.read_text() for path in (snakemake_folder / "metadata").rglob("*") if path.is_file())


def test_a_copied_results_folder_brings_its_record_to_a_fresh_clone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    record(Path("old"), "results/a.txt", "A")
    record(Path("old"), "elsewhere/b.txt", "B")
    assert save_record(Path("old"), Path("results")) == 1
    assert restore_record(Path("new"), Path("results")) == 1
    assert records(Path("new")) == ["A"]


def test_what_snakemake_knows_already_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    record(Path("old"), "results/a.txt", "A")
    save_record(Path("old"), Path("results"))
    record(Path("new"), "results/a.txt", "newer")
    assert restore_record(Path("new"), Path("results")) == 0
    assert records(Path("new")) == ["newer"]


def test_the_record_of_an_output_that_is_gone_goes_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    record(Path("old"), "results/a.txt", "A")
    record(Path("old"), "results/b.txt", "B")
    save_record(Path("old"), Path("results"))
    next((Path("old") / "metadata").glob(urlsafe_b64encode(b"results/b.txt").decode())).unlink()
    save_record(Path("old"), Path("results"))
    restore_record(Path("new"), Path("results"))
    assert records(Path("new")) == ["A"]


def test_without_results_there_is_nothing_to_do(tmp_path):
    assert save_record(tmp_path / "old", tmp_path / "results") == 0
    assert restore_record(tmp_path / "new", tmp_path / "results") == 0
