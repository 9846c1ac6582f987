"""From the bytes of a raw book to clean Unicode, and the evidence for the encoding.

The declared character set of Project Gutenberg files is often wrong, so it is only a hint: bytes that are
valid UTF-8 are UTF-8; otherwise the single-byte encodings compete by what they make of the bytes beyond ASCII. A
declaration that was itself found as ASCII cannot be one under which ASCII means something else (UTF-16, EBCDIC, UTF-7).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from mamba_narrative.corpus.normal_forms import normalise

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"(?im)^[ \t]*character set(?: encoding)?:[ \t]*([^\r\n]{1,40})")
# Letters, and what encodings and notations inside ASCII give a meaning of its own.
_ASCII_PROBE = b"Aa Zz 09 .,;:!?'-\"()*_ +AEE- ~{VD~} =41 %41 \\u0041 \\x41 &#65; xn--a-ecp"
# The two characters of ASCII that Japanese and Korean sets write as others.
_NATIONAL = str.maketrans("¥₩‾", "\\\\~")
_ESCAPED = ("iso2022", "hz", "utf-7")
_MAX_STRANGE = 0.3
"""Part of the characters beyond ASCII that need not fit: signs and foreign words. In a wrong encoding most do not."""
_SAMPLE_BYTES, _LEAST_BYTES = 4096, 32
"""Of a file that tell whether it is UTF-16 or UTF-32: some fifty lines, and half a line at least."""
_PRINTABLE = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_SINGLE_BYTE = ("cp1252", "cp437", "cp850", "mac-roman")
_MAX_CONTEXTS = 20_000
"""Bytes that are scored: more would say the same."""
_MIN_ADVANTAGE = 3.0
"""Points by which another encoding must be better than CP1252: three letters that stand inside words."""
_PUNCTUATION_OF_PROSE = frozenset("‘’“”‚„–—…«»¡¿£§°†‡•·½¼¾ªº©®¶´\u00a0²³¹×")
# One piece of UTF-8 that was read as CP1252 or Latin-1: a lead byte and its continuation bytes, as characters.
_CONTINUATION = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE = re.compile(
    f"[\u00c2-\u00df][{_CONTINUATION}]|[\u00e0-\u00ef][{_CONTINUATION}]{{2}}|[\u00f0-\u00f4][{_CONTINUATION}]{{3}}"
)
# The same in UTF-8: a lead character, U+00C2 to U+00F4, in front of any character beyond ASCII.
_MAYBE_MOJIBAKE = re.compile(rb"\xc3[\x82-\xb4][\xc2-\xf4]")
_SUSPECT = re.compile("[\u00c2\u00c3\u00e2][^\x00-\x7f]")
_OTHER_LINE_ENDS = "\r\v\f\u0085\u2028\u2029"
_UNDECODED = re.compile("[\udc80-\udcff]")
_RUNS_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff]")


@dataclass(frozen=True)
class Decoded:
    """Text in NFC with ``\\n`` line ends and without control characters (tab excepted)."""

    text: str
    name: str
    """The encoding the bytes were in."""
    evidence: str
    """Why that one."""
    warnings: tuple[str, ...]
    """``code: detail``, each at most once."""


def decode(raw: bytes) -> Decoded:
    """Decode any bytes; never raises."""
    text, name, evidence, warnings = _to_unicode(raw)
    text = _with_line_feeds(text)
    text, repaired = _repair_double_encoding(text)
    if repaired:
        warnings.append(f"double_encoding_repaired: {repaired} sequences")
    if _UNWANTED.search(text):
        text, removed = _UNWANTED.subn("", text)
        warnings.append(f"control_characters_removed: {removed}")
    text = normalise("NFC", text)
    if replacements := text.count("\ufffd"):
        warnings.append(f"replacement_characters: {replacements}")
    return Decoded(text, name, evidence, tuple(warnings))


def _with_line_feeds(text: str) -> str:
    # Some files were converted twice: their lines end in two carriage returns and a line feed.
    text = text.replace("\r\r\n", "\n").replace("\r\n", "\n")
    for line_end in _OTHER_LINE_ENDS:
        text = text.replace(line_end, "\n")
    return text


def wide_encoding(raw: bytes) -> str | None:
    """``utf-16-le`` and the like where ``raw`` clearly is UTF-16 or UTF-32, with or without a byte order mark."""
    if (marked := _marked_encoding(raw)) is not None and marked[0] != "utf-8":
        name, length = marked
        # A mark before bytes that are plain text as they stand was put there by mistake.
        return None if _is_plain(raw[length:_SAMPLE_BYTES]) else name
    sample = raw[:_SAMPLE_BYTES]
    if len(sample) < _LEAST_BYTES or _is_plain(sample):
        return None
    return next((name for name in _likely_wide(sample) if _is_prose(sample, name)), None)


def _is_plain(sample: bytes) -> bool:
    """Whether the bytes are a text as they stand: all UTF-8, or most of them ASCII; a few zeros excepted."""
    zeros = sample.count(0)
    if len(sample) < _LEAST_BYTES or zeros >= 0.3 * len(sample):
        return False
    printable = len(sample) - len(sample.translate(None, _PRINTABLE))
    if printable > 0.9 * (len(sample) - zeros):
        return True
    return not zeros and (printable > 0.75 * len(sample) or _is_prose(sample, "utf-8"))


def _marked_encoding(raw: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark names, and the length of the mark."""
    return next(((name, len(mark)) for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), None)


