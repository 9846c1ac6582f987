"""How boilerplate and apparatus are removed from a raw book."""

from __future__ import annotations

from pydantic import Field

from mamba_narrative.config.base import Section


class StrippingSettings(Section):
    """Switches of the text cleaning; every removal is written to the audit with its rule.

    Project Gutenberg's licence, headers and footers are always removed.
    """

    unwrap_paragraphs: bool = True
    """Join the hard-wrapped lines of a prose paragraph; verse, letters, lists and tables keep their lines."""
    max_cut_fraction: float = Field(default=0.4, ge=0.01, le=0.99)
    """A header or footer larger than this share of the file is not cut without a second opinion and a warning."""
    remove_credits: bool = True
    """Remove the lines that name who produced the electronic text."""
    remove_transcriber_notes: bool = True
    """Remove notes of transcribers and of Project Gutenberg's editors, and their lists of corrections."""
    remove_illustrations: bool = True
    """Remove `[Illustration: ...]` and the like with their captions."""
    remove_page_numbers: bool = True
    """Remove `[Pg 12]`, `{12}` and the like."""
    remove_contents: bool = True
    """Remove tables of contents in front of the text."""
    remove_lists_of_illustrations: bool = True
    """Remove lists of illustrations, plates and maps in front of the text."""
    remove_footnotes: bool = True
    """Remove `[Footnote 1: ...]`, blocks of footnotes, end notes, and the marks `[1]` in the text."""
    remove_sidenotes: bool = True
    """Remove `[Sidenote: ...]`."""
    remove_title_page: bool = True
    """Remove title, author and imprint in front of the text, and the printer's name behind it."""
    remove_dedications: bool = True
    """Remove dedications in front of the text."""
    remove_prefaces: bool = True
    """Remove prefaces, introductions and afterwords by others than the author; the author's own stay."""
    remove_advertisements: bool = True
    """Remove the publisher's lists of books in front of the text and behind it."""
    remove_indexes: bool = True
    """Remove indexes behind the text."""
    remove_glossaries: bool = True
    """Remove glossaries behind the text."""
    remove_appendices: bool = True
    """Remove appendices and bibliographies behind the text."""
    remove_markup: bool = True
    """Remove the signs of `_italics_` and `=bold=`, not the words."""
    normalise_scene_breaks: bool = True
    """Write every line of asterisks or dashes as `* * *`."""
    mend_hyphenation: bool = True
    """Join a word divided at a line end where the book also writes it in one."""
    normalise_punctuation: bool = False
    """Write straight quotes and em dashes everywhere; as printed otherwise."""
