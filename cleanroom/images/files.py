"""The files that an image comes in: those of a folder, or of a tar archive, which is read in place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from cleanroom.images.image import ImageError, Limits, Readable
from cleanroom.images.tar import FILE, LINK, SYMLINK, index

_MOST_LINKS = 40


class Files(Protocol):
    """Files by their name, ``/`` between folders."""

    name: str  # of the folder or archive, for messages

    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None when there is no such file."""

    @contextmanager
    def open(self, name: str) -> Iterator[Readable]:
        """Open a file. Raises ImageError."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the files at the top."""


def read(files: Files, name: str, limits: Limits) -> bytes:
    """Return a small file whole. Raises ImageError."""
    size = files.size(name)
    if size is None:
        raise ImageError(f"{files.name}: {name} is missing")
    if size > limits.document:
        raise ImageError(f"{files.name}: {name} has {size:,} bytes; no honest manifest or configuration has so many")
    with files.open(name) as file:
        return b"".join(iter(lambda: file.read(limits.document), b""))


class FolderFiles:
    """Files of a folder."""

    def __init__(self, folder: str) -> None:
        self.name = folder
        self._folder = Path(folder)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None when there is no such file."""
        if ".." in name.split("/"):
            return None
        try:
            status = (self._folder / name.lstrip("/")).stat()
        except (OSError, ValueError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    @contextmanager
    def open(self, name: str) -> Iterator[Readable]:
        """Open a file. Raises ImageError."""
        if self.size(name) is None:
            raise ImageError(f"{self.name}: {name} is missing")
        try:
            file = (self._folder / name.lstrip("/")).open("rb", buffering=0)
        except OSError as error:
            raise ImageError(f"{self.name}: {name} cannot be read: {error.strerror}") from None
        with file:
            yield file

    def names(self) -> tuple[str, ...]:
        """Return the names of the files at the top."""
        return tuple(sorted(os.listdir(self._folder)))  # noqa: PTH208 - names, not paths


class ArchiveFiles:
    """Files of an open tar archive that is not compressed. Links are followed within it."""

    def __init__(self, file: BinaryIO, name: str, limits: Limits) -> None:
        self.name = name
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        for member, start in index(file, name, limits.archived):
            path = _clean(os.fsdecode(member.name))
            self._places.pop(path, None)
            self._links.pop(path, None)
            if member.kind == FILE:
                self._places[path] = (start, member.size)
            elif member.kind in (LINK, SYMLINK):
                target = os.fsdecode(member.target)
                if member.kind == SYMLINK and not target.startswith("/"):
                    target = f"{path.rpartition('/')[0]}/{target}"
                self._links[path] = _clean(target)

    def _place(self, name: str) -> tuple[int, int] | None:
        path = _clean(name)
        for _ in range(_MOST_LINKS):
            if path not in self._links:
                break
            path = self._links[path]
        return self._places.get(path)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file; None when there is no such file."""
        place = self._place(name)
        return None if place is None else place[1]

    @contextmanager
    def open(self, name: str) -> Iterator[Readable]:
        """Open a file; one at a time, since they share the archive's. Raises ImageError."""
        place = self._place(name)
        if place is None:
            raise ImageError(f"{self.name}: {name} is missing")
        yield _Part(self._file, *place)

    def names(self) -> tuple[str, ...]:
        """Return the names of the files at the top."""
        return tuple(sorted({name.partition("/")[0] for name in (*self._places, *self._links)}))


class _Part:
    """A part of a file, to be read from front to back."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._position = start
        self._end = start + size

    def read(self, count: int) -> bytes:
        """Return the next bytes, ``count`` at most; none at the end."""
        self._file.seek(self._position)
        data = self._file.read(min(count, self._end - self._position))
        self._position += len(data)
        return data


def _clean(path: str) -> str:
    return os.path.normpath(f"/{path}").lstrip("/")
