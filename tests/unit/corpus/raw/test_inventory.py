"""One book an id, the best file of it, the same shard whatever else the folder holds."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_narrative.corpus.raw.inventory import books_by_shard, list_books, shard_digests, shard_of
from mamba_narrative.errors import UserError
from mamba_narrative.file_digests import FileDigests


def listed(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    return {book.book_id: book for book in list_books(folder)}


@pytest.mark.parametrize(
    "name",
    ["1342.txt", "pg1342.txt", "1342-0.txt", "1342-8.txt", "1342.txt.gz", "pg1342.txt.utf8", "1342-0.zip", "1342.ZIP"],
)
def test_every_name_that_gutenberg_uses_gives_the_number_as_id(tmp_path, name):
    assert list(listed(tmp_path, name)) == ["1342"]


def test_any_other_stem_is_its_own_id(tmp_path):
    assert set(listed(tmp_path, "the-ferryman.txt", "Émile_2.txt", "1342-h-notes.txt")) == {
        "the-ferryman",
        "Émile_2",
        "1342-h-notes",
    }


def test_the_utf8_variant_is_best_then_project_gutenbergs_own_then_8_bit_then_ascii(tmp_path):
    book = listed(tmp_path, "7.txt", "7-8.txt", "pg7.txt", "7-0.txt")["7"]
    assert book.path == "7-0.txt"
    assert [path for path, reason in book.others if reason == "other_variant"] == ["pg7.txt", "7-8.txt", "7.txt"]


def test_plain_text_is_preferred_to_packed_text_of_the_same_variant(tmp_path):
    assert listed(tmp_path, "7-0.zip", "7-0.txt.gz", "7-0.txt")["7"].path == "7-0.txt"


def test_two_files_of_the_same_kind_are_one_book_and_the_second_is_reported(tmp_path):
    book = listed(tmp_path, "a/7.txt", "b/7.txt")["7"]
    assert book.path == "a/7.txt"
    assert book.others == (("b/7.txt", "duplicate_id"),)


def test_other_files_and_hidden_ones_are_no_books(tmp_path):
    assert listed(tmp_path, "README.md", "catalog.csv", ".hidden.txt", ".git/7.txt") == {}


def test_books_in_folders_below_are_found_and_sorted_by_number(tmp_path):
    assert list(listed(tmp_path, "1/0/10.txt", "9.txt", "x.txt")) == ["9", "10", "x"]


def test_a_name_that_is_not_utf8_is_a_book_with_a_problem(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w"):
        pass
    (book,) = list_books(tmp_path)
    assert (book.book_id, book.problem, book.shown_path) == ("caf%E9", "file_name_not_utf8", "caf\\xe9.txt")


@pytest.mark.parametrize("name", ["a{b}.txt", "A <draft> of mine.txt", "it's $HOME.txt", "a\nb.txt", "*.txt"])
def test_a_name_that_means_something_to_a_shell_or_to_snakemake_is_a_book_like_any_other(tmp_path, name):
    (book,) = listed(tmp_path, name).values()
    assert (book.path, book.problem) == (name, None)


def test_folders_may_be_nested_deeper_than_functions(tmp_path):
    folder = f"{tmp_path}/top"
    for _ in range(1_100):
        os.mkdir(folder)  # noqa: PTH102 (paths of pathlib nest too)
        book = f"{folder}/1.txt"
        folder += "/d"
    with open(book, "w"):
        pass
    assert [book.book_id for book in list_books(tmp_path)] == ["1"]
    subprocess.run(["rm", "-r", tmp_path / "top"], check=True)  # Python's own functions nest as deeply


def test_the_digest_of_a_shard_is_that_of_names_contents_and_problems(tmp_path):
    def digest() -> str:
        digests = FileDigests(tmp_path / ".cache")
        return shard_digests(tmp_path, {"000": list_books(tmp_path)}, digests, max_book_bytes=100)["000"]

    seen = [digest()]

    def is_new() -> bool:
        seen.append(digest())
        return seen[-1] not in seen[:-1]

    (tmp_path / "1.txt").write_text("one")
    assert is_new()
    os.utime(tmp_path / "1.txt", (1, 1))
    assert not is_new()
    (tmp_path / "1.txt").write_text("two")
    assert is_new()
    (tmp_path / "pg1.txt").write_text("better variant")
    assert is_new()
    (tmp_path / "2.txt").symlink_to("nowhere")
    assert is_new()
    (tmp_path / "3.txt").write_text("x" * 101)
    assert is_new()
    (tmp_path / "3.txt").write_text("y" * 101)
    assert not is_new()  # too large to be read, whatever it holds


def test_links_to_nowhere_and_pipes_are_books_with_a_problem(tmp_path):
    (tmp_path / "1.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "2.txt")
    assert [book.problem for book in list_books(tmp_path)] == ["unreadable_file", "not_a_regular_file"]


def test_a_missing_folder_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.directory: .*nowhere is not a folder"):
        list_books(tmp_path / "nowhere")


file_stems = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(file_stems)
def test_any_stem_becomes_an_id_that_is_a_safe_file_name(tmp_path_factory, stem):
    folder = tmp_path_factory.mktemp("raw")
    try:
        (folder / f"{stem}.txt").write_text("text")
    except OSError:  # longer than the file system allows
        return
    for book in list_books(folder):
        assert "/" not in book.book_id
        assert not book.book_id.startswith(".")
        assert len(book.book_id.encode()) <= 120
        assert not set(book.book_id) & set(" \t\n\r'\"{}*?\\$")


@given(st.text(min_size=1, max_size=20), st.integers(1, 300))
def test_a_shard_depends_on_the_id_alone_and_exists(book_id, shards):
    assert shard_of(book_id, shards) == shard_of(book_id, shards)
    assert 0 <= int(shard_of(book_id, shards)) < shards


def test_adding_a_book_leaves_every_other_book_in_its_shard(tmp_path):
    listed(tmp_path, *(f"{number}.txt" for number in range(50)))
    before = {book.book_id: shard for shard, books in books_by_shard(tmp_path, 8).items() for book in books}
    listed(tmp_path, "new.txt")
    after = {book.book_id: shard for shard, books in books_by_shard(tmp_path, 8).items() for book in books}
    assert {**after, **before} == after
    assert len(set(before.values())) == 8
