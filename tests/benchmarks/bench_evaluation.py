"""Seconds of all measurements of one run on whole test books, group by group.

With a run: its first test books, whole or cut. Without: initial weights of Mamba-130M (or of a small model) on made-up
books, for what is computed does not depend on what was learnt.

    python tests/benchmarks/bench_evaluation.py
    python tests/benchmarks/bench_evaluation.py --small --books 20 --tokens-per-book 10000 \\
        --settings workflow/configs/gutenberg-local.yaml
    python tests/benchmarks/bench_evaluation.py --results results/mamba-130m --run mamba-130m

Targets: 20 whole books with 130M parameters in 180 s on one H100; 200,000 tokens with the small model in 300 s on two
cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "evaluation"))

from evaluation_inputs import write_split

from mamba_narrative.config.architectures.mamba import MambaRun, MambaSettings
from mamba_narrative.config.evaluation import EvaluationSettings
from mamba_narrative.corpus.formats.chapter_table import read_chapters, write_chapters
from mamba_narrative.evaluation.context import evaluate_context
from mamba_narrative.evaluation.generation import evaluate_generation
from mamba_narrative.evaluation.likelihood import evaluate_likelihood
from mamba_narrative.evaluation.structure import evaluate_structure
from mamba_narrative.evaluation.words import evaluate_words
from mamba_narrative.io import read_json, write_json
from mamba_narrative.model.registry import build_model
from mamba_narrative.model.storage import save_model
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import load_tokenizer

BIG, SMALL = MambaSettings(d_model=768, n_layer=24), MambaSettings(d_model=256, n_layer=4)
CHAPTERS = 30
NAMES = ["Anna", "Hendrik", "Ruth", "Boris", "Margaret", "Oliver", "Judith", "Simon"]
WORDS = [
    "the",
    "a",
    "lamp",
    "was",
    "lit",
    "and",
    "she",
    "asked",
    "nobody",
    "came",
    "then",
    "home",
    "over",
    "hills",
    "grey",
]


def made_up_book(seed: int, tokens: int) -> tuple[str, list[tuple[int, str]]]:
    """A text of about so many tokens, in chapters of sentences with names, and its headings with their offsets."""
    generator = np.random.default_rng(seed)
    parts, headings, position = [], [], 0
    # A sentence of about 15 tokens, a paragraph of five.
    for chapter in range(CHAPTERS):
        heading = f"CHAPTER {chapter + 1}"
        headings.append((position, heading))
        paragraphs = [heading]
        for _ in range(max(1, tokens // (CHAPTERS * 75))):
            sentences = []
            for _ in range(5):
                words = [*generator.choice(WORDS, 12).tolist(), str(generator.choice(NAMES))]
                words.insert(6, str(generator.choice(NAMES)))
                sentences.append(" ".join(["There", *words]) + ".")
            paragraphs.append(" ".join(sentences))
        text = "\n\n".join(paragraphs) + "\n\n"
        parts.append(text)
        position += len(text)
    return "".join(parts).rstrip(), headings


def made_up_inputs(folder: Path, books: int, tokens: int, size: MambaSettings) -> tuple[Path, Path]:
    """Token files and a run with initial weights."""
    tokenizer = load_tokenizer("gpt2")
    made = {str(number): made_up_book(number, tokens) for number in range(books)}
    write_split(folder / "tokens", "test", {name: text for name, (text, _) in made.items()}, tokenizer)
    write_split(folder / "tokens", "train", {"0": made_up_book(books, tokens)[0]}, tokenizer)
    rows = [(name, offset, heading) for name, (_, headings) in made.items() for offset, heading in headings]
    write_chapters(folder / "tokens" / "test.chapters.tsv", rows)
    model = build_model("mamba", size, tokenizer.vocab_size, seed=1)
    save_model(model, MambaRun(architecture="mamba", model=size), folder / "run" / "model", tokenizer.end_of_text_id)
    write_json(folder / "run" / "run.json", {"architecture": "mamba", "tokenizer": tokenizer.describe()})
    return folder / "tokens", folder / "run"


def first_books(tokens: Path, books: int, folder: Path) -> Path:
    """A token folder with the first test books of another one; the training tokens are the same files."""
    test = TokenFile(tokens, "test")
    tokenizer = load_tokenizer(read_json(tokens / "test.json")["tokenizer"]["name"])
    chosen = test.books[:books]
    texts = {book.book_id: tokenizer.decode(test.book_ids(book)[:-1].tolist()) for book in chosen}
    write_split(folder, "test", texts, tokenizer)
    headings = read_chapters(tokens / "test.chapters.tsv")
    rows = [
        (book.book_id, heading.offset, heading.text) for book in chosen for heading in headings.get(book.book_id, ())
    ]
    write_chapters(folder / "test.chapters.tsv", rows)
    for name in ("train.bin", "train.json", "train.books.tsv"):
        (folder / name).symlink_to((tokens / name).resolve())
    return folder


def measure(run: Path, tokens: Path, settings: EvaluationSettings, output: Path) -> Iterator[tuple[str, float]]:
    """Seconds of each group, from opening the model to written files."""
    groups: dict[str, Callable[[], None]] = {
        "likelihood": lambda: evaluate_likelihood(run, tokens, output, settings.likelihood),
        "context": lambda: evaluate_context(run, tokens, output, settings.context),
        "structure": lambda: evaluate_structure(run, tokens, output, settings.structure),
        "words": lambda: evaluate_words(run, tokens, output, settings.words),
        "generation": lambda: evaluate_generation(run, tokens, output, settings.generation),
    }
    for name, evaluate in groups.items():
        start = time.perf_counter()
        evaluate()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        yield name, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="results folder of the run; without it books are made up")
    parser.add_argument("--run", help="name of the run in it")
    parser.add_argument("--books", type=int, default=20, help="test books (default: 20)")
    parser.add_argument("--tokens-per-book", type=int, help="cut books there; made-up ones have 130,000 without it")
    parser.add_argument(
        "--settings", type=Path, help="configuration file whose section evaluation counts (default: its defaults)"
    )
    parser.add_argument("--small", action="store_true", help="without a run: d_model 256, 4 layers, instead of 130M")
    arguments = parser.parse_args()
    section = yaml.safe_load(arguments.settings.read_text()).get("evaluation", {}) if arguments.settings else {}
    if arguments.tokens_per_book:
        section["max_tokens_per_book"] = arguments.tokens_per_book
    settings = EvaluationSettings.model_validate(section)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.results is None:
            size = SMALL if arguments.small else BIG
            tokens, run = made_up_inputs(folder, arguments.books, arguments.tokens_per_book or 130_000, size)
        else:
            tokens = first_books(arguments.results / "tokens", arguments.books, folder / "tokens")
            run = arguments.results / "runs" / arguments.run
        where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
        count = len(TokenFile(tokens, "test"))
        print(f"{where}; {arguments.books} books, {count:,} tokens, at most {arguments.tokens_per_book} of each")
        total = 0.0
        for name, seconds in measure(run, tokens, settings, folder / "evaluation"):
            print(f"{name:12} {seconds:8.1f} s", flush=True)
            total += seconds
        print(f"{'all':12} {total:8.1f} s")


if __name__ == "__main__":
    main()
