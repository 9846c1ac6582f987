"""Seeds derived from a run's own, so that nothing of random numbers has to be saved."""

from __future__ import annotations

import hashlib


def derived_seed(*names: int | str) -> int:
    """64 bits, signed, that depend on all ``names`` in their order; two of them are unrelated."""
    digest = hashlib.blake2b("/".join(map(str, names)).encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
