"""Models of others on the same books: bits per byte, which do not depend on the tokenizer.

They may have read these books (corpora of text from the web and of books hold Project Gutenberg), so their numbers are
no result of a comparison, only an orientation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from mamba_narrative.config.evaluation import LikelihoodSettings, PublishedModel
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.arguments import OutputDirectory, TestTokens
from mamba_narrative.evaluation.book_losses import METRICS, BookLosses, write_losses
from mamba_narrative.evaluation.held_out import SPLIT, HeldOutBook, held_out_books, open_tokens
from mamba_narrative.evaluation.likelihood import score_books
from mamba_narrative.evaluation.trained_run import choose_device
from mamba_narrative.io import read_json
from mamba_narrative.model.reading import BATCH_SIZE
from mamba_narrative.model.storage import load_model
from mamba_narrative.model.weight_files import read_shapes
from mamba_narrative.progress import Progress
from mamba_narrative.tokens.round_trip import check_kept

FOLDER = "published"
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions")
_LAYERS = re.compile(r"(?:n|num)_\w*layers?")


def evaluate_published(
    model: Annotated[PublishedModel, "an entry of `evaluation.published` (name, folder or hub name, tokenizer)"],
    tokens: TestTokens,
    output_directory: OutputDirectory,
    settings: Annotated[LikelihoodSettings, "section `evaluation.likelihood`"] = LikelihoodSettings(),
) -> None:
    """Score the test books with a published model; write the sums.

    The books are those of the runs, cut at the same places, encoded anew with the model's own tokenizer. A Mamba reads
    them whole with carried state; any other model reads windows. Raises UserError where the model or its tokenizer
    cannot be opened, the tokenizer changes the text, or a probability is not finite.
    """
    test, tokenizer = open_tokens(tokens, SPLIT)
    books = held_out_books(test, tokenizer, settings.max_tokens_per_book)
    folder = _fetch(model.path)
    # The model first: what is wrong with its configuration would be told of the tokenizer, which reads it, too.
    reader = _open_reader(folder, model, settings)
    spelling = _open_tokenizer(model.tokenizer or str(folder))
    encoded = [replace(book, ids=_encode(spelling, tokenizer.decode(book.ids.tolist()), model.name)) for book in books]
    with Progress(f"{model.name}: scoring", sum(len(book.ids) for book in encoded), "tokens") as progress:
        losses = BookLosses(encoded, reader.score(encoded, _first_id(spelling, model), progress)[:, None])
    facts = {"model": model.path, "reads": reader.reads, "may have read these books": "yes"}
    # Perplexity is of tokens of its own, so it compares with nothing.
    metrics = {name: name for name in METRICS if name != "token_perplexity"}
    write_losses(f"{FOLDER}/{model.name}", losses, output_directory, facts, metrics)


class _Reader(Protocol):
    @property
    def reads(self) -> str:
        """How much text a token is predicted from, in words."""
        ...

    def score(self, books: list[HeldOutBook], first_id: int, progress: Progress) -> npt.NDArray[np.float64]:
        """Summed -ln p of each book in nats, float64 [books], read after the token ``first_id``."""
        ...


@dataclass(frozen=True)
class _MambaReader:
    folder: Path
    settings: LikelihoodSettings
    reads: str = "whole books with carried state"

    def score(self, books: list[HeldOutBook], first_id: int, progress: Progress) -> npt.NDArray[np.float64]:
        device = choose_device(self.settings.device)
        model = load_model(self.folder, device)
        pieces = self.settings.context_tokens
        at_once = self.settings.batch_size or BATCH_SIZE[device.type]
        return score_books(model, books, first_id, pieces, at_once, progress).nats.sum(axis=1)


@dataclass(frozen=True)
class _WindowReader:
    """A model of transformers without a state that could be carried on."""

    model: Any
    window: int
    batch_size: int

    @property
    def reads(self) -> str:
        return f"windows of {self.window} tokens; a token has at least {self.window // 2} before it, or all"

    @torch.inference_mode()
    def score(self, books: list[HeldOutBook], first_id: int, progress: Progress) -> npt.NDArray[np.float64]:
        sums = []
        for book in books:
            text = torch.from_numpy(np.concatenate(([first_id], book.ids)).astype(np.int64)).to(self.model.device)
            spans, nats = list(token_windows(len(book.ids), self.window)), 0.0
            for first in range(0, len(spans), self.batch_size):
                group = spans[first : first + self.batch_size]
                rows = torch.stack([text[span.start : span.end + 1] for span in group])
                scores = self.model(input_ids=rows[:, :-1]).logits.float()
                losses = scores.logsumexp(-1) - scores.gather(-1, rows[:, 1:, None]).squeeze(-1)
                nats += sum(
                    float(row[span.scored_from - span.start :].double().sum())
                    for row, span in zip(losses, group, strict=True)
                )
                progress.advance(sum(span.end - span.scored_from for span in group))
            if not math.isfinite(nats):
                raise UserError(f"book {book.book_id}: the published model gives a token no finite probability")
            sums.append(nats)
        return np.array(sums)


@dataclass(frozen=True)
class TokenWindow:
    """Tokens ``start`` ... ``end - 1`` are read, those from ``scored_from`` on are scored."""

    start: int
    scored_from: int
    end: int


def token_windows(tokens: int, window: int) -> Iterator[TokenWindow]:
    """Windows that score each of ``tokens`` once; those after the first overlap the one before by half a window."""
    end = 0
    while end < tokens:
        scored_from = end
        end = min(tokens, end + (window // 2 if end else window))
        yield TokenWindow(max(0, end - window), scored_from, end)


def _open_reader(folder: Path, published: PublishedModel, settings: LikelihoodSettings) -> _Reader:
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'config.json'}: expected a JSON object")
    if config.get("model_type") == "mamba":
        return _MambaReader(folder, settings)
    known = next((config[key] for key in _CONTEXT_KEYS if key in config), None)
    window = published.context_tokens or known
    if not isinstance(window, int) or window < 2:
        raise UserError(f"{folder / 'config.json'}: no longest context; set context_tokens of {published.name!r}")
    device = choose_device(settings.device)
    model = _open_in_transformers(folder).to(device).eval()
    return _WindowReader(model, window, 1 if device.type == "cpu" else settings.batch_size or 4)


def _open_in_transformers(folder: Path) -> Any:
    """The model of ``folder`` in float32. Raises UserError where it is not whole or larger than its weights.

    transformers builds what ``config.json`` declares and fills what the files lack with random numbers.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    shapes = read_shapes(folder, real=False)
    layers = max(_declared_layers(read_json(folder / "config.json")), default=0)
    if layers > len(shapes):
        raise UserError(f"{folder / 'config.json'}: {layers:,} layers, but there are only {len(shapes):,} weights")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            declared = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        # A head that is the embedding may be stored again, or not at all.
        if declared.num_parameters() > 2 * sum(map(math.prod, shapes.values())):
            raise UserError(f"it declares {declared.num_parameters():,} parameters, many more than its files hold")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # Many kinds, of the library, of torch and of a model's own code.
        raise UserError(f"{folder}: transformers cannot open it: {_first_line(error)}") from None
    model, found = loaded
    if missing := sorted(found["missing_keys"]):
        raise UserError(f"{folder}: {len(missing)} weights are missing, such as {missing[0]}; copy the model again")
    return model


