"""Continue a text with a trained model; what it writes appears as it is written."""

from __future__ import annotations

import argparse
from pathlib import Path

from mamba_narrative.command import command_parser, number_argument, run_command
from mamba_narrative.errors import UserError
from mamba_narrative.evaluation.streaming import read_prompt, stream_text, write_pieces
from mamba_narrative.evaluation.trained_run import choose_device
from mamba_narrative.model.storage import load_model
from mamba_narrative.tokens.tokenizer import load_tokenizer

EXAMPLE = """python scripts/generate.py results/runs/mamba-sample --prompt "The ferry left before dawn" --tokens 100
  cat opening.txt | python scripts/generate.py results/models/mamba-sample --seed 7
  python scripts/generate.py results/runs/mamba-sample --prompt "It was" --temperature 0"""


def main(arguments: argparse.Namespace) -> None:
    folder = arguments.model / "model" if (arguments.model / "model").is_dir() else arguments.model
    prompt = read_prompt(arguments.prompt)
    model, tokenizer = load_model(folder, choose_device(arguments.device)), load_tokenizer(arguments.tokenizer)
    if model.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{folder}: the model knows {model.vocab_size} tokens and the tokenizer {tokenizer.name!r} has "
            f"{tokenizer.vocab_size}; name the one it was trained with: --tokenizer"
        )
    pieces = stream_text(
        model, tokenizer, prompt, arguments.tokens, arguments.temperature, arguments.top_p, arguments.seed
    )
    write_pieces([prompt], pieces, ["\n"])


def parser() -> argparse.ArgumentParser:
    parser = command_parser(__doc__ or "", EXAMPLE)
    parser.add_argument("model", type=Path, help="folder of a run, or of an exported model")
    parser.add_argument("--prompt", help="text to continue; without it standard input is read")
    length, heat = number_argument(int, 1, 10_000_000), number_argument(float, 0, 100)
    share, seed = number_argument(float, 0, 1), number_argument(int, 0, 2**63 - 1)
    parser.add_argument("--tokens", type=length, default=200, help="most tokens to write (200)")
    parser.add_argument("--temperature", type=heat, default=0.9, help="0 takes the most likely token (0.9)")
    parser.add_argument("--top-p", type=share, default=0.95, help="share of probability that is kept (0.95)")
    parser.add_argument("--seed", type=seed, default=1, help="another one, another text (1)")
    parser.add_argument("--tokenizer", default="gpt2", help="name or folder of the tokenizer (gpt2)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="the GPU where there is one")
    return parser


if __name__ == "__main__":
    run_command(main, parser())