def _likely_wide(sample: bytes) -> list[str]:
    """Wide encodings in which the zeros of ``sample`` would stand where they do, the likelier first.

    Spaces and line ends have zeros in every script, and no other text has any.
    """
    if sample.count(0) < max(2, 0.002 * len(sample)):
        return []
    first, second, third, fourth = (sample[start::4].count(0) for start in range(4))
    if min(third, fourth) > 0.2 * len(sample):
        return ["utf-32-le"]
    if min(first, second) > 0.2 * len(sample):
        return ["utf-32-be"]
    even, odd = first + third, second + fourth
    return ["utf-16-le", "utf-16-be"] if odd > even else ["utf-16-be", "utf-16-le"]


def _is_prose(sample: bytes, name: str) -> bool:
    """Whether ``sample`` decodes to characters of texts: letters, marks, digits, punctuation, white space."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return False
    usual = sum(character in "\t\n\r\f" or unicodedata.category(character)[0] in "LMNPSZ" for character in text)
    return usual >= 0.97 * len(text)


def _to_unicode(raw: bytes) -> tuple[str, str, str, list[str]]:
    """Text, name of the encoding, evidence, warnings."""
    marked, wide = _marked_encoding(raw), wide_encoding(raw)
    ignored: list[str] = []
    if marked is not None:
        name, length = marked
        raw = raw[length:]
        if wide is not None and name != "utf-8":
            text = raw.decode(name, "replace")
            damaged = ["damaged_encoding: not every byte fits the byte order mark"] if "\ufffd" in text else []
            return text, name, "byte order mark", damaged
        if name == "utf-8":
            try:
                return raw.decode(name), name, "byte order mark", []
            except UnicodeDecodeError:
                pass
        else:
            ignored = [f"byte_order_mark_ignored: {name} marked, but the bytes are plain text"]
    elif wide is not None:
        return raw.decode(wide, "replace"), wide, "zeros stand where its spaces and line ends have them", []
    text, name, evidence, warnings = _by_its_bytes(raw)
    return text, name, evidence, ignored + warnings


def _by_its_bytes(raw: bytes) -> tuple[str, str, str, list[str]]:
    """The same for a text in which ASCII characters are bytes."""
    declared = _declared_encoding(raw)
    if raw.isascii():
        if (text := _unescaped(raw, declared)) is not None:
            return text, str(declared), "declared, and its escape sequences are there", []
        foreign = declared if declared is not None and not _keeps_ascii(declared) else None
        return raw.decode("ascii"), "ascii", "no byte beyond ASCII", _contradiction(foreign, "ascii")
    try:
        return raw.decode("utf-8"), "utf-8", "strictly valid UTF-8", _contradiction(declared, "utf-8")
    except UnicodeDecodeError:
        pass
    if (mixed := _mostly_utf8(raw)) is not None:
        text, stray = mixed
        warnings = [f"damaged_encoding: {stray} stray bytes read as CP1252"]
        return text, "utf-8", "valid UTF-8 but for a few bytes", warnings + _contradiction(declared, "utf-8")
    return _best_single_byte(raw, declared)


def _unescaped(raw: bytes, declared: str | None) -> str | None:
    """The text where ``declared`` writes other scripts as sequences of ASCII and there are some, else None."""
    if declared is None or not declared.startswith(_ESCAPED):
        return None
    try:
        text = raw.decode(declared)
    except UnicodeDecodeError:
        return None
    return text if not text.isascii() and _fits(text) else None


def _declared_encoding(raw: bytes) -> str | None:
    """Python's name of the character set that the header declares, or None."""
    match = _DECLARED.search(raw, 0, 20_000)
    if match is None:
        return None
    label = match[1].decode("latin-1").strip().rstrip(".").lower()
    label = re.sub(r"^(?:individual |plain )?(?:us-?)?ascii.*", "ascii", label)
    label = re.sub(r"^iso[- ]?(?:latin[- ]?1|8859[- _]1)\b.*", "latin-1", label).replace(" ", "-")
    try:
        return codecs.lookup(label).name
    except (LookupError, ValueError):
        return None


