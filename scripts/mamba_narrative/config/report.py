"""What the report is called and says of itself."""

from __future__ import annotations

from mamba_narrative.config.base import Section


class ReportSettings(Section):
    """Title and introduction of `report/index.html`."""

    title: str = "Mamba on Project Gutenberg"
    """Heading of the page."""
    introduction: str = ""
    """A paragraph of your own above the summary."""
