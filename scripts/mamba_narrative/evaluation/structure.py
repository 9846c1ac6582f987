"""Is the true course of a story more likely to a model than another? Order, foreign sentences, next chapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mamba_narrative.config.evaluation import StructureSettings
from mamba_narrative.corpus.formats.chapter_table import Heading, read_chapters
from mamba_narrative.evaluation.arguments import OutputDirectory, RunDirectory
from mamba_narrative.evaluation.book_texts import BookText, book_texts, paragraph_windows, sentence_windows
from mamba_narrative.evaluation.held_out import SPLIT, held_out_books, open_tokens
from mamba_narrative.evaluation.next_chapter import CHOICES, chapter_trials, choose_openings, shortened_trials
from mamba_narrative.evaluation.order import exchange_win, exchanges, pairwise_wins, shuffles
from mamba_narrative.evaluation.scoring import Losses, ModelScorer, Scorer, Trial
from mamba_narrative.evaluation.sums import Case, sums_of, write_sums
from mamba_narrative.evaluation.trained_run import choose_device, load_run
from mamba_narrative.tokens.reader import TokenFile
from mamba_narrative.tokens.tokenizer import Tokenizer

CHAPTERS_FILE = f"{SPLIT}.chapters.tsv"


@dataclass
class StructureTrials:
    """What models are asked, the same for all of them."""

    sentences: list[Trial] = field(default_factory=list)
    paragraphs: list[Trial] = field(default_factory=list)
    exchanges: list[tuple[Trial, Trial]] = field(default_factory=list)
    chapters: list[Trial] = field(default_factory=list)


def evaluate_structure(
    run_directory: RunDirectory,
    tokens: Annotated[Path, "folder of the test token files with their chapters"],
    output_directory: OutputDirectory,
    settings: Annotated[StructureSettings, "section `evaluation.structure`"] = StructureSettings(),
) -> None:
    """Ask a trained run and write the sums.

    Raises UserError where a file is missing or does not fit the others, or the model's scores are not finite.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    model = load_run(run_directory, tokenizer, choose_device(settings.device))
    trials = read_trials(tokens, test, tokenizer, settings)
    scorer = ModelScorer(model, test.end_of_text_id, f"{run_directory.name}: structure")
    write_structure(run_directory.name, scorer, trials, settings, output_directory)


def read_trials(tokens: Path, test: TokenFile, tokenizer: Tokenizer, settings: StructureSettings) -> StructureTrials:
    """The questions that the test books of folder ``tokens`` give. Raises UserError where a file is missing."""
    books = book_texts(held_out_books(test, tokenizer, settings.max_tokens_per_book), tokenizer)
    return build_trials(books, read_chapters(tokens / CHAPTERS_FILE), settings, tokenizer)


def build_trials(
    books: Sequence[BookText],
    chapters: Mapping[str, Sequence[Heading]],
    settings: StructureSettings,
    tokenizer: Tokenizer,
) -> StructureTrials:
    """The questions that ``books`` give; ``chapters``: headings by book id."""
    trials = StructureTrials()
    count, longest, seed = settings.windows_per_book, settings.max_window_tokens, settings.seed
    for book in books:
        sentences = sentence_windows(book, count, settings.sentences, longest, seed, tokenizer)
        paragraphs = paragraph_windows(book, count, settings.paragraphs, longest, seed, tokenizer)
        trials.sentences += shuffles(book.book_id, sentences, settings.shuffles, seed)
        trials.paragraphs += shuffles(book.book_id, paragraphs, settings.shuffles, seed)
        trials.exchanges += exchanges(book.book_id, sentences)
        trials.chapters += chapter_trials(
            book,
            chapters.get(book.book_id, ()),
            settings.chapter_suffix_tokens,
            max(settings.chapter_prefix_tokens),
            settings.chapter_groups_per_book,
            tokenizer,
        )
    return trials


def structure_cases(scorer: Scorer, trials: StructureTrials) -> dict[str, list[Case]]:
    """Scores of order and exchange by definition id."""
    orders = {"sentence_order": trials.sentences, "paragraph_order": trials.paragraphs}
    cases = {name: _each(scorer, asked, pairwise_wins) for name, asked in orders.items()}
    losses = iter(scorer.score([trial for pair in trials.exchanges for trial in pair]))
    cases["foreign_sentence"] = [
        Case(one.book_id, exchange_win(next(losses), next(losses))) for one, _ in trials.exchanges
    ]
    return cases


def chapter_cases(scorer: Scorer, trials: Sequence[Trial], prefix_tokens: int) -> list[Case]:
    """Scores of next chapters with at most ``prefix_tokens`` tokens before them; trials come in whole groups."""
    scored = scorer.score(shortened_trials(trials, prefix_tokens))
    wins = [win for first in range(0, len(scored), CHOICES) for win in choose_openings(scored[first : first + CHOICES])]
    return [Case(trial.book_id, win) for trial, win in zip(trials, wins, strict=True)]


def write_structure(
    run: str, scorer: Scorer, trials: StructureTrials, settings: StructureSettings, output: Path
) -> None:
    """Ask ``scorer`` and write the sums of ``run``."""
    cases = structure_cases(scorer, trials)
    for limit in sorted(settings.chapter_prefix_tokens):
        cases[f"chapter_suffix {limit}"] = chapter_cases(scorer, trials.chapters, limit)
        cases[f"chapter_prefix_tokens {limit}"] = [
            Case(trial.book_id, float(min(limit, len(trial.prefix)))) for trial in trials.chapters
        ]
    write_sums(output, "structure", {name: sums_of(asked) for name, asked in cases.items()}, {"run": run})


def _each(scorer: Scorer, trials: Sequence[Trial], win: Callable[[Sequence[Losses]], float]) -> list[Case]:
    scored = scorer.score(trials)
    return [Case(trial.book_id, win(losses)) for trial, losses in zip(trials, scored, strict=True)]
