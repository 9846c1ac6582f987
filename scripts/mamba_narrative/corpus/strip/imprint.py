"""Lines that a publisher or a printer wrote: title pages, imprints, colophons, lists of books for sale.

Each test asks for positive evidence; what it does not know is not an imprint.
"""

from __future__ import annotations

import re

from mamba_narrative.corpus.strip.paragraphs import Block
from mamba_narrative.word_lists import any_of

_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_COUNT = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|\d{1,3}|[ivxl]{1,6})"
_ORDINAL = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\w+teenth|\w+tieth|\d+(?:st|nd|rd|th))"
_TOWN = any_of(__file__, "towns")
_STREET = any_of(__file__, "streets")
_PUBLISHER = any_of(__file__, "publishers")
_NEWSPAPER = any_of(__file__, "newspapers")
# A whole line of a title page, in lower case and without the typist's signs around it.
_LINES = (
    r"by(?: the)?|and|or|of|to which (?:is|are) added.{0,40}|complete|cover|frontispiece|etc\.?",
    r"(?:by the )?authors? of(?: .{1,200})?|by the same author",
    r"(?:a|an|another) (?:\w+ ){0,3}(?:novel|romance|tale|story|narrative|fantasy|comedy)(?: (?:of|for|"
    r"from) .{1,60})?",
    r"(?:and )?other (?:stories|tales|sketches)",
    # Volumes and editions
    rf"(?:complete )?in {_COUNT} (?:volumes?|parts|vols?\.?|books)(?: complete)?",
    rf"(?:vol\.?|volume) {_COUNT}\.?(?: (?:of|complete).{{0,20}})?",
    rf"(?:\w+ ){{0,4}}(?:edition|impression|printing|thousand)(?:[,.:;].{{0,60}}|,? (?:of|in|from|with|"
    rf"published|printed) "
    rf".{{0,60}}|[ .]*{_MONTH}[ .,]*\d{{0,4}}|[ .]*\d{{4}})?",
    rf"{_ORDINAL} (?:published|printed|issued|edition|impression|printing|thousand|series).{{0,80}}",
    r"(?:first |originally |re-?)?(?:published|printed|issued)\b.{0,80}|reprinted\b.{0,60}|(?:re-?)?issued .{0,40}",
    r"original(?:ly)? (?:publication|published)\b.{0,60}",
    # Other hands
    r"(?:fully |profusely |copiously )?(?:illustrat\w+|drawings|decorat\w+|pictures|designs?|photographs?|cover|"
    r"frontispiece|"
    r"woodcuts|engrav\w+|maps)(?: (?:and \w+ )?(?:by|in|from|with|of)\b.{0,80})?",
    r"(?:with |having )(?:\w+[- ]){0,5}(?:illustrations?|pictures|drawings|designs|frontispiece|decorations|"
    r"plates|maps?|"
    r"engravings|woodcuts|photographs|etchings|portraits?)\b.{0,80}",
    r"(?:illustrated|(?:newly )?translated|edited|retold|selected|compiled|arranged|adapted|abridged|collected|"
    r"(?:done|rendered) into english)(?: (?:and|into|from|by|in|out)\b.{0,80})?",
    r"with (?:an? |some )?(?:\w+ )?(?:introduct\w+|preface|foreword|notes?|memoir|prefatory note)\b.{0,80}",
    # Rights and printing
    r"copyright\b.{0,120}|copyrighted\b.{0,60}|\(c\).{0,60}|©.{0,80}|entered (?:according|at|as)\b.{0,120}",
    r"[\[(]?all rights? (?:of .{0,40} )?reserved.{0,40}|(?:the )?rights? of (?:translation|dramati).{0,60}",
    r"in the (?:clerk|office)\b.{0,80}|.{0,40}\blibrarian of congress.{0,40}|at washington.{0,10}|"
    r"stationers?['’]?s? hall.{0,40}",
    r"(?:made|manufactured|printed) (?:and bound )?(?:in|by|at|for)\b.{0,80}|.{0,20}set up and (?:electrotyped|"
    r"printed).{0,80}",
    r"(?:typography|presswork|composition|electrotyped|stereotyped|plates|plated|bound) .{0,80}",
    # Houses and places
    r"(?:.{1,50}(?:, ?| ))?(?:publishers?|booksellers?|editors?|printers?)[.,:]*(?: (?:to|and|by|of|in) .{0,50})?",
    rf"(?:messrs\.? )?.{{1,50}} (?:&|and) {_PUBLISHER}\b[.,]? ?(?:ltd\.?|limited|inc\.?|publishers?)?.{{0,40}}",
    rf".{{1,50}} (?:company|limited|ltd|inc|co)\.?(?:,? (?:{_TOWN}|limited|ltd|inc|publishers?)\.?)*",
    r"(?:at )?.{1,30} press\b(?:[,.] ?.{0,40})?",
    rf"\d{{1,4}},?(?: (?:and|&|to) \d{{1,4}},?)? .{{2,30}}\b{_STREET}\b.{{0,30}}",
    r".{1,30} (?:street|square|row|avenue|lane)[,.]?(?: ?[nsew]\.? ?[ce]?\.? ?\d?)?",
    rf"{_TOWN}(?:[ ,.:;&·—-]*(?:and )?{_TOWN})*(?:[,:·—-]+ ?(?:\w+\.? ?){{1,2}})?(?:[ ,.:·—-]+(?:[mdclxvi]+|\d{{4}}))?",
    rf"(?:{_MONTH},? )?(?:\d{{1,2}},? )?(?:1[5-9]\d\d|20\d\d)|m\.? ?[dcm][dclxvim. ]{{2,14}}",
    r"price .{1,40}|(?:crown|demy|post|large) (?:8vo|quarto).{0,60}|no\. \d+",
)
_WEAK = re.compile(rf"{_TOWN}|\d{{4}}|m[dclxvi. ]+|and|or|of|the|complete|no\. \d+")
_LINE = re.compile(rf"(?:the )?(?:{'|'.join(_LINES)})")
_AUTHOR_OF = re.compile(r"(?:by the )?authors? of\b")
_STRONG = re.compile(
    r"copyright|all rights? reserved|entered according to|printed (?:in|by|and bound|at)|librarian of congress|"
    r"first published|published by|publishers\b|impression\b|electrotyped",
    re.IGNORECASE,
)
_DECORATION = re.compile(r"^[\W_]++|(?<![^\w.)\]])[^\w.)\]]++$|_")
_SHORT = 90
"""Characters of a line on a title page: a printed line and the spaces that centre it."""

