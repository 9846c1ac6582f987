"""Books are brought whole, once, with a lock that says what they are; what cannot be had is said with its reason."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from loopback_library import (
    cut,
    dribble,
    drop,
    generated,
    made_up_book,
    no_length,
    packed,
    page,
    promise,
    redirect,
    status,
)
from mamba_narrative.acquisition import mirrors
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.acquisition.lock import read_lock
from mamba_narrative.acquisition.state import find_acquired
from mamba_narrative.corpus.raw.catalogue import read_catalogue
from mamba_narrative.corpus.raw.inventory import list_books
from mamba_narrative.errors import UserError
from mamba_narrative.io import read_table, sha256_bytes
from mamba_narrative.lease import Lease
from real_books import GUTENBERG, needs_real_books

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "acquire_books.py"


def raw(settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (Path(settings.directory) / "raw").iterdir()}


def missing(settings) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_table(Path(settings.directory) / "missing.tsv")}


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


# Bringing


def test_the_folder_is_what_the_local_source_reads(library, settings):
    library.add_books(11, 1342, 84)
    acquire(settings())
    layout = find_acquired(settings())
    assert [(book.book_id, book.path) for book in list_books(layout.raw)] == [
        ("11", "pg11.txt"),
        ("84", "pg84.txt"),
        ("1342", "pg1342.txt"),
    ]
    assert raw(settings())["pg84.txt"] == made_up_book(84)
    assert read_catalogue(layout.catalogue)["84"].title == "Book 84"


def test_the_lock_says_what_each_book_is_and_where_it_came_from(library, settings):
    library.add_books(84)
    acquire(settings())
    book = read_lock(Path(settings().directory) / "books.lock.tsv")["84"]
    assert (book.url, book.bytes) == (f"{library.url}{generated(84)}", len(made_up_book(84)))
    assert book.sha256 == sha256_bytes(made_up_book(84))
    assert book.date == time.strftime("%Y-%m-%d", time.gmtime())
    assert book.entry.authors == "Doe, Jane"


def test_a_second_run_asks_for_nothing_and_touches_no_file(library, settings):
    library.add_books(*range(1, 30))
    acquire(settings())
    library.requests.clear()
    before = snapshot(Path(settings().directory))
    acquire(settings())
    assert library.requests == []
    assert snapshot(Path(settings().directory)) == before


def test_nothing_is_asked_for_twice(library, settings):
    library.add_books(*range(1, 60))
    acquire(settings())
    assert set(library.counts.values()) == {1}
    assert set(library.counts) == {"/robots.txt", "/cache/epub/feeds/pg_catalog.csv", *library.book_counts()}
    assert len(library.book_counts()) == 59


def test_the_server_is_told_who_asks(library, settings):
    library.add_books(1)
    acquire(settings(transfer={"contact": "reader@example.org"}))
    assert all("mamba-narrative/" in agent and "reader@example.org" in agent for agent in library.agents)


def test_requests_keep_their_distance(library, settings):
    library.add_books(*range(1, 12))
    acquire(settings(transfer={"requests_per_second": 20, "connections": 8}))
    times = [when for when, path in library.requests if "pg" in path and path.endswith(".txt")]
    assert len(times) == 11
    assert times[-1] - times[0] >= 10 / 20 * 0.9
    assert min(after - before for before, after in pairwise(times)) > 0.5 / 20


def test_the_utf8_variant_goes_first_and_others_stand_in(library, settings):
    library.add_books(1342, 5)
    del library.files[generated(1342)], library.files[generated(5)]
    library.files |= {"/1/3/4/1342/1342-8.txt": made_up_book(1342), "/1/3/4/1342/1342.txt": b"never"}
    library.files["/0/5/5.txt"] = made_up_book(5)
    acquire(settings())
    assert set(raw(settings())) == {"1342-8.txt", "5.txt"}
    order = [path for _, path in library.requests if "1342" in path]
    assert order == [generated(1342), "/1/3/4/1342/1342-0.txt", "/1/3/4/1342/1342-8.txt"]


def test_another_mirror_has_what_the_first_has_not(library, settings):
    library.add_books(7)
    library.files["/second" + generated(7)] = library.files.pop(generated(7))
    acquire(settings(gutenberg={"mirrors": [library.url, f"{library.url}/second/"], "variants": ["generated"]}))
    assert set(raw(settings())) == {"pg7.txt"}


# Misbehaviour that passes


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param([status(500)], id="500"),
        pytest.param([status(502), status(504)], id="502, 504"),
        pytest.param([cut(100)], id="cut connection"),
        pytest.param([drop], id="no answer"),
        pytest.param([status(429)], id="429"),
        pytest.param([packed], id="gzip"),
        pytest.param([dribble(5, 0.05)], id="slow bytes"),
        pytest.param([redirect("/elsewhere/84.txt")], id="redirect"),
        pytest.param([redirect("/elsewhere/84.txt", 301), status(503), redirect("/elsewhere/84.txt", 308)], id="mixed"),
    ],
)
def test_a_book_arrives_whole_in_spite_of(behaviour, library, settings):
    library.add_books(84)
    library.files["/elsewhere/84.txt"] = made_up_book(84)
    library.misbehaviour[generated(84)] = behaviour
    acquire(settings())
    assert raw(settings()) == {"pg84.txt": made_up_book(84)}


def test_retry_after_holds_all_requests_back(library, settings):
    library.add_books(1, 2, 3, 4, 5, 6)
    library.misbehaviour[generated(1)] = [status(429, Retry_After="1")]
    acquire(settings(transfer={"connections": 1}))
    times = {path: when for when, path in library.requests}
    first = next(when for when, path in library.requests if path == generated(1))
    assert all(times[generated(number)] - first >= 0.95 for number in range(1, 7))


def test_a_timeout_is_tried_again(library, settings):
    library.add_books(84)
    library.misbehaviour[generated(84)] = [dribble(2, 1.5)]
    acquire(settings(transfer={"timeout_seconds": 0.3}))
    assert raw(settings()) == {"pg84.txt": made_up_book(84)}


def test_a_transfer_that_always_moves_and_never_ends_is_given_up(library, settings):
    library.add_books(84)
    library.misbehaviour[generated(84)] = [dribble(300, 0.05)]
    acquire(settings(transfer={"max_seconds_per_book": 0.4}))
    assert raw(settings()) == {"pg84.txt": made_up_book(84)}
    assert library.counts[generated(84)] == 2


# What cannot be had


@pytest.mark.parametrize(
    ("behaviours", "reason"),
    [
        ([status(403)] * 4, "forbidden"),
        ([status(404)] * 4, "not_found"),
        ([status(410)] * 4, "not_found"),
        ([status(500)] * 9, "server_error"),
        ([promise(600)], "truncated"),
        ([no_length(600)] * 4, "truncated"),
        ([cut(10)] * 9, "connection"),
        ([page] * 4, "html_file"),
        ([redirect(generated(84))] * 9, "redirects"),
        ([redirect("file:///etc/passwd")], "bad_redirect"),
        ([redirect("https://www.gutenberg.org/ebooks/84")], "main_site"),
        ([status(200, b"\x00\x01\x02" * 100)], "binary_file"),
        ([status(200, b"  \n")], "empty_file"),
        ([status(200, b"x" * 40_000)], "too_large"),
        ([status(200, b"x", Content_Encoding="br")], "encoding"),
        ([status(200, made_up_book(84, licence="**This is a COPYRIGHTED Project Gutenberg eBook.**"))], "copyrighted"),
        ([status(200, b"A text that says nothing of its rights. " * 20)], "rights_unknown"),
    ],
)
def test_a_book_that_cannot_be_had_is_a_row_with_its_reason(behaviours, reason, library, settings):
    library.add_books(1, 84)
    library.misbehaviour[generated(84)] = behaviours
    acquire(settings(allow_missing=True, max_book_bytes=20_000, gutenberg={"variants": ["generated"]}))
    assert missing(settings()) == {"84": reason}
    assert set(raw(settings())) == {"pg1.txt"}
    assert list((Path(settings().directory) / ".acquisition" / "partial").iterdir()) == []


def test_a_gzip_bomb_is_refused_after_a_few_bytes(library, settings):
    import gzip

    library.add_books(84)
    library.misbehaviour[generated(84)] = [status(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")]
    acquire(settings(allow_missing=True, max_book_bytes=20_000, gutenberg={"variants": ["generated"]}))
    assert missing(settings()) == {"84": "too_large"}


def test_missing_books_stop_the_workflow_unless_the_setting_allows_it(library, settings):
    library.add_books(1, 2)
    del library.files[generated(2)]
    with pytest.raises(UserError, match=r"1 of 2 books could not be had .*missing\.tsv"):
        acquire(settings())
    with pytest.raises(UserError, match="allow_missing"):
        find_acquired(settings())
    assert set(raw(settings())) == {"pg1.txt"}
    find_acquired(settings(allow_missing=True))


def test_only_what_may_have_changed_is_asked_for_again(library, settings):
    library.add_books(1, 2, 3)
    del library.files[generated(2)]
    library.misbehaviour[generated(3)] = [status(500)] * 3
    acquire(settings(allow_missing=True))
    library.requests.clear()
    acquire(settings(allow_missing=True))
    assert [path for path in library.counts if path != "/robots.txt"] == [generated(3)]
    assert missing(settings()) == {"2": "not_found"}


def test_books_of_unclear_rights_are_taken_when_the_setting_says_so(library, settings):
    library.add_books(1, 2)
    library.files[generated(1)] = made_up_book(1, licence="**This is a COPYRIGHTED Project Gutenberg eBook.**")
    library.files[generated(2)] = b"No header at all, only a story. " * 20
    acquire(settings(rights="not_copyrighted"))
    assert (set(raw(settings())), missing(settings())) == ({"pg2.txt"}, {"1": "copyrighted"})
    acquire(settings(rights="any"))
    assert set(raw(settings())) == {"pg1.txt", "pg2.txt"}


def test_stricter_rights_set_books_aside_that_are_already_there(library, settings):
    library.add_books(1, 2)
    library.files[generated(1)] = made_up_book(1, licence="**This is a COPYRIGHTED Project Gutenberg eBook.**")
    acquire(settings(rights="any"))
    library.requests.clear()
    acquire(settings())
    assert (set(raw(settings())), missing(settings())) == ({"pg2.txt"}, {"1": "copyrighted"})
    assert library.requests == []


def test_what_the_catalogue_calls_copyrighted_is_not_even_fetched(library, settings, tmp_path):
    library.add_books(1, 2)
    rows = ["Text#,Title,Language,Rights", "1,A,en,Public domain in the USA.", "2,B,en,Copyrighted. Read the notice."]
    (tmp_path / "catalog.csv").write_text("\n".join(rows))
    acquire(settings(catalogue=str(tmp_path / "catalog.csv")))
    assert library.counts[generated(2)] == 0
    assert missing(settings()) == {"2": "copyrighted"}


# Rules of the server


def test_robots_rules_are_obeyed(library, settings):
    library.add_books(1, 2)
    library.files["/robots.txt"] = b"User-agent: *\nDisallow: /cache/epub/2/\nDisallow: /2\nDisallow: /0/2"
    acquire(settings(allow_missing=True))
    assert missing(settings()) == {"2": "robots"}
    assert not [path for path in library.counts if "pg2" in path or "/2" in path]


def test_a_crawl_delay_longer_than_ours_counts(library, settings):
    library.add_books(1, 2, 3)
    library.files["/robots.txt"] = b"User-agent: *\nCrawl-delay: 0.3"
    acquire(settings())
    times = [when for when, path in library.requests if path in {generated(number) for number in (1, 2, 3)}]
    assert times[-1] - times[0] >= 0.55


def test_a_robots_file_that_cannot_be_read_forbids_everything(library, settings):
    library.add_books(1)
    library.misbehaviour["/robots.txt"] = [status(500)] * 20
    with pytest.raises(UserError, match=r"robots\.txt cannot be read"):
        acquire(settings())
    assert set(library.counts) == {"/robots.txt"}


def test_the_main_site_is_refused_as_a_mirror(settings):
    with pytest.raises(ValueError, match="main site"):
        settings(gutenberg={"mirrors": ["https://www.gutenberg.org/"]})


def test_a_server_that_fails_again_and_again_is_left_alone(library, settings):
    library.add_books(*range(1, 200))
    library.files[generated(1)] = made_up_book(1)
    for number in range(20, 200):
        library.misbehaviour[generated(number)] = [status(403)]
    with pytest.raises(UserError, match="forbidden again and again"):
        acquire(settings(transfer={"retries": 0}, gutenberg={"variants": ["generated"]}))
    assert sum(library.book_counts().values()) < 60
    library.misbehaviour.clear()
    acquire(settings())
    assert len(raw(settings())) == 199


def test_a_server_that_asks_for_a_long_wait_ends_the_run(library, settings):
    library.add_books(1, 2, 3)
    library.misbehaviour[generated(2)] = [status(429, Retry_After="86400")]
    with pytest.raises(UserError, match="asks to wait 86,400 s"):
        acquire(settings())


def test_a_server_that_is_not_there_is_named(settings):
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9/.*"):
        acquire(settings(gutenberg={"catalogue_url": "http://127.0.0.1:9/cache/epub/feeds/pg_catalog.csv"}))


def test_a_dead_mirror_does_not_end_the_run_where_another_lives(library, settings):
    library.add_books(*range(1, 5))
    asked = settings(gutenberg={"mirrors": ["http://127.0.0.1:9", library.url]}, transfer={"retries": 0})
    acquire(asked)
    assert len(raw(asked)) == 4


# Locks


def test_a_lock_gives_the_same_books_and_the_same_bytes(library, settings, tmp_path):
    library.add_books(1, 2, 3)
    first, second = settings(), settings(directory=str(tmp_path / "again"), lock=str(tmp_path / "books/books.lock.tsv"))
    acquire(first)
    library.add_books(4, 5)
    acquire(second)
    assert raw(second) == raw(first)
    for name in ("books.lock.tsv", "catalog.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "books" / name).read_bytes()
    assert library.counts["/cache/epub/feeds/pg_catalog.csv"] == 1


def test_a_file_that_changed_on_the_server_is_not_the_locked_book(library, settings, tmp_path):
    library.add_books(1, 2)
    acquire(settings())
    library.files[generated(2)] += b"One more line.\n"
    again = settings(directory=str(tmp_path / "again"), lock=str(tmp_path / "books/books.lock.tsv"), allow_missing=True)
    acquire(again)
    assert missing(again) == {"2": "changed"}
    assert set(raw(again)) == {"pg1.txt"}


def test_a_locked_book_may_come_from_another_mirror(library, settings, tmp_path):
    library.add_books(1)
    acquire(settings())
    lock = tmp_path / "books" / "books.lock.tsv"
    lock.write_text(lock.read_text().replace(library.url, "http://127.0.0.1:9"))
    again = settings(directory=str(tmp_path / "again"), lock=str(lock), transfer={"retries": 0})
    acquire(again)
    assert raw(again) == {"pg1.txt": made_up_book(1)}


@pytest.mark.parametrize("file", ["../escape.txt", "/tmp/escape.txt", "a/b.txt", "..", ".hidden.txt", "book.sh"])
def test_no_path_of_a_lock_escapes_its_folder(file, library, settings, tmp_path):
    library.add_books(1)
    acquire(settings())
    lock = tmp_path / "evil.tsv"
    lock.write_text((tmp_path / "books" / "books.lock.tsv").read_text().replace("pg1.txt\tText", f"{file}\tText"))
    with pytest.raises(UserError, match=r"evil\.tsv:2: file"):
        acquire(settings(directory=str(tmp_path / "again"), lock=str(lock)))


# The folder


def test_a_smaller_choice_sets_books_aside_and_a_larger_one_takes_them_back(library, settings):
    library.add_books(*range(1, 11))
    acquire(settings())
    everything = raw(settings())
    library.requests.clear()
    acquire(settings(choose={"count": 4, "seed": 5}))
    assert len(raw(settings())) == 4
    with pytest.raises(UserError, match="brought for other settings"):
        find_acquired(settings())
    acquire(settings())
    assert raw(settings()) == everything
    assert library.requests == []


def test_a_book_that_was_changed_or_deleted_on_disk_is_fetched_again(library, settings):
    library.add_books(1, 2, 3)
    acquire(settings())
    library.requests.clear()
    folder = Path(settings().directory) / "raw"
    folder.joinpath("pg1.txt").write_bytes(made_up_book(1)[:-1] + b"!")
    folder.joinpath("pg2.txt").unlink()
    acquire(settings())
    assert raw(settings()) == {f"pg{number}.txt": made_up_book(number) for number in (1, 2, 3)}
    assert set(library.book_counts()) == {generated(1), generated(2)}


def test_a_file_that_no_lock_vouches_for_is_moved_away_and_not_lost(library, settings):
    library.add_books(1)
    acquire(settings())
    folder = Path(settings().directory)
    (folder / "raw" / "999.txt").write_text("mine")
    acquire(settings())
    assert set(raw(settings())) == {"pg1.txt"}
    assert (folder / ".acquisition" / "strays" / "999.txt").read_text() == "mine"


def test_a_folder_of_other_files_is_refused_and_left_as_it_is(library, settings):
    folder = Path(settings().directory) / "raw"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not brought by acquire_books"):
        acquire(settings())
    assert [path.name for path in folder.parent.rglob("*")] == ["raw", "mine.txt"]


def test_two_runs_do_not_work_in_one_folder(library, settings):
    library.add_books(1)
    with Lease(Path(settings().directory) / ".acquisition" / "acquire_books.lock") as other:
        assert other.try_acquire()
        asked = []

        def end():
            asked.extend(library.requests)
            other.release()

        threading.Timer(0.5, end).start()
        acquire(settings())
    assert asked == []
    assert set(raw(settings())) == {"pg1.txt"}


def test_a_run_that_was_taken_for_dead_changes_nothing_any_more(library, settings, monkeypatch):
    library.add_books(1, 2)
    lock = Path(settings().directory) / ".acquisition" / "acquire_books.lock"
    check = mirrors.check_book

    def be_away(*arguments):
        lock.unlink()
        assert Lease(lock).try_acquire()
        return check(*arguments)

    monkeypatch.setattr(mirrors, "check_book", be_away)
    with pytest.raises(UserError, match="taken for dead"):
        acquire(settings(transfer={"connections": 1}))
    assert raw(settings()) == {}
    assert not (Path(settings().directory) / "books.lock.tsv").exists()


def test_a_full_disk_is_named_and_the_next_run_goes_on(library, settings, monkeypatch):
    library.add_books(*range(1, 21))
    check = mirrors.check_book
    written = iter(range(100))

    def until_full(path: Path, *arguments):
        if next(written) == 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return check(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(mirrors, "check_book", until_full)
        with pytest.raises(UserError, match=r"the disk is full .* the 7 books"):
            acquire(settings(transfer={"connections": 1}))
    library.requests.clear()
    acquire(settings())
    assert len(raw(settings())) == 20
    assert sum(library.book_counts().values()) == 13


def test_a_limit_on_file_sizes_is_met_like_a_full_disk(library, settings, tmp_path):
    library.add_books(1)
    library.files[generated(1)] = made_up_book(1, paragraphs=3000)
    limited = f'ulimit -f 8; exec {sys.executable} {SCRIPT} --settings "$SETTINGS"'
    done = subprocess.run(
        ["bash", "-c", limited],
        env={**os.environ, "SETTINGS": settings().model_dump_json()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert raw(settings()) == {}


def test_killed_at_any_moment_it_goes_on_and_asks_for_no_whole_book_again(library, settings):
    library.add_books(*range(1, 61))
    library.delay_seconds = 0.02
    command = [sys.executable, str(SCRIPT), "--settings", settings().model_dump_json()]
    kept: dict[str, bytes] = {}
    for goal in (10, 30):
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        folder = Path(settings().directory) / "raw"
        while running.poll() is None and len(list(folder.glob("*.txt"))) < goal:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
        with pytest.raises(UserError, match="not been brought yet"):
            find_acquired(settings())
        assert kept.items() <= raw(settings()).items()
        kept = raw(settings())
        assert len(kept) < 60
        assert all(content == made_up_book(name[2:-4]) for name, content in kept.items())
        library.requests.clear()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert not set(library.book_counts()) & {generated(name[2:-4]) for name in kept}
    assert max(library.book_counts().values()) == 1
    assert len(raw(settings())) == 60


def test_a_damaged_journal_costs_a_request_and_nothing_else(library, settings):
    library.add_books(1, 2, 3)
    acquire(settings())
    work = Path(settings().directory)
    journal = work / ".acquisition" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20] + b'\n{"id": "../../x", "file": "../x"}\n\xff\xfe')
    (work / "books.lock.tsv").unlink()
    (work / "acquisition.json").unlink()
    acquire(settings())
    assert len(raw(settings())) == 3
    assert sum(library.book_counts().values()) == 4


# Archives


def test_the_archive_of_all_texts_gives_the_same_books(library, settings, tmp_path):
    archive = tmp_path / "txt-files.tar.zip"
    library.add_books(1, 2, 3)
    make_archive(archive, {f"cache/epub/{number}/pg{number}.txt": made_up_book(number) for number in range(1, 9)})
    library.files["/feeds/txt-files.tar.zip"] = archive.read_bytes()
    url = f"{library.url}/feeds/txt-files.tar.zip"
    acquire(settings(gutenberg={"method": "archive", "archive": url}))
    assert raw(settings()) == {f"pg{number}.txt": made_up_book(number) for number in (1, 2, 3)}
    lock = read_lock(Path(settings().directory) / "books.lock.tsv")
    assert lock["2"].url == f"{url}#cache/epub/2/pg2.txt"
    assert library.counts["/feeds/txt-files.tar.zip"] == 1


def test_a_download_that_broke_off_goes_on_where_it_stopped(library, settings, tmp_path):
    archive = tmp_path / "txt-files.tar"
    library.add_books(1)
    make_archive(archive, {"cache/epub/1/pg1.txt": made_up_book(1, paragraphs=6000)})
    library.files["/feeds/all.tar"] = archive.read_bytes()
    library.misbehaviour["/feeds/all.tar"] = [with_etag(cut_after=300_000)]
    asked = settings(
        gutenberg={"method": "archive", "archive": f"{library.url}/feeds/all.tar"}, transfer={"retries": 0}
    )
    with pytest.raises(UserError, match="connection"):
        acquire(asked)
    part = Path(asked.directory) / ".acquisition" / "all.tar.part"
    assert 0 < part.stat().st_size <= 300_000
    sent: list[int] = []
    answer = library._send_file
    library._send_file = lambda handler, body: (
        sent.append(len(handler.headers.get("Range", ""))),
        answer(handler, body),
    )
    acquire(asked)
    assert any(sent)
    assert raw(asked) == {"pg1.txt": made_up_book(1, paragraphs=6000)}


def test_a_book_that_the_archive_lacks_is_missing(library, settings, tmp_path):
    library.add_books(1, 2)
    make_archive(tmp_path / "all.tar", {"cache/epub/1/pg1.txt": made_up_book(1)})
    acquire(settings(allow_missing=True, gutenberg={"method": "archive", "archive": str(tmp_path / "all.tar")}))
    assert missing(settings()) == {"2": "not_found"}


# Real books


@needs_real_books
def test_real_books_come_through_byte_for_byte(library, settings):
    real = {path.stem: path.read_bytes() for path in sorted((GUTENBERG / "raw").glob("*.txt"))[:60]}
    library.files = {f"/{'/'.join(id_[:-1]) or '0'}/{id_}/{id_}-0.txt": text for id_, text in real.items()}
    asked = settings(catalogue=str(GUTENBERG / "catalog.csv"), choose={"ids": sorted(real)})
    acquire(asked)
    unknown = {book_id for book_id, reason in missing(asked).items() if reason == "rights_unknown"}
    assert unknown <= {"11430", "1450", "64317"}  # Their header was cut off by whoever kept them.
    assert raw(asked) == {f"{id_}-0.txt": text for id_, text in real.items() if id_ not in unknown}


def make_archive(path: Path, members: dict[str, bytes]) -> None:
    import io
    import tarfile
    import zipfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem, buffer.getvalue())
    else:
        path.write_bytes(buffer.getvalue())


def with_etag(cut_after: int):
    def answer(handler, body):
        handler.send_response(200)
        handler.send_header("ETag", f'"{hash(body)}"')
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:cut_after])
        handler.close_connection = True

    return answer
