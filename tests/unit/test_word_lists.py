"""Word lists say where they come from, hold each entry once, and are read by a module beside them."""

import re
from pathlib import Path

import pytest

from mamba_narrative.word_lists import any_of, read_words, words_beside

LIBRARY = Path(__file__).resolve().parents[2] / "scripts" / "mamba_narrative"
LISTS = sorted(LIBRARY.rglob("*.txt"))


def test_entries_are_lines_in_order_without_comments(tmp_path):
    (tmp_path / "towns.txt").write_text("# From title pages.\nnew york\n\nst\\.? louis\n", encoding="utf-8")
    module = str(tmp_path / "imprint.py")
    assert words_beside(module, "towns") == ("new york", r"st\.? louis")
    assert any_of(module, "towns") == r"(?:new york|st\.? louis)"


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_each_list_has_a_source_and_a_reader(path):
    assert path.read_text("utf-8").startswith("# ")
    entries = read_words(path)
    assert len(entries) == len(set(entries)) > 5
    assert all(entry == entry.strip() and re.compile(entry) for entry in entries)
    readers = [
        module
        for module in path.parent.glob("*.py")
        if f'__file__, "{path.stem}"' in module.read_text("utf-8").replace("'", '"')
    ]
    assert len(readers) == 1
