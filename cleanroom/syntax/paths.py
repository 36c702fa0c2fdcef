"""Paths and patterns as the shell has them, and whether removing one empties another.

A *pattern* is a word after expansion in which characters that were quoted are escaped with a backslash, so that
``"*"`` is not a glob. UNKNOWN stands for text that cannot be known; ``A/ANYWHERE/B`` is all that is called B below A.
"""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise

UNKNOWN = "\x00"
ANYWHERE = "\x01"
SPECIAL = "*?[]{},~\\"


def escape(text: str) -> str:
    """Return ``text`` as a pattern that means just itself."""
    if not any(character in SPECIAL for character in text):
        return text
    return "".join(f"\\{character}" if character in SPECIAL else character for character in text)


def plain(pattern: str) -> str:
    """Return the text of a pattern, escapes removed."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) if "\\" in pattern else pattern


_CLASSES = re.compile(r"(?:\[[^]]*\]){2,}\*?")


def readable(path: str) -> str:
    """Return a path for people: what is not known, and what stands for several endings, as ``…``.

    >>> readable("/opt/conda/pkgs/*.[ct][oa][nr]*")
    '/opt/conda/pkgs/*.…'
    """
    return _CLASSES.sub("…", path.replace(UNKNOWN, "…"))


def absolute(pattern: str, folder: str) -> str:
    """Return ``pattern`` from the root (or from ``~`` when the home is not known), ``.`` and ``..`` resolved."""
    if pattern.startswith(UNKNOWN):  # may be a path from the root
        folder = ""
    if not pattern.startswith(("/", "~")):
        pattern = f"{folder}/{pattern}"
    if pattern.startswith("//"):
        pattern = "/" + pattern.lstrip("/")
    trailing = "/" if pattern.endswith("/") else ""
    return posixpath.normpath(pattern) + trailing if pattern else pattern


def braces(pattern: str, limit: int = 256) -> list[str]:
    """Return what bash's brace expansion makes of a pattern: ``{a,b}`` and nested ones.

    What would become more than about ``limit`` words is unknown.
    """
    start = -1
    depth = 0
    commas: list[int] = []
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            index += 1
        elif character == "{":
            if depth == 0:
                start, commas = index, []
            depth += 1
        elif character == "," and depth == 1:
            commas.append(index)
        elif character == "}" and depth:
            depth -= 1
            if depth == 0 and commas:
                head, tail = pattern[:start], pattern[index + 1 :]
                bounds = [start, *commas, index]
                choices = [pattern[a + 1 : b] for a, b in pairwise(bounds)]
                if len(choices) > limit:
                    return [UNKNOWN]
                limit //= len(choices)
                return [word for choice in choices for word in braces(f"{head}{choice}{tail}", limit)]
        index += 1
    return [pattern]


@lru_cache(maxsize=8192)
def covers(removed: str, path: str) -> bool | None:
    """Return True if removing the pattern ``removed``, with all below it, empties ``path``; None when it may.

    ``/a``, ``/a/b`` and ``/a/b/*`` empty ``/a/b``; ``/a/b/c`` does not. ``path`` may itself hold globs: a last part
    such as ``*.bin`` means files of a folder, one before it a folder of which there is one, such as that of a version.
    """
    start, anywhere, name = removed.partition(f"/{ANYWHERE}/")
    if anywhere:
        return _takes_below(start or "/", name, path)
    removals = [part for part in removed.split("/") if part]
    parts = [part for part in path.split("/") if part]
    if not removals:
        return removed.startswith("/")
    for index, (removal, part) in enumerate(zip(removals, parts, strict=False)):
        if plain(removal) == part:
            continue
        if index < len(parts) - 1 and "*" in part and fnmatchcase(plain(removal), part):
            continue
        if UNKNOWN in removal or UNKNOWN in part:
            return None
        bare = re.sub(r"\\.", "", removal)
        glob = re.sub(r"\\(.)", r"[\1]", removal)
        if not any(character in bare for character in "*?[") or not fnmatchcase(part.replace("*", "x"), glob):
            return False
    if len(removals) <= len(parts):
        return True
    if len(removals) == len(parts) + 1:
        last = removals[-1]
        if last in ("*", "**"):
            return True
        if UNKNOWN in last:
            return None
        # *.* or *_*: most of what is there, perhaps all
        return None if "*" in re.sub(r"\\.", "", last) else False
    return False


def _takes_below(start: str, name: str, path: str) -> bool | None:
    """Return True if removing what is called ``name`` anywhere below ``start`` empties ``path``; None when it may."""
    depth = sum(1 for part in start.split("/") if part)
    parts = [part for part in path.split("/") if part]
    if len(parts) < depth:
        return False
    if not (holds := covers(start, "/" + "/".join(parts[:depth]))):
        return holds
    if UNKNOWN in name:
        return None
    if any(covers(f"/{name}", f"/{part}") for part in parts[depth:]):
        return True
    return None if len(parts) == depth and any(character in name for character in "*?[") else False


def below(path: str, folder: str) -> bool:
    """Return True if ``path`` is ``folder`` or in it."""
    folder = folder.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
