"""Numbers and texts as people read them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any


def count(value: float | None) -> str:
    """``1234567`` as ``1,234,567``; a dash for None."""
    return "–" if value is None else f"{round(value):,}"


def amount(value: float) -> str:
    """A count with three significant digits in running text: ``1.23 million``; below 10,000 exactly."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:,.0f}"


def significant(value: float | None, digits: int = 4) -> str:
    """``value`` with at least ``digits`` significant digits, in exponent form only below 0.00001."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -5:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def with_interval(value: float, low: float | None, high: float | None) -> tuple[str, str]:
    """A value and its interval (``"1.48 to 1.60"``, empty where a bound is unknown), as precise as the interval is.

    All three have as many decimals as show two digits of half the interval's width, at most six; without an interval
    the value has four significant digits.
    """
    if low is None or high is None:
        return significant(value), ""
    half = (high - low) / 2
    if not half > 0:
        return significant(value), f"{significant(low)} to {significant(high)}"
    decimals = min(max(0, 1 - math.floor(math.log10(half))), 6)
    return f"{value:,.{decimals}f}", f"{low:,.{decimals}f} to {high:,.{decimals}f}"


def percent(share: float | None, decimals: int = 1) -> str:
    """``0.1234`` as ``12.3 %``, with a space that no line breaks at."""
    if share is None:
        return "–"
    return f"{100 * share:.{0 if share in (0, 1) else decimals}f}\u00a0%"


def plural(number: float, singular: str, many: str = "") -> str:
    """``1 book``, ``1,200 books``."""
    return f"{number:,.0f} {singular if number == 1 else many or singular + 's'}"


def duration(seconds: float | None) -> str:
    """``75`` as ``1 min 15 s``, ``7400`` as ``2 h 3 min``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def listing(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def visible(text: object) -> str:
    """``text`` with characters that HTML forbids, or that reorder what surrounds them, as U+FFFD."""
    return "".join(
        "\ufffd"
        if (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")
        # Left open at the end of a title, an embedding or override would turn the rest of the line around.
        or "\u202a" <= character <= "\u202e"
        else character
        for character in str(text).replace("\r\n", "\n").replace("\r", "\n")
    )


def shortened(text: str, characters: int) -> str:
    """``text`` on one line, cut at a word boundary to at most ``characters`` with an ellipsis."""
    line = " ".join(text.split())
    if len(line) <= characters:
        return line
    cut = line[: characters - 1]
    return (cut.rpartition(" ")[0] or cut) + "…"


def flattened(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as pairs of a name and a text: objects give one pair an entry, lists of plain values one line."""
    if isinstance(value, Mapping):
        items = [(f"{prefix}, {key}" if prefix else str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        items = [(f"{prefix} {position}".strip(), inner) for position, inner in enumerate(value, start=1)]
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)
        return [(prefix.replace("_", " "), text)]
    return [pair for name, inner in items for pair in flattened(inner, name)]
