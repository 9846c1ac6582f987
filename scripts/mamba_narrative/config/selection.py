"""Which books are English narrative prose."""

from __future__ import annotations

from pydantic import Field, model_validator

from mamba_narrative.config.base import Distinct, LanguageCode, Section


class SelectionSettings(Section):
    """Thresholds of the selection; every drop has a reason code in `corpus/selection`."""

    languages: Distinct[LanguageCode] = Field(default=("en",), min_length=1, max_length=200)
    """Languages kept, as ISO 639-1 codes. The narrative measures know English words only."""
    min_language_fraction: float = Field(default=0.6, ge=0, le=1)
    """Least share of samples of the text that are in a wanted language, whatever is declared."""
    min_words: int = Field(default=1_000, ge=0, le=10_000_000)
    """Shorter books are dropped."""
    min_narrative_fraction: float = Field(default=0.4, ge=0, le=1)
    """Least share of words in passages of prose that read as narration, where no catalogue says fiction."""
    min_person_rate: float = Field(default=0.045, ge=0, le=1)
    """Least personal pronouns a word where narration is less than 60 % of the words: history has few persons."""
    min_person_rate_of_fiction: float = Field(default=0.05, ge=0, le=1)
    """Where the catalogue says fiction, this many personal pronouns a word are enough: letters and stories in the
    present tense lack the signs of narration."""
    max_other_form_fraction: float = Field(default=0.5, ge=0, le=1)
    """Books with more of their words in verse, plays, lists, tables or indexes are dropped."""
    partial_other_form_fraction: float = Field(default=0.2, ge=0, le=1)
    """Kept books with more of their words in such forms are marked `partial`."""
    keep_narrative_parts: bool = True
    """Of a collection that mixes stories with essays, verse or plays, use the narrative sections alone; false: use or
    drop it whole."""
    max_years_per_1000_words: float = Field(default=1.1, ge=0, le=1_000)
    """Prose with more dates than this is history or a memoir rather than fiction, where no catalogue says fiction."""
    max_numbers_per_1000_words: float = Field(default=8.0, ge=0, le=1_000)
    """The same for numbers in digits: verses of scripture, references, statistics."""
    drop_copyrighted: bool = True
    """Drop books whose header or catalogue row says that they are under copyright."""

    @model_validator(mode="after")
    def _thresholds_are_in_order(self) -> SelectionSettings:
        if self.partial_other_form_fraction > self.max_other_form_fraction:
            raise ValueError("selection.partial_other_form_fraction must not exceed selection.max_other_form_fraction")
        return self
