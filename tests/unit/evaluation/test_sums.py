"""Sums by question and book are kept exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.errors import FileFormatError
from mamba_narrative.evaluation.sums import Case, Sum, read_sums, sums_of, write_sums

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SUMS = st.dictionaries(
    st.sampled_from(["loss after 16", "loss after all", "words"]),
    st.dictionaries(st.integers(1, 99).map(str), st.builds(Sum, st.integers(0, 9), NUMBERS, NUMBERS), max_size=3),
)


@given(sums=SUMS)
def test_what_is_read_is_what_was_written_to_the_last_bit(sums, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sums")
    write_sums(folder, "words", sums, {"run": "small"})
    found, facts = read_sums(folder, "words")
    assert found == sums
    assert [list(books) for books in found.values()] == [list(books) for books in sums.values()]
    assert facts == {"run": "small", "questions": list(sums)}


def test_cases_are_added_up_by_book():
    cases = [Case("b", 1, 2), Case("a", 0.5), Case("b", 3)]
    assert list(sums_of(cases).items()) == [("a", Sum(1, 1.0, 0.5)), ("b", Sum(2, 3.0, 4.0))]
    assert sums_of([]) == {}


@pytest.mark.parametrize("row", ["words,1,one,1.0,1.0", "words,1,1,1.0", "other,1,1,1.0,1.0"])
def test_a_broken_row_is_refused_with_its_file(row, tmp_path):
    write_sums(tmp_path, "words", {"words": {"1": Sum(1, 1.0, 1.0)}}, {})
    path = tmp_path / "words_sums.csv"
    path.write_text(f"{path.read_text()}{row}\n")
    with pytest.raises(FileFormatError, match=r"words_sums\.csv: "):
        read_sums(tmp_path, "words")
