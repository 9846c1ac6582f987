"""The card of a trained model before anything is measured: what ``run.json`` says of its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamba_narrative.config import architectures

_TRANSFORMERS_USE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")
model = AutoModelForCausalLM.from_pretrained("path/of/this/folder")"""
_OWN_USE = """\
# transformers does not have this architecture; the workflow's own package reads the folder.
from pathlib import Path
from mamba_narrative.model.storage import load_model

model = load_model(Path("path/of/this/folder"))"""


def run_card(record: Mapping[str, Any]) -> str:
    """README.md of the model folder, made from what ``run.json`` records."""
    data, training = record["data"], record["settings"]["training"]
    train, validation = data["train"], data["validation"]
    per_parameter = record["tokens_seen"] / record["parameters"]
    rows = [
        ("architecture", record["architecture"]),
        ("parameters", f"{record['parameters']:,}"),
        ("tokenizer", f"{record['tokenizer']['name']} ({record['tokenizer']['vocab_size']:,} tokens)"),
        ("training text", f"{train['books']:,} books, {train['tokens']:,} tokens"),
        ("seen in training", f"{record['tokens_seen']:,} tokens, {record['epochs']:.2f} epochs"),
        ("tokens seen per parameter", f"{per_parameter:.2g}"),
        ("updates", f"{record['steps']:,} of {training['batch_size']} x {training['sequence_length']} tokens"),
        ("peak learning rate", f"{training['learning_rate']:g}"),
        ("precision", record["hardware"]["precision"]),
        ("device", record["hardware"].get("gpu", record["hardware"]["cpu"])),
        ("time in updates", f"{record['seconds']:,.0f} s, {record['tokens_per_second']:,.0f} tokens/s"),
        ("validation loss", f"{record['validation']['loss_nats']:.4f} nats a token"),
        ("validation bits per byte", f"{record['validation']['bits_per_byte']:.4f}"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    usage, library = _OWN_USE, ""
    if architectures.declares(record["architecture"], architectures.FORM):
        usage, library = _TRANSFORMERS_USE, "library_name: transformers\n"
    return f"""---
language: en
{library}pipeline_tag: text-generation
tags:
- {record["architecture"]}
- project-gutenberg
- fiction
---

# {record["run"]}

A language model trained from random weights on English narrative prose of Project Gutenberg by the workflow
Mamba Narrative {record["versions"]["mamba_narrative"]}.

| | |
|---|---|
{table}

The validation numbers are means over the first {record["validation"]["tokens"]:,} tokens of
{validation["books"]:,} held-out books, each read from its beginning with the state carried along. They were watched
during training, so the report's measurements on test books are the ones to quote. Settings, data hashes and versions
are in the run's `run.json`.

## Use

```python
{usage}
```

Training began every book with the end-of-text token, so a prompt that opens a text should begin with it.

## Limits

- {_verdict_on_training(per_parameter, record["epochs"])}
- The books are old: their views of people, and their facts, are those of their time, and the model repeats them.
- It was not tuned to follow instructions, and nothing filters what it writes.
"""


def _verdict_on_training(tokens_per_parameter: float, epochs: float) -> str:
    """What the amount of training allows to expect. About 20 tokens a parameter: Hoffmann et al. 2022."""
    if tokens_per_parameter < 1:
        verdict = "It saw fewer tokens than it has parameters: a test of the workflow, not a model to use."
    elif tokens_per_parameter < 20:
        verdict = "It saw fewer than the 20 tokens per parameter that suit its size, so more training would help."
    else:
        verdict = "It saw at least the 20 tokens per parameter that suit its size."
    if epochs > 4:
        verdict += f" It read its training text {epochs:.0f} times, so it may repeat passages word for word."
    return verdict
