"""Findings for people: the place, the line with the command underlined, what is left, and the best fix."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from cleanroom.formats.values import printable, size
from cleanroom.lint.findings import SEVERITIES, Advice, Finding, Report
from cleanroom.syntax.paths import readable
from cleanroom.syntax.text import Source

if TYPE_CHECKING:
    from typing import TextIO

_COLOURS = {"info": 36, "warning": 33, "error": 31}  # cyan, yellow, red
_BOLD, _DIM = 1, 2
_TAB = 4
_ELLIPSIS = "…"


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return True to write colours to ``stream`` (https://no-color.org, https://force-color.org)."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


class Look(Struct, frozen=True):
    """How text is laid out: lines of the file are cut to ``width`` columns, and where it ``wraps``, words go below."""

    colour: bool = False
    width: int = 120
    wraps: bool = False

    def paint(self, text: str, code: int) -> str:
        """Return text in a colour or weight (a code of ECMA-48, section 8.3.117)."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def wrap(self, text: str, indent: int, first: int = 0) -> list[str]:
        """Return the lines of a text: ``first`` columns of the first are taken, the others stand ``indent`` in."""
        if not self.wraps or first + _columns(text) <= self.width:
            return [text]
        lines, room = [""], self.width - first
        for word in text.split(" "):
            if lines[-1] and _columns(lines[-1]) + 1 + _columns(word) > room:
                lines.append("")
                room = self.width - indent
            lines[-1] += f" {word}" if lines[-1] else word
        return [lines[0], *(f"{' ' * indent}{line}" for line in lines[1:])]


def render(file: str, text: str, report: Report, look: Look) -> str:
    """Return the findings of one file, each with a blank line after it; those of one RUN with one fix are one."""
    source = Source(text)
    lines: list[str] = []
    for group in grouped(report.findings):
        lines += _finding(file, source, group, look)
        lines.append("")
    return "".join(f"{line}\n" for line in lines)


