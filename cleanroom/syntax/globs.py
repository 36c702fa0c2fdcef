"""Globs over names, as ``fnmatch.fnmatchcase`` has them, without a regular expression for each."""

from __future__ import annotations


def is_glob(pattern: str) -> bool:
    """Return True if ``pattern`` may match another text than itself."""
    return "*" in pattern or "?" in pattern or "[" in pattern


def matches(name: str, pattern: str) -> bool:
    """Return True if the whole ``name`` matches the glob ``pattern``; case counts.

    >>> matches("debian:12-slim", "debian:12*")
    True
    """
    if "?" in pattern or "[" in pattern:
        plain = next(index for index, character in enumerate(pattern) if character in "*?[")
        if not name.startswith(pattern[:plain]):  # told without a regular expression, which takes long to compile
            return False
        from fnmatch import fnmatchcase

        return fnmatchcase(name, pattern)
    head, *others = pattern.split("*")
    if not others:
        return name == pattern
    *middle, tail = others
    if len(name) < len(head) + len(tail) or not (name.startswith(head) and name.endswith(tail)):
        return False
    position, end = len(head), len(name) - len(tail)
    for part in middle:
        found = name.find(part, position, end)
        if found == -1:
            return False
        position = found + len(part)
    return True
