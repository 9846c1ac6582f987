"""What is measured on held-out books."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mamba_narrative.config.base import NAME, NOTHING, SUMMARY, Distinct, Rising, Section, Seed
from mamba_narrative.config.paths import ConfiguredPath

_MOST_GENERATED_TOKENS = 200_000_000
_Tokens = Annotated[int, Field(ge=1, le=1_048_576)]
GROUPS = ("likelihood", "context", "structure", "words", "generation")
"""The groups of measures whose results are sums by question and book: sections of `evaluation`."""


class LikelihoodSettings(Section):
    """Bits per byte, token and word perplexity on whole held-out books."""

    max_tokens_per_book: int | None = Field(default=None, ge=64, le=1_000_000_000)
    """Only the beginning of longer books is scored; null: whole books."""
    context_tokens: int = Field(default=2_048, ge=16, le=1_048_576, json_schema_extra=NOTHING)
    """Tokens computed at once; the state is carried along the book, so this changes memory, not results."""
    batch_size: int | None = Field(default=None, ge=1, le=1_024, json_schema_extra=NOTHING)
    """Books read side by side; more use a GPU better and take more memory, without changing results. null: 4, 16 on a
    GPU."""
    bootstrap_samples: int = Field(default=2_000, ge=100, le=100_000, json_schema_extra=SUMMARY)
    """Resamples of books behind each 95 % interval."""
    seed: Seed = Field(default=1, json_schema_extra=SUMMARY)
    """Seed of the bootstrap."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""


class GenerationSettings(Section):
    """Repetition and diversity of continuations of passages from held-out books."""

    prompts: int = Field(default=32, ge=1, le=10_000)
    """Number of passages, spread over the test books."""
    prompt_tokens: int = Field(default=128, ge=8, le=1_048_576)
    """Length of each passage."""
    continuation_tokens: int = Field(default=256, ge=16, le=65_536)
    """Length of each continuation."""
    temperature: float = Field(default=0.9, ge=0.01, le=100)
    """Sampling temperature."""
    top_p: float = Field(default=0.95, ge=0.001, le=1)
    """Nucleus sampling: the most likely tokens with this total probability."""
    seeds: Distinct[Seed] = Field(default=(1, 2), min_length=1, max_length=100)
    """One continuation a passage and seed."""
    passage_seed: Seed = 1
    """Seed of the choice of passages, and of the bootstrap."""
    bootstrap_samples: int = Field(default=2_000, ge=100, le=100_000, json_schema_extra=SUMMARY)
    """Resamples of books behind each 95 % interval."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""

    @model_validator(mode="after")
    def _fits_into_memory(self) -> GenerationSettings:
        if (tokens := self.prompts * len(self.seeds) * self.continuation_tokens) > _MOST_GENERATED_TOKENS:
            raise ValueError(
                f"prompts x seeds x continuation_tokens are {tokens:,} tokens; at most {_MOST_GENERATED_TOKENS:,}"
            )
        return self


class BaselineSettings(Section):
    """What the likelihood of runs is compared with, beside token frequencies."""

    ngram_order: int = Field(default=5, ge=1, le=8)
    """Longest run of tokens that the Kneser-Ney model counts."""
    ngram_training_tokens: int = Field(default=20_000_000, ge=1, le=10_000_000_000)
    """It counts the first tokens of the training books, at most so many; 20 million take about 8 GB and a minute."""
    compressor_training_bytes: int = Field(default=2_000_000, ge=0, le=1_000_000_000)
    """The compressor reads text of the training books, at most so many bytes, before each test book."""


class ContextSettings(Section):
    """What a model makes of the text it has read: from short contexts to the whole book."""

    max_tokens_per_book: int | None = Field(default=None, ge=64, le=1_000_000_000)
    """Only the beginning of longer books is read; null: whole books."""
    context_tokens: Rising[_Tokens] = Field(default=(16, 64, 256, 1_024, 2_048), min_length=1, max_length=100)
    """Contexts that the same targets are predicted from, beside the whole book before them; in rising order."""
    spans_per_book: int = Field(default=8, ge=1, le=10_000)
    """Places of a book where targets lie."""
    span_tokens: int = Field(default=16, ge=1, le=4_096)
    """Targets in a row at each place; those after the first have up to so many tokens of context more."""
    reset_tokens: Rising[_Tokens] = Field(default=(256, 2_048), min_length=1, max_length=100)
    """Whole books are read with the state thrown away every so many tokens, and with the state carried."""
    shuffled_tokens: int = Field(default=2_048, ge=16, le=1_000_000_000)
    """Tokens of each book's beginning that are read in their order and shuffled."""
    chunk_tokens: int = Field(default=2_048, ge=16, le=1_048_576, json_schema_extra=NOTHING)
    """Tokens computed at once along a book; this changes memory, not results."""
    batch_size: int = Field(default=4, ge=1, le=1_024, json_schema_extra=NOTHING)
    """Short contexts are computed side by side, up to so many times `chunk_tokens`."""
    bootstrap_samples: int = Field(default=2_000, ge=100, le=100_000, json_schema_extra=SUMMARY)
    """Resamples of books behind each 95 % interval."""
    seed: Seed = 1
    """Seed of the choice of targets, of the shuffle and of the bootstrap."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""


class StructureSettings(Section):
    """Whether the true course of a story is more likely than another: order, foreign sentences, chapters."""

    max_tokens_per_book: int | None = Field(default=None, ge=64, le=1_000_000_000)
    """Only the beginning of longer books gives cases; null: whole books."""
    windows_per_book: int = Field(default=12, ge=2, le=10_000)
    """Stretches of sentences, and of paragraphs, that each book gives; two make one exchange of sentences."""
    sentences: int = Field(default=8, ge=3, le=1_000)
    """Sentences of a stretch."""
    paragraphs: int = Field(default=5, ge=3, le=1_000)
    """Paragraphs of a stretch."""
    shuffles: int = Field(default=5, ge=1, le=1_000)
    """Other orders that the true one is compared with."""
    max_window_tokens: int = Field(default=1_024, ge=32, le=1_048_576)
    """Longer stretches are left out."""
    chapter_groups_per_book: int = Field(default=2, ge=1, le=1_000)
    """Groups of six chapters that each book gives; each chapter of a group is asked for once."""
    chapter_suffix_tokens: int = Field(default=128, ge=8, le=1_048_576)
    """Tokens of a chapter's opening."""
    chapter_prefix_tokens: Rising[_Tokens] = Field(default=(256, 1_024, 4_096), min_length=1, max_length=100)
    """Tokens before the chapter that are read, in rising order; the longest is the headline."""
    bootstrap_samples: int = Field(default=2_000, ge=100, le=100_000, json_schema_extra=SUMMARY)
    """Resamples of books behind each 95 % interval."""
    seed: Seed = 1
    """Seed of the choice of stretches, of the shuffles and of the bootstrap."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""


class LikelihoodBaselines(Section):
    """What the baselines of the likelihood depend on, and no other group of measurements."""

    likelihood: LikelihoodSettings = LikelihoodSettings()
    """Which part of the books is scored, and the bootstrap."""
    baselines: BaselineSettings = BaselineSettings()
    """The baselines themselves."""


class WordsSettings(Section):
    """Words that need the story: last words of passages, names met again, names from far back."""

    max_tokens_per_book: int | None = Field(default=None, ge=64, le=1_000_000_000)
    """Only the beginning of longer books is read; null: whole books."""
    last_words_per_book: int = Field(default=40, ge=1, le=1_000_000)
    """Passages that each book gives for words, and at most as many for names."""
    passage_sentences: int = Field(default=5, ge=2, le=1_000)
    """Sentences of a passage, with the one whose last word is asked for."""
    far_names_per_book: int = Field(default=40, ge=1, le=1_000_000)
    """At most so many mentions of names whose last mention is further back than `name_window_tokens`."""
    name_window_tokens: int = Field(default=256, ge=1, le=1_048_576)
    """Tokens before a name from far back that are read without the book, to compare."""
    bootstrap_samples: int = Field(default=2_000, ge=100, le=100_000, json_schema_extra=SUMMARY)
    """Resamples of books behind each 95 % interval."""
    seed: Seed = 1
    """Seed of the choice of passages and of the bootstrap."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""


