"""The RDF archive gives the catalogue's columns, and the rights."""

from __future__ import annotations

import pytest
from test_archives import tar

from loopback_library import generated
from mamba_narrative.acquisition.acquire import acquire
from mamba_narrative.acquisition.rdf import read_rdf_archive
from mamba_narrative.errors import UserError

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<rdf:RDF xmlns:dcterms="http://purl.org/dc/terms/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:pgterms="http://www.gutenberg.org/2009/pgterms/" xmlns:dcam="http://purl.org/dc/dcam/">"""
BOOK = """
  <pgterms:ebook rdf:about="ebooks/{number}">
    <dcterms:title>The Harbour,
      and other tales</dcterms:title>
    <dcterms:issued>2019-04-05</dcterms:issued>
    <dcterms:rights>{rights}</dcterms:rights>
    <dcterms:type><rdf:Description><rdf:value>Text</rdf:value></rdf:Description></dcterms:type>
    <dcterms:language><rdf:Description><rdf:value>en</rdf:value></rdf:Description></dcterms:language>
    <dcterms:creator><pgterms:agent><pgterms:name>Doe, Jane</pgterms:name><pgterms:birthdate>1850</pgterms:birthdate>
      <pgterms:deathdate>1901</pgterms:deathdate></pgterms:agent></dcterms:creator>
    <dcterms:creator><pgterms:agent><pgterms:name>Anonymous</pgterms:name></pgterms:agent></dcterms:creator>
    <dcterms:subject><rdf:Description><dcam:memberOf rdf:resource="http://purl.org/dc/terms/LCSH"/>
      <rdf:value>Sea stories -- Fiction</rdf:value></rdf:Description></dcterms:subject>
    <dcterms:subject><rdf:Description><dcam:memberOf rdf:resource="http://purl.org/dc/terms/LCC"/>
      <rdf:value>PR</rdf:value></rdf:Description></dcterms:subject>
    <pgterms:bookshelf><rdf:Description><rdf:value>Adventure</rdf:value></rdf:Description></pgterms:bookshelf>
  </pgterms:ebook>
</rdf:RDF>"""


def rdf(number: int, rights: str = "Public domain in the USA.") -> bytes:
    return (HEAD + BOOK.format(number=number, rights=rights)).encode()


def test_an_entry_has_all_columns_and_the_rights(tmp_path):
    (tmp_path / "rdf.tar").write_bytes(tar({"cache/epub/7/pg7.rdf": rdf(7), "cache/epub/7/pg7.txt": b"other"}))
    entry = read_rdf_archive(tmp_path / "rdf.tar")["7"]
    assert entry.title == "The Harbour, and other tales"
    assert entry.authors == "Doe, Jane, 1850-1901; Anonymous"
    assert (entry.languages, entry.kind, entry.issued) == (("en",), "Text", "2019-04-05")
    assert (entry.subjects, entry.loc_classes, entry.bookshelves) == (
        ("Sea stories -- Fiction",),
        ("PR",),
        ("Adventure",),
    )
    assert entry.is_public_domain
    assert not entry.is_copyrighted


@pytest.mark.parametrize(
    "content",
    [
        b"<rdf:RDF><not closed>",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    ],
    ids=["broken", "entities", "external entity"],
)
def test_broken_or_harmful_xml_is_refused(content, tmp_path):
    (tmp_path / "rdf.tar").write_bytes(tar({"cache/epub/7/pg7.rdf": content}))
    with pytest.raises(UserError, match=r"pg7\.rdf"):
        read_rdf_archive(tmp_path / "rdf.tar")


def test_an_archive_without_rdf_is_refused(tmp_path):
    (tmp_path / "rdf.tar").write_bytes(tar({"pg7.txt": b"text"}))
    with pytest.raises(UserError, match="no file such as"):
        read_rdf_archive(tmp_path / "rdf.tar")


def test_rights_of_the_catalogue_stand_in_for_a_missing_header(library, settings):
    import bz2

    library.files["/feeds/rdf.tar.bz2"] = bz2.compress(
        tar({"cache/epub/7/pg7.rdf": rdf(7), "cache/epub/8/pg8.rdf": rdf(8, "Copyrighted. Read the copyright notice.")})
    )
    library.files |= {generated(7): b"A story without any header. " * 20, generated(8): b"Another one. " * 20}
    acquire(settings(gutenberg={"catalogue_url": f"{library.url}/feeds/rdf.tar.bz2"}))
    assert library.book_counts() == {generated(7): 1}
