"""One continuation of a prompt, handed out as it is written; the prompt read, and both written."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from io import TextIOWrapper

import torch
from torch import Tensor

from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.sampling import sample_tokens
from mamba_narrative.model.decoding import Decoder
from mamba_narrative.model.interface import LanguageModel
from mamba_narrative.tokens.tokenizer import Tokenizer

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


def read_prompt(given: str | None) -> str:
    """The text to continue: ``given`` from the command line, or, where it is None, standard input.

    Raises UserError where it is not UTF-8.
    """
    if given is None and sys.stdin.isatty():
        print("Write the text to continue; Ctrl-D on a line of its own ends it:", file=sys.stderr)
    # Not as Python decodes them: bytes that are no text would become characters that no tokenizer takes.
    data = sys.stdin.buffer.read() if given is None else os.fsencode(given)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        source = "standard input" if given is None else "--prompt"
        raise UserError(f"{source}: not UTF-8 at byte {error.start}; convert the text to UTF-8 first") from None


def write_pieces(*parts: Iterable[str]) -> None:
    """Write texts to standard output as they come, in UTF-8 whatever the locale says."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    for piece in itertools.chain(*parts):
        sys.stdout.write(piece)
        sys.stdout.flush()


def continuation_ids(
    model: LanguageModel, prompt_ids: list[int], tokens: int, temperature: float, top_p: float, seed: int
) -> Iterator[int]:
    """Up to ``tokens`` ids after ``prompt_ids`` (at least one), as the model draws them.

    temperature 0 takes the most likely token each time; ``top_p`` keeps the most likely ones that hold this share of
    the probability together. Raises UserError where the model's scores are not numbers.
    """
    device = next(model.parameters()).device
    numbers = torch.rand(tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    decoder, read = Decoder(model), torch.tensor([prompt_ids], device=device)
    for number in numbers:
        scores = decoder.read(read)
        if not scores[:, : model.vocab_size].isfinite().all():
            raise UserError("the model's scores are not finite; its training diverged: train it again")
        read = scores.argmax(dim=-1, keepdim=True) if temperature == 0 else _drawn(scores, number, temperature, top_p)
        yield int(read.item())


def _drawn(scores: Tensor, number: Tensor, temperature: float, top_p: float) -> Tensor:
    return sample_tokens(scores, number.view(1, 1).to(scores.device), temperature, top_p)


def stream_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    tokens: int,
    temperature: float = 0.9,
    top_p: float = 0.95,
    seed: int = 1,
) -> Iterator[str]:
    """The text after ``prompt`` in pieces of whole characters; it ends early where the model ends its text.

    An empty prompt is the beginning of a book.
    """
    ids = [tokenizer.end_of_text_id, *tokenizer.encode(prompt)]
    waiting: list[int] = []
    for token in continuation_ids(model, ids, tokens, temperature, top_p, seed):
        if token == tokenizer.end_of_text_id:
            break
        waiting.append(token)
        text = tokenizer.decode(waiting)
        # The bytes of one character may be spread over several tokens.
        if not text.endswith(_UNFINISHED) or len(waiting) > 4:
            yield text
            waiting = []
    if waiting:
        yield tokenizer.decode(waiting)
