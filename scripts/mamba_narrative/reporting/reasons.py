"""Reason, rule and warning codes of the corpus stages, in words."""

from __future__ import annotations

REASONS: dict[str, str] = {
    # Files that hold no book
    "file_name_not_utf8": "the file name is not valid UTF-8",
    "not_a_regular_file": "not a regular file",
    "unreadable_file": "the file cannot be opened",
    "empty_file": "the file is empty",
    "binary_file": "not a text file",
    "html_file": "HTML instead of plain text",
    "too_large": "larger than corpus.max_book_bytes",
    "truncated_gzip": "the gzip file ends too early",
    "damaged_gzip": "the gzip file is damaged",
    "damaged_zip": "the zip file is damaged",
    "encrypted_zip": "the zip file needs a password",
    "zip_without_text": "the zip file holds no text",
    "zip_several_members": "the zip file holds several texts",
    "too_many_lines": "more lines than any book has",
    "too_slow": "took far more time than any book of its size",
    "no_text_left": "nothing but boilerplate and apparatus",
    "internal_error": "the program failed on this book",
    "other_variant": "another file of the same book was preferred",
    "duplicate_id": "a second file with the same book id",
    # Selection
    "other_language": "in a language that is not wanted",
    "language_unknown": "language unknown",
    "text_in_other_language": "declared in a wanted language, written in another",
    "mixed_languages": "written in several languages",
    "language_disagrees": "the text reads like another language than declared",
    "too_short": "shorter than selection.min_words",
    "not_a_text": "not a text by the catalogue (audio, data)",
    "mostly_verse": "mostly verse",
    "play": "a play",
    "mostly_lists": "mostly lists, tables or an index",
    "other_forms": "prose with a good part of verse, drama or lists",
    "little_narration": "prose that does not narrate",
    "reads_like_fact": "prose full of dates or numbers: history, memoir, scripture, reference",
    "narrative_parts": "a collection of which the narrative sections are used",
    "copyrighted": "under copyright by its header or the catalogue",
    "no_reason_given": "dropped without a reason code",
    # Removed stretches
    "header_start_marker": "Project Gutenberg's header, up to its start marker",
    "header_small_print_start": "header, up to the small print",
    "header_small_print_end": "header, up to the end of the small print",
    "header_licence_start": "header, up to the licence",
    "header_licence_end": "header, up to the end of the licence",
    "header_without_marker": "header without a marker, found by its words",
    "footer_end_marker": "Project Gutenberg's footer, from its end marker",
    "footer_end_line": "footer, from the line that names the end of the book",
    "footer_small_print_start": "footer, from the small print",
    "footer_small_print_end": "footer, from the end of the small print",
    "footer_licence_start": "footer, from the licence",
    "footer_licence_end": "footer, from the end of the licence",
    "footer_without_marker": "footer without a marker, found by its words",
    "licence_inside": "licence between two texts of one file",
    "marker_inside": "marker line inside the text",
    "title_page": "title, author and imprint in front of the text, or the printer's name behind it",
    "dedication": "dedication",
    "preface": "preface, introduction or afterword by another than the author",
    "advertisement": "the publisher's list of books",
    "index": "index",
    "glossary": "glossary",
    "appendix": "appendix or bibliography",
    "sidenote": "sidenotes",
    "contents": "table of contents",
    "list_of_illustrations": "list of illustrations",
    "illustration": "illustration tags and captions",
    "footnote": "footnotes",
    "transcriber_note": "transcribers' notes",
    "producer_credit": "credits of who produced the electronic text",
    "gutenberg_note": "notes of Project Gutenberg's editors",
    # Changes inside paragraphs
    "lines_joined": "hard-wrapped lines joined to paragraphs",
    "scene_break": "scene breaks written in one way",
    "page_number": "page numbers removed",
    "paragraphs_separated": "paragraphs without a blank line between them told apart",
    "paragraphs_joined": "sentences made whole that something removed had interrupted",
    "footnote_mark": "footnote marks removed",
    "markup": "signs of italics and bold removed",
    # Warnings
    "much_apparatus": "an unusually large part of the book was removed as apparatus",
    "large_preface_kept": "a preface by another was left in, as it is unusually large",
    "large_appendix_kept": "an appendix was left in, as it is unusually large",
    "large_index_kept": "an index was left in, as it is unusually large",
    "large_glossary_kept": "a glossary was left in, as it is unusually large",
    "large_footnote_kept": "end notes were left in, as they are unusually large",
    "large_advertisement_kept": "a list of books was left in, as it is unusually large",
    "appendix_kept": "an appendix was left in, as it holds dialogue",
    "glossary_kept": "a glossary was left in, as it holds dialogue",
    "index_kept": "an index was left in, as it holds dialogue",
    "footnote_kept": "end notes were left in, as they hold dialogue",
    "residue": "a paragraph still names Project Gutenberg",
    "no_start_marker": "no start marker",
    "no_end_marker": "no end marker",
    "text_in_header": "the header holds text that does not read like boilerplate",
    "text_in_footer": "the footer holds text that does not read like boilerplate",
    "large_header": "an unusually large header was cut",
    "large_footer": "an unusually large footer was cut",
    "header_not_cut": "a doubtful header was left in",
    "footer_not_cut": "a doubtful footer was left in",
    "double_encoding_repaired": "text that was encoded twice was repaired",
    "control_characters_removed": "control characters were removed",
    "replacement_characters": "characters that cannot be recovered",
    "damaged_encoding": "a few bytes do not fit the encoding of the file",
    "declared_encoding_wrong": "the file is in another encoding than it declares",
    "encoding_uncertain": "the encoding is a guess",
}


_UNREADABLE = "unreadable_"
_BY_CATALOGUE = "catalogue_"
_DOUBTFUL, _KEPT = "doubtful_", "_kept"


def meaning_of(code: str) -> str:
    """The reason in words, empty for an unknown code.

    ``unreadable_<code>`` is explained as ``<code>``; ``catalogue_<genre>`` is a genre of Project Gutenberg's catalogue;
    ``doubtful_<rule>_kept`` is a removal that a second opinion prevented.
    """
    if code.startswith(_BY_CATALOGUE):
        return f"by the catalogue: {code.removeprefix(_BY_CATALOGUE).replace('_', ' ')}"
    if code.startswith(_DOUBTFUL):
        rule = code.removeprefix(_DOUBTFUL).removesuffix(_KEPT)
        return f"left in, as it reads like a story ({REASONS.get(rule, rule)})"
    return REASONS.get(code) or REASONS.get(code.removeprefix(_UNREADABLE), "")


def explain_reason(code: str) -> str:
    """The reason in words; an unknown code is returned as it is, so that it is at least seen."""
    return meaning_of(code) or code
