"""One bad answer, address, row or member costs its own book, or is a clear end; it never costs the other books."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_archives import tar, zipped

from loopback_library import dribble, generated, made_up_book, redirect, status
from mamba_narrative.acquisition import bulk, fetching, transfer
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.acquisition.archives import DamagedMember, read_members
from mamba_narrative.acquisition.lock import read_lock
from mamba_narrative.acquisition.politeness import RobotRules, is_main_site_page, is_private
from mamba_narrative.acquisition.rdf import read_rdf_archive
from mamba_narrative.config.acquisition import ChoiceSettings, address_fault
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_table

OTHERS = {f"pg{number}.txt" for number in range(2, 7)}


def raw(settings) -> set[str]:
    return {path.name for path in (Path(settings.directory) / "raw").iterdir()}


def missing(settings) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_table(Path(settings.directory) / "missing.tsv")}


# Redirects

BAD_REDIRECTS = {
    "http://127.0.0.1:9/x": "redirect_down",
    "http://nowhere.invalid/x": "redirect_down",
    "http://" + "a" * 70 + ".invalid/x": "redirect_down",
    "http://127.0.0.1:99999/x": "bad_redirect",
    "http://127.0.0.1:-1/x": "bad_redirect",
    "http://127.0.0.1:port/x": "bad_redirect",
    "http://127.0.0.1:0/x": "bad_redirect",
    "http://[::1/x": "bad_redirect",
    "http://[nonsense]/x": "bad_redirect",
    "http://reader:secret@127.0.0.1:9/x": "bad_redirect",
    "http://127.0.0.1:9/\u007f": "bad_redirect",
    "file:///etc/passwd": "bad_redirect",
    "ftp://127.0.0.1/x": "bad_redirect",
    "javascript:alert(1)": "bad_redirect",
    "http://127.0.0.1:9/" + "x" * 70_000: "bad_address",  # longer than a client asks for
    "https://www.gutenberg.org/ebooks/1": "main_site",
    "https://WWW.GUTENBERG.ORG./ebooks/1": "main_site",
    "": "redirects",
}


@pytest.mark.parametrize("location", BAD_REDIRECTS, ids=lambda location: location[:40] or "empty")
def test_a_redirect_that_leads_nowhere_costs_one_book(location, library, settings):
    library.add_books(*range(1, 7))
    library.misbehaviour[generated(1)] = [redirect(location)] * 20
    asked = settings(
        allow_missing=True,
        gutenberg={"variants": ["generated"]},
        transfer={"retries": 1, "connections": 1, "timeout_seconds": 1},
    )
    for _ in range(2):
        acquire(asked)
        assert (raw(asked), missing(asked)) == (OTHERS, {"1": BAD_REDIRECTS[location]})


@pytest.mark.parametrize("code", [204, 300, 302, 304, 399])
def test_an_answer_without_text_and_without_address_costs_one_book(code, library, settings):
    library.add_books(*range(1, 7))
    library.misbehaviour[generated(1)] = [status(code)]
    asked = settings(allow_missing=True, gutenberg={"variants": ["generated"]})
    acquire(asked)
    assert (raw(asked), missing(asked)) == (OTHERS, {"1": "no_content"})


@pytest.mark.parametrize(
    "headers",
    [{"Content_Range": "bytes 0-2/3"}, {"Content_Range": "bytes 5-7/8"}, {}],
    ids=["from 0", "from 5", "none"],
)
def test_a_part_that_nobody_asked_for_costs_one_book(headers, library, settings):
    library.add_books(*range(1, 7))
    library.misbehaviour[generated(1)] = [status(206, b"abc", **headers)] * 9
    asked = settings(allow_missing=True, gutenberg={"variants": ["generated"]})
    acquire(asked)
    assert (raw(asked), missing(asked)) == (OTHERS, {"1": "range"})


def test_what_another_server_does_is_not_held_against_the_mirror(library, settings):
    from loopback_library import Library, serve

    library.add_books(*range(1, 30))
    with serve(Library()) as other:
        other.files["/robots.txt"] = b"User-agent: *\nCrawl-delay: 1000000000\n"
        for number in range(1, 25):
            library.misbehaviour[generated(number)] = [redirect(f"{other.url}/{number}.txt")] * 9
        asked = settings(allow_missing=True, gutenberg={"variants": ["generated"]}, transfer={"connections": 1})
        acquire(asked)
        assert other.counts == {"/robots.txt": 1}
    assert raw(asked) == {f"pg{number}.txt" for number in range(25, 30)}
    assert set(missing(asked).values()) == {"redirect_down"}


@pytest.mark.parametrize("answer", [status(429, Retry_After="31536000"), status(403), status(503)])
def test_a_busy_or_closed_server_behind_a_redirect_costs_one_book(answer, library, settings):
    from loopback_library import Library, serve

    library.add_books(*range(1, 7))
    with serve(Library()) as other:
        other.misbehaviour["/1.txt"] = [answer] * 9
        library.misbehaviour[generated(1)] = [redirect(f"{other.url}/1.txt")] * 9
        asked = settings(allow_missing=True, gutenberg={"variants": ["generated"]})
        acquire(asked)
    assert raw(asked) == OTHERS
    assert missing(asked)["1"] in ("busy", "forbidden")


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("http://127.0.0.1/", True),
        ("http://localhost:8080/", True),
        ("http://10.1.2.3/", True),
        ("http://192.168.0.1/", True),
        ("http://169.254.169.254/latest/meta-data/", True),
        ("http://[::1]/", True),
        ("http://[fe80::1]/", True),
        ("http://2130706433/", True),  # 127.0.0.1 as one number
        ("http://8.8.8.8/", False),
        ("http://nowhere.invalid/", False),
    ],
)
def test_addresses_of_this_machine_and_its_network_are_known(address, private):
    assert asyncio.run(is_private(address)) == private


def test_a_public_server_cannot_send_us_into_the_private_network(library, settings, monkeypatch):
    library.add_books(*range(1, 7))
    public = library.url.replace("127.0.0.1", "localhost")
    monkeypatch.setattr(fetching, "is_private", lambda url: _answer(url.startswith("http://127.")))
    library.misbehaviour[generated(1)] = [redirect(f"{library.url}/secret")]
    library.files["/secret"] = made_up_book(1)
    asked = settings(allow_missing=True, gutenberg={"mirrors": [public], "variants": ["generated"]})
    acquire(asked)
    assert (raw(asked), missing(asked)) == (OTHERS, {"1": "bad_redirect"})
    assert library.counts["/secret"] == 0


async def _answer(value: bool) -> bool:
    return value


@given(st.text(max_size=40) | st.text("htps:/@[]#?%0123456789.", max_size=30).map("http://".__add__))
def test_any_text_is_an_address_or_not_and_never_an_error(text):
    assert isinstance(address_fault(text), str)
    assert not is_main_site_page("http://" + "".join(filter(str.isalnum, text)) + ".invalid/")


def test_addresses_of_the_settings_are_checked_before_anything_is_asked(library, settings):
    for mirror in ("http://[::1/", "http://h:99999/", "http://me:secret@h/", "h.org"):
        with pytest.raises(ValueError, match="no web address"):
            settings(gutenberg={"mirrors": [mirror]})
    for source in ("http://[::1/c.csv", "https://h:99999/c.csv", "https://me:secret@h/c.csv"):
        with pytest.raises(ValueError, match="no web address"):
            settings(gutenberg={"catalogue_url": source})


# robots.txt


@pytest.mark.parametrize("delay", ["1000000000", "1e300", "601"])
def test_a_distance_between_requests_that_nobody_waits_for_is_a_clear_end(delay, library, settings):
    library.add_books(1)
    library.files["/robots.txt"] = f"User-agent: *\nCrawl-delay: {delay}\n".encode()
    with pytest.raises(UserError, match=r"asks for [\d,]+ s between requests.*max_wait_seconds"):
        acquire(settings())


@pytest.mark.parametrize("delay", ["nan", "inf", "-5", "soon", "1" * 5000])
def test_a_distance_that_is_no_number_of_seconds_does_not_count(delay):
    assert RobotRules(f"User-agent: *\nCrawl-delay: {delay}\n", "mamba-narrative").crawl_delay_seconds == 0


PATTERNS = {
    "one long pattern": "User-agent: *\nDisallow: /" + "*a" * 100_000 + "b\n",
    "stars": "User-agent: *\nDisallow: /" + "*" * 400_000 + "x$\n",
    "many patterns": "User-agent: *\n" + "Disallow: /*a*b*c*d$\n" * 20_000,
    "many names with many rules": "".join(f"User-agent: x{number}\n" for number in range(20_000))
    + "Allow: /a\n" * 20_000,
    "names twice": "".join(f"useragent x{number % 10_000}\n" for number in range(20_000)) + "Disallow: /b\n" * 10_000,
    "parts of our name": "".join(f"User agent: {'mamba-narrative'[: number % 16]}\n" for number in range(1, 20_000))
    + "Disallow: /c\n" * 10_000,
}


@pytest.mark.parametrize("text", PATTERNS.values(), ids=PATTERNS)
def test_no_robots_file_takes_long_or_much_memory(text):
    import resource

    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    rules = RobotRules(text[:512_000], "mamba-narrative")
    for number in range(20):
        rules.allow(f"http://h/{'abcd' * 50}/{number}")
    plain = time.process_time() - started
    started = time.process_time()
    RobotRules("User-agent: *\n" + "Disallow: /x\n" * 39_000, "mamba-narrative").allow("http://h/a")
    assert plain < 200 * (time.process_time() - started)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kB


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: mamba-narrative\nDisallow: /\n", False),
        ("User-agent: Mamba-Narrative # us\nDisallow: /\n", False),
        ("user agent mamba*\nDisallow: /\n", False),
        ("User-agent: *\nDisallow: /\n", False),
        ("User-agent: other\nUser-agent: *\nDisallow: /\n", False),
        ("User-agent: other\nDisallow: /\n", True),
        ("User-agent: *\nDisallow: /\nUser-agent: mamba-narrative\nAllow: /\n", True),
        ("User-agent: other\nDisallow: /\n\nUser-agent: mamba-narrative\nDisallow: /y\n", True),
        ("User-agent: books\nDisallow: /\n", True),
        ("", True),
    ],
)
def test_rules_for_us_and_for_all_count_and_those_for_others_do_not(text, allowed):
    assert RobotRules(text, "mamba-narrative").allow("http://h/x") == allowed
    assert RobotRules(text.replace("\n", "\r\n"), "mamba-narrative").allow("http://h/x") == allowed


# Catalogues and large files


def test_an_endless_catalogue_is_a_clear_end_and_leaves_no_file(library, settings, monkeypatch):
    library.add_books(1)
    monkeypatch.setattr(bulk.local_copy, "__defaults__", (200_000,))
    library.files["/cache/epub/feeds/pg_catalog.csv"] += b"\n9,Text,2001,A,en,B,Fiction,PR," * 100_000
    with pytest.raises(UserError, match=r"pg_catalog\.csv: too_large"):
        acquire(settings())
    assert not list((Path(settings().directory) / ".acquisition").glob("pg_catalog*"))


def test_a_large_file_that_trickles_is_given_up_and_one_that_moves_is_not(library, settings, monkeypatch):
    monkeypatch.setattr(fetching, "_LARGE_STEP_BYTES", 1_000)
    monkeypatch.setattr(transfer, "_CHUNK_BYTES", 100)
    library.add_books(*range(1, 100))
    catalogue = "/cache/epub/feeds/pg_catalog.csv"
    pieces = len(library.files[catalogue]) // 1_200
    assert pieces > 3
    library.misbehaviour[catalogue] = [dribble(pieces, 0.2)]
    acquire(settings(transfer={"max_seconds_per_book": 0.5, "retries": 0}))
    library.misbehaviour[catalogue] = [dribble(1_000, 0.05)]
    with pytest.raises(UserError, match=r"timeout: .* not done after 0\.5 s"):
        acquire(settings(directory=settings().directory + "2", transfer={"max_seconds_per_book": 0.5, "retries": 0}))


@pytest.mark.parametrize("page", [b"<html>busy</html>", b"", b"\x00" * 100, b"BZh broken", b"\xff\xfe"])
def test_a_catalogue_that_is_none_is_fetched_anew_by_the_next_run(page, library, settings):
    library.add_books(1)
    library.misbehaviour["/cache/epub/feeds/pg_catalog.csv"] = [status(200, page)]
    with pytest.raises(UserError, match="run again to fetch it anew"):
        acquire(settings())
    acquire(settings())
    assert raw(settings()) == {"pg1.txt"}


ODD_IDS = ["../../x", "-rf", "7?x=1", "%2e%2e/8", "9" * 300, "9" * 10, "7#8", "é", "=1+1", "a\\b", "CON", "٣"]


def test_odd_ids_of_a_catalogue_are_rows_with_a_reason(library, settings):
    library.add_books(2, 3, 4, 5, 6)
    rows = "".join(f"\n{number},Text,2001,A,en,B,Fiction,PR," for number in ODD_IDS)
    library.files["/cache/epub/feeds/pg_catalog.csv"] += rows.encode()
    asked = settings(allow_missing=True)
    for _ in range(2):
        acquire(asked)
        assert (raw(asked), missing(asked)) == (OTHERS, dict.fromkeys(ODD_IDS, "no_number"))
    assert set(library.counts) == {"/robots.txt", "/cache/epub/feeds/pg_catalog.csv", *library.book_counts()}
    assert set(library.book_counts()) == {generated(number) for number in range(2, 7)}


def test_ids_of_the_settings_are_numbers_however_they_are_written():
    assert ChoiceSettings.model_validate({"ids": [7, "0008", "x7", 0, "9" * 300]}).ids == (
        "7",
        "8",
        "x7",
        "0",
        "9" * 300,
    )


def test_addresses_of_a_lock_that_are_none_are_passed_over(library, settings, tmp_path):
    library.add_books(1)
    acquire(settings())
    lock = tmp_path / "books" / "books.lock.tsv"
    text = lock.read_text()
    for bad in ("http://[::1/x", "http://127.0.0.1:99999/x", "http://a:b@127.0.0.1:9/x", "file:///etc/passwd", ""):
        lock.write_text(text.replace(library.url + generated(1), bad))
        again = settings(directory=str(tmp_path / "again"), lock=str(lock))
        acquire(again)
        assert raw(again) == {"pg1.txt"}
        (tmp_path / "again" / "raw" / "pg1.txt").unlink()
    lock.write_text(text.replace(f"\t{len(made_up_book(1))}\t", "\t" + "9" * 5000 + "\t"))
    with pytest.raises(UserError, match="length in bytes"):
        read_lock(lock)


def test_a_tag_that_is_no_header_does_not_stop_a_download(library, settings):
    library.add_books(1)
    catalogue = "/cache/epub/feeds/pg_catalog.csv"
    library.misbehaviour[catalogue] = [status(500, ETag="\xe9"), status(200, b"Text#,Ti", ETag="\xe9\xff")]
    with pytest.raises(UserError, match="column"):
        acquire(settings())
    acquire(settings())
    assert raw(settings()) == {"pg1.txt"}


def test_packed_answers_are_whole_or_refused(library, settings):
    library.add_books(*range(1, 7))
    book = made_up_book(1)
    for body in (gzip.compress(book)[:-9], gzip.compress(book[:500]) + gzip.compress(book[500:]), b"no gzip"):
        library.misbehaviour[generated(1)] = [status(200, body, Content_Encoding="gzip")] * 9
        asked = settings(allow_missing=True, gutenberg={"variants": ["generated"]})
        acquire(asked)
        assert raw(asked) == OTHERS
        assert missing(asked)["1"] in ("length", "encoding")


def test_a_book_in_utf_16_says_its_rights_too(library, settings):
    library.add_books(1)
    library.files[generated(1)] = made_up_book(1).decode().encode("utf-16")
    for _ in range(2):
        acquire(settings())
        assert raw(settings()) == {"pg1.txt"}


def test_a_folder_that_cannot_be_written_is_named(library, settings, monkeypatch):
    from mamba_narrative.acquisition.store import BookStore

    library.add_books(1)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", "raw/pg1.txt")

    monkeypatch.setattr(BookStore, "put", refuse)
    with pytest.raises(UserError, match=r"Permission denied.*run again"):
        acquire(settings())


# Archives


def bad_checksum(archive: bytes, content: bytes) -> bytes:
    """A zip file of stored members with another byte in ``content``."""
    return archive.replace(content, content[:-1] + bytes([content[-1] ^ 1]), 1)


def encrypted(archive: bytes) -> bytes:
    at = archive.index(b"PK\x01\x02") + 8
    return archive[:at] + b"\x01\x00" + archive[at + 2 :]


@pytest.mark.parametrize("damage", [lambda archive: bad_checksum(archive, made_up_book(1)), encrypted])
def test_a_damaged_member_of_a_zip_file_costs_one_book(damage, library, settings, tmp_path):
    library.add_books(*range(1, 7))
    archive = damage(zipped({f"pg{number}.txt": made_up_book(number) for number in range(1, 7)}, zipfile.ZIP_STORED))
    (tmp_path / "all.zip").write_bytes(archive)
    asked = settings(allow_missing=True, gutenberg={"method": "archive", "archive": str(tmp_path / "all.zip")})
    acquire(asked)
    assert (raw(asked), missing(asked)) == (OTHERS, {"1": "damaged_zip"})


def test_a_name_that_is_no_text_does_not_spoil_the_lock(library, settings, tmp_path):
    library.add_books(1)
    info = tarfile.TarInfo("caf\udce9/" + "x" * 3000 + "/pg1.txt")
    info.size = len(made_up_book(1))
    with tarfile.open(tmp_path / "all.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(made_up_book(1)))
    asked = settings(gutenberg={"method": "archive", "archive": str(tmp_path / "all.tar")})
    acquire(asked)
    assert read_lock(Path(asked.directory) / "books.lock.tsv")["1"].url.startswith(f"{tmp_path}/all.tar#caf\\xe9/xxx")


def long_name_bomb() -> bytes:
    """A tar file whose first header says that a name of 10 GB follows."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 10_000_000_000
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(5_000_000)


