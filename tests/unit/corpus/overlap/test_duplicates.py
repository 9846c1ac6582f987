"""Books that share text: candidates, exact overlap, clusters and roles."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.config.duplicates import DuplicatesSettings
from mamba_narrative.corpus.formats.cluster_table import read_clusters
from mamba_narrative.corpus.formats.pair_table import read_pairs
from mamba_narrative.corpus.overlap.duplicates import (
    Pair,
    assign_roles,
    candidate_pairs,
    connected_components,
    find_duplicates,
    measure_pairs,
    quality_of,
    wilson_upper_bound,
    write_duplicates,
)
from mamba_narrative.corpus.overlap.shingles import shingle_hashes
from mamba_narrative.corpus.overlap.sketches import Sketches, sketch_texts, write_sketches
from mamba_narrative.corpus.raw.inventory import natural_key
from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import write_table
from unit.corpus.selection_texts import story
from unit.corpus.stripped_shard import write_stripped

EXACT = DuplicatesSettings(shingle_words=2, sketch_fraction=1.0)
WORDS = ["a", "be", "sea", "house", "ran", "the"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), min_size=1, max_size=8)


def shingles(text: str, size: int) -> set[tuple[str, ...]]:
    words = re.findall("[a-z]+", text.lower())
    return {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}


def run(texts: dict[str, str], settings: DuplicatesSettings, quality=None):
    sketches = sketch_texts(list(texts.items()), settings)
    return find_duplicates(
        sketches,
        quality or {book_id: (1, len(text.split())) for book_id, text in texts.items()},
        lambda book_id: shingle_hashes(texts[book_id], settings.shingle_words),
        settings,
    )


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from([0.05, 0.1, 0.3, 0.8]))
def test_pairs_and_their_overlap_are_those_of_brute_force(texts, containment):
    named = {str(number): text for number, text in enumerate(texts)}
    settings = EXACT.model_copy(update={"cluster_containment": containment})
    _, pairs = run(named, settings)
    expected = {}
    for first, second in combinations(named, 2):
        own, others = shingles(named[first], 2), shingles(named[second], 2)
        shared = len(own & others)
        if shared and shared / min(len(own), len(others)) >= containment:
            expected[first, second] = (shared, len(own), len(others), shared / len(own | others))
    found = {
        (pair.book_a, pair.book_b): (pair.shared, pair.shingles_a, pair.shingles_b, pair.jaccard) for pair in pairs
    }
    assert found == expected


def test_texts_of_few_shingles_that_come_again_and_again_are_compared():
    text = "It was a cold evening when she came to the door and knocked, and nobody answered.\n\n" * 200
    texts = {str(number): text.replace("door", word) for number, word in enumerate(["gate", "door", "hatch"])}
    members, pairs = run(texts, DuplicatesSettings())
    assert {member.cluster for member in members} == {"0"}
    assert len(pairs) == 3


@pytest.mark.parametrize(("representative", "best"), [("longest", "20"), ("earliest", "9"), ("latest", "100")])
def test_which_edition_stands_for_the_others_is_a_setting(representative, best):
    settings = DuplicatesSettings(representative=representative)
    rows = {
        book_id: {"book_id": book_id, "decision": decision, "words": words}
        for book_id, decision, words in (("9", "keep", "5"), ("20", "keep", "7"), ("100", "keep", "6"))
    }
    quality = {book_id: quality_of(row, settings) for book_id, row in rows.items()}
    assert max(quality, key=lambda book_id: quality[book_id]) == best
    in_part = quality_of(rows["9"] | {"decision": "partial", "words": "99"}, settings)
    assert in_part < min(quality.values())


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.sets(st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_clusters_are_the_connected_components(number, links):
    items = [str(item) for item in range(number, 0, -1)]
    named = [(str(first), str(second)) for first, second in links if first <= number and second <= number]
    reached = {item: {item} for item in items}
    for _ in items:
        for first, second in named:
            union = reached[first] | reached[second]
            reached |= {item: reached[item] | union for item in union}
    expected = {frozenset(group) for group in reached.values()}
    found = connected_components(items, named)
    assert {frozenset(group) for group in found} == expected
    assert sum(map(len, found)) == number
    assert all(group == sorted(group, key=natural_key) for group in found)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_every_book_has_one_cluster_and_role_whatever_the_order_of_books(texts, chance):
    named = {str(number): text for number, text in enumerate(texts)}
    members, pairs = run(named, EXACT)
    assert [member.book_id for member in members] == sorted(named, key=natural_key)
    for cluster in {member.cluster for member in members}:
        inside = [member for member in members if member.cluster == cluster]
        assert cluster == min((member.book_id for member in inside), key=natural_key)
        assert sum(member.role == "representative" for member in inside) == 1
        kept = {member.book_id for member in inside if member.role != "duplicate"}
        for member in inside:
            assert (member.duplicate_of in kept) == (member.role == "duplicate")
    shuffled = list(named)
    chance.shuffle(shuffled)
    assert run({book_id: named[book_id] for book_id in shuffled}, EXACT) == (members, pairs)


def test_a_sketch_finds_a_short_story_inside_a_long_collection_and_nothing_else():
    texts = {str(seed): spoken(seed, 1_300) for seed in range(1, 9)}
    texts["20"] = "\n\n".join([spoken(50, 30_000), texts["3"], texts["5"]])
    members, pairs = run(texts, DuplicatesSettings())
    assert [(pair.book_a, pair.book_b) for pair in pairs] == [("3", "20"), ("5", "20")]
    assert {
        member.book_id: (member.cluster, member.duplicate_of) for member in members if member.role != "representative"
    } == {
        "3": ("3", "20"),
        "5": ("3", "20"),
    }


def spoken(seed: int, words: int) -> str:
    """Words in random order: two of these texts share no shingle of eight words."""
    import random

    chance = random.Random(seed)
    vocabulary = sorted(set(story(1, 3_000).split()))
    return " ".join(chance.choice(vocabulary) for _ in range(words))


def test_a_shingle_in_very_many_books_makes_no_pairs_of_all_of_them():
    boilerplate = np.array([7], dtype=np.uint64)
    own = [np.arange(100 * number, 100 * number + 3, dtype=np.uint64) for number in range(1, 401)]
    hashes = [np.sort(np.concatenate([boilerplate, book])) for book in own]
    sketches = Sketches(
        book_ids=tuple(map(str, range(400))),
        offsets=np.arange(0, 1_601, 4, dtype=np.int64),
        hashes=np.concatenate(hashes),
        shingles=np.full(400, 4, dtype=np.int64),
        shingle_words=8,
        sketch_fraction=1.0,
    )
    assert len(candidate_pairs(sketches, DuplicatesSettings(max_books_per_shingle=50))) < 400
    assert len(candidate_pairs(sketches, DuplicatesSettings(max_books_per_shingle=400))) == 400 * 399 / 2


def test_very_many_copies_of_one_book_are_still_one_cluster_with_one_book_kept():
    texts = {str(number): spoken(1, 600) for number in range(1, 31)}
    members, _ = run(texts, DuplicatesSettings(max_books_per_shingle=5))
    assert {member.cluster for member in members} == {"1"}
    assert [member.book_id for member in members if member.role != "duplicate"] == ["1"]


def test_the_upper_bound_is_that_of_wilsons_score_interval():
    successes, trials = np.array([0, 1, 40, 5]), np.array([40, 40, 40, 2_000])
    bounds = wilson_upper_bound(successes, trials)
    for share, number, bound in zip(successes / trials, trials, bounds, strict=True):
        # The interval's end is where the observed share lies three standard deviations below.
        assert (bound - share) ** 2 == pytest.approx(9 * bound * (1 - bound) / number)
        assert bound >= share


@pytest.mark.parametrize(
    ("quality", "duplicate_of"),
    [
        ({"1": (1, 900), "2": (1, 1_000)}, {"1": "2"}),
        ({"1": (1, 1_000), "2": (1, 900)}, {"2": "1"}),
        ({"1": (1, 900), "2": (1, 900)}, {"2": "1"}),
        ({"1": (1, 900), "2": (0, 1_000)}, {"2": "1"}),
    ],
)
def test_the_longest_kept_edition_is_the_one_that_stays(quality, duplicate_of):
    members = assign_roles(["1", "2"], [Pair("1", "2", 95, 100, 101)], quality, DuplicatesSettings())
    assert {member.book_id: member.duplicate_of for member in members if member.role == "duplicate"} == duplicate_of


def test_a_book_is_no_duplicate_of_a_duplicate_and_of_the_one_that_holds_most_of_it():
    pairs = [Pair("1", "2", 90, 100, 100), Pair("2", "3", 85, 100, 100), Pair("1", "3", 20, 100, 100)]
    quality = {"1": (1, 3), "2": (1, 2), "3": (1, 1)}
    roles = {
        member.book_id: member.role for member in assign_roles(["1", "2", "3"], pairs, quality, DuplicatesSettings())
    }
    assert roles == {"1": "representative", "2": "duplicate", "3": "related"}
    pairs = [Pair("1", "3", 85, 200, 100), Pair("2", "3", 95, 200, 100), Pair("1", "2", 30, 200, 200)]
    members = assign_roles(["1", "2", "3"], pairs, quality, DuplicatesSettings())
    assert [member.duplicate_of for member in members] == ["", "", "2"]


def test_a_pair_is_named_in_natural_order():
    hashes = {"9": np.array([1, 2], dtype=np.uint64), "10": np.array([2, 3, 4], dtype=np.uint64)}
    assert measure_pairs([("10", "9")], hashes.__getitem__) == [Pair("9", "10", 1, 2, 3)]


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="must not be below"):
        DuplicatesSettings(cluster_containment=0.5, duplicate_containment=0.4)


def corpus(folder, texts, shards=("000", "001")):
    """Files of a small corpus, books dealt to shards in turn."""
    columns = ("book_id", "decision", "reasons", "words", "characters")
    for number, shard in enumerate(shards):
        mine = dict(list(texts.items())[number :: len(shards)])
        write_stripped(folder / "stripped" / shard, mine)
        rows = [{"book_id": book_id, "decision": "keep", "words": len(text.split())} for book_id, text in mine.items()]
        rows.append({"book_id": f"dropped-{shard}", "decision": "drop", "reasons": "play", "words": 9})
        write_table(folder / "selection" / f"{shard}.tsv", columns, rows)
        write_sketches(folder / "sketches" / f"{shard}.npz", sketch_texts(list(mine.items()), DuplicatesSettings()))
    return folder / "sketches", folder / "selection", folder / "stripped", list(shards)


def test_both_tables_of_a_corpus_are_written_the_same_each_time(tmp_path):
    texts = {"1": spoken(1, 500), "2": spoken(2, 500), "3": spoken(1, 500) + " the end", "10": spoken(3, 500)}
    inputs = corpus(tmp_path, texts)
    for name in ("a", "b"):
        write_duplicates(*inputs, DuplicatesSettings(), tmp_path / f"{name}.clusters", tmp_path / f"{name}.pairs")
    clusters = list(read_clusters(tmp_path / "a.clusters").values())
    assert [tuple(row.values()) for row in clusters] == [
        ("1", "1", "duplicate", "3"),
        ("2", "2", "representative", ""),
        ("3", "1", "representative", ""),
        ("10", "10", "representative", ""),
    ]
    (pair,) = read_pairs(tmp_path / "a.pairs")
    assert (pair["book_a"], pair["book_b"], pair["containment"]) == ("1", "3", "1")
    for kind in ("clusters", "pairs"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_files_that_do_not_belong_together_are_errors_for_people(tmp_path):
    sketches, selections, stripped, shards = corpus(tmp_path, {"1": spoken(1, 300), "2": spoken(2, 300)})
    outputs = (tmp_path / "clusters.tsv", tmp_path / "duplicates.tsv")
    with pytest.raises(FileFormatError, match="make the sketches again"):
        write_duplicates(sketches, selections, stripped, shards, DuplicatesSettings(shingle_words=5), *outputs)
    with pytest.raises(UserError, match=r"002\.tsv: cannot be read"):
        write_duplicates(sketches, selections, stripped, [*shards, "002"], DuplicatesSettings(), *outputs)
    write_sketches(sketches / "001.npz", sketch_texts([], DuplicatesSettings()))
    with pytest.raises(FileFormatError, match="book 2"):
        write_duplicates(sketches, selections, stripped, shards, DuplicatesSettings(), *outputs)
    assert not any(path.exists() for path in outputs)
