"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class ChangedError(OSError):
    """A file that is not what it was when it was read."""


def write_atomically(file: Path, data: str | bytes, *, over: bytes | None = None) -> None:
    """Put ``data`` (text as UTF-8) in the place of ``file``; a link is followed, mode and owner of a file kept.

    With ``over``, only where the file still holds these bytes; else ChangedError is raised, which is an OSError. Raises
    OSError with the name of the file, also for one that is read-only; then what was there is there still. A file that
    is no plain file (a pipe, ``/dev/stdout``) is written to as it is.
    """
    try:
        _write(
            Path(os.path.realpath(file)),
            data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data,
            over,
        )
    except OSError as error:
        error.filename = str(file)  # and not what was written beside it, or nothing
        raise


def write_into(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by their paths in ``folder``; the folders are made where they are not there. Raises OSError."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)


def _write(place: Path, data: bytes, over: bytes | None) -> None:
    if place.exists() and not place.is_file():
        place.write_bytes(data)
        return
    if place.exists() and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        before = place.stat() if place.exists() else None
        Path(name).chmod(before.st_mode & 0o7777 if before else 0o666 & ~_umask())
        if before:
            with suppress(OSError, AttributeError):  # who may not give it away, keeps it
                os.chown(name, before.st_uid, before.st_gid)
        if over is not None and place.read_bytes() != over:
            raise ChangedError(errno.EBUSY, "the file changed while it was being worked on; run again")
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
