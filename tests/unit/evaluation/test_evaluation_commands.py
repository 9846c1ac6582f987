from __future__ import annotations

import csv
import math
import shutil

import numpy as np
import pytest
import torch
from evaluation_inputs import SETTINGS

import evaluate_compressor
import evaluate_context
import evaluate_generation
import evaluate_human
import evaluate_likelihood
import evaluate_ngram
import evaluate_structure
import evaluate_unigram
import evaluate_words
import initialise_run
import summarise_evaluation
from command_calls import run
from mamba_narrative.config.architectures.mamba import MambaRun
from mamba_narrative.config.runs import RunSettings
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.evaluation.definitions import DEFINITIONS
from mamba_narrative.evaluation.trained_run import load_run
from mamba_narrative.evaluation.unigram import token_losses
from mamba_narrative.io import read_json, read_text, write_json
from mamba_narrative.tokens.reader import TokenFile

LIKELIHOOD = '{"bootstrap_samples": 100, "device": "cpu"}'
CONTEXT = '{"context_tokens": [16, 64], "reset_tokens": [32], "bootstrap_samples": 100, "device": "cpu"}'
GENERATION = '{"prompts": 3, "prompt_tokens": 8, "continuation_tokens": 16, "bootstrap_samples": 100, "device": "cpu"}'
STRUCTURE = (
    '{"sentences": 3, "paragraphs": 3, "shuffles": 2, "chapter_suffix_tokens": 8, "chapter_prefix_tokens": [8, 16], '
    '"bootstrap_samples": 100, "device": "cpu"}'
)
WORDS = '{"passage_sentences": 2, "bootstrap_samples": 100, "device": "cpu"}'


@pytest.fixture(scope="module")
def results(tmp_path_factory, token_directory, run_directory):
    folder = tmp_path_factory.mktemp("evaluation")
    of_run = ("--run-directory", run_directory, "--tokens", token_directory, "--output-directory", folder / "small")
    run(evaluate_likelihood, *of_run, "--settings", LIKELIHOOD)
    run(evaluate_generation, *of_run, "--settings", GENERATION)
    run(evaluate_context, *of_run, "--settings", CONTEXT)
    run(evaluate_structure, *of_run, "--settings", STRUCTURE)
    run(evaluate_words, *of_run, "--settings", WORDS)
    both = f'{{"likelihood": {LIKELIHOOD}, "generation": {GENERATION}, "structure": {STRUCTURE}, "words": {WORDS}}}'
    tokens = ("--tokens", token_directory)
    run(evaluate_unigram, *tokens, "--settings", both, "--output-directory", folder / "unigram")
    likelihood = ("--settings", f'{{"likelihood": {LIKELIHOOD}}}')
    run(evaluate_ngram, *tokens, *likelihood, "--output-directory", folder / "ngram")
    run(evaluate_compressor, *tokens, *likelihood, "--output-directory", folder)
    run(evaluate_human, *tokens, "--settings", GENERATION, "--output-directory", folder / "human")
    asked = {
        "likelihood": LIKELIHOOD,
        "context": CONTEXT,
        "generation": GENERATION,
        "structure": STRUCTURE,
        "words": WORDS,
    }
    for path in folder.glob("*/*_sums.csv"):
        group = path.name.removesuffix("_sums.csv")
        of_group = ("--group", group, "--directory", path.parent, "--settings", f'{{"{group}": {asked[group]}}}')
        run(summarise_evaluation, *of_group)
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names(folder):
    """Of the files that are made from the sums; of each group there are two of these, too."""
    found = {path.name for path in folder.iterdir() if path.is_file()}
    scored = {name for name in found if name.endswith(("_sums.csv", "_facts.json"))}
    groups = {name.removesuffix("_books.csv") for name in found if name.endswith("_books.csv")}
    assert scored == {f"{group}_{kind}" for group in groups for kind in ("sums.csv", "facts.json")}
    return found - scored


