"""The safetensors files of a model's folder: one, or several with an index, as transformers writes them.

What a file says of itself is small; it is checked before anything as large as it claims is built or read.
"""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
from safetensors import SafetensorError
from torch import Tensor

from mamba_narrative.errors import FileFormatError, UserError
from mamba_narrative.io import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_REAL = frozenset({"F64", "F32", "F16", "BF16"})
Shape = tuple[int, ...]


def read_shapes(directory: Path, real: bool = True) -> dict[str, Shape]:
    """Shapes of all tensors by name, from the files' headers alone.

    Raises UserError where there is no file, FileFormatError where one is broken, a name is there twice, or numbers are
    complex or, where ``real`` asks for that, anything but floating point.
    """
    shapes: dict[str, Shape] = {}
    for path in _files(directory):
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                entry = file.get_slice(name)
                kind = str(entry.get_dtype())
                if kind.startswith("C") or (real and kind not in _REAL):
                    raise FileFormatError(f"{path}: {name} holds numbers of type {kind}; expected floating point")
                if name in shapes:
                    raise FileFormatError(f"{path}: {name} is in another file of the model, too")
                shapes[name] = tuple(entry.get_shape())
    return shapes


def read_weights(directory: Path) -> dict[str, Tensor]:
    """All tensors by name, as they are stored. Raises as ``read_shapes`` does."""
    weights: dict[str, Tensor] = {}
    for path in _files(directory):
        with _opened(path) as file:
            weights |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return weights


def _files(directory: Path) -> list[Path]:
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    index = directory / INDEX
    if not index.is_file():
        raise UserError(
            f"{directory / WEIGHTS}: not found; a model folder has config.json and {WEIGHTS}, or several such files "
            f"with {INDEX} (pickled weights are not read)"
        )
    content = read_json(index)
    named = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise FileFormatError(f"{index}: expected `weight_map` with the file of each tensor")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name or not (directory / name).is_file():
            raise UserError(f"{index}: names {name!r}, which is no file beside it; copy the model again")
    return [directory / name for name in names]


def _opened(path: Path) -> safetensors.safe_open:
    try:
        return safetensors.safe_open(path, framework="pt")
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path}: not a complete safetensors file ({error}); copy or train it again") from None
