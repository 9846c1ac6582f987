"""A library on loopback, and settings that ask it for books without politeness' waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback_library import Library, serve
from mamba_narrative.config.corpus import CorpusSettings

Settings = Callable[..., CorpusSettings]


@pytest.fixture
def library() -> Iterator[Library]:
    with serve(Library()) as library:
        yield library


@pytest.fixture
def settings(library: Library, tmp_path: Path) -> Settings:
    """Make the section ``corpus`` for the library; keywords override whole keys or parts of ``transfer``."""

    def make(**changes: Any) -> CorpusSettings:
        fast = {
            "requests_per_second": 500,
            "connections": 4,
            "first_wait_seconds": 0.02,
            "timeout_seconds": 2,
            "retries": 2,
        }
        values: dict[str, Any] = {
            "source": "gutenberg",
            "directory": str(tmp_path / "books"),
            "gutenberg": {
                "mirrors": [library.url],
                "catalogue_url": f"{library.url}/cache/epub/feeds/pg_catalog.csv",
                **changes.pop("gutenberg", {}),
            },
            "transfer": {**fast, **changes.pop("transfer", {})},
        }
        return CorpusSettings.model_validate({**values, **changes})

    return make
