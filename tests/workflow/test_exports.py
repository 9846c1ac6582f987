"""What the workflow hands on is read by the programs that people use."""

from __future__ import annotations

import pytest

from mamba_narrative.io import read_table

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]


def test_models_and_dataset_are_made_on_demand_and_open_elsewhere(project, tmp_path, monkeypatch):
    from datasets import load_dataset
    from huggingface_hub import DatasetCard, ModelCard
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert project.run("models", "dataset") == {
        "export_model:tiny-a", "export_model:tiny-b", "export_dataset", "models", "dataset",
    }  # fmt: skip
    results = project.folder / "results"
    for run in ("tiny-a", "tiny-b"):
        folder = results / "models" / run
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        ids = tokenizer("The ferry", return_tensors="pt")
        assert model.generate(**ids, max_new_tokens=3, do_sample=False, eos_token_id=None).shape[1] == 5
        assert ModelCard.load(folder / "README.md").data.eval_results
    found = load_dataset(str(results / "dataset"), cache_dir=str(tmp_path / "cache"))
    books = {row["book_id"]: row for row in read_table(results / "corpus" / "books.tsv")}
    assert set(found) == {"train", "validation", "test"}
    for split, rows in found.items():
        assert rows["id"][:] == [row["book_id"] for row in read_table(results / "splits" / f"{split}.tsv")]
        for row in rows:
            book = books[row["id"]]
            assert (row["title"], row["author"], row["cluster"], row["split"]) == (
                book["title"], book["author"], book["cluster"], split,
            )  # fmt: skip
            assert len(row["text"].split()) == int(book["words"])
    assert DatasetCard.load(results / "dataset" / "README.md").data.language == ["en"]
    assert project.plan("models", "dataset") <= {"models", "dataset"}
