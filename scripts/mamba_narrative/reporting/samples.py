"""Which sample continuations the page shows, and how those of several runs meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A passage, what its author wrote next, and the first continuation of each run."""

    book_id: str
    title: str
    prompt: str
    human: str
    continuations: tuple[tuple[str, str], ...]


def choose_samples(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], titles: Mapping[str, str], most: int
) -> list[Sample]:
    """At most ``most`` passages, in file order, from as many books as possible.

    ``samples`` holds the records of `samples.json` by run, ``titles`` those of the books by id. The choice looks at no
    continuation: of each book the first passage, then the second, and so on; of each passage and run the first
    continuation.
    """
    passages: dict[tuple[str, str], dict[str, Any]] = {}
    for run, records in samples.items():
        for record in records:
            key = (str(record["book_id"]), record["prompt"])
            passage = passages.setdefault(key, {"record": record, "continuations": []})
            if record["continuations"]:
                passage["continuations"].append((run, record["continuations"][0]))
    seen: dict[str, int] = {}
    ranked = []
    for order, (book_id, prompt) in enumerate(passages):
        seen[book_id] = seen.get(book_id, 0) + 1
        ranked.append((seen[book_id], order, (book_id, prompt)))
    chosen = [passages[key] for _, _, key in sorted(ranked)[:most]]
    return [
        Sample(
            str(passage["record"]["book_id"]),
            titles.get(str(passage["record"]["book_id"]), ""),
            passage["record"]["prompt"],
            passage["record"]["human"],
            tuple(passage["continuations"]),
        )
        for passage in chosen
    ]
