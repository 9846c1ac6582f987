"""Texts and short cuts for the tests of stripping's rules."""

from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.header import Header
from mamba_narrative.corpus.strip.cleaning import find_apparatus
from mamba_narrative.corpus.strip.paragraphs import split_blocks
from mamba_narrative.corpus.strip.rendering import render
from mamba_narrative.corpus.strip.spans import mask, without_overlaps

PARAGRAPH = (
    "The lamp went out before the tale was done, and nobody in the room\n"
    "said a word about it. Outside, the rain had begun again, and the dog\n"
    "lay down beside the door, where the cold came in."
)
JOINED = PARAGRAPH.replace("\n", " ")
BOOK = "\n\n".join([PARAGRAPH] * 30)
CLEANED = "\n\n".join([JOINED] * 30)
HEADER = Header("A Lamp", "Nora Writer")


def cleaned(text, settings=None, header=None):
    """What stripping makes of a text that has no frame."""
    settings, header = settings or StrippingSettings(), header or Header()
    apparatus = find_apparatus(text, 0, len(text), header, settings)
    blocks = list(split_blocks(mask(text, apparatus.spans)))
    return render(blocks, settings, apparatus.footnote_marks).text.rstrip("\n")


def rules(text, header=None):
    """The rules that remove something from the text."""
    return {span.rule for span in find_apparatus(text, 0, len(text), header or Header(), StrippingSettings()).spans}


def warnings(text, header=None):
    """The codes of the warnings about the text."""
    found = find_apparatus(text, 0, len(text), header or Header(), StrippingSettings()).warnings
    return {warning.split(":")[0] for warning in found}


def kept_stretches(spans, length):
    """Start and end of every stretch of a text of ``length`` characters that no span covers."""
    position = 0
    for span in without_overlaps(spans):
        if position < span.start:
            yield position, span.start
        position = span.end
    if position < length:
        yield position, length
