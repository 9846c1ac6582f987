"""How boilerplate and apparatus are removed from a raw book."""

from __future__ import annotations

from pydantic import Field

from mamba_narrative.config.base import Section


class StrippingSettings(Section):
    """Switches of the text cleaning; every removal is written to the audit with its rule."""

    unwrap_paragraphs: bool = True
    """Join the hard-wrapped lines of a prose paragraph; verse, letters, lists and tables keep their lines."""
    max_cut_share: float = Field(default=0.4, gt=0, lt=1)
    """A header or footer larger than this share of the file is not cut without a second opinion and a warning."""