def _contradiction(declared: str | None, used: str) -> list[str]:
    if declared is None or codecs.lookup(used).name == declared:
        return []
    if declared == "iso8859-1" and used in ("cp1252", "latin-1"):
        return []
    return [f"declared_encoding_wrong: {declared} declared, {used} found"]


def _mostly_utf8(raw: bytes) -> tuple[str, int] | None:
    """The text and number of stray bytes where nearly all sequences beyond ASCII are UTF-8; else None."""
    text = raw.decode("utf-8", "surrogateescape")
    stray = len(_UNDECODED.findall(text))
    whole = len(_BEYOND_ASCII.findall(text)) - stray
    if whole < 5 or stray > 0.1 * whole:
        return None
    readable = {code: bytes([code - 0xDC00]).decode("cp1252", "replace") for code in range(0xDC80, 0xDD00)}
    return text.translate(readable), stray


def _best_single_byte(raw: bytes, declared: str | None) -> tuple[str, str, str, list[str]]:
    """The encoding whose characters fit their neighbours best; the declared one wins ties."""
    candidates: list[str] = list(_SINGLE_BYTE)
    if declared and declared not in ("utf-8", "ascii", "iso8859-1", *_SINGLE_BYTE) and _keeps_ascii(declared):
        try:
            text = raw.decode(declared)
        except UnicodeDecodeError:
            pass
        else:
            single = _is_single_byte(declared)
            if single:
                candidates.insert(0, declared)
            if _fits(text) if not single else _is_another_script(text):
                return text, declared, "valid in the declared encoding, and its letters stand together", []
    contexts = Counter(_contexts(raw))
    total = sum(contexts.values())
    scores = {name: _score(contexts, name) for name in candidates}
    best = max(candidates, key=lambda name: scores[name])
    # In English, Latin-1 is by far the most frequent: another one needs clear evidence.
    if best not in ("cp1252", declared) and scores[best] - scores["cp1252"] < max(_MIN_ADVANTAGE, 0.1 * total):
        best = "cp1252"
    has_c1 = any(0x80 <= byte <= 0x9F for byte in set(raw))
    name = "latin-1" if best == "cp1252" and not has_c1 else best
    runner_up = max((other for other in candidates if other != best), key=lambda other: scores[other])
    fit, next_fit = scores[best] / total, scores[runner_up] / total
    evidence = f"{total} bytes beyond ASCII: {fit:.2f} a byte fit {name}, {next_fit:.2f} {runner_up}"
    warnings = _contradiction(declared, name)
    if scores[best] < 0.3 * total:
        warnings.append(f"encoding_uncertain: {evidence}")
    return _decode_byte_by_byte(raw, best), name, evidence, warnings


def _keeps_ascii(name: str) -> bool:
    """Whether a text in this encoding shows its ASCII characters as they are, as the line that declares it does."""
    try:
        return _ASCII_PROBE.decode(name).translate(_NATIONAL) == _ASCII_PROBE.decode("ascii")
    except (UnicodeError, LookupError):  # LookupError: bytes to bytes, not to text
        return False