_SIGNS_OF_SALE = {
    "price": re.compile(
        r"\$\s?\d|\b\d+s\.(?:\s?\d+d\.)?(?=\W)|\b\d+/[-—6]|\d\s?cents\b|[£]\s?\d|\bpost-?paid\b|\bpost[- ]free\b|"
        r"\b\d[sd]\. (?:net|each)\b|\bnet,|\bprice\b[,:]? "
    ),
    "format": re.compile(
        r"\b(?:8vo|12mo|16mo|18mo|24mo|32mo|4to|crown 8vo|demy|octavo|quarto|foolscap|fcap)\b|"
        r"\b(?:cloth|paper covers?|boards|gilt tops?|morocco|buckram|half[- ]calf|vellum)\b[,.;) ]|"
        r"\b(?:illustrated|illustrations?|frontispiece|portraits?)\b[,.;]? ?(?:by|in|from|with|\d|$)|"
        r"\bcoloured plates\b",
        re.IGNORECASE,
    ),
    "house": re.compile(
        r"\bpublish(?:ers?|ed by|ing co)\b|& (?:co\b|company|sons?\b|bros)|\bbooksellers?\b|\bcatalogue\b|"
        r"\bcopyright(?:ed)? fiction\b|\bfree list\b|\bprinted (?:by|in)\b",
        re.IGNORECASE,
    ),
    "review": re.compile(
        r"(?:--|—|[.”\"] )_?(?:the )?(?:[A-Z][\w.]+ ){0,3}"
        rf"{_NEWSPAPER}\b"
        r"[,.]?(?: [A-Z.]{1,6})?_?\W*$",
        re.MULTILINE,
    ),
    "heading": re.compile(
        r"^(?:[^\w\n]|_)*"
        r"(?:(?:other |more |new |recent |popular |famous |standard |some |the |a (?:list|selection) of )*"
        r"(?:books?|novels?|works|stories|volumes|titles|romances|fiction|publications|"
        r"writings)\b.{0,30}\b(?:by|of|from|published)"
        r"|.{0,60}\bby the same (?:author|writer)s?|uniform (?:with|edition|in)|advertisements?[\W_]*$|also by\b"
        r"|(?:new|recent|popular|latest|select|choice|good) (?:books|fiction|novels|copyright)\b.{0,40}"
        r"|ask for complete|in the same series|(?:the )?[\w' ]{3,40} (?:library|series)[\W_]*$"
        r"|.{0,40}\b(?:may be had|sold|for sale) (?:wherever|at all|by all|everywhere)\b)",
        re.IGNORECASE | re.MULTILINE,
    ),
}


def plain_line(line: str) -> str:
    """The line in lower case without decoration around it and with single blanks."""
    return _DECORATION.sub("", " ".join(line.split())).strip().lower()


def is_imprint_line(line: str) -> bool:
    """Whether the line is one of a title page or an imprint, whatever the title."""
    if len(line) > 220:
        return False
    plain = plain_line(line)
    return not plain or _LINE.fullmatch(plain) is not None


def is_imprint(block: Block) -> bool:
    """Whether the block is an imprint: every line of it is, or one clearly is and all are short."""
    if _AUTHOR_OF.match(plain_line(block.lines[0])) and all(len(line.strip()) <= _SHORT for line in block.lines):
        return True
    if all(is_imprint_line(line) for line in block.lines):
        return any(plain_line(line) for line in block.lines)
    return (
        len(block.lines) <= 20
        and _STRONG.search(block.text) is not None
        and all(len(line.strip()) <= _SHORT for line in block.lines)
        and 2 * sum(is_imprint_line(line) for line in block.lines) >= len(block.lines)
    )


def is_weak_imprint(block: Block) -> bool:
    """Whether the block is only a town, a year or such a word: an imprint beside another one, nothing by itself."""
    return all(_WEAK.fullmatch(plain_line(line).rstrip(".,:")) for line in block.lines if plain_line(line))


def signs_of_sale(block: Block) -> set[str]:
    """Which kinds of evidence there are that the block advertises books: price, format, house, review, heading."""
    return {kind for kind, pattern in _SIGNS_OF_SALE.items() if pattern.search(block.text)}


def heads_list_of_books(block: Block) -> bool:
    """Whether a list of books begins here ("By the same author")."""
    heading = block.lines[0].strip()
    wraps = len(block.lines) > 1 and len(heading) > 50 and not heading.isupper()
    return len(heading) <= 70 and not wraps and _SIGNS_OF_SALE["heading"].match(heading) is not None
