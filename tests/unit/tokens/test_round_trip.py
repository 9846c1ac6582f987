"""A tokenizer that changes texts is refused, whatever it does to them and whatever it is called."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Built

from mamba_narrative.errors import UserError
from mamba_narrative.io import write_json
from mamba_narrative.tokens.round_trip import HARD_TEXTS, check_kept
from mamba_narrative.tokens.tokenizer import load_tokenizer

END = "<|endoftext|>"
BYTES = [END, *sorted(pre_tokenizers.ByteLevel.alphabet())]


def byte_level(folder: Path, **parts) -> str:
    """One token a byte, but for ``parts``; the name of the tokenizer, a folder."""
    built = Built(models.BPE({letter: rank for rank, letter in enumerate(BYTES)}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    for name, part in parts.items():
        setattr(built, name, part)
    return saved(built, folder)


def saved(built: Built, folder: Path) -> str:
    built.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END},
    )
    return str(folder)


@pytest.mark.parametrize("normalizer", [None, normalizers.NFC(), normalizers.Sequence([])])
def test_a_tokenizer_that_keeps_stripped_texts_is_accepted(tmp_path: Path, normalizer: object) -> None:
    tokenizer = load_tokenizer(byte_level(tmp_path, normalizer=normalizer))
    for text in HARD_TEXTS:
        assert tokenizer.decode(tokenizer.encode_book(text).tolist()) == text


@pytest.mark.parametrize(
    "parts",
    [
        {"normalizer": normalizers.Lowercase()},
        {"normalizer": normalizers.NFKC()},
        {"normalizer": normalizers.NFKD()},
        {"normalizer": normalizers.NFD()},
        {"normalizer": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])},
        {"normalizer": normalizers.Strip()},
        {"normalizer": normalizers.Strip(left=False)},
        {"normalizer": normalizers.Replace(Regex(" {2,}"), " ")},
        {"normalizer": normalizers.Replace(Regex("\\s+"), " ")},
        {"normalizer": normalizers.Replace("“", '"')},
        {"normalizer": normalizers.Prepend(" ")},
        {"normalizer": normalizers.BertNormalizer()},
        {"normalizer": normalizers.Nmt()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel()])},
        {"decoder": decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])},
    ],
    ids=str,
)
def test_a_tokenizer_that_changes_texts_is_refused(tmp_path: Path, parts: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"tokens\.tokenizer: '.*' changes the text \('.*' comes back as '.*'\)"):
        load_tokenizer(byte_level(tmp_path, **parts))


def test_a_tokenizer_that_does_not_know_a_character_is_refused(tmp_path: Path) -> None:
    letters = [END, "<unk>", *sorted({letter for text in HARD_TEXTS for letter in text} - {"ﷺ"})]
    built = Built(models.BPE({letter: rank for rank, letter in enumerate(letters)}, [], unk_token="<unk>"))
    built.decoder = decoders.Fuse()
    with pytest.raises(UserError, match="changes the text"):
        load_tokenizer(saved(built, tmp_path))


def test_a_sentencepiece_tokenizer_that_eats_a_blank_is_refused(tmp_path: Path) -> None:
    letters = [END, "<unk>", *sorted({letter for text in HARD_TEXTS for letter in text} | {"▁"})]
    built = Built(models.BPE({letter: rank for rank, letter in enumerate(letters)}, [], unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.Metaspace()
    built.decoder = decoders.Metaspace()
    with pytest.raises(UserError, match="changes the text"):
        load_tokenizer(saved(built, tmp_path))


def test_a_marker_that_eats_blanks_is_refused(tmp_path: Path) -> None:
    built = Built.from_file(f"{byte_level(tmp_path)}/tokenizer.json")
    built.add_tokens([AddedToken("chapter", lstrip=True, rstrip=True)])
    with pytest.raises(UserError, match="changes the text"):
        load_tokenizer(saved(built, tmp_path))


def test_a_book_that_the_tokenizer_changes_is_refused_though_it_keeps_the_hard_texts(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(byte_level(tmp_path, normalizer=normalizers.Replace("zyzzyva", "weevil")))
    with pytest.raises(UserError, match=r"\('A zyzzyva\.' comes back as 'A weevil\.'\)"):
        tokenizer.encode_book("A zyzzyva.")


def test_the_hard_texts_are_such_as_stripping_leaves() -> None:
    assert all(unicodedata.is_normalized("NFC", text) and "\r" not in text for text in HARD_TEXTS)


@given(st.text(), st.text())
def test_any_change_is_shown_and_no_change_is_none(text: str, other: str) -> None:
    check_kept(text, text, "it")
    if text != other:
        with pytest.raises(UserError, match="it changes the text"):
            check_kept(text, other, "it")
