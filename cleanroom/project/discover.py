"""Which files to check, and their text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from msgspec import Struct

from cleanroom.registries import READERS
from cleanroom.syntax.readers import Reader, for_file

STDIN = "-"

VERSION_CONTROL = {".git", ".hg", ".svn", ".bzr", ".jj"}


class Trouble(Struct, frozen=True):
    """A path that cannot be checked, and why."""

    path: str
    message: str


class ReadError(Exception):
    """A file whose text cannot be had; the message says why."""


def reader_of(name: str) -> Reader | None:
    """Return the reader of files of this base name, None where no one reads such files."""
    return for_file(name, READERS.values())


def is_dockerfile(name: str) -> bool:
    """Tell by its name whether a file found in a folder holds build steps."""
    return reader_of(name) is not None


def discover(path: str, excluded: Callable[[str, bool], bool]) -> tuple[list[str], list[Trouble]]:
    """Return the files that ``path`` means: itself, or the Dockerfiles of that folder and those below, sorted.

    ``excluded`` is asked for each path found and whether that is a folder; never for ``path`` itself. Links to folders
    are not followed.
    """
    if path == STDIN or not os.path.isdir(path):
        # What is not there shows when it is read.
        return [path], []
    from pathlib import Path  # here: slow to import

    files: list[Path] = []
    troubles: list[Trouble] = []

    def note(error: OSError) -> None:
        troubles.append(Trouble(str(error.filename), describe(error)))

    for folder, folders, names in os.walk(path, onerror=note):
        place = Path(folder)
        folders[:] = [name for name in folders if name not in VERSION_CONTROL and not excluded(str(place / name), True)]
        for name in filter(is_dockerfile, names):
            file = place / name
            # A pipe or a device would block; a link that leads nowhere is for the reader to name.
            if (file.is_file() or not file.exists()) and not excluded(str(file), False) and _is_meant(str(file), name):
                files.append(file)
    if not files and not troubles:
        troubles.append(Trouble(path, "no Dockerfile in this folder"))
    return [str(file) for file in sorted(files)], troubles


def _is_meant(path: str, name: str) -> bool:
    """Tell whether a file is of the kind that its name says; it is when that cannot be told."""
    reader = reader_of(name)
    if reader is None or reader.recognises is None:
        return True
    try:
        return reader.recognises(read(path))
    except ReadError:
        return True  # whoever reads it next says so


def read(path: str) -> str:
    """Return the text of a file (``-``: of standard input), without its byte order mark. Raises ReadError."""
    return decode(read_bytes(path)).removeprefix("\ufeff")


def read_bytes(path: str) -> bytes:
    """Return what is in a file (``-``: in standard input). Raises ReadError."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ReadError(describe(error)) from None


def decode(data: bytes) -> str:
    """Return the text that ``data`` is, with a byte order mark where it has one. Raises ReadError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ReadError(f"not UTF-8 text (line {line}); convert it to UTF-8") from None


def describe(error: OSError) -> str:
    """Return what went wrong, in words and without the path."""
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return (error.strerror or str(error)).lower()