def _declared_layers(config: object) -> Iterator[int]:
    """All numbers of layers in a configuration, at any depth."""
    if isinstance(config, dict):
        for key, value in config.items():
            if _LAYERS.fullmatch(str(key)) and isinstance(value, int):
                yield value
            yield from _declared_layers(value)


def _fetch(path: str) -> Path:
    """The folder ``path``, or that of the hub's files of this name. Raises UserError where there is neither."""
    if Path(path).is_dir():
        return Path(path)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=list(_FILES), ignore_patterns=["onnx/*"]))
    except Exception as error:  # Many kinds, of the library's own and of its HTTP client.
        raise UserError(
            f"evaluation.published: {path!r} is no folder here and cannot be fetched from the hub "
            f"({type(error).__name__}: {_first_line(error)}); give the folder of a copy, or connect to the network"
        ) from None


def _open_tokenizer(path: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # Many kinds, as above.
        raise UserError(
            f"evaluation.published: no tokenizer in {path!r} ({_first_line(error)}); set the key `tokenizer`"
        ) from None


def _encode(spelling: Any, text: str, name: str) -> npt.NDArray[np.int64]:
    ids = spelling(text, add_special_tokens=False, verbose=False)["input_ids"]
    decoded = spelling.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    check_kept(text, decoded, f"evaluation.published: the tokenizer of {name!r}")
    return np.array(ids, np.int64)


def _first_id(spelling: Any, published: PublishedModel) -> int:
    """What stands before a text: the token that begins one, else the one that ends one."""
    found = spelling.bos_token_id if spelling.bos_token_id is not None else spelling.eos_token_id
    if found is None:
        raise UserError(f"evaluation.published: the tokenizer of {published.name!r} has no token that begins a text")
    return int(found)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no message"])[0]
