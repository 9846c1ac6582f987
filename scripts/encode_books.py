r"""Turn the selected books of one shard into token ids, each book closed by an end-of-text token.

example:
  python scripts/encode_books.py --selection results/corpus/selection/000.tsv --stripped results/stripped/000 \
    --manifest results/stripped/000.manifest.tsv --tokens results/tokens/shards/000.bin \
    --books results/tokens/shards/000.books.tsv
"""

from pathlib import Path
from typing import Annotated

from mamba_narrative.command import run_command
from mamba_narrative.config.tokens import TokensSettings
from mamba_narrative.io import recorded_outputs, write_hashes
from mamba_narrative.tokens.tokenizer import load_tokenizer
from mamba_narrative.tokens.writer import encode_books


@recorded_outputs()
def main(
    *,
    selection: Annotated[Path, "table of decisions"],
    stripped: Annotated[Path, "folder of stripped texts"],
    manifest: Annotated[Path, "table of the stripped texts' hashes and sizes"],
    settings: Annotated[TokensSettings, "section `tokens`"] = TokensSettings(),
    tokens: Annotated[Path, "token file to write"],
    books: Annotated[Path, "table of its books to write"],
    hashes: Annotated[Path | None, "list of the outputs' SHA-256 to write"] = None,
) -> None:
    encode_books(selection, stripped, manifest, load_tokenizer(settings.tokenizer), tokens, books)
    if hashes is not None:
        write_hashes(hashes, [tokens, books])


if __name__ == "__main__":
    run_command(main, __doc__)
