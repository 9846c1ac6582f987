import encodings
import pkgutil
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mamba_narrative.corpus.raw.encoding import decode
from mamba_narrative.corpus.raw.raw_bytes import read_raw

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


# Declarations and marks that the bytes contradict

CODECS = sorted(
    {module.name for module in pkgutil.iter_modules(encodings.__path__)} | {"utf-16", "utf-32", "x-unknown"}
)
HEADER = "The Project Gutenberg EBook\r\nCharacter set encoding: {}\r\n\r\n"
ODD = "It was café time. \\ud800 \\x41 +2AA- ~{VD~} %41 =41 \r\n"
LATIN_NEIGHBOURS = {"é", "ķ", "ť", "č"}
"""What one e acute may be under a declared set of Latin letters; bytes alone cannot tell."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ending", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("codec", CODECS)
def test_no_declaration_garbles_a_text_or_raises(codec, ending):
    raw = (HEADER.format(codec) + ODD * 3 + ending).encode("latin-1")
    decoded = decode(raw)
    lines = decoded.text.split("\n")
    before, accented, after = lines[3].partition(lines[3][10])
    assert (before, after) == ("It was caf", ODD.removesuffix("\r\n")[11:])
    assert accented in LATIN_NEIGHBOURS
    assert decoded.text.endswith("\n" + ending)


@pytest.mark.parametrize(
    "codec", ["utf-16", "utf-16-le", "utf-32-be", "cp037", "cp500", "utf-7", "undefined", "unicode_escape"]
)
def test_a_declaration_under_which_its_own_line_could_not_be_read_is_reported(codec):
    for text in (ODD, "Plain text, and nothing else.\r\n"):
        decoded = decode((HEADER.format(codec) + text).encode("latin-1"))
        assert [warning.split(":")[0] for warning in decoded.warnings] == ["declared_encoding_wrong"]


FOREIGN = {
    "ru": (
        "Все счастливые семьи похожи друг на друга. ",
        ["koi8-r", "windows-1251", "ibm866", "iso-8859-5", "mac-cyrillic"],
    ),
    "el": ("Άνδρα μοι έννεπε, Μούσα, πολύτροπον. ", ["iso-8859-7", "windows-1253", "cp737", "mac-greek"]),
    "he": ("בראשית ברא אלהים את השמים. ", ["iso-8859-8", "windows-1255", "cp862"]),
    "ar": ("كان يا ما كان في قديم الزمان. ", ["iso-8859-6", "windows-1256", "cp720"]),
    "th": ("กาลครั้งหนึ่งนานมาแล้ว ", ["tis-620", "iso-8859-11"]),
    "ja": ("吾輩は猫である。名前はまだ無い。", ["shift_jis", "euc_jp", "iso-2022-jp", "utf-7"]),
    "zh": ("话说天下大势，分久必合，合久必分。", ["gb2312", "gbk", "gb18030", "hz", "utf-7"]),
    "ko": ("옛날 옛적에 호랑이가 담배를 피우던 시절에. ", ["euc_kr", "cp949", "johab", "iso-2022-kr"]),
    "fr": (FRENCH, ["gb18030", "euc_jis_2004", "utf-7", "iso-8859-15", "cp863"]),
    "pl": ("Zażółć gęślą jaźń, źdźbło. ", ["iso-8859-2", "windows-1250", "cp852", "mac-latin2"]),
}


@pytest.mark.parametrize(
    ("text", "codec"),
    [(text, codec) for text, codecs in FOREIGN.values() for codec in codecs],
    ids=lambda value: value[:12],
)
def test_a_declaration_that_the_bytes_bear_out_is_right(text, codec):
    whole = HEADER.format(codec) + (text * 5 + "\r\n") * 10
    decoded = decode(whole.encode(codec))
    assert decoded.text == whole.replace("\r\n", "\n")
    assert decoded.warnings == ()


@pytest.mark.parametrize(
    "codec", ["gbk", "gb18030", "big5", "euc_kr", "shift_jis", "cp949", "johab", "koi8-r", "cp1251"]
)
def test_accents_are_not_taken_for_another_script(codec):
    text = "Déjà, the naïve garçon said, his fiancée’s façade—très élégante—had vanished.\n" * 20
    decoded = decode((HEADER.format(codec) + text).encode("cp1252"))
    assert decoded.text.endswith(text)


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("codec", WIDE)
@pytest.mark.parametrize("language", FOREIGN)
def test_wide_encodings_are_read_in_every_script(language, codec, marked, tmp_path):
    for header in ("", HEADER.format("utf-8")):
        text = header + (FOREIGN[language][0] * 2 + "\n") * 60
        raw = ("\ufeff" * marked + text).encode(codec)
        (tmp_path / "1.txt").write_bytes(raw)
        decoded = decode(read_raw(tmp_path / "1.txt", 10**6))
        assert (decoded.text, decoded.name) == (text.replace("\r\n", "\n"), codec)


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"])
def test_a_mark_before_plain_text_is_passed_over_and_reported(mark):
    for codec in ("utf-8", "latin-1"):
        assert decode(mark + FRENCH.encode(codec)).text == FRENCH
    decoded = decode(mark + FRENCH.encode())
    assert any(warning.startswith("byte_order_mark_ignored") for warning in decoded.warnings)


def test_a_few_zeros_do_not_make_a_text_wide():
    text = "He came home late, and nobody asked him why. " * 100
    for step in (40, 200, 1000):
        spoilt = "".join(character + "\0" * (at % step == 0) for at, character in enumerate(text))
        assert decode(spoilt.encode()).text == text