def header_chain() -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4
    return (info.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")) * 5_000


def sparse_nonsense() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("pg1.txt")
        info.pax_headers = {"GNU.sparse.map": "a,b", "GNU.sparse.size": "x", "path": "p"}
        archive.addfile(info)
    return buffer.getvalue()


def deep_folders() -> bytes:
    return tar({"d/" * 5_000 + "pg1.txt": made_up_book(1)})


@pytest.mark.parametrize("make", [long_name_bomb, header_chain, sparse_nonsense])
def test_a_tar_file_made_to_confuse_is_refused_by_name(make, tmp_path):
    (tmp_path / "all.tar").write_bytes(make())
    with pytest.raises(UserError, match=r"all\.tar: not an archive, or damaged"):
        list(read_members(tmp_path / "all.tar"))


@pytest.mark.parametrize("pack", [lambda members: tar(members), lambda members: zipped(members)], ids=["tar", "zip"])
def test_deep_folders_in_an_archive_do_no_harm(pack, library, settings, tmp_path):
    library.add_books(1)
    (tmp_path / "all").write_bytes(pack({"d/" * 5_000 + "pg1.txt": made_up_book(1)}))
    asked = settings(gutenberg={"method": "archive", "archive": str(tmp_path / "all")})
    acquire(asked)
    assert raw(asked) == {"pg1.txt"}


def test_many_members_that_share_their_bytes_are_a_bomb(tmp_path, monkeypatch):
    from mamba_narrative.acquisition import archives

    monkeypatch.setattr(archives, "_SMALL_BYTES", 2_000_000)
    one = zipped({"pg1.txt": bytes(1_000_000)})
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    entry = one[start:end] * 300
    closing = one[end : end + 8] + struct.pack("<HHIIH", 300, 300, len(entry), start, 0)
    (tmp_path / "all.zip").write_bytes(one[:start] + entry + closing)
    with pytest.raises(UserError, match=r"archive bomb|Overlapped|overlap"):
        for member in read_members(tmp_path / "all.zip"):
            while member.stream.read(1 << 16):
                pass


SEEDS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": tar,
    "pax": lambda members: tar({"d/" * 200 + name: content for name, content in members.items()}),
    "tar.gz": lambda members: gzip.compress(tar(members), mtime=0),
    "zip": zipped,
    "stored zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "tar.zip": lambda members: zipped({"all.tar": tar(members)}),
}


