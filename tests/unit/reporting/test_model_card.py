"""The card of an exported model: data, recipe, measurements, limits, licence of the texts, citation."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json, write_text
from mamba_narrative.reporting.model_card import complete_card
from mamba_narrative.reporting.run_card import run_card

CITATION = Path(__file__).parents[3] / "CITATION.cff"


@pytest.fixture
def trained(reported: Path) -> Path:
    """The report of two runs, one of which left the card of its training."""
    record = read_json(reported / "runs" / "small" / "run.json")
    facts = {
        "architecture": "mamba", "epochs": 1.5, "steps": 240, "tokens_per_second": 900.0,
        "data": {split: {"sha256": "0", "books": 20, "tokens": 900_000} for split in ("train", "validation")},
        "validation": {"loss_nats": 4.2, "bits_per_byte": 1.4, "tokens": 4_000},
        "versions": {"mamba_narrative": "0.1.0"}, "tokenizer": {"name": "gpt2", "vocab_size": 50_257},
        "hardware": {"precision": "float32", "cpu": "a processor"},
    }  # fmt: skip
    write_text(reported / "runs" / "small" / "model" / "README.md", run_card(record | facts))
    return reported


def test_the_hub_reads_its_head_and_the_measured_values(trained: Path) -> None:
    card = ModelCard(complete_card(trained, "small", CITATION))
    assert (card.data.library_name, card.data.pipeline_tag, card.data.language) == (
        "transformers", "text-generation", "en",
    )  # fmt: skip
    bits = read_json(trained / "evaluation" / "small" / "likelihood.json")["metrics"]["bits_per_byte"]["value"]
    shown = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert shown["bits_per_byte"] == pytest.approx(bits, rel=0.01)
    assert card.data.eval_results[0].dataset_split == "test"


def test_it_tells_everything_a_user_must_know(trained: Path) -> None:
    text = complete_card(trained, "small", CITATION)
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Use", "Limits", "Training data", "Recipe", "Results on test books", "Licence of the texts", "Citation",
    ]  # fmt: skip
    for part in (
        "raw books, ", "runs of 13 words", "| `learning_rate` |", "| | small | unigram baseline", "human text",
        "public domain", "CC0", "@software{mamba_narrative,", "AutoModelForCausalLM",
    ):  # fmt: skip
        assert part in text
    assert "| wide" not in text


def test_a_changed_measurement_changes_the_card(trained: Path) -> None:
    table = trained / "report" / "tables" / "generation.csv"
    before = complete_card(trained, "small", CITATION)
    table.write_text(table.read_text().replace("small,distinct_2,distinct_2,0.", "small,distinct_2,distinct_2,0.1"))
    assert complete_card(trained, "small", CITATION) != before


def test_what_is_missing_is_named(trained: Path) -> None:
    with pytest.raises(UserError, match=r"wide/model/README\.md"):
        complete_card(trained, "wide", CITATION)
    (trained / "report" / "tables" / "splits.csv").unlink()
    with pytest.raises(FileFormatError, match="make them first: snakemake report"):
        complete_card(trained, "small", CITATION)
    write_text(trained / "runs" / "small" / "model" / "README.md", "# A card without a head\n")
    with pytest.raises(FileFormatError, match="begins with YAML"):
        complete_card(trained, "small", CITATION)