def grouped(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Yield the findings of one RUN about one manager that have one fix together, in the order of the first."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        what = (finding.instruction_line, finding.rule, finding.manager, finding.severity)
        mended = (finding.fix, finding.no_fix, finding.remedies[:1])
        key = (*what, mended) if finding.fix or finding.remedies else len(groups)
        groups.setdefault(key, []).append(finding)
    return iter(groups.values())


def joined(messages: Sequence[str]) -> str:
    """Return messages that differ in the middle as one: ``conda leaves a, b and c in this layer``."""
    words = [message.split(" ") for message in messages]
    head = _common(words)
    tail = _common([line[: head - 1 if head else None : -1] for line in words])
    middles = [" ".join(line[head : len(line) - tail]) for line in words]
    if len(messages) == 1 or not (head and all(middles)):
        return "; ".join(dict.fromkeys(messages))
    middle = f"{', '.join(middles[:-1])} and {middles[-1]}"
    return " ".join([*words[0][:head], middle, *words[0][len(words[0]) - tail :]])


def _common(lines: Sequence[Sequence[str]]) -> int:
    """Return how many words are the same at the start of all lines."""
    return next(
        (index for index, found in enumerate(zip(*lines, strict=False)) if len(set(found)) > 1), min(map(len, lines))
    )


def summary(counts: Mapping[str, int], files: int, files_with_findings: int, files_with_errors: int = 0) -> str:
    """Return the last line: how many findings of each severity, in how many files."""
    total = sum(counts.values())
    errors = f" ({files_with_errors} with errors, see above)" if files_with_errors else ""
    if not total:
        return f"No findings in {_count(files, 'file')}{errors}."
    kinds = [
        f"{counts[severity]} info" if severity == "info" else _count(counts[severity], severity)
        for severity in reversed(SEVERITIES)
        if counts.get(severity)
    ]
    where = (
        _count(files, "file") if files_with_findings == files else f"{files_with_findings} of {_count(files, 'file')}"
    )
    return f"{_count(total, 'finding')} in {where}: {', '.join(kinds)}{errors}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _finding(file: str, source: Source, group: Sequence[Finding], look: Look) -> Iterator[str]:
    finding = group[0]
    hue = _COLOURS[finding.severity]
    place = f"{printable(file)}:{finding.line}:{finding.column}"
    label = _label(group)
    message = printable(joined([item.message for item in group]))
    head = f"{place}  {finding.severity}  {label}  "
    first, *more = look.wrap(message, 4, _columns(head))
    what = f"{look.paint(finding.severity, hue)}  {look.paint(label, hue)}"
    yield f"{look.paint(place, _BOLD)}  {what}  {first}".rstrip()
    yield from more
    number = f"{finding.line:>4}"
    blank = " " * len(number)
    bar = look.paint("|", _DIM)
    shown, underline = _snippet(source, finding, max(look.width - len(number) - 3, 20))
    yield f"{look.paint(number, _DIM)} {bar} {shown}"
    yield f"{blank} {bar} {look.paint(underline, hue)}"
    notes = [note for item in group for note in _notes(item)]
    notes[1:1] = [f"line {line}: and here" for line in sorted({item.line for item in group} - {finding.line})]
    for note in sorted(dict.fromkeys(notes), key=lambda note: not note.startswith("left:")):
        first, *more = look.wrap(printable(note), len(blank) + 5, len(blank) + 3)
        yield f"{blank} {look.paint('=', _DIM)} {first}"
        yield from more


def _label(group: Sequence[Finding]) -> str:
    """Return how a group is named: ``left-behind[conda.packages,index]``."""
    label, *others = (finding.label for finding in group)
    caches = "".join(f",{item.cache}" for item, other in zip(group[1:], others, strict=True) if other != label)
    return f"{label.removesuffix(']')}{caches}]" if caches else label


def bulk(finding: Finding) -> str:
    """Return what the bytes of a finding are an example of: ``540 MB after the environment of nipype_tutorial``."""
    if finding.typical_bytes is None:
        return ""
    return f"{size(finding.typical_bytes)}{f' after {finding.typical_of}' if finding.typical_of else ''}"


def _notes(finding: Finding) -> Iterator[str]:
    if finding.paths:
        example = f" (for example {bulk(finding)})" if finding.typical_bytes is not None else ""
        yield f"left: {', '.join(map(readable, finding.paths))}{example}"
    elif finding.typical_bytes is not None:
        yield f"saves about {size(finding.typical_bytes)}{f' with {finding.typical_of}' if finding.typical_of else ''}"
    for line, what in finding.related:
        yield f"line {line}: {what}"
    if finding.fix is not None:
        yield f"fix: {finding.fix.title}" if finding.fix.safe else f"fix with --unsafe: {finding.fix.title}"
        if not finding.fix.safe:
            yield f"not safe: {finding.fix.why}"
        return
    if finding.no_fix and finding.severity != "info":
        yield f"no fix: {finding.no_fix}"
    if finding.remedies:
        best = finding.remedies[0]
        yield f"{where_to_write(best, finding.rule)}: {best.text}"


def where_to_write(advice: Advice, rule: str) -> str:
    """Return in words where what a remedy says is to be written."""
    if rule == "cleanup-fails":  # it is about a command that is there
        return "write instead"
    if advice.kind == "clean":
        return f"add at the end of this {advice.run}"
    if advice.kind == "mount":
        return "add to this RUN"
    if advice.text.startswith("-"):
        return "add to this command"
    if advice.text.startswith("ENV "):
        return "add above this RUN"
    return "write" if advice.kind == "lean" else "run before it"


# The line. A cell is what one character of the file shows, and how many columns wide it is.


def _snippet(source: Source, finding: Finding, width: int) -> tuple[str, str]:
    """Return the first line of the command, cut to ``width`` columns around it, and the line that underlines it."""
    line = source.line(finding.line)
    start = min(finding.column - 1, len(line))
    end = finding.end_column - 1 if finding.end_line == finding.line else len(line)
    # The backslash that continues a line is no part of the command.
    end = max(start + 1, start + len(line[start:end].rstrip("\\ \t")))
    cells = _cells(line.ljust(end))
    first, last = _window(cells, start, end, width)
    shown = [*cells[first:last]]
    before, after = first > 0, last < len(cells)
    text = _ELLIPSIS * before + "".join(cell for cell, _ in shown) + _ELLIPSIS * after
    indent = before + _width(cells[first:start])
    return text.rstrip(), " " * indent + "~" * _width(cells[start : min(end, last)])


def _cells(line: str) -> list[tuple[str, int]]:
    cells = []
    column = 0
    for character in line:
        if character == "\t":
            cell = " " * (_TAB - column % _TAB)
            width = len(cell)
        elif character.isprintable():
            cell = character
            width = 2 if unicodedata.east_asian_width(character) in "WF" else int(not unicodedata.combining(character))
        else:
            cell = printable(character)
            width = len(cell)
        cells.append((cell, width))
        column += width
    return cells


def _window(cells: Sequence[tuple[str, int]], start: int, end: int, width: int) -> tuple[int, int]:
    """Return which cells to show: all if they fit, else those from ``start`` to ``end`` with what fits around them."""
    if _width(cells) <= width:
        return 0, len(cells)
    room = width - 2  # an ellipsis on either side
    first = last = start
    used = 0
    # The command first, as far as it fits; then what stands before it, for the most part; then the rest.
    while last < min(end, len(cells)) and used + cells[last][1] <= room:
        used += cells[last][1]
        last += 1
    while first > 0 and used + cells[first - 1][1] <= room:
        first -= 1
        used += cells[first][1]
    while last < len(cells) and used + cells[last][1] <= room:
        used += cells[last][1]
        last += 1
    return first, last


def _columns(text: str) -> int:
    """Return how many columns wide a text is that is printable."""
    return len(text) if text.isascii() else _width(_cells(text))


def _width(cells: Sequence[tuple[str, int]]) -> int:
    return sum(width for _, width in cells)