@pytest.mark.parametrize("pack", SEEDS.values(), ids=SEEDS)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
@hypothesis_settings(max_examples=150)
def test_any_damage_is_told_in_words(tmp_path_factory, pack, damage):
    content = bytearray(pack({"pg1.txt": b"one " * 99, "pg2.txt": b"two " * 99}))
    for place, byte in damage:
        content[int(place * len(content))] = byte
    path = tmp_path_factory.mktemp("damaged") / "all"
    path.write_bytes(content)
    with suppress(UserError):  # Any other error is a traceback for whoever runs it.
        for member in read_members(path):
            with suppress(DamagedMember):
                member.stream.read(10_000)


def test_one_spoilt_file_of_an_rdf_archive_is_told_and_passed_over(tmp_path, caplog):
    from test_rdf import rdf

    spoilt = {
        "pg1.rdf": b"<not closed>",
        "pg2.rdf": b'<?xml version="1.0" encoding="klingon"?><x/>',
        "pg3.rdf": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        "pg4.rdf": b"<a>" * 100_000,
        "pg5.rdf": b"x" * 10_000_001,
    }
    (tmp_path / "rdf.tar").write_bytes(tar(spoilt | {"pg7.rdf": rdf(7)}))
    assert list(read_rdf_archive(tmp_path / "rdf.tar")) == ["7"]
    assert "5 files are passed over: pg1.rdf" in caplog.text


