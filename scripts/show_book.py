"""Show a raw book with everything that stripping removes from it, in colour, and the reason beside each removal."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mamba_narrative.command import add_settings, command_parser, number_argument, run_command
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.encoding import decode
from mamba_narrative.corpus.raw.inventory import list_books
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook, read_raw
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.errors import UserError
from mamba_narrative.io import write_text
from mamba_narrative.reporting.shown_book import to_html, to_terminal

SAMPLE = Path(__file__).resolve().parents[1] / "workflow" / "sample" / "raw"
EXAMPLE = """python scripts/show_book.py 900001 | less -R
  python scripts/show_book.py 1342 --source-directory path/to/raw --brief
  python scripts/show_book.py 1342 --source-directory path/to/raw --html book.html
  python scripts/show_book.py 900001 --settings '{"remove_prefaces": false}'"""


def main(arguments: argparse.Namespace) -> None:
    books = {book.book_id: book for book in list_books(arguments.source_directory)}
    if arguments.book_id not in books:
        raise UserError(f"no book {arguments.book_id} among the {len(books)} below {arguments.source_directory}")
    try:
        raw = read_raw(arguments.source_directory / books[arguments.book_id].path, arguments.max_book_bytes)
        text, book = decode(raw).text, strip_book(raw, arguments.settings)
    except UnreadableBook as error:
        raise UserError(str(error)) from None
    if arguments.html is not None:
        write_text(arguments.html, to_html(arguments.book_id, text, book))
        return
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ if arguments.colour is None else arguments.colour
    for line in to_terminal(arguments.book_id, text, book, colour=colour, brief=arguments.brief):
        print(line)


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("book_id", help="id of the book, such as 1342")
    parser.add_argument("--source-directory", type=Path, default=SAMPLE, help="folder of raw books (the sample's)")
    parser.add_argument("--html", type=Path, help="write a page to this file instead")
    parser.add_argument("--brief", action="store_true", help="shorten what was kept")
    parser.add_argument("--colour", action=argparse.BooleanOptionalAction, help="as the terminal allows by default")
    size = number_argument(int, 1, 2_000_000_000)
    parser.add_argument("--max-book-bytes", type=size, default=40_000_000, help="larger books are refused")
    add_settings(parser, StrippingSettings, "section `stripping`")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