class PublishedModel(Section):
    """A model of others that scores the same books. It may have read them: published corpora hold Gutenberg books."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """What tables call it."""
    path: ConfiguredPath
    """Folder with config.json, model.safetensors and a tokenizer, or a hub name, such as openai-community/gpt2."""
    tokenizer: ConfiguredPath | None = None
    """Folder or name of its tokenizer; null: that of `path`."""
    context_tokens: int | None = Field(default=None, ge=16, le=1_048_576)
    """Longest text it reads at once; null: what its configuration says. Without meaning for Mamba, which reads on."""


class TaskSettings(Section):
    """Tasks of lm-evaluation-harness on the exported model; off while no task is named."""

    tasks: Distinct[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]] = Field(
        default=(), max_length=200
    )
    """Names of tasks, such as lambada_openai. Needs `pip install -r requirements-lm-eval.txt`, and their data."""
    task_directory: ConfiguredPath | None = None
    """Folder of task files of one's own."""
    limit: int | None = Field(default=None, ge=1, le=100_000_000)
    """Only the first so many cases of each task, to try it out; null: all."""
    batch_size: int = Field(default=8, ge=1, le=4_096, json_schema_extra=NOTHING)
    """Cases computed side by side."""
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    """Seed of what tasks draw."""
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=NOTHING)
    """auto: the GPU where there is one."""


class EvaluationSettings(Section):
    """The measurements, one group a rule."""

    max_tokens_per_book: int | None = Field(default=None, ge=64, le=1_000_000_000)
    """Only the beginning of longer books is measured; groups with a key of this name may set their own."""
    likelihood: LikelihoodSettings = LikelihoodSettings()
    """How surprising the held-out books are."""
    generation: GenerationSettings = GenerationSettings()
    """What the model writes by itself."""
    context: ContextSettings = ContextSettings()
    """What the text before is worth to the model."""
    baselines: BaselineSettings = BaselineSettings()
    """Models of the likelihood that need no training run."""
    structure: StructureSettings = StructureSettings()
    """Whether the model knows the true course of a story."""
    words: WordsSettings = WordsSettings()
    """Whether the model remembers words of the story."""
    published: Distinct[PublishedModel] = Field(default=(), max_length=100)
    """Models of others, scored on the same books beside the runs."""
    tasks: TaskSettings = TaskSettings()
    """Tasks of lm-evaluation-harness."""

    @model_validator(mode="after")
    def _published_models_have_names_of_their_own(self) -> EvaluationSettings:
        names = [model.name.casefold() for model in self.published]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"published: {', '.join(twice)} is there twice; give each model a name of its own")
        return self

    @model_validator(mode="before")
    @classmethod
    def _groups_share_the_limit(cls, data: Any) -> Any:
        """Hand ``max_tokens_per_book`` to every group that has such a key and does not set it."""
        key = "max_tokens_per_book"
        if not isinstance(data, dict) or data.get(key) is None:
            return data
        filled = dict(data)
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Section) and key in type(field.default).model_fields:
                group = filled.get(name, {})
                if isinstance(group, dict) and group.get(key) is None:
                    filled[name] = {**group, key: data[key]}
        return filled
