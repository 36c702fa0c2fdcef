"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(file: Path, data: str | bytes) -> None:
    """Put ``data`` (text as UTF-8) in the place of ``file``; a link is followed, the mode of a file that is there kept.

    Raises OSError; then what was there is there still. A file that is no plain file (a pipe, ``/dev/stdout``) is
    written to as it is.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    place = Path(os.path.realpath(file))
    if place.exists() and not place.is_file():
        place.write_bytes(data)
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(name).chmod(place.stat().st_mode & 0o7777 if place.exists() else 0o666 & ~_umask())
        Path(name).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    """Return which rights new files do not get; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
