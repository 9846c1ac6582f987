"""A mirror of Project Gutenberg on 127.0.0.1 that counts requests and misbehaves on demand.

``python tests/loopback_library.py COUNT DELAY_MS`` serves made-up books until its input closes, and says its port.
"""

from __future__ import annotations

import gzip
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]
STORY = "the old lamp was lit again when she came back from the harbour and nobody asked her why"


def made_up_book(book_id: int | str, paragraphs: int = 6, licence: str = "") -> bytes:
    """A raw book in today's dress; every id has another text."""
    number, words = int(book_id), STORY.split()
    lines = [
        " ".join(words[(number + step * 7 + index) % len(words)] for index in range(12)) for step in range(paragraphs)
    ]
    header = (
        licence
        or "This eBook is for the use of anyone anywhere in the United States and most other parts of the world."
    )
    return (
        f"The Project Gutenberg eBook of Book {number}\n\n{header}\n\nTitle: Book {number}\n\nLanguage: English\n\n"
        f"*** START OF THE PROJECT GUTENBERG EBOOK BOOK {number} ***\n\n"
        + "\n\n".join(lines)
        + f"\n\n*** END OF THE PROJECT GUTENBERG EBOOK BOOK {number} ***\n"
    ).encode()


def catalogue_of(titles: Mapping[str, str], language: str = "en") -> bytes:
    """A catalogue in Project Gutenberg's columns."""
    rows = [f'{id_},Text,2020-01-01,"{title}",{language},"Doe, Jane",Fiction,PR,' for id_, title in titles.items()]
    return "\n".join(["Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves", *rows]).encode()


def generated(book_id: int | str) -> str:
    """Path of the UTF-8 text that Project Gutenberg generates."""
    return f"/cache/epub/{book_id}/pg{book_id}.txt"


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        send(handler, body, code, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def redirect(location: str, code: int = 302) -> Behaviour:
    return status(code, Location=location)


def cut(after: int) -> Behaviour:
    """Promise the whole body, send some of it, close the connection."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:after])
        handler.close_connection = True

    return answer


def promise(length: int) -> Behaviour:
    """Promise less than the body has, and send so much."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        send(handler, body[:length])

    return answer


def no_length(after: int) -> Behaviour:
    """Promise nothing, send a part, close the connection: the end of the body by the rules of HTTP/1.0."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body[:after])
        handler.close_connection = True

    return answer


def drop(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def dribble(pieces: int, seconds_between: float) -> Behaviour:
    """Send the body slowly."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        size = -(-len(body) // pieces)
        for start in range(0, len(body), size):
            handler.wfile.write(body[start : start + size])
            handler.wfile.flush()
            time.sleep(seconds_between)

    return answer


def packed(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    send(handler, gzip.compress(body), 200, {"Content-Encoding": "gzip"})


def page(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    """An error page that says 200."""
    send(handler, b"<!DOCTYPE html><html><body>Not found</body></html>", 200, {"Content-Type": "text/html"})


def send(
    handler: BaseHTTPRequestHandler, body: bytes, code: int = 200, headers: Mapping[str, str] | None = None
) -> None:
    handler.send_response(code)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class Library:
    """What the server has, how it behaves, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    misbehaviour: dict[str, list[Behaviour]] = field(default_factory=lambda: defaultdict(list))
    """For each path what its next requests get instead of an honest answer."""
    delay_seconds: float = 0.0
    requests: list[tuple[float, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_books(self, *book_ids: int | str) -> None:
        self.files |= {generated(book_id): made_up_book(book_id) for book_id in book_ids}
        numbers = [
            path.split("/")[3] for path in self.files if path.startswith("/cache/epub/") and "/feeds/" not in path
        ]
        self.files["/cache/epub/feeds/pg_catalog.csv"] = catalogue_of({number: f"Book {number}" for number in numbers})

    @property
    def counts(self) -> Counter[str]:
        """Requests by path."""
        return Counter(path for _, path in self.requests)

    def book_counts(self) -> Counter[str]:
        """Requests of books, by path."""
        return Counter({path: count for path, count in self.counts.items() if path.endswith(".txt") and "pg" in path})

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.requests.append((time.monotonic(), handler.path))
            self.agents.add(handler.headers.get("User-Agent", ""))
            planned = self.misbehaviour[handler.path]
            behaviour = planned.pop(0) if planned else None
        time.sleep(self.delay_seconds)
        body = self.files.get(handler.path)
        if behaviour is not None:
            behaviour(handler, body or b"")
        elif body is None:
            send(handler, b"no such file", 404)
        else:
            self._send_file(handler, body)

    def _send_file(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        tag = f'"{hash(body)}"'
        wanted = handler.headers.get("Range", "")
        if wanted.startswith("bytes=") and handler.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            span = f"bytes {start}-{len(body) - 1}/{len(body)}"
            send(handler, body[start:], 206, {"Content-Range": span, "ETag": tag})
        else:
            send(handler, body, 200, {"ETag": tag})


@contextmanager
def serve(library: Library) -> Iterator[Library]:
    """The library at ``library.url`` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            library.answer(self)

        def log_message(self, *arguments: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *arguments: Any) -> None:
            """A client that went away is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        library.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield library
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serve so many small books in a process of its own; each line of input is answered with the number of requests."""
    library = Library(delay_seconds=float(sys.argv[2]) / 1000)
    library.add_books(*range(1, int(sys.argv[1]) + 1))
    with serve(library):
        print(library.url, flush=True)
        for _ in sys.stdin:
            print(len(library.requests), flush=True)


if __name__ == "__main__":
    main()
