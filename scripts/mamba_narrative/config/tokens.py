"""Which tokenizer turns text into numbers."""

from __future__ import annotations

from mamba_narrative.config.base import Section
from mamba_narrative.config.paths import ConfiguredPath


class TokensSettings(Section):
    """The tokenizer; its vocabulary must fit uint16 (at most 65,536 entries)."""

    tokenizer: ConfiguredPath = "gpt2"
    """`gpt2` (bundled, verified by hash) or the name or path of a Hugging Face tokenizer."""