# Datasets


def test_rows_of_a_dataset_with_odd_values_cost_themselves_alone(tmp_path):
    import pyarrow
    import pyarrow.parquet

    from mamba_narrative.config.corpus import CorpusSettings

    text = made_up_book(1).decode()
    folder = tmp_path / "dataset"
    folder.mkdir()
    metadata = [
        json.dumps({"text_id": 84, "title": "\ud800 half a pair"}),
        "[" * 100_000,
        "{" * 10,
        json.dumps({"text_id": None}),
        json.dumps({"text_id": 85.0}),
        json.dumps({"text_id": float("nan")}),
        '{"text_id": ' + "9" * 5000 + "}",
        json.dumps({"text_id": [1, {"a": 2}]}),
        json.dumps({"text_id": "9" * 300}),
        json.dumps({"text_id": "9" * 300 + "1"}),
    ]
    rows = [{"TEXT": text + str(number), "METADATA": value} for number, value in enumerate(metadata)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")
    asked = CorpusSettings.model_validate(
        {
            "source": "huggingface",
            "directory": str(tmp_path / "books"),
            "huggingface": {"dataset": str(folder)},
        }
    )
    acquire(asked)
    names = raw(asked)
    assert len(names) == len(rows)
    assert {"84.txt", "85.txt", "row-3.txt", "row-5.txt"} <= names


@pytest.mark.parametrize("column", [[1, 2], [b"\xff\xfeA\x00", b"plain bytes"], [["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_a_text_column_of_another_type_is_a_reason(column, tmp_path):
    import pyarrow
    import pyarrow.parquet

    from mamba_narrative.config.corpus import CorpusSettings

    rows = [{"id": str(number), "text": value} for number, value in enumerate(column)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    asked = CorpusSettings.model_validate(
        {
            "source": "huggingface",
            "directory": str(tmp_path / "books"),
            "rights": "any",
            "allow_missing": True,
            "huggingface": {"dataset": str(tmp_path / "x.parquet")},
        }
    )
    acquire(asked)
    if isinstance(column[0], bytes):
        assert raw(asked) == {"0.txt", "1.txt"}
    else:
        assert missing(asked) == {"0": "no_text", "1": "no_text"}
