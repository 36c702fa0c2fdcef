"""Places in a text as the protocol has them: lines from 0, and code units of the encoding that was agreed on.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#position
"""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol import types

from cleanroom.syntax.text import Span

# Of the protocol; str.splitlines knows more, such as the form feed.
_LINE_END = re.compile(r"\r\n|\n|\r")
_Encoding = types.PositionEncodingKind | str


class Positions:
    """The lines of a text. Offsets count characters, positions count the code units of ``encoding``."""

    def __init__(self, text: str, encoding: _Encoding = types.PositionEncodingKind.Utf16) -> None:
        self.text = text
        self._encoding = encoding
        self._starts = [0]
        self._ends = []
        for match in _LINE_END.finditer(text):
            self._ends.append(match.start())
            self._starts.append(match.end())
        self._ends.append(len(text))

    def position(self, offset: int) -> types.Position:
        """Return the position of an offset; one within a line end is that of the line's end."""
        line = bisect_right(self._starts, offset) - 1
        piece = self.text[self._starts[line] : min(offset, self._ends[line])]
        return types.Position(line, self._units(piece))

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position; one beyond the end of its line is that end, as the protocol says."""
        if position.line >= len(self._starts):
            return len(self.text)
        start, end = self._starts[position.line], self._ends[position.line]
        if self._encoding == types.PositionEncodingKind.Utf32:
            return min(start + position.character, end)
        units = 0
        for offset in range(start, end):
            if units >= position.character:
                return offset
            units += self._units(self.text[offset])
        return end

    def range(self, span: Span) -> types.Range:
        """Return a span as a range."""
        return types.Range(self.position(span.start), self.position(span.end))

    def span(self, place: types.Range) -> Span:
        """Return a range as a span."""
        start = self.offset(place.start)
        return Span(start, max(start, self.offset(place.end)))

    def _units(self, text: str) -> int:
        if self._encoding == types.PositionEncodingKind.Utf32:
            return len(text)
        if self._encoding == types.PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text) + sum(character > "\uffff" for character in text)
