"""Patterns in the manner of ``.gitignore``, over paths (https://git-scm.com/docs/gitignore#_pattern_format).

They may be a stranger's, so matching takes time in proportion to the lengths of pattern and path. Regular expressions,
which pathspec makes of them too, take minutes for ``*a*a*a*a*a*a*a*b``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

_Token: TypeAlias = "Callable[[str], bool] | None"  # what one character must be; None for a star
_Part: TypeAlias = "tuple[_Token, ...] | None"  # of a path; None for **


class _Pattern(Struct, frozen=True):
    parts: tuple[_Part, ...]
    folders_only: bool
    excludes: bool  # or takes back, with !


class Patterns:
    """Patterns relative to the folder ``root``, by default the current one.

    The last one that matches decides; one that begins with ``!`` takes back.
    """

    def __init__(self, patterns: Iterable[str], root: str = "") -> None:
        self._root = root or os.curdir
        self._patterns = [found for pattern in patterns if (found := _parse(pattern))]

    def match(self, path: str, is_folder: bool) -> bool:
        """Return True if ``path`` itself is meant; whoever walks a tree does not go into a folder that is."""
        return self.verdict(path, is_folder) or False

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """Return True if ``path`` is meant, False if it is taken back, None if no pattern matches."""
        if not self._patterns:
            return None
        relative = os.path.relpath(path, self._root).replace(os.sep, "/")
        if relative == ".." or relative.startswith("../"):
            return None
        parts = relative.split("/")
        for pattern in reversed(self._patterns):
            if (is_folder or not pattern.folders_only) and _matches(parts, pattern.parts):
                return pattern.excludes
        return None

    def match_below(self, path: str) -> bool:
        """Return True if the file ``path``, or a folder between it and the root, is meant."""
        relative = os.path.relpath(path, self._root)
        parts = relative.split(os.sep)
        folders = (os.path.join(self._root, *parts[:end]) for end in range(1, len(parts)))
        return any(self.match(folder, True) for folder in folders) or self.match(path, False)


def _parse(pattern: str) -> _Pattern | None:
    pattern = pattern.rstrip("\r\n")
    stripped = pattern.rstrip(" ")
    pattern = stripped + " " * (stripped.endswith("\\") and stripped != pattern)
    if not pattern or pattern.startswith("#"):
        return None
    excludes = not pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if not pattern.removeprefix("/"):
        return None
    texts = pattern.removeprefix("/").split("/") if "/" in pattern else ["**", pattern]
    parts = [None if text == "**" else _tokens(text) for text in texts]
    if parts[-1] is None:  # what is in the folder, not the folder itself
        parts.append((None,))
    return _Pattern(tuple(parts), folders_only, excludes)


def _matches(path: Sequence[str], parts: Sequence[_Part]) -> bool:
    """Return True if the parts of a path match those of a pattern."""
    reached = {0}  # how many parts of the path the pattern so far may have taken
    for part in parts:
        if part is None:
            reached = set(range(min(reached), len(path) + 1))
        else:
            reached = {count + 1 for count in reached if count < len(path) and _matches_part(path[count], part)}
        if not reached:
            return False
    return len(path) in reached


def _matches_part(name: str, tokens: Sequence[_Token]) -> bool:
    """Return True if a name matches; on a mismatch, only the last star need take more."""
    at, index, star, resume = 0, 0, -1, 0
    while at < len(name):
        token = tokens[index] if index < len(tokens) else _never
        if token is None:
            star, resume = index, at
            index += 1
        elif token(name[at]):
            at += 1
            index += 1
        elif star >= 0:
            resume += 1
            at, index = resume, star + 1
        else:
            return False
    return all(token is None for token in tokens[index:])


def _never(_: str) -> bool:
    return False


def _any(_: str) -> bool:
    return True


def _tokens(text: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    index = 0
    while index < len(text):
        character = text[index]
        end = _end_of_set(text, index) if character == "[" else -1
        if character == "*":
            if not (tokens and tokens[-1] is None):
                tokens.append(None)
        elif character == "?":
            tokens.append(_any)
        elif end > 0:
            tokens.append(_set(text[index + 1 : end]))
            index = end
        else:
            if character == "\\" and index + 1 < len(text):
                index += 1
            tokens.append(text[index].__eq__)
        index += 1
    return tuple(tokens)


def _end_of_set(text: str, start: int) -> int:
    """Return where the set that begins at ``start`` ends, -1 where it does not; ``]`` may be its first member."""
    first = start + 1 + (text[start + 1 : start + 2] in ("!", "^"))
    return text.find("]", first + 1)


def _set(members: str) -> Callable[[str], bool]:
    """Return a predicate for the members of ``[a-z_]``, or with ``!`` for all others."""
    negated = members[:1] in ("!", "^")
    rest = members[negated:]
    single: set[str] = set()
    ranges: list[tuple[str, str]] = []
    while rest:
        if len(rest) > 2 and rest[1] == "-":
            ranges.append((rest[0], rest[2]))
            rest = rest[3:]
        else:
            single.add(rest[0])
            rest = rest[1:]
    return lambda character: (character in single or any(low <= character <= high for low, high in ranges)) != negated
