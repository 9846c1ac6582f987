"""A small results folder as the other stages write it, made from arithmetic: no model, no real book."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mamba_narrative.io import sha256_text, write_json, write_json_lines, write_table

RUNS = ("small", "wide")
HOSTILE = '<script>alert("title")</script>'
BOOK_COLUMNS = (
    "book_id", "title", "author", "year", "language", "decision", "reasons", "cluster", "role", "duplicate_of",
    "split", "characters", "words", "tokens",
)  # fmt: skip
_NOUNS = ("Lantern", "Orchard", "Harbour", "Winter", "Clockmaker", "Miller", "Ferry", "Garden")
_BYTES_PER_TOKEN = 4.4


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def metric(definition: str, value: float, n: int, unit: str, half_width: float | None) -> dict[str, Any]:
    interval = None if half_width is None else [value - half_width, value + half_width]
    return {"definition": definition, "value": value, "n": n, "unit": unit, "interval_95": interval}


def bits_per_byte(nats_per_token: float) -> float:
    return nats_per_token / math.log(2) / _BYTES_PER_TOKEN


def corpus_books() -> list[dict[str, Any]]:
    generator = random.Random(7)
    books = []
    for position in range(30):
        words = generator.randrange(1_200, 60_000)
        books.append(
            {
                "book_id": str(1000 + position), "title": f"The {_NOUNS[position % 8]} of Part {position}",
                "author": "A. Writer", "year": 1850 + position, "language": "en", "decision": "keep", "reasons": "",
                "cluster": str(1000 + position), "role": "representative", "duplicate_of": "",
                "split": "test" if position % 10 == 3 else "validation" if position % 10 == 7 else "train",
                "characters": 6 * words, "words": words, "tokens": round(1.3 * words),
            }
        )  # fmt: skip
    books[3]["title"] = HOSTILE
    books[5] |= {"decision": "partial", "reasons": "other_forms"}
    books[8] |= {"role": "duplicate", "duplicate_of": "1000", "cluster": "1000", "split": "", "tokens": ""}
    outside = {"cluster": "", "role": "", "split": "", "tokens": ""}
    books[10] |= outside | {"decision": "drop", "reasons": "other_language", "language": "fr"}
    books[11] |= outside | {"decision": "drop", "reasons": "other_language;too_short", "language": "de"}
    books[12] |= outside | {"decision": "drop", "reasons": "a_code_nobody_knows"}
    empty = {"title": "", "author": "", "year": "", "language": "", "characters": 0, "words": 0}
    books[14] |= outside | empty | {"decision": "drop", "reasons": "unreadable_empty_file"}
    return books


def write_corpus(results: Path) -> None:
    books = corpus_books()
    write_table(results / "corpus" / "books.tsv", BOOK_COLUMNS, books)
    write_table(
        results / "corpus" / "duplicates.tsv",
        ("book_a", "book_b", "shared", "shingles_a", "shingles_b", "containment", "jaccard"),
        [
            {
                "book_a": "1000",
                "book_b": "1008",
                "shared": 9_300,
                "shingles_a": 10_568,
                "shingles_b": 10_000,
                "containment": 0.93,
                "jaccard": 0.82,
            }
        ],
    )
    audits = [
        {
            "book_id": book["book_id"], "path": f"{book['book_id']}.txt", "bytes": book["characters"],
            "sha256": sha256_text(book["book_id"]),
            "status": "stripped" if book["words"] else "failed", "reason": None if book["words"] else "empty_file",
            "detail": None, "warnings": ["no_end_marker: no footer found"] * (number == 2),
            "removed": [{"rule": "header_start_marker", "offset": 0, "length": 640, "start": "The <b>header</b>"}],
            "changes": {"lines_joined": 12 if book["words"] else 0},
            "other_files": [{"path": "1000-8.txt", "reason": "other_variant"}] * (number == 0),
        }
        for number, book in enumerate(books)
    ]  # fmt: skip
    write_json_lines(results / "stripped" / "000.audit.jsonl", audits[:15])
    write_json_lines(results / "stripped" / "001.audit.jsonl", audits[15:])
    sizes = {split: [book for book in books if book["split"] == split] for split in ("train", "validation", "test")}
    write_json(
        results / "splits" / "summary.json",
        {
            "splits": {name: {"books": len(chosen)} for name, chosen in sizes.items()},
            "repaired": [{"cluster": "1003", "from": "train", "to": "test"}],
            "overlap": [
                {
                    "split": split,
                    "other": "train",
                    "books": 3,
                    "books_without_sketch": 0,
                    "max_containment": 0.0034,
                    "mean_containment": 0.0012,
                    "share_of_shingles": 0.001,
                    "largest": largest,
                }
                for split, largest in (("validation", {}), ("test", {"1013": 0.0034}))
            ],
        },
    )

    write_json(
        results / "splits" / "leaks.json",
        {
            "run_words": 13,
            "max_shared_13gram_rate": 0.01,
            "compared_fraction": 0.25,
            "splits": {
                "validation": {
                    "books": 3, "runs": 90_000, "shared": 0, "rate": 0.0, "max_rate": 0.0, "books_with_shared_runs": 0
                },
                "test": {
                    "books": 3, "runs": 80_000, "shared": 40, "rate": 0.0005, "max_rate": 0.00432,
                    "books_with_shared_runs": 1,
                },
            },
            "worst": [
                {
                    "book_id": "1013", "split": "test", "rate": 0.00432, "shared": 40, "largest_source": "1002",
                    "example_offset": 4_321, "example_words": 52, "example": f"to be or not {HOSTILE}",
                }
            ],
        },
    )  # fmt: skip
    move = {"book_id": "1013", "title": "", "from": "train", "to": "test", "cluster_before": "1013", "cluster": "1013"}
    write_table(results / "splits" / "moves.tsv", tuple(move), [move])


def write_run(results: Path, run: str, position: int, steps: int = 240) -> None:
    generator = random.Random(run)
    tokens = [2_048 * step for step in range(1, steps + 1)]
    trend = [10.8 * math.exp(-step / 12) + 5.6 - 0.25 * position - step / steps for step in range(steps)]
    write_csv(
        results / "runs" / run / "train.csv",
        [
            {
                "step": step + 1, "tokens": tokens[step], "epoch": step / steps, "loss_nats": trend[step] +
                generator.gauss(0, 0.15), "learning_rate": 1e-3, "grad_norm": 1.0, "tokens_per_second": 900,
                "seconds": 2.2 * step,
            }
            for step in range(steps)
        ],
    )  # fmt: skip
    validation = [
        {"step": step + 1, "tokens": tokens[step], "loss_nats": trend[step] + 0.1,
         "bits_per_byte": bits_per_byte(trend[step] + 0.1)}
        for step in range(39, steps, 40)
    ]  # fmt: skip
    write_csv(results / "runs" / run / "validation.csv", validation)
    write_json(
        results / "runs" / run / "run.json",
        {
            "run": run, "architecture": "mamba",
            "settings": {
                "architecture": "mamba", "model": {"d_model": 128 * (position + 1), "n_layer": 4, "d_state": 16},
                "training": {"sequence_length": 256, "batch_size": 8, "learning_rate": 1e-3, "seed": 1,
                             "precision": "float32", "steps": steps},
            },
            "data": {split: {"sha256": sha256_text(split)} for split in ("train", "validation", "test")},
            "parameters": 7_050_112 * (position + 1), "tokens_seen": tokens[-1], "steps": steps, "epochs": 1.7,
            "seconds": 528.4, "tokens_per_second": 930.1, "resumed": position,
            "validation": {key: validation[-1][key] for key in ("loss_nats", "bits_per_byte")},
            "weights_sha256": sha256_text(run), "versions": {"python": "3.11", "torch": "2.13.0"},
            "hardware": {"device": "cpu", "precision": "float32", "system": "Linux x86_64", "cpu": "A Processor",
                         "cpu_cores": 2, "torch_threads": 2},
            "tokenizer": {"name": "gpt2", "sha256": sha256_text("gpt2")},
        },
    )  # fmt: skip


def write_likelihood(results: Path, run: str, loss: float, books: int) -> None:
    folder = results / "evaluation" / run
    half = None if books < 2 else 0.3 / math.sqrt(books)
    write_json(
        folder / "likelihood.json",
        {
            "run": run, "split": "test", "books": books, "tokens": 90_000, "bytes": 396_000, "words": 70_000,
            "metrics": {
                "bits_per_byte": metric("bits_per_byte", bits_per_byte(loss), books, "bits/byte", half and half / 3),
                "token_perplexity": metric("token_perplexity", math.exp(loss), books, "", half and half * 200),
                "word_perplexity": metric("word_perplexity", math.exp(1.3 * loss), books, "", half and half * 900),
            },
        },
    )  # fmt: skip
    write_csv(
        folder / "likelihood_books.csv",
        [
            {"book_id": number, "tokens": 900, "bytes": 3_960, "words": 700, "nll_nats": 900 * (loss + number / 10)}
            | {"bits_per_byte": bits_per_byte(loss + number / 10)}
            for number in range(books)
        ],
    )
    gain = 0 if run == "unigram" else 1.4
    edges = [0, *(2**power for power in range(4, 15))]
    write_csv(
        folder / "position.csv",
        [
            {
                "position_from": start, "position_to": end, "tokens": 3 * (end - start),
                "loss_nats": loss + gain / (rank + 1),
                "low": loss - 0.12 + gain / (rank + 1), "high": loss + 0.12 + gain / (rank + 1),
            }
            for rank, (start, end) in enumerate(pairwise(edges))
        ],
    )  # fmt: skip


def write_context(results: Path, run: str, gap: float, books: int) -> None:
    folder = results / "evaluation" / run
    half = None if books < 5 else 0.02
    estimate = {"n": books, "interval_95": None, "reason": "too few books"} if half is None else {"n": books}

    def entry(value: float) -> dict[str, Any]:
        return metric("shuffled_gap", value, books, "nats/token", half) | ({} if half else estimate)

    write_json(
        folder / "context.json",
        {
            "run": run, "books": books, "books_with_targets": books, "tokens": 90_000, "targets": 48,
            "books_cut_short": 0, "settings": {},
            "metrics": {"shuffled_gap": entry(gap)},
            "steps": [{"from": 16, "to": 64, **entry(-gap)}, {"from": 64, "to": 256, **entry(0.01)}],
        },
    )  # fmt: skip
    gains = {"16": gap, "64": gap / 2, "256": gap / 4, "whole book": None}
    write_csv(
        folder / "context.csv",
        [
            {
                "context_tokens": context, "targets": 48, "books": books, "loss_nats": 5 + (gain or 0), "low": "",
                "high": "", "gain_nats": gain, "gain_low": gain, "gain_high": gain, "remembrance": 0.2,
                "remembrance_low": 0.1, "remembrance_high": 0.3,
            }
            for context, gain in gains.items()
        ],
    )  # fmt: skip
    write_csv(
        folder / "resets.csv",
        [
            {
                "reset_tokens": length, "tokens": 90_000, "books": books, "loss_nats": 5.1, "low": "", "high": "",
                "excess_nats": excess, "excess_low": "", "excess_high": "",
            }
            for length, excess in (("256", 0.1), ("never", None))
        ],
    )  # fmt: skip
    write_csv(
        folder / "state.csv",
        [
            {"position": 2**power, "state": kind, "books": books, "rms": 0.1 * power + 0.1, "low": 0.1, "high": 2}
            for kind in ("scan", "window")
            for power in range(12)
        ],
    )


def write_generation(results: Path, name: str, repeated: float, distinct: float) -> None:
    write_json(
        results / "evaluation" / name / "generation.json",
        {
            "run": name,
            "settings": {"temperature": 0.9, "top_p": 0.95, "prompt_tokens": 32, "continuation_tokens": 64},
            "prompts": 6,
            "metrics": {
                "seq_rep_4": metric("seq_rep_4", repeated, 3, "share", 0.02),
                "distinct_2": metric("distinct_2", distinct, 3, "share", 0.03),
            },
        },
    )


def write_structure(results: Path, run: str, share: float) -> None:
    folder = results / "evaluation" / run
    write_json(
        folder / "structure.json",
        {
            "run": run,
            "settings": {"sentences": 8, "shuffles": 5},
            "metrics": {
                "sentence_order": metric("sentence_order", share, 7, "share", 0.05),
                "chapter_suffix": metric("chapter_suffix", share / 3, 2, "share", None),
            },
        },
    )
    write_csv(
        folder / "chapters.csv",
        [
            {
                "prefix_tokens": tokens, "mean_prefix_tokens": tokens, "cases": 12, "books": 2,
                "accuracy": share / 3, "low": share / 4, "high": share / 2,
            }
            for tokens in (256, 1024)
        ],
    )  # fmt: skip


def write_words(results: Path, run: str, gain: float) -> None:
    folder = results / "evaluation" / run
    write_json(
        folder / "words.json",
        {
            "run": run,
            "settings": {"passage_sentences": 5},
            "metrics": {
                "last_word_gain": metric("last_word_gain", gain, 7, "nats/word", 0.1),
                "name_recall_gain": metric("name_recall_gain", 2 * gain, 7, "nats/name", 0.2),
            },
        },
    )
    edges = [1, 16, 64, 256, ""]
    write_csv(
        folder / "name_recall.csv",
        [
            {
                "distance_from": start, "distance_to": end, "mentions": 30, "books": 7,
                "gain_nats": gain / rank, "low": gain / rank - 0.1, "high": gain / rank + 0.1,
            }
            for rank, (start, end) in enumerate(pairwise(edges), start=1)
        ],
    )  # fmt: skip


def write_samples(results: Path, run: str) -> None:
    write_json(
        results / "evaluation" / run / "samples.json",
        [
            {
                "book_id": book, "title": title, "prompt": f"The lamp in passage {book} was lit, and nobody spoke.",
                "human": "At last the ferryman put down his <em>cup</em>.\n\nIt was late.",
                "continuations": [f"{run} goes on & on: {word} <img src=x onerror=alert(1)>" for word in ("a", "b")],
            }
            for book, title in (("1003", HOSTILE), ("1013", "The Miller of Part 13"), ("1023", None))
        ],
    )  # fmt: skip


def write_environment(results: Path) -> None:
    write_json(
        results / "environment" / "report.json",
        {
            "versions": {"python": "3.11", "torch": "2.13.0"},
            "checks": [
                {"name": name, "status": status, "detail": detail, "remedy": remedy, "required": name != "gpu"}
                for name, status, detail, remedy in (
                    ("python", "pass", "3.11", ""),
                    ("gpu", "skipped", "no CUDA device", ""),
                    ("scan <cpu> on cpu", "fail", "differs by 0.3", "use the reference"),
                )
            ],
        },
    )


def write_results(results: Path, runs: Iterable[str] = RUNS, test_books: int = 3) -> Path:
    """Everything that tables, figures and page read, except what the reporting stage itself writes."""
    write_corpus(results)
    for position, run in enumerate(runs):
        write_run(results, run, position)
        write_likelihood(results, run, 4.7 - 0.2 * position, test_books)
        write_generation(results, run, 0.12 - 0.03 * position, 0.8)
        write_structure(results, run, 0.6 + 0.1 * position)
        write_words(results, run, 0.8 + 0.1 * position)
        write_samples(results, run)
        write_context(results, run, 0.8, test_books)
    write_context(results, "untrained", 0.001, test_books)
    write_likelihood(results, "unigram", 6.9, test_books)
    write_structure(results, "unigram", 0.5)
    write_words(results, "unigram", 0.0)
    write_generation(results, "unigram", 0.001, 0.95)
    write_generation(results, "human", 0.004, 0.91)
    write_environment(results)
    return results