def test_every_measurement_is_recorded_and_refused_with_a_flipped_bit(results):
    files = [path for path in results.rglob("*") if path.suffix in (".json", ".csv")]
    assert len(files) > 30
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        try:
            with pytest.raises(FileFormatError, match=f"{path.name}: its sha256 differs"):
                read_text(path)
        finally:
            path.write_bytes(content)


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/config.json", "run.json"])
def test_a_run_with_a_flipped_bit_is_not_measured(tmp_path, tokenizer, name):
    settings = RunSettings(MambaRun(architecture="mamba", model=SETTINGS)).model_dump_json()
    run(initialise_run, "--like", "small", "--settings", settings, "--output", tmp_path)
    flipped(tmp_path / name)
    with pytest.raises(FileFormatError, match=f"{name}: its sha256 differs .*delete it and run again"):
        load_run(tmp_path, tokenizer, torch.device("cpu"))


@pytest.mark.parametrize(
    ("command", "settings", "name"),
    [
        (evaluate_unigram, "{}", "train.bin"),
        (evaluate_compressor, "{}", "test.bin"),
        (evaluate_human, GENERATION, "test.bin"),
        (evaluate_ngram, "{}", "train.bin"),
    ],
)
def test_damaged_tokens_are_not_measured(tmp_path, token_directory, command, settings, name):
    shutil.copytree(token_directory, tmp_path / "tokens")
    flipped(tmp_path / "tokens" / name)
    arguments = ("--tokens", tmp_path / "tokens", "--settings", settings, "--output-directory", tmp_path / "out")
    with pytest.raises(FileFormatError, match=f"{name}: its sha256 differs"):
        run(command, *arguments)
    assert not (tmp_path / "out").exists()


def test_all_files_of_the_contract_are_written(results):
    files = {
        "likelihood.json", "likelihood_books.csv", "position.csv", "generation.json", "samples.json",
        "structure.json", "structure_books.csv", "chapters.csv", "words.json", "words_books.csv",
        "name_recall.csv", "generation_books.csv",
    }  # fmt: skip
    of_context = {"context.json", "context_books.csv", "context.csv", "resets.csv", "state.csv"}
    assert names(results / "small") == files | of_context
    assert names(results / "unigram") == files
    assert names(results / "human") == {"generation.json", "generation_books.csv"}
    for name in ("ngram", "xz", "xz-after-training"):
        assert names(results / name) == {"likelihood.json", "likelihood_books.csv", "position.csv"}


def test_counting_runs_of_tokens_beats_counting_tokens_where_both_were_trained_on_such_text(results):
    bits = {
        name: read_json(results / name / "likelihood.json")["metrics"]["bits_per_byte"]["value"]
        for name in ("ngram", "unigram", "xz", "xz-after-training")
    }
    assert bits["ngram"] < bits["unigram"]
    assert bits["xz-after-training"] < bits["xz"]


def test_the_untrained_run_starts_as_its_model_does(tmp_path, token_directory, tokenizer, run_directory):
    settings = RunSettings(MambaRun(architecture="mamba", model=SETTINGS)).model_dump_json()
    run(initialise_run, "--like", "small", "--settings", settings, "--output", tmp_path)
    record = read_json(tmp_path / "run.json")
    assert (record["initial_weights_of"], record["steps"]) == ("small", 0)
    untrained, small = (load_run(folder, tokenizer, torch.device("cpu")) for folder in (tmp_path, run_directory))
    assert all(torch.equal(one, other) for one, other in zip(untrained.parameters(), small.parameters(), strict=True))


def test_every_number_has_a_known_definition_and_is_finite_or_explained(results):
    for path in results.glob("*/*.json"):
        record = read_json(path)
        for name, metric in record["metrics"].items() if isinstance(record, dict) and "columns" in record else ():
            assert metric["definition"] in DEFINITIONS, name
            assert metric["unit"] == DEFINITIONS[metric["definition"]].unit
            if metric["value"] is None or metric["interval_95"] is None:
                assert metric["reason"]
            else:
                assert metric["interval_95"][0] <= metric["value"] <= metric["interval_95"][1]


