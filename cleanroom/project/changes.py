"""Which lines were changed since a commit. Git only reads, and runs nothing that the repository names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

from cleanroom.project import git
from cleanroom.project.reading import root_of

Ranges = tuple[tuple[int, int], ...]
_ALL: Ranges = ((1, 1 << 60),)
_MANY = 20_000  # lines; of a longer file, comparing takes too long


class ChangesError(Exception):
    """Changes that git cannot list; the message says why."""


def since(revision: str, paths: Iterable[str]) -> dict[str, Ranges]:
    """Return the lines of files that were changed since a commit, by the absolute path of the file.

    A file that git does not know is changed in whole. Raises ChangesError.
    """
    found: dict[str, Ranges] = {}
    by_root: dict[str, list[str]] = {}
    for path in map(os.path.abspath, paths):
        by_root.setdefault(root_of(path), []).append(path)
    for root, files in by_root.items():
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
        for path in files:
            found[path] = _changed(root, commit, path)
    return found


def _changed(root: str, commit: str, path: str) -> Ranges:
    """Compare by git's own means, but without the filters and drivers that attributes name: content against content."""
    name = os.path.relpath(os.path.realpath(path), root).replace(os.sep, "/")
    listed = _git(root, "ls-tree", "-z", commit, "--", f":(literal){name}" if name else ".")
    if not listed:
        return _ALL
    blob = listed.split("\t", 1)[0].split()[2]
    before = _git(root, "cat-file", "blob", blob)
    return _ranges(before, path)


def _ranges(before: str, path: str) -> Ranges:
    import difflib

    from cleanroom.project.reading import ReadError, read

    try:
        after = read(path, root_of(path))
    except ReadError:  # the check says so
        return _ALL
    before_lines, after_lines = before.splitlines(), after.splitlines()
    if max(len(before_lines), len(after_lines)) > _MANY:
        return _ALL
    matcher = difflib.SequenceMatcher(None, before_lines, after_lines, autojunk=False)
    return tuple((start + 1, max(end, start + 1)) for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal")


def _git(root: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            git.command(root, *arguments),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=git.environment(),
            timeout=60,
        )
    except FileNotFoundError:
        raise ChangesError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise ChangesError("git did not answer within a minute") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChangesError(said[0] if said else "no such commit")
    return done.stdout.decode(errors="replace")
