"""Whether a tokenizer keeps a text: bits per byte and books are those of another text where it does not.

What it does to texts decides, not what it is called: those that lower-case, normalise, join blanks, put a blank before
a text or do not know a character are found alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mamba_narrative.errors import UserError

_SHOWN = 20

HARD_TEXTS = (
    "Plain lower-case words, and a full stop.",
    "ÉMILE Zola wrote GERMINAL; İstanbul, Straße, STRASSE.",
    "naïve façade, a coöperative Ångström, x\u0323\u0302 and v\u030c",
    "ﬁrst ﬂoor, x² + ½, № 5, ™, Ⅷ, ｆｕｌｌ ｗｉｄｔｈ, ﷺ",
    "“Who is there?” ‘Nobody,’ he said – or was it — … « non » „ja“",
    "'tis o'clock; don't , he said . It 's ( so ) ! Mr . Smith 's",
    " a blank before",
    "a blank after ",
    "   three blanks   inside   and around   ",
    "\n\nlines\n\n\nbetween\nlines\n",
    "\ttabs\t\tand a\u00a0no-break space, a soft\u00adhyphen, zero\u200bwidth and \ufeffmarks",
    "A *** B ___ C ### D --- E ''' F ``` G @-@ H <unk> [UNK] <s> </s> <pad> <mask> [CLS] [SEP] ##ing",
    "Ελληνικά, русский, עברית, العربية, 日本語のテキスト。한국어 हिन्दी 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧 ☃ 𝄞",
    "1,234.5 and 007 and 3.14159 and £5 3s. 6d.",
)
"""In NFC with plain line ends, as stripped texts are: to normalise them to that is no change."""


def check_keeps_texts(round_trip: Callable[[str], str], tokenizer: str, markers: Iterable[str] = ()) -> None:
    """Raise UserError where ``round_trip`` (encode, then decode) changes ``HARD_TEXTS`` or a text with a marker."""
    for text in (*HARD_TEXTS, *(f"before  {marker}  after" for marker in markers)):
        check_kept(text, round_trip(text), tokenizer)


def check_kept(text: str, decoded: str, tokenizer: str) -> None:
    """Raise UserError, which shows the place, where ``decoded`` is another text. ``tokenizer`` says which it is."""
    if decoded == text:
        return
    differing = (place for place, pair in enumerate(zip(text, decoded, strict=False)) if pair[0] != pair[1])
    start = max(0, next(differing, min(len(text), len(decoded))) - 3)
    before, after = (part[start : start + _SHOWN] for part in (text, decoded))
    raise UserError(
        f"{tokenizer} changes the text ({before!r} comes back as {after!r}), so that its bits per byte would be those "
        "of another text; choose one that keeps every character, as byte-level ones do"
    )
