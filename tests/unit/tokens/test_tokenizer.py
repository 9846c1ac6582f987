from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_narrative.errors import UserError
from mamba_narrative.tokens import tokenizer as module
from mamba_narrative.tokens.tokenizer import (
    END_OF_TEXT,
    Gpt2Tokenizer,
    Tokenizer,
    load_tokenizer,
    write_hugging_face_files,
)

ODD_TEXTS = [
    "",
    " ",
    "\n\n\n",
    "It's we'll THEY'RE o'clock '' '",
    "tabs\tand\x0bvertical\x0cforms\x1c\x1d\x85breaks\u2028 \u2029",
    "  two  spaces   three \u00a0 no-break \u3000 ideographic",
    "éè e\u0301 ﬁ ß İı \u200bzero width\ufeff",
    "日本語のテキスト。한국어 العربية עברית हिन्दी",
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "½ ² Ⅷ ١٢٣ 1,234.5",
    f"before{END_OF_TEXT}after {END_OF_TEXT}",
    "\x00\x01 control \x7f",
    "\ud7ff\ue000\uffff private",
]
UNICODE_TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=("Cs", "Cn", "Co")), st.sampled_from("  \n\t'sdmtlrve\u00a0")),
    max_size=60,
)


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return load_tokenizer("gpt2")


@pytest.fixture(scope="module")
def exported(gpt2: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    write_hugging_face_files(gpt2, directory)
    return directory


@pytest.fixture(scope="module")
def hugging_face(exported: Path) -> Tokenizer:
    return load_tokenizer(str(exported))


def with_tiktoken(gpt2: Tokenizer, text: str) -> list[int]:
    assert isinstance(gpt2, Gpt2Tokenizer)
    return gpt2.encode_with_tiktoken(text).tolist()


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_both_encoders_give_the_same_ids(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.encode(text) == with_tiktoken(gpt2, text)


@settings(max_examples=300, deadline=None)
@given(text=UNICODE_TEXTS)
def test_both_encoders_give_the_same_ids_for_any_unicode(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.encode(text) == with_tiktoken(gpt2, text)


def test_a_new_encoder_now_and_then_changes_nothing(gpt2: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENCODINGS_OF_AN_ENCODER", 2)
    assert [gpt2.encode("A tale of wonders") for _ in range(5)] == [with_tiktoken(gpt2, "A tale of wonders")] * 5


def test_without_gigatoken_tiktoken_encodes(gpt2: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = gpt2.encode("A tale of wonders")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert gpt2.encode("A tale of wonders") == ids


def test_gpt2_gives_the_published_ids(gpt2: Tokenizer) -> None:
    # Examples printed in OpenAI's and Hugging Face's documentation.
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode(" Hello world") == [18435, 995]
    assert (gpt2.vocab_size, gpt2.end_of_text_id) == (50_257, 50_256)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_text_survives_the_round_trip(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.decode(gpt2.encode(text)) == text


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_exported_files_give_identical_ids_in_transformers(gpt2: Tokenizer, hugging_face: Tokenizer, text: str) -> None:
    assert hugging_face.encode(text) == gpt2.encode(text)
    assert hugging_face.decode(gpt2.encode(text)) == text


@settings(max_examples=150, deadline=None)
@given(text=UNICODE_TEXTS)
def test_any_unicode_gives_identical_ids_in_transformers(gpt2: Tokenizer, hugging_face: Tokenizer, text: str) -> None:
    assert hugging_face.encode(text) == gpt2.encode(text)


def test_exported_tokenizer_knows_its_end_of_text(gpt2: Tokenizer, exported: Path) -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(exported, local_files_only=True)
    assert loaded.eos_token_id == loaded.bos_token_id == gpt2.end_of_text_id
    assert len(loaded) == gpt2.vocab_size
    assert loaded("Once upon a time").input_ids == gpt2.encode("Once upon a time")


def test_export_is_the_same_bytes_each_time(gpt2: Tokenizer, exported: Path, tmp_path: Path) -> None:
    write_hugging_face_files(gpt2, tmp_path)
    for path in exported.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("which", ["gpt2", "hugging_face"])
def test_an_end_of_text_marker_in_a_book_is_plain_text(which: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(which)
    ids = tokenizer.encode(f"The end.{END_OF_TEXT}")
    assert tokenizer.end_of_text_id not in ids
    assert tokenizer.decode(ids) == f"The end.{END_OF_TEXT}"


def test_bytes_are_counted_even_of_half_a_character(gpt2: Tokenizer) -> None:
    text = "naïve 日本 👩‍👧"
    ids = gpt2.encode(text)
    assert gpt2.count_bytes([*ids, gpt2.end_of_text_id]) == len(text.encode("utf-8"))
    assert sum(gpt2.count_bytes([token]) for token in ids) == len(text.encode("utf-8"))


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("ab1.' \n\t\u00a0é"), max_size=200), size=st.integers(1, 40))
def test_cutting_long_texts_does_not_change_the_ids(gpt2: Tokenizer, text: str, size: int) -> None:
    whole = gpt2.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_CHARACTERS", size)
        assert with_tiktoken(gpt2, text) == whole


@pytest.mark.parametrize("before", ["", "x", "\n"])
@pytest.mark.parametrize("after", ["", "x", "é", "."])
@pytest.mark.parametrize("space", [" ", "\n", "\u00a0", " \t"])
def test_long_white_space_gives_the_ids_of_the_plain_pattern(
    gpt2: Tokenizer, hugging_face: Tokenizer, before: str, space: str, after: str
) -> None:
    text = before + space * 1200 + after
    assert gpt2.encode(text) == with_tiktoken(gpt2, text) == hugging_face.encode(text)


@pytest.mark.parametrize("character", ["a", " "])
def test_megabytes_of_one_character_do_not_hang(gpt2: Tokenizer, character: str) -> None:
    started = time.monotonic()
    ids = gpt2.encode_array(character * 5_000_000)
    assert gpt2.count_bytes(ids.tolist()) == 5_000_000
    assert with_tiktoken(gpt2, character * 5_000_000) == ids.tolist()
    assert time.monotonic() - started < 30


def test_a_changed_vocabulary_file_is_refused(tmp_path: Path) -> None:
    for name in ("encoder.json", "vocab.bpe"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(UserError, match=r"encoder\.json: not the published GPT-2 vocabulary"):
        module._read_gpt2_files(tmp_path)


def test_a_missing_vocabulary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"encoder\.json: GPT-2's vocabulary cannot be read"):
        module._read_gpt2_files(tmp_path)


def test_a_vocabulary_that_does_not_fit_uint16_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    words = {f"w{number}": number for number in range(65_536)} | {"</s>": 65_536}
    Backend(models.WordLevel(words, unk_token="w0")).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}', encoding="utf-8"
    )
    with pytest.raises(UserError, match="65,537 entries"):
        load_tokenizer(str(tmp_path))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(str(tmp_path))
