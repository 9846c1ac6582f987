"""Splits of clusters: stable, whole, never empty, with the overlap that is left."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.config.splits import SplitsSettings
from mamba_narrative.corpus.formats.cluster_table import write_clusters
from mamba_narrative.corpus.formats.move_table import read_moves
from mamba_narrative.corpus.formats.split_table import SPLIT_COLUMNS, SPLITS, read_split
from mamba_narrative.corpus.overlap.shingles import shingle_hashes
from mamba_narrative.corpus.overlap.sketches import join_sketches, sketch_texts, write_sketches
from mamba_narrative.corpus.overlap.splits import (
    measure_overlap,
    place_of,
    split_clusters,
    split_of,
    write_splits,
)
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json, read_table, write_table

CLUSTERS = st.sets(st.integers(1, 10_000).map(str), min_size=3, max_size=60)
SETTINGS = st.builds(
    SplitsSettings,
    seed=st.integers(0, 99),
    validation_fraction=st.floats(0.01, 0.45),
    test_fraction=st.floats(0.01, 0.45),
)


@settings(max_examples=200, deadline=None)
@given(CLUSTERS, SETTINGS, st.randoms(use_true_random=False))
def test_splits_do_not_depend_on_order_and_none_is_empty(clusters, settings, chance):
    shuffled = list(clusters)
    chance.shuffle(shuffled)
    splits, moves = split_clusters(shuffled, settings)
    assert (splits, moves) == split_clusters(sorted(clusters), settings)
    assert set(splits) == clusters
    assert set(splits.values()) == set(SPLITS)


@settings(max_examples=200, deadline=None)
@given(CLUSTERS, SETTINGS)
def test_only_moves_that_are_told_differ_from_the_clusters_own_split(clusters, settings):
    splits, moves = split_clusters(clusters, settings)
    differing = {cluster for cluster in clusters if splits[cluster] != split_of(cluster, settings)}
    assert differing == {move["cluster"] for move in moves}
    own = {split_of(cluster, settings) for cluster in clusters}
    assert {move["to"] for move in moves} == set(SPLITS) - own


@settings(max_examples=200, deadline=None)
@given(CLUSTERS, st.integers(10_001, 20_000).map(str), SETTINGS)
def test_a_new_book_moves_no_other_cluster(clusters, new, settings):
    before, moves_before = split_clusters(clusters, settings)
    after, moves_after = split_clusters(clusters | {new}, settings)
    if not moves_before and not moves_after:
        assert {cluster: after[cluster] for cluster in clusters} == before


def test_shares_come_out_as_expected_over_many_clusters():
    settings = SplitsSettings(seed=3, validation_fraction=0.2, test_fraction=0.1)
    found = [split_of(str(number), settings) for number in range(10_000)]
    assert found.count("validation") == pytest.approx(2_000, abs=150)
    assert found.count("test") == pytest.approx(1_000, abs=120)


def test_another_seed_holds_other_clusters_out():
    tests = [
        {cluster for cluster in map(str, range(1_000)) if split_of(cluster, SplitsSettings(seed=seed)) == "test"}
        for seed in (1, 2)
    ]
    assert len(tests[0] & tests[1]) < 30


def test_the_place_of_a_cluster_never_changes():
    # From sha256sum of "seed:cluster"; a change would move books between training and test in every corpus.
    assert place_of("1342", 1) == pytest.approx(0x4289CD44A813 / 2**48)
    assert place_of("sonnet-é", 2) == pytest.approx(0xCD26FA8505B5 / 2**48)


def test_too_few_clusters_are_an_error_for_people():
    with pytest.raises(UserError, match="2 clusters"):
        split_clusters(["1", "2", "2"], SplitsSettings())


def numbered(start: int, words: int) -> str:
    """Words that no other stretch of numbers has."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return " ".join(f"w{number}".translate(letters) for number in range(start, start + words))


