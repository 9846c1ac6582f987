"""What the report is called and says of itself."""

from __future__ import annotations

from pydantic import Field

from mamba_narrative.config.base import Section


class ReportSettings(Section):
    """Title and introduction of `report/index.html`."""

    title: str = Field(default="Mamba on Project Gutenberg", max_length=200, pattern=r"^[^\n\t]*$")
    """Heading of the page."""
    introduction: str = Field(default="", min_length=0, max_length=10_000)
    """A paragraph of your own above the summary."""
