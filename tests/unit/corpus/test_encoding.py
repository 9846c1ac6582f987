import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mamba_narrative.corpus.encoding import decode

FRENCH = "Le café était fermé; déjà la forêt, là-bas, s'éveillait à l'aube. Où était-il allé? Noël, naïve, garçon. " * 3
DASHES = "“Stop,” he said—and then, ‘no’… It wasn’t the café.\n" * 5


@given(st.binary(max_size=400))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf\xff")
@example(b"\x00\x00\xfe\xff\x01")
@example(b"Character set encoding: nonsense-9\n\xe9")
@example(b"Character set encoding: base64\n\xe9")
@example(b"Character set encoding: utf-7\n\xe9")
@example(b"Character set encoding: punycode\n\xe9-\xff")
def test_any_bytes_give_clean_normalised_text(raw):
    decoded = decode(raw)
    assert unicodedata.is_normalized("NFC", decoded.text)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in decoded.text)
    decoded.text.encode("utf-8")
    assert decoded.name
    assert decoded.evidence


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Co", "Cn")), max_size=200))
def test_utf8_is_taken_at_its_word(text):
    decoded = decode(b"\xef\xbb\xbf" + text.encode())
    if not any(warning.startswith("double_encoding") for warning in decoded.warnings):
        assert decoded.text == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("plain", "ascii", "ascii"),
        (FRENCH, "utf-8", "utf-8"),
        (FRENCH, "latin-1", "latin-1"),
        (DASHES, "cp1252", "cp1252"),
        (FRENCH, "cp437", "cp437"),
        (FRENCH.replace("é", "ã").replace("à", "õ"), "cp850", "cp850"),
        (FRENCH, "mac-roman", "mac-roman"),
        (DASHES, "utf-16", "utf-16-le"),
        (DASHES, "utf-16-be", "utf-16-be"),
        (DASHES, "utf-32", "utf-32-le"),
    ],
)
def test_the_bytes_tell_the_encoding(text, codec, name):
    decoded = decode(text.encode(codec))
    assert (decoded.name, decoded.text) == (name, text)


def test_a_wrong_declaration_is_only_a_hint_and_is_reported():
    decoded = decode(b"Character set encoding: ASCII\n" + FRENCH.encode())
    assert decoded.name == "utf-8"
    assert any(warning.startswith("declared_encoding_wrong: ascii") for warning in decoded.warnings)


def test_a_right_declaration_decides_between_encodings_that_look_alike():
    polish = "Zażółć gęślą jaźń, źdźbło, łąka, świt. " * 4
    decoded = decode(b"Character set encoding: ISO-8859-2\n" + polish.encode("iso-8859-2"))
    assert polish in decoded.text


def test_a_few_stray_bytes_do_not_spoil_a_utf8_book():
    decoded = decode(FRENCH.encode() + b" caf\xe9 " + FRENCH.encode())
    assert decoded.text == f"{FRENCH} café {FRENCH}"
    assert any(warning.startswith("damaged_encoding: 1") for warning in decoded.warnings)


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
def test_doubly_encoded_text_is_repaired_and_reported(codec):
    decoded = decode(FRENCH.encode().decode(codec).encode())
    assert decoded.text == FRENCH
    assert any(warning.startswith("double_encoding_repaired") for warning in decoded.warnings)


def test_rare_but_right_characters_are_not_taken_for_double_encoding():
    portuguese = "“NÃO”, disse a IRMû. “AMANHÔ. Ação, pão, não, coração. â Â. "
    assert decode(portuguese.encode()).text == portuguese


def test_line_ends_become_line_feeds_and_control_characters_are_counted():
    decoded = decode(b"one\r\ntwo\rthree\r\r\nfour\x0cfive\x00\x1a")
    assert decoded.text == "one\ntwo\nthree\nfour\nfive"
    assert decoded.warnings == ("control_characters_removed: 2",)
