"""How a Dockerfile is written in a string or a block of another file, and which character stands where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from cleanroom.syntax.readers import Embedded
from cleanroom.syntax.text import MappedText

Pieces = list[tuple[str, int]]

_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))|([^\\])", re.DOTALL)
_MEANINGS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "a": "\a", "e": "\x1b", "v": "\v"}


def block(text: str, start: int, end: int, indent: int) -> Pieces:
    """Return the lines between two offsets without their indentation, and without carriage returns at their ends."""
    found: Pieces = []
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop == -1 else stop + 1
        line = text[start:stop]
        cut = min(indent, len(line) - len(line.lstrip(" ")))
        bare = line[cut:]
        if bare.endswith("\r\n"):
            found += [(bare[:-2], start + cut), ("\n", stop - 2)]
        else:
            found.append((bare, start + cut))
        start = stop
    return found


def quoted(text: str, start: int, end: int) -> Pieces:
    """Return what stands between the quotes of a string with escapes, as JSON, HCL and YAML have it."""
    found: Pieces = []
    for match in _ESCAPED.finditer(text, start, end):
        if match[1]:
            found.append((chr(int(match[1], 16)), match.start()))
        elif match[2]:
            found.append((_MEANINGS.get(match[2], match[2]), match.start()))
        else:
            found.append((match[3], match.start()))
    return found


def doubled(pieces: Iterable[tuple[str, int]], pattern: re.Pattern[str]) -> Pieces:
    """Return the pieces with each match of ``pattern`` without its first character: ``$$`` for ``$``."""
    mapped = MappedText(pieces)
    found: Pieces = []
    at = 0
    for match in pattern.finditer(mapped.text):
        found += mapped.pieces(at, match.start())
        found += mapped.pieces(match.start() + 1, match.end())
        at = match.end()
    return [*found, *mapped.pieces(at)]


def cut(pieces: Iterable[tuple[str, int]], length: int) -> Pieces:
    """Return the pieces up to a length in characters."""
    return list(MappedText(pieces).pieces(0, length))


def in_block(indent: str, newline: str, escape: Callable[[str], str]) -> Callable[[str], str]:
    """Return what writes text into an indented block."""
    return lambda text: escape(text).replace("\n", newline + indent)


def in_quotes(escape: Callable[[str], str]) -> Callable[[str], str]:
    """Return what writes text between double quotes."""
    return lambda text: json.dumps(escape(text), ensure_ascii=False)[1:-1]


def unwritable(value: str, offset: int, end: int) -> Embedded:
    """Return a Dockerfile whose characters all stand at one place, and that cannot be changed."""

    def pieces() -> Iterator[tuple[str, int]]:
        for char in value:
            yield char, min(offset, end)

    return Embedded(MappedText(pieces()), lambda _: None)
