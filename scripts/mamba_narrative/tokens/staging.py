"""Token arrays copied to a disk of the machine that reads them.

Training reads windows all over the arrays, which a shared file system serves slowly. The copy is made once on a
machine, by whichever process comes first, is shared by all that use it at the same time, and goes with the last one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mamba_narrative.errors import UserError
from mamba_narrative.io import atomic_directory, sha256_file, sha256_text

_ENDINGS = ("json", "books.tsv", "bin")
_LOG = logging.getLogger(__name__)


@contextmanager
def staged_tokens(tokens: Path, splits: Sequence[str], directory: str) -> Iterator[Path]:
    """Yield the folder to read the token files of ``splits`` from: a copy below ``directory``, or ``tokens`` for "".

    Variables in ``directory`` are expanded. Names of copies hold a hash of the manifests and of the machine's name:
    other tokens are another copy, and machines that see the same folder keep one each: locks may not reach that far.
    Raises UserError where a file is missing, a variable is not set, or the disk is too small or not writable.
    """
    if not directory:
        yield tokens
        return
    files = [tokens / f"{split}.{ending}" for split in splits for ending in _ENDINGS]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise UserError(f"{missing[0]}: no such token file; run the token stage again")
    manifests = "".join(sha256_file(path) for path in files if path.suffix == ".json")
    key = sha256_text(f"{socket.gethostname()} {manifests}")[:16]
    copy = _expanded(directory) / f"mamba-narrative-tokens-{os.getuid()}-{key}"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(copy.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(
            f"training.staging_directory: {copy.parent} cannot be written ({error.strerror}); choose a folder on a "
            "disk of the machine, or null to read the tokens where they are"
        ) from None
    try:
        # A shared lock says "in use". It cannot grow out of the exclusive one of the copying process without a gap in
        # which another could remove the copy, so look again once it is held.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        while not copy.is_dir():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not copy.is_dir():
                _copy(files, copy)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield copy
    finally:
        _remove_if_unused(copy, descriptor)
        os.close(descriptor)


def _expanded(directory: str) -> Path:
    path = os.path.expanduser(os.path.expandvars(directory))  # noqa: PTH111
    if "$" in path:
        raise UserError(f"training.staging_directory: {directory}: a variable in it is not set on this machine")
    return Path(path)


def _copy(files: Sequence[Path], copy: Path) -> None:
    needed = sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(copy.parent).free
    if needed > free:
        raise UserError(
            f"training.staging_directory: {copy.parent} has {free / 1e9:.1f} GB free, the tokens need "
            f"{needed / 1e9:.1f}; choose another folder, or null to read the tokens where they are"
        )
    _LOG.info("copying %.2f GB of tokens to %s", needed / 1e9, copy)
    with atomic_directory(copy) as beside:
        for path in files:
            shutil.copyfile(path, beside / path.name)


def _remove_if_unused(copy: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(copy, ignore_errors=True)