def _fits(text: str) -> bool:
    """Whether most characters beyond ASCII are Latin letters, punctuation, or letters beside others of their script.

    Where the accented letters of a Latin text were taken for the first halves of pairs, each stands alone.
    """
    runs = _RUNS_BEYOND_ASCII.findall(text)
    alone = [run for run in runs if len(run) == 1]
    strange = sum(character not in _PUNCTUATION_OF_PROSE and not _is_latin(character) for character in alone)
    broken = sum(unicodedata.category(character) in ("Cs", "Cn", "Co") for run in runs for character in run)
    return strange + broken <= _MAX_STRANGE * sum(map(len, runs))


def _is_another_script(text: str) -> bool:
    """Whether most letters beyond ASCII are none of the Latin script and stand beside each other."""
    runs = _RUNS_BEYOND_ASCII.findall(text)
    letters = [character for run in runs if len(run) > 1 for character in run if character.isalpha()]
    foreign = sum(not _is_latin(character) for character in letters)
    return foreign >= (1 - _MAX_STRANGE) * sum(map(len, runs))


def _is_latin(character: str) -> bool:
    return "LATIN" in unicodedata.name(character, "")


def _is_single_byte(name: str) -> bool:
    return len(bytes(range(0xA1, 0xFF)).decode(name, "replace")) == 0xFF - 0xA1


def _decode_byte_by_byte(raw: bytes, name: str) -> str:
    """``raw`` in a single-byte encoding; bytes that it does not define stay as the Latin-1 control characters."""
    table = [
        bytes([byte]).decode(name, "replace").replace("\ufffd", chr(byte)) if byte > 0x7F else chr(byte)
        for byte in range(256)
    ]
    return raw.decode("latin-1").translate(dict(enumerate(table)))


def _contexts(raw: bytes) -> list[tuple[int, int, int]]:
    """Every byte beyond ASCII with its two neighbours (the first 20,000)."""
    found = []
    for match in re.finditer(rb"[\x80-\xff]", raw):
        position = match.start()
        before = raw[position - 1] if position else 0x20
        after = raw[position + 1] if position + 1 < len(raw) else 0x20
        found.append((before, raw[position], after))
        if len(found) == _MAX_CONTEXTS:
            break
    return found


def _score(contexts: Counter[tuple[int, int, int]], name: str) -> float:
    """How well the characters fit: a letter inside a word of its case +1, punctuation of prose +0.8, else less."""
    table = [bytes([byte]).decode(name, "replace") for byte in range(256)]
    total = 0.0
    for (before, byte, after), count in contexts.items():
        total += count * _fit(table[before], table[byte], table[after])
    return total


def _fit(before: str, character: str, after: str) -> float:
    category = unicodedata.category(character)
    if character == "\ufffd" or category in ("Cc", "Co", "Cn"):
        return -2.0
    if category.startswith("L") and character not in "ªº":
        if category == "Lu" and before.islower():
            return -1.0
        latin = "LATIN" in unicodedata.name(character, "")
        beside_letter = before.isalpha() or after.isalpha()
        return (1.0 if latin else 0.3) if beside_letter else 0.2
    inside_word = before.isalpha() and after.isalpha()
    if character in _PUNCTUATION_OF_PROSE:
        return 0.8 if not inside_word or character in "’—–…·\u00a0" else -0.5
    return -1.0 if inside_word else -0.3


def _repair_double_encoding(text: str) -> tuple[str, int]:
    """Undo UTF-8 that was read as CP1252 and written as UTF-8 again; returns the text and the number of repairs.

    Only where nearly all suspicious pairs are such sequences, so a Portuguese ``Ã”`` is left alone.
    """
    # The regular expression on the bytes is many times faster, and most texts have no such sequence.
    if text.isascii() or _MAYBE_MOJIBAKE.search(text.encode("utf-8", "replace")) is None:
        return text, 0
    sequences = sum(1 for match in _MOJIBAKE.finditer(text) if _repaired(match) != match[0])
    if sequences < 3 or sequences < 0.8 * len(_SUSPECT.findall(text)):
        return text, 0
    return _MOJIBAKE.sub(_repaired, text), sequences


def _repaired(match: re.Match[str]) -> str:
    try:
        return b"".join(_original_byte(character) for character in match[0]).decode("utf-8")
    except UnicodeError:
        return match[0]


def _original_byte(character: str) -> bytes:
    if character <= "\xff":
        return character.encode("latin-1")
    return character.encode("cp1252")
