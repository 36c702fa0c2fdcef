"""Files with what is known of their findings, and which of their lines count: baselines and changes since a commit."""

from __future__ import annotations

import os
from collections.abc import Iterable

from msgspec.structs import replace

from cleanroom.project import baseline, changes, reading
from cleanroom.project.files import File, Found


class NarrowingError(ValueError):
    """A baseline that cannot be read, or a commit that is not there; the message says why."""


def narrowed(found: Found, given: str | None, revision: str | None) -> Found:
    """Return the files with a baseline (that is ``given``, or their settings') and the lines changed since a commit.

    Raises NarrowingError.
    """
    files: Iterable[File] = found.files
    try:
        if given or any(file.settings.baseline for file in files):
            files = _with_baselines(files, given)
        if revision:
            lines = changes.since(revision, [file.name for file in files if file.name != reading.STDIN])
            files = [replace(file, lines=lines.get(os.path.abspath(file.name))) for file in files]
    except baseline.BaselineError as error:
        raise NarrowingError(f"--baseline: {error}" if given else str(error)) from None
    except changes.ChangesError as error:
        raise NarrowingError(f"--diff-base: {error}") from None
    return replace(found, files=tuple(files))


def _with_baselines(files: Iterable[File], given: str | None) -> list[File]:
    read: dict[str, dict[str, tuple[str, ...]]] = {}
    found = []
    for file in files:
        place = given or file.settings.baseline
        if place and place not in read:
            read[place] = baseline.read(place, None if given else reading.root_of(file.settings.file))
        known = read[place].get(os.path.abspath(file.name), ()) if place else ()
        found.append(replace(file, known=known))
    return found
