"""Continue a text with a trained model; what it writes appears as it is written.

example:
  python scripts/generate.py results/runs/mamba-sample --prompt "The ferry left before dawn" --tokens 100
  cat opening.txt | python scripts/generate.py results/models/mamba-sample --seed 7
  python scripts/generate.py results/runs/mamba-sample --prompt "It was" --temperature 0
"""

from pathlib import Path
from typing import Annotated, Literal

from mamba_narrative.argument_types import number_argument
from mamba_narrative.command import run_command
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.streaming import read_prompt, stream_text, write_pieces
from mamba_narrative.evaluation.trained_run import choose_device
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.tokenizer import load_tokenizer


def main(
    model: Annotated[Path, "folder of a run, or of an exported model"],
    /,
    *,
    prompt: Annotated[str | None, "text to continue; without it standard input is read"] = None,
    tokens: Annotated[int, number_argument(int, 1, 10_000_000), "most tokens to write"] = 200,
    temperature: Annotated[float, number_argument(float, 0, 100), "0 takes the most likely token"] = 0.9,
    top_p: Annotated[float, number_argument(float, 0, 1), "share of probability that is kept"] = 0.95,
    seed: Annotated[int, number_argument(int, 0, 2**63 - 1), "another one, another text"] = 1,
    tokenizer: Annotated[str, "name or folder of the tokenizer"] = "gpt2",
    device: Annotated[Literal["auto", "cpu", "cuda"], "`auto` is the GPU where there is one"] = "auto",
) -> None:
    folder = model / "model" if (model / "model").is_dir() else model
    text = read_prompt(prompt)
    trained, spelling = load_model(folder, choose_device(device)), load_tokenizer(tokenizer)
    if trained.vocab_size != spelling.vocab_size:
        raise UserError(
            f"{folder}: the model knows {trained.vocab_size} tokens and the tokenizer {spelling.name!r} has "
            f"{spelling.vocab_size}; name the one it was trained with: --tokenizer"
        )
    write_pieces([text], stream_text(trained, spelling, text, tokens, temperature, top_p, seed), ["\n"])


if __name__ == "__main__":
    run_command(main, __doc__)
