"""Baselines: findings that a project has already, so that only new ones are reported.

A finding is known by its fingerprint, which stays when lines above it move (``formats/findings/fingerprints``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from cleanroom.formats.findings.fingerprints import fingerprinted
from cleanroom.lint.findings import Checked
from cleanroom.project import reading

SCHEMA = "cleanroom/baseline/1"


class BaselineError(Exception):
    """A baseline that cannot be read; the message names the file."""


def document(checked: Iterable[Checked], place: str) -> str:
    """Return the text of a baseline that is to stand at ``place``, with what was found in files."""
    folder = os.path.dirname(os.path.abspath(place))
    files = {}
    for one in checked:
        marks = {mark: finding.label for finding, mark in fingerprinted(replace(one, path=""))}
        if marks:
            files[_name(one.path, folder)] = dict(sorted(marks.items(), key=lambda item: (item[1], item[0])))
    return json.dumps({"schema": SCHEMA, "files": dict(sorted(files.items()))}, indent=1) + "\n"


def read(place: str, root: str | None = None) -> dict[str, tuple[str, ...]]:
    """Return the fingerprints of a baseline, by the absolute path of the file. Raises BaselineError.

    ``root`` is the folder that it must lie in.
    """
    try:
        data = json.loads(reading.read(place, root))
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']!r}, not {SCHEMA!r}")
        return _marks(data["files"], os.path.dirname(os.path.abspath(place)))
    except reading.ReadError as error:
        raise BaselineError(f"{place}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BaselineError(f"{place}: is no baseline that cleanroom wrote: {error}") from None


def _marks(files: Mapping[str, Mapping[str, str]], folder: str) -> dict[str, tuple[str, ...]]:
    return {os.path.normpath(os.path.join(folder, name)): tuple(map(str, marks)) for name, marks in files.items()}


def _name(path: str, folder: str) -> str:
    return path if path == reading.STDIN else os.path.relpath(path, folder).replace(os.sep, "/")
