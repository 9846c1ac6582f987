import gzip
import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook, read_raw

TEXT = b"The lamp went out before the story was done.\n" * 40


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, content in members.items():
            stream.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def marked(packed: bytes, field: int, value: int) -> bytes:
    """``packed`` with another two-byte value at ``field`` of the first entry of its central directory."""
    at = packed.index(b"PK\x01\x02") + field
    return packed[:at] + value.to_bytes(2, "little") + packed[at + 2 :]


FLAGS, METHOD = 8, 10


def named(value) -> str:
    """Of a case, without its bytes: archives hold the time, and processes that share tests must agree on names."""
    return value if isinstance(value, str) else "file"


def written(tmp_path, data: bytes, name: str = "1.txt"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("1.txt", TEXT),
        ("1.txt.gz", gzip.compress(TEXT)),
        ("1.zip", archive(story__txt=TEXT)),
        ("packed-inside.txt", gzip.compress(TEXT)),
        ("not-packed.txt.gz", TEXT),
        ("with-a-picture.zip", archive(story__txt=TEXT, cover__jpg=b"\xff\xd8\xff" * 9000)),
        ("wide.txt", "\ufeffA story.\n".encode("utf-16-le")),
        ("padded.txt", TEXT + b"\x00" * 500),
        ("dos-end.txt", TEXT + b"\x1a"),
    ],
    ids=named,
)
def test_the_content_decides_how_a_file_is_read(tmp_path, name, data):
    unpacked = data if name.startswith(("wide", "padded", "dos")) else TEXT
    assert read_raw(written(tmp_path, data, name), 100_000) == unpacked


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("empty_file", b""),
        ("empty_file", b"\r\n \r\n"),
        ("empty_file", gzip.compress(b"")),
        ("truncated_gzip", gzip.compress(TEXT)[:-20]),
        ("damaged_gzip", b"\x1f\x8b" + b"\x00\x11" * 50),
        ("damaged_zip", archive(story__txt=TEXT)[:60]),
        ("damaged_zip", marked(archive(story__txt=TEXT), METHOD, 99)),
        ("damaged_zip", marked(archive(story__txt=TEXT), FLAGS, 0x40)),
        ("encrypted_zip", marked(archive(story__txt=TEXT), FLAGS, 0x1)),
        ("zip_several_members", archive(one__txt=TEXT, two__txt=TEXT * 2)),
        ("zip_without_text", archive(cover__jpg=b"\xff\xd8\xff")),
        ("binary_file", bytes(range(256)) * 30),
        ("binary_file", b"%PDF-1.4 and so on"),
        ("binary_file", b"\x00" * 400),
        ("html_file", b"<!DOCTYPE html><html><body>A story.</body></html>"),
        ("too_large", b"a" * 100_001),
    ],
    ids=named,
)
def test_what_holds_no_text_is_refused_with_a_reason(tmp_path, reason, data):
    with pytest.raises(UnreadableBook) as caught:
        read_raw(written(tmp_path, data), 100_000)
    assert caught.value.reason == reason
    assert caught.value.detail


def test_a_member_that_this_python_cannot_unpack_is_refused(tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as stream:
        stream.writestr("story.txt", TEXT)
    assert read_raw(written(tmp_path, packed.getvalue()), 100_000) == TEXT
    monkeypatch.setattr(zipfile, "bz2", None)
    with pytest.raises(UnreadableBook, match=r"damaged_zip.*bz2"):
        read_raw(written(tmp_path, packed.getvalue()), 100_000)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: archive(bomb__txt=data)])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path, pack):
    packed = pack(b"a" * 5_000_000)
    assert len(packed) < 100_000
    with pytest.raises(UnreadableBook, match="too_large"):
        read_raw(written(tmp_path, packed), 100_000)


def test_a_missing_or_dangling_file_is_unreadable(tmp_path):
    link = tmp_path / "dangling.txt"
    link.symlink_to(tmp_path / "nowhere.txt")
    for path in (link, tmp_path / "missing.txt", tmp_path):
        with pytest.raises(UnreadableBook, match="unreadable_file"):
            read_raw(path, 1000)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: archive(story__txt=data)], ids=["gzip", "zip"])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=200)
def test_any_damage_is_a_reason(tmp_path_factory, pack, damage):
    data = bytearray(pack(TEXT))
    for place, byte in damage:
        data[int(place * len(data))] = byte
    with suppress(UnreadableBook):  # Any other error would stop all other books.
        read_raw(written(tmp_path_factory.mktemp("damaged"), bytes(data)), 100_000)


def test_a_member_whose_name_is_no_text_is_a_reason(tmp_path):
    data = archive(story__txt=TEXT).replace(b"story.txt", b"\xff\xfe\xfd\xfc\xfb.txt")
    with pytest.raises(UnreadableBook, match="damaged_zip"):
        read_raw(written(tmp_path, marked(data, FLAGS, 0x800)), 100_000)