def test_tables_add_up_to_the_totals(results):
    for run_name in ("small", "unigram"):
        record = read_json(results / run_name / "likelihood.json")
        books = rows(results / run_name / "likelihood_books.csv")
        for name in ("tokens", "bytes", "words"):
            assert sum(int(row[name]) for row in books) == record[name]
        nats = sum(float(row["nll_nats"]) for row in books)
        assert record["metrics"]["bits_per_byte"]["value"] == pytest.approx(nats / math.log(2) / record["bytes"])
        position = rows(results / run_name / "position.csv")
        assert sum(float(row["loss_nats"]) * int(row["tokens"]) for row in position) == pytest.approx(nats)
        assert [row["position_from"] for row in position[1:]] == [row["position_to"] for row in position[:-1]]


def test_the_whole_book_has_the_loss_that_the_likelihood_has(results):
    whole = [row for row in rows(results / "small" / "resets.csv") if row["reset_tokens"] == "never"]
    nats = sum(float(row["nll_nats"]) for row in rows(results / "small" / "likelihood_books.csv"))
    assert float(whole[0]["loss_nats"]) * int(whole[0]["tokens"]) == pytest.approx(nats, rel=1e-5)


def test_untrained_weights_are_about_as_good_as_chance(results):
    perplexity = read_json(results / "small" / "likelihood.json")["metrics"]["token_perplexity"]["value"]
    assert perplexity == pytest.approx(50_257, rel=0.2)


def test_samples_continue_the_same_passages(results):
    small, unigram = (read_json(results / name / "samples.json") for name in ("small", "unigram"))
    assert [(s["book_id"], s["prompt"], s["human"]) for s in small] == [
        (s["book_id"], s["prompt"], s["human"]) for s in unigram
    ]
    assert all(len(set(s["continuations"])) == 2 for s in small)


def test_the_same_command_writes_the_same_bytes(results, token_directory, run_directory, tmp_path):
    arguments = ("--run-directory", run_directory, "--tokens", token_directory, "--output-directory", tmp_path)
    run(evaluate_generation, *arguments, "--settings", GENERATION)
    for name in ("generation_sums.csv", "generation_facts.json", "samples.json"):
        assert (tmp_path / name).read_bytes() == (results / "small" / name).read_bytes()


def test_the_unigram_is_the_smoothed_frequency_of_training_tokens(results, token_directory, tokenizer):
    train, test = (TokenFile(token_directory, split) for split in ("train", "test"))
    counts = np.bincount(train.ids, minlength=tokenizer.vocab_size)
    losses = token_losses(train.ids, tokenizer.vocab_size)
    assert np.exp(-losses).sum() == pytest.approx(1)
    text = [token for token in test.ids.tolist() if token != tokenizer.end_of_text_id]
    nats = sum(-math.log((counts[token] + 1) / (len(train) + tokenizer.vocab_size)) for token in text)
    record = read_json(results / "unigram" / "likelihood.json")
    assert record["tokens"] == len(text)
    assert record["metrics"]["bits_per_byte"]["value"] == pytest.approx(nats / math.log(2) / record["bytes"])


def test_a_run_of_another_tokenizer_is_refused(run_directory, token_directory, tmp_path):
    write_json(tmp_path / "run.json", {"tokenizer": {"sha256": "0"}})
    with pytest.raises(UserError, match="another tokenizer"):
        run(evaluate_likelihood, "--run-directory", tmp_path, "--tokens", token_directory, "--output-directory",
            tmp_path / "out", "--settings", LIKELIHOOD)  # fmt: skip
    assert not (tmp_path / "out").exists()
