"""Who wrote a book, as a key that catalogue and headers agree on, and which clusters have an author in common."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from mamba_narrative.corpus.normal_forms import normalise
from mamba_narrative.corpus.overlap.duplicates import connected_components
from mamba_narrative.word_lists import any_of

_ROLE = re.compile(r"[^\[]*+\[[^\]]*+\]")
# A bracket that nothing closes is taken to the end and put back, so that no other one is tried after it.
_EXPLANATION = re.compile(r"\([^)]*+(?:\)|\Z)")
_SEPARATOR = re.compile(r";|\band\b|&")
_WORD = re.compile(r"[^\W\d_]+")
_NO_NAMES = re.compile(rf"\b{any_of(__file__, 'titles_of_persons')}\b")
_NOBODY = frozenset(["", "various", "anonymous", "unknown", "various authors", "author unknown", "none"])


def author_keys(authors: str) -> list[str]:
    """Keys of the authors of a catalogue's or a header's field: their names without titles, dates and order of words.

    ``Doyle, Arthur Conan, Sir, 1859-1930`` and ``Arthur Conan Doyle`` are one. Translators, editors and other
    contributors (with a role in brackets) are none, nor are "Various" and "Anonymous".
    """
    keys = []
    for name in authors.split(";") if ";" in authors or "," in authors else _SEPARATOR.split(authors):
        if not _ROLE.match(name):
            folded = normalise("NFKD", _EXPLANATION.sub(_without_explanation, name).casefold())
            plain = "".join(character for character in folded if not unicodedata.combining(character))
            key = " ".join(sorted(_WORD.findall(_NO_NAMES.sub(" ", plain))))
            if key not in _NOBODY:
                keys.append(key)
    return list(dict.fromkeys(keys))


def _without_explanation(bracket: re.Match[str]) -> str:
    return " " if bracket[0].endswith(")") else bracket[0]


def group_by_author(clusters: Mapping[str, str], authors: Mapping[str, str]) -> dict[str, str]:
    """The group of every cluster: clusters that have an author in common, directly or through others, are one.

    ``clusters``: cluster by book id; ``authors``: author field by book id. A group is called after its first author in
    the alphabet, so that a further book of an author changes nothing; a cluster without an author keeps its own name.
    """
    links: list[tuple[str, str]] = []
    for book_id, cluster in clusters.items():
        links += [(cluster, f"author:{key}") for key in author_keys(authors.get(book_id, ""))]
    items: Iterable[str] = dict.fromkeys([*clusters.values(), *(key for _, key in links)])
    groups: dict[str, str] = {}
    for component in connected_components(list(items), links):
        named = sorted(item for item in component if item.startswith("author:"))
        for item in component:
            groups[item] = named[0] if named else component[0]
    return {cluster: groups[cluster] for cluster in clusters.values()}
