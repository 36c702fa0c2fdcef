"""Which files to check."""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec import Struct

from cleanroom.project.gitignore import Patterns
from cleanroom.project.reading import STDIN, ReadError, decode, describe, read, read_bytes, root_of
from cleanroom.registries import READERS
from cleanroom.syntax.readers import Reader, for_file

__all__ = ["STDIN", "ReadError", "Trouble", "decode", "describe", "discover", "is_dockerfile", "read", "read_bytes"]

VERSION_CONTROL = {".git", ".hg", ".svn", ".bzr", ".jj"}


class Trouble(Struct, frozen=True):
    """A path that cannot be checked, and why."""

    path: str
    message: str


def reader_of(name: str) -> Reader | None:
    """Return the reader of files of this base name, None where no one reads such files."""
    return for_file(name, READERS.values())


def is_dockerfile(name: str) -> bool:
    """Return True if a file of this base name, found in a folder, holds build steps."""
    return reader_of(name) is not None


def discover(path: str, excluded: Callable[[str, bool], bool], root: str = "") -> tuple[list[str], list[Trouble]]:
    """Return the files that ``path`` means: itself, or the Dockerfiles of that folder and those below, sorted.

    ``excluded`` is asked for each path found and whether that is a folder; never for ``path`` itself. With ``root``,
    the repository, what ``.gitignore`` files there leave out is left out. Links to folders are not followed.
    """
    if path == STDIN or not os.path.isdir(path):
        # What is not there shows when it is read.
        return [path], []
    from pathlib import Path  # here: slow to import

    files: list[Path] = []
    troubles: list[Trouble] = []

    def note(error: OSError) -> None:
        troubles.append(Trouble(str(error.filename), describe(error)))

    ignores = Ignores(path, root) if root else None
    for folder, folders, names in os.walk(path, onerror=note):
        if ignores is not None:
            ignores.enter(folder)

        def is_left_out(name: str, is_folder: bool, folder: str = folder) -> bool:
            place = os.path.join(folder, name)
            return excluded(place, is_folder) or (ignores is not None and ignores.match(place, is_folder))

        folders[:] = [name for name in folders if name not in VERSION_CONTROL and not is_left_out(name, True)]
        for name in filter(is_dockerfile, names):
            file = Path(folder, name)
            # A pipe or a device would block; a link that leads nowhere is for the reader to name.
            if (file.is_file() or not file.exists()) and not is_left_out(name, False) and _is_meant(str(file), name):
                files.append(file)
    if not files and not troubles:
        troubles.append(Trouble(path, "no Dockerfile in this folder"))
    return [str(file) for file in sorted(files)], troubles


class Ignores:
    """What the ``.gitignore`` files of a repository leave out, while its folders are walked from the top down."""

    def __init__(self, start: str, root: str) -> None:
        """Read those in ``root``, and between it and the folder ``start``."""
        self._by_folder: dict[str, tuple[Patterns, ...]] = {}
        place = os.path.realpath(start)
        above = []
        while place != root and place != os.path.dirname(place):
            place = os.path.dirname(place)
            above.append(place)
        own = _patterns(os.path.join(root, ".git", "info", "exclude"), root)
        self._above = own + tuple(found for folder in reversed(above) for found in self._read(folder))

    @staticmethod
    def _read(folder: str) -> tuple[Patterns, ...]:
        return _patterns(os.path.join(folder, ".gitignore"), folder)

    def enter(self, folder: str) -> None:
        """Read what the folder has to say, of which the parent was entered before."""
        above = self._by_folder.get(os.path.dirname(folder.rstrip(os.sep)), self._above)
        self._by_folder[folder.rstrip(os.sep) or os.sep] = above + self._read(folder)

    def match(self, path: str, is_folder: bool) -> bool:
        """Return True if something in a folder that was entered is left out; the nearest file that names it counts."""
        for patterns in reversed(self._by_folder.get(os.path.dirname(path), self._above)):
            verdict = patterns.verdict(path, is_folder)
            if verdict is not None:
                return verdict
        return False


def _patterns(file: str, folder: str) -> tuple[Patterns, ...]:
    try:
        return (Patterns(read(file, os.path.realpath(folder)).splitlines(), folder),) if os.path.isfile(file) else ()
    except ReadError:  # git ignores it too
        return ()


def _is_meant(path: str, name: str) -> bool:
    """Return True if a file is, or may be, of the kind that its name says."""
    reader = reader_of(name)
    if reader is None or reader.recognises is None:
        return True
    try:
        return reader.recognises(read(path, root_of(path)))
    except ReadError:
        return True  # whoever reads it next says so
