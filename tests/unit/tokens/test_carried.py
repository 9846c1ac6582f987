"""Token files without a record of their making prove themselves by the hashes in their manifests."""

import pytest

from mamba_narrative.errors import FileFormatError
from mamba_narrative.file_digests import FileDigests
from mamba_narrative.io import sha256_bytes, write_json
from mamba_narrative.tokens.carried import carried_token_files


@pytest.fixture
def results(tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "test.bin").write_bytes(b"ids")
    (tmp_path / "tokens" / "test.books.tsv").write_bytes(b"books")
    manifest = {"sha256": sha256_bytes(b"ids"), "books_sha256": sha256_bytes(b"books")}
    write_json(tmp_path / "tokens" / "test.json", manifest)
    return tmp_path


def carried(results) -> set[str]:
    return carried_token_files(results, FileDigests(results / "cache.json"))


def test_files_with_the_hashes_of_their_manifest_are_accepted(results):
    assert carried(results) == {"tokens/test.json", "tokens/test.bin", "tokens/test.books.tsv"}


def test_a_file_that_no_manifest_names_is_not(results):
    (results / "tokens" / "test.other").write_bytes(b"?")
    assert "tokens/test.other" not in carried(results)


@pytest.mark.parametrize("name", ["test.bin", "test.books.tsv"])
def test_a_file_that_differs_from_its_manifest_is_refused_by_name(results, name):
    (results / "tokens" / name).write_bytes(b"other")
    with pytest.raises(FileFormatError, match=rf"{name}: its sha256 is not the one in test\.json"):
        carried(results)
