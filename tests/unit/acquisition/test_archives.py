"""Archives are read for their content alone: neither their names nor their sizes are believed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from loopback_library import made_up_book
from mamba_narrative.acquisition import archives
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.acquisition.archives import read_members
from mamba_narrative.errors import UserError


def tar(members: dict[str, bytes], *special: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info in special:
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(path: Path) -> dict[str, bytes]:
    return {member.name: member.stream.read() for member in read_members(path)}


BOOKS = {"a/pg1.txt": b"one", "a/pg2.txt": b"two"}


@pytest.mark.parametrize(
    "pack",
    [
        tar,
        lambda members: gzip.compress(tar(members)),
        lambda members: bz2.compress(tar(members)),
        lambda members: lzma.compress(tar(members)),
        zipped,
        lambda members: zipped({"txt-files.tar": tar(members)}),
    ],
    ids=["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "tar.zip"],
)
def test_every_usual_packing_is_understood(pack, tmp_path):
    (tmp_path / "all").write_bytes(pack(BOOKS))
    assert contents(tmp_path / "all") == BOOKS


def test_links_and_devices_are_passed_over(tmp_path):
    special = [
        link("pg3.txt", "/etc/passwd"),
        link("pg4.txt", "a/pg1.txt", tarfile.LNKTYPE),
        link("d", "", tarfile.CHRTYPE),
    ]
    (tmp_path / "all.tar").write_bytes(tar(BOOKS, *special))
    assert contents(tmp_path / "all.tar") == BOOKS


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", tar(BOOKS)[:-1500], gzip.compress(tar(BOOKS))[:-30], zipped(BOOKS)[:-30], b"PK\x03\x04broken"],
    ids=["empty", "text", "cut tar", "cut gzip", "cut zip", "broken zip"],
)
def test_a_damaged_archive_is_named_and_never_taken_for_a_whole_one(content, tmp_path):
    path = tmp_path / "all.tar"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"all\.tar"):
        assert contents(path) == BOOKS
        raise UserError("all.tar gave all its books")  # A cut after the last book costs none of them.


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda content: zipped({"x.tar": content})])
def test_an_archive_bomb_is_refused_long_before_it_is_unpacked(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SMALL_BYTES", 1_000_000)
    bomb = tar({"pg1.txt": bytes(60_000_000)})
    (tmp_path / "bomb").write_bytes(pack(bomb))
    with pytest.raises(UserError, match="archive bomb"):
        for member in read_members(tmp_path / "bomb"):
            while member.stream.read(1 << 16):
                pass


def test_no_member_escapes_the_folder_and_none_is_larger_than_allowed(library, settings, tmp_path):
    library.add_books(1, 2, 3, 4)
    evil = {
        "../../../../pg1.txt": made_up_book(1),
        f"{tmp_path}/absolute/pg2.txt": made_up_book(2),
        "pg3.txt": b"x" * 60_000,
        "pg4.txt/../../pg4.txt": made_up_book(4),
        "..\\pg9.txt": b"windows",
        "....txt": b"dots",
    }
    (tmp_path / "evil.tar").write_bytes(tar(evil))
    asked = settings(
        allow_missing=True,
        max_book_bytes=50_000,
        gutenberg={"method": "archive", "archive": str(tmp_path / "evil.tar")},
    )
    before = set(tmp_path.rglob("*"))
    acquire(asked)
    books = {path for path in tmp_path.rglob("*") if path.suffix == ".txt"} - before
    assert books == {Path(asked.directory) / "raw" / name for name in ("pg1.txt", "pg2.txt", "pg4.txt")}
    assert "3\tBook 3\ttoo_large" in (Path(asked.directory) / "missing.tsv").read_text()
