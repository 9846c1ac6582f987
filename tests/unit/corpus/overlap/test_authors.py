"""Names of authors from catalogue and headers, and clusters that have one in common."""

from __future__ import annotations

import pytest

from mamba_narrative.corpus.overlap.authors import author_keys, group_by_author


@pytest.mark.parametrize(
    ("catalogue", "header"),
    [
        ("Austen, Jane, 1775-1817", "Jane Austen"),
        ("Doyle, Arthur Conan, 1859-1930", "Sir Arthur Conan Doyle"),
        ("Wells, H. G. (Herbert George), 1866-1946", "H. G. Wells"),
        ("Brontë, Charlotte, 1816-1855", "Charlotte Bronte"),
        ("Tolstoy, Leo, graf, 1828-1910; Garnett, Constance, 1861-1946 [Translator]", "Leo Tolstoy"),
        ("Stevenson, Robert Louis, 1850-1894; Osbourne, Lloyd, 1868-1947", "Robert Louis Stevenson and Lloyd Osbourne"),
    ],
)
def test_catalogue_and_header_agree(catalogue, header):
    assert author_keys(catalogue) == author_keys(header) != []


@pytest.mark.parametrize("field", ["", "Various", "Anonymous", "Unknown", "Smith, Ann, 1800-1850 [Editor]"])
def test_nobody_is_no_author(field):
    assert author_keys(field) == []


def test_clusters_with_a_common_author_are_one_group_and_further_books_change_no_name():
    clusters = {"1": "1", "2": "2", "3": "3", "4": "3", "5": "5"}
    authors = {"1": "Ann Bell", "2": "Bell, Ann", "4": "Cole, Dan", "5": ""}
    groups = group_by_author(clusters, authors)
    assert groups == {"1": "author:ann bell", "2": "author:ann bell", "3": "author:cole dan", "5": "5"}
    more = group_by_author({"0": "0"} | clusters, {"0": "Cole, Dan, 1850-"} | authors)
    assert {cluster: more[cluster] for cluster in groups} == groups


def test_a_book_of_two_authors_joins_their_groups():
    groups = group_by_author(
        {"1": "1", "2": "2", "3": "3"}, {"1": "Ann Bell", "2": "Dan Cole", "3": "Ann Bell and Dan Cole"}
    )
    assert set(groups.values()) == {"author:ann bell"}
