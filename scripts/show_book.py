"""Show a raw book with everything that stripping removes from it, in colour, and the reason beside each removal.

example:
  python scripts/show_book.py 900001 | less -R
  python scripts/show_book.py 1342 --source-directory path/to/raw --brief
  python scripts/show_book.py 1342 --source-directory path/to/raw --html book.html
  python scripts/show_book.py 900001 --settings '{"remove_prefaces": false}'
"""

import os
import sys
from pathlib import Path
from typing import Annotated

from mamba_narrative.argument_types import number_argument
from mamba_narrative.command import run_command
from mamba_narrative.config.stripping import StrippingSettings
from mamba_narrative.corpus.raw.encoding import decode
from mamba_narrative.corpus.raw.inventory import list_books
from mamba_narrative.corpus.raw.raw_bytes import UnreadableBook, read_raw
from mamba_narrative.corpus.strip.stripping import strip_book
from mamba_narrative.errors import UserError
from mamba_narrative.io import write_text
from mamba_narrative.reporting.shown_book import to_html, to_terminal

SAMPLE = Path(__file__).resolve().parents[1] / "workflow" / "sample" / "raw"


def main(
    book_id: Annotated[str, "id of the book, such as 1342"],
    /,
    *,
    source_directory: Annotated[Path, "folder of raw books"] = SAMPLE,
    html: Annotated[Path | None, "write a page to this file instead"] = None,
    brief: Annotated[bool, "shorten what was kept"] = False,
    colour: Annotated[bool | None, "as the terminal allows by default"] = None,
    max_book_bytes: Annotated[int, number_argument(int, 1, 2_000_000_000), "larger books are refused"] = 40_000_000,
    settings: Annotated[StrippingSettings, "section `stripping`"] = StrippingSettings(),
) -> None:
    books = {book.book_id: book for book in list_books(source_directory)}
    if book_id not in books:
        raise UserError(f"no book {book_id} among the {len(books)} below {source_directory}")
    try:
        raw = read_raw(source_directory / books[book_id].path, max_book_bytes)
        text, book = decode(raw).text, strip_book(raw, settings)
    except UnreadableBook as error:
        raise UserError(str(error)) from None
    if html is not None:
        write_text(html, to_html(book_id, text, book))
        return
    in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ if colour is None else colour
    for line in to_terminal(book_id, text, book, colour=in_colour, brief=brief):
        print(line)


if __name__ == "__main__":
    run_command(main, __doc__)