def test_the_overlap_between_splits_is_the_containment_in_the_whole_other_split():
    exact = DuplicatesSettings(shingle_words=2, sketch_fraction=1.0)
    texts = {
        "1": numbered(0, 101),
        "2": numbered(1_000, 101),
        # 25 shingles from each training book, 1 across the border, 49 of its own
        "3": f"{numbered(0, 26)} {numbered(1_000, 26)} {numbered(5_000, 49)}",
        "4": numbered(2_000, 201),
        "5": numbered(5_000, 10),
        "6": "",
    }
    sketches = sketch_texts(list(texts.items()), exact)
    split_by_book = {"1": "train", "2": "train", "3": "test", "4": "test", "5": "validation", "6": "test"}
    validation, test, between = measure_overlap(sketches, split_by_book)
    assert (validation["split"], validation["other"], validation["max_containment"]) == ("validation", "train", 0.0)
    assert (test["books"], test["books_without_sketch"]) == (2, 1)
    assert test["max_containment"] == 0.5
    assert test["mean_containment"] == 0.25
    assert test["share_of_shingles"] == pytest.approx(50 / 300, abs=1e-6)
    assert test["largest"] == {"3": 0.5}
    assert between["max_containment"] == 0.09


def corpus(folder, number=40):
    """A corpus in two shards: book 2 is a duplicate of 1, book 4 is related to 3."""
    columns = ("book_id", "decision", "reasons", "words", "characters")
    ids = [str(book) for book in range(1, number + 1)]
    clusters = [
        {"book_id": book, "cluster": {"2": "1", "4": "3"}.get(book, book)}
        | (
            {"role": "duplicate", "duplicate_of": "1"}
            if book == "2"
            else {"role": "related" if book == "4" else "representative"}
        )
        for book in ids
    ]
    write_clusters(folder / "clusters.tsv", clusters)
    for number, shard in enumerate(("000", "001")):
        mine = ids[number::2]
        rows = [{"book_id": book, "decision": "keep", "words": 100, "characters": 500} for book in mine]
        rows.append(
            {"book_id": f"dropped-{shard}", "decision": "drop", "reasons": "play", "words": 7, "characters": 40}
        )
        write_table(folder / "selection" / f"{shard}.tsv", columns, rows)
        texts = [(book, numbered(1_000 * int(book), 400)) for book in mine]
        write_sketches(folder / "sketches" / f"{shard}.npz", sketch_texts(texts, DuplicatesSettings()))
    return folder


def split(folder, name="splits", **settings):
    manifests = {split: folder / name / f"{split}.tsv" for split in SPLITS}
    write_splits(
        folder / "clusters.tsv",
        folder / "sketches",
        folder / "selection",
        ["000", "001"],
        SplitsSettings(**settings),
        manifests,
        folder / name / "summary.json",
        folder / name / "moves.tsv",
        folder / name / "history.tsv",
    )
    return {split: read_split(path) for split, path in manifests.items()}, read_json(folder / name / "summary.json")


def test_every_used_book_but_duplicates_is_in_one_split_with_its_cluster(tmp_path):
    manifests, summary = split(corpus(tmp_path))
    placed = {row["book_id"]: name for name, rows in manifests.items() for row in rows}
    assert sum(map(len, manifests.values())) == len(placed)
    assert set(placed) == {str(book) for book in range(1, 41)} - {"2"}
    assert placed["3"] == placed["4"]
    for name, rows in manifests.items():
        assert tuple(rows[0]) == SPLIT_COLUMNS
        assert [row["book_id"] for row in rows] == sorted((row["book_id"] for row in rows), key=int)
        assert all(row["shard"] == ("000", "001")[(int(row["book_id"]) - 1) % 2] for row in rows)
        assert summary["splits"][name]["books"] == len(rows)
        assert summary["splits"][name]["words"] == 100 * len(rows)
        assert all(summary["cluster_splits"][row["cluster"]] == name for row in rows)
    assert summary["duplicates_left_out"] == 1
    assert sum(found["share_of_words"] for found in summary["splits"].values()) == pytest.approx(1)


