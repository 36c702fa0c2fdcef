"""The one way to open a file that is checked: a regular file of a bounded size, inside the folder that was named.

Whoever wrote the file may be a stranger: a link ``Dockerfile -> ../secret`` would have messages quote the secret.
"""

from __future__ import annotations

import os
import stat
import sys

STDIN = "-"
LARGEST = 16 << 20  # bytes; the largest Dockerfiles that people wrote have one hundredth of it


class ReadError(Exception):
    """A file whose text cannot be had; the message says why."""


def root_of(path: str) -> str:
    """Return the folder that links at ``path`` and below may not lead out of: the repository it is in.

    Outside of repositories it is the current folder, for what is below it, else the folder of ``path``.
    """
    start = os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path) or os.curdir)
    place = start
    while not os.path.exists(os.path.join(place, ".git")):
        above = os.path.dirname(place)
        if above == place:
            current = os.path.realpath(os.curdir)
            return current if is_inside(start, current) else start
        place = above
    return place


def is_inside(path: str, root: str) -> bool:
    """Return True if ``path`` is ``root`` or below it; neither has links in it."""
    return path == root or path.startswith(os.path.join(root, ""))


def read(path: str, root: str | None = None) -> str:
    """Return the text of a file (``-``: of standard input), without its byte order mark. Raises ReadError.

    ``root`` is the folder it must lie in; without one, the file may be anywhere, of any size, and a pipe.
    """
    return decode(read_bytes(path, root)).removeprefix("\ufeff")


def read_bytes(path: str, root: str | None = None) -> bytes:
    """Return what is in a file. The parameters are those of ``read``. Raises ReadError."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read()
        if root is None:
            with open(path, "rb") as file:
                return file.read()
        return _read_inside(path, root)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ReadError(describe(error)) from None


def _read_inside(path: str, root: str) -> bytes:
    place = os.path.realpath(path)
    if not is_inside(place, root):
        raise ReadError(f"is outside of {root}; --trust reads it")
    # O_NONBLOCK: opening a pipe would wait for who writes to it.
    descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ReadError("not a regular file" if not stat.S_ISDIR(status.st_mode) else "is a directory")
        if status.st_size > LARGEST:
            raise ReadError(f"larger than {LARGEST >> 20} MiB; --trust reads it")
        return file.read(LARGEST + 1)


def decode(data: bytes) -> str:
    """Return the text that ``data`` is, with a byte order mark where it has one. Raises ReadError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ReadError(f"not UTF-8 text (line {line}); convert it to UTF-8") from None


def describe(error: OSError | ValueError) -> str:
    """Return what went wrong, in words and without the path."""
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return (getattr(error, "strerror", None) or str(error)).lower()
