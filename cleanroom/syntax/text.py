"""Text with positions: spans, edits, and joined text that knows where each character came from.

All offsets count characters (not bytes) of the file's text; lines and columns are 1-based.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct


class Span(Struct, frozen=True, order=True):
    """A half-open range of character offsets in a file's text."""

    start: int
    end: int

    def cover(self, other: Span) -> Span:
        """Return the smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


class Edit(Struct, frozen=True, order=True):
    """Replace the text under ``span`` by ``text``; an empty span inserts."""

    span: Span
    text: str


class Source:
    """A file's text with its line starts. A line ends at a line feed; a carriage return before that is part of it."""

    __slots__ = ("_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts: list[int] = []  # found when they are first asked for

    def _find(self) -> list[int]:
        starts = [0]
        start = self.text.find("\n")
        while start != -1:
            starts.append(start + 1)
            start = self.text.find("\n", start + 1)
        self._starts = starts
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of ``offset``."""
        starts = self._starts or self._find()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a 1-based line, without its line end."""
        starts = self._starts or self._find()
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n")

    def line_start(self, number: int) -> int:
        """Return the offset of the first character of a 1-based line."""
        return (self._starts or self._find())[number - 1]

    def __len__(self) -> int:
        return len(self._starts or self._find())


class MappedText:
    """Text joined from pieces of a file, which knows the file offset of each of its characters.

    ``pieces`` are ``(text, file offset)`` in the order they are joined.
    """

    __slots__ = ("_joined", "_offsets", "text")

    def __init__(self, pieces: Iterable[tuple[str, int]]) -> None:
        joined: list[int] = []
        offsets: list[int] = []
        texts: list[str] = []
        length = 0
        for text, offset in pieces:
            if text:
                if not offsets or offset - offsets[-1] != length - joined[-1]:
                    joined.append(length)
                    offsets.append(offset)
                texts.append(text)
                length += len(text)
        self.text = "".join(texts)
        self._joined = joined
        self._offsets = offsets

    def offset(self, index: int) -> int:
        """Return the file offset of the character at ``index``; of the end, one past the last character."""
        if not self._offsets:
            return 0
        if index >= len(self.text):
            index, past = len(self.text) - 1, 1
        else:
            past = 0
        piece = bisect_right(self._joined, index) - 1
        return self._offsets[piece] + index - self._joined[piece] + past

    def span(self, start: int, end: int) -> Span:
        """Return the file span of ``text[start:end]``: from its first character to just past its last."""
        if end <= start:
            offset = self.offset(start)
            return Span(offset, offset)
        return Span(self.offset(start), self.offset(end - 1) + 1)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterable[tuple[str, int]]:
        """Yield ``(text, file offset)`` for each contiguous piece of ``text[start:end]``."""
        end = len(self.text) if end is None else min(end, len(self.text))
        piece = bisect_right(self._joined, start) - 1
        while start < end:
            stop = self._joined[piece + 1] if piece + 1 < len(self._joined) else len(self.text)
            stop = min(stop, end)
            yield self.text[start:stop], self._offsets[piece] + start - self._joined[piece]
            start = stop
            piece += 1

    def slice(self, start: int, end: int) -> MappedText:
        """Return ``text[start:end]`` with its mapping."""
        if len(self._offsets) == 1:  # as most have
            return MappedText([(self.text[start:end], self._offsets[0] + start)])
        return MappedText(self.pieces(start, end))

    def __len__(self) -> int:
        return len(self.text)

    def __repr__(self) -> str:
        return f"MappedText({self.text!r})"


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with all ``edits`` made. Raises ValueError when two of them overlap."""
    result: list[str] = []
    position = 0
    for edit in sorted(edits):
        if edit.span.start < position:
            raise ValueError(f"edits overlap at offset {edit.span.start}")
        result += (text[position : edit.span.start], edit.text)
        position = edit.span.end
    result.append(text[position:])
    return "".join(result)


def joined(text: str, edits: Iterable[Edit]) -> Edit:
    """Return one edit that does what all ``edits`` do. Raises ValueError when there is none, or two overlap."""
    first, *more = sorted(edits)
    span = Span(first.span.start, max(edit.span.end for edit in (first, *more)))
    changed = apply(text[: span.end], (first, *more))
    return Edit(span, changed[span.start :])


def diff(before: str, after: str, name: str) -> str:
    """Return a unified diff of two texts of the file ``name``, "" when they are equal."""
    import difflib

    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{name.lstrip('/')}", f"b/{name.lstrip('/')}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Return the lines of ``text`` with their ends, which are line feeds only (str.splitlines knows ten more)."""
    return io.StringIO(text, newline="\n").readlines()