def test_the_same_corpus_gives_the_same_bytes(tmp_path):
    corpus(tmp_path)
    split(tmp_path, "a")
    split(tmp_path, "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_moves_against_the_splits_made_before_are_listed(tmp_path, caplog):
    corpus(tmp_path)
    before, _ = split(tmp_path)
    assert read_moves(tmp_path / "splits" / "moves.tsv") == []
    with caplog.at_level(logging.WARNING, "mamba_narrative"):
        after, _ = split(tmp_path, seed=2)
    moves = read_moves(tmp_path / "splits" / "moves.tsv")
    places = [{row["book_id"]: name for name in SPLITS for row in found[name]} for found in (before, after)]
    changed = {book: (places[0][book], places[1][book]) for book in places[0] if places[0][book] != places[1][book]}
    assert changed
    assert {move["book_id"]: (move["from"], move["to"]) for move in moves} == changed
    assert f"{len(moves)} books are in another split than before" in caplog.text
    corpus(tmp_path, number=39)
    split(tmp_path, seed=2)
    (gone,) = read_moves(tmp_path / "splits" / "moves.tsv")
    assert (gone["book_id"], gone["to"]) == ("40", "")


def test_a_call_that_changes_nothing_lists_the_same_moves_again(tmp_path):
    corpus(tmp_path)
    written = []
    for seed in (1, 1, 2, 2, 2):
        split(tmp_path, seed=seed)
        written.append(read_moves(tmp_path / "splits" / "moves.tsv"))
    assert written[0] == written[1] == []
    assert written[2] == written[3] == written[4] != []


def test_a_history_of_the_newest_splits_alone_is_understood(tmp_path):
    corpus(tmp_path)
    history = tmp_path / "splits" / "history.tsv"
    split(tmp_path)
    columns = ("book_id", "split", "cluster")
    write_table(history, columns, [{name: row[name] for name in columns} for row in read_table(history)])
    split(tmp_path)
    assert read_moves(tmp_path / "splits" / "moves.tsv") == []
    split(tmp_path, seed=2)
    assert read_moves(tmp_path / "splits" / "moves.tsv") != []


def test_books_of_an_author_can_be_kept_together(tmp_path):
    corpus(tmp_path)
    for shard in ("000", "001"):
        path = tmp_path / "selection" / f"{shard}.tsv"
        rows = read_table(path)
        for row in rows:
            row["author"] = "Austen, Jane, 1775-1817" if row["book_id"] in ("7", "8", "9") else ""
        write_table(path, tuple(rows[0]), rows)
    homes = set()
    for seed in range(12):
        manifests, summary = split(tmp_path, f"s{seed}", seed=seed, group_by="author", test_fraction=0.3)
        placed = {row["book_id"]: name for name in SPLITS for row in manifests[name]}
        assert placed["7"] == placed["8"] == placed["9"]
        assert (summary["grouped_by"], summary["groups"]) == ("author", 36)
        homes.add(placed["7"])
    assert len(homes) > 1


def test_the_largest_cluster_is_in_the_summary(tmp_path):
    _, summary = split(corpus(tmp_path))
    assert summary["largest_cluster"] == {
        "cluster": "3", "books": 2, "words": 200, "share_of_words": pytest.approx(2 / 39, abs=1e-6)
    }  # fmt: skip


def test_a_repair_is_in_the_summary_and_a_warning(tmp_path, caplog):
    corpus(tmp_path, number=5)
    with caplog.at_level(logging.WARNING, "mamba_narrative"):
        manifests, summary = split(tmp_path, validation_fraction=0.001, test_fraction=0.001)
    assert all(manifests.values())
    assert sorted(move["to"] for move in summary["repaired"]) == ["test", "validation"]
    assert sum("was empty" in message for message in caplog.messages) == 2


def test_clusters_and_selections_of_different_books_are_an_error_for_people(tmp_path):
    corpus(tmp_path)
    rows = [{"book_id": "1", "cluster": "1", "role": "representative", "duplicate_of": ""}]
    write_clusters(tmp_path / "clusters.tsv", rows)
    with pytest.raises(FileFormatError, match="book 2 and 38 more"):
        split(tmp_path)


def test_adding_a_book_moves_only_the_clusters_that_it_joins(tmp_path):
    """The whole way from texts to splits, with a book that joins two clusters and one that joins none."""
    from mamba_narrative.corpus.overlap.duplicates import find_duplicates

    texts = {str(book): numbered(1_000 * book, 600) for book in range(10, 60)}

    def splits_of(texts):
        sketches = join_sketches([sketch_texts([item], DuplicatesSettings()) for item in texts.items()])
        quality = {book: (1, len(text.split())) for book, text in texts.items()}
        members, _ = find_duplicates(
            sketches, quality, lambda book: shingle_hashes(texts[book], 8), DuplicatesSettings()
        )
        splits, moves = split_clusters((member.cluster for member in members), SplitsSettings())
        assert not moves
        return {member.book_id: (member.cluster, splits[member.cluster]) for member in members}

    before = splits_of(texts)
    bridge = numbered(20_000, 200) + " " + numbered(30_000, 200)
    after = splits_of(texts | {"5": bridge, "99": numbered(900_000, 600)})
    assert {after[book] for book in ("5", "20", "30")} == {after["5"]}
    assert after["5"][0] == "5"
    for book in texts:
        if book not in ("20", "30"):
            assert after[book] == before[book]
