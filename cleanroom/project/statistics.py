"""Findings counted: by rule and manager, and by file, with the bytes that they are an example of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import asdict

from cleanroom.formats.values import printable, size
from cleanroom.lint.findings import Checked
from cleanroom.version import __version__

SCHEMA = "cleanroom/statistics/1"


class Row(Struct):
    """How many findings there are of one kind; ``bytes`` adds up what is known of the sizes of their caches."""

    rule: str
    manager: str
    count: int = 0
    bytes: int = 0


class FileRow(Struct):
    """How many findings there are in one file."""

    file: str
    count: int = 0
    bytes: int = 0


class Statistics(Struct, frozen=True):
    """The rows of both tables, the largest count first."""

    rows: tuple[Row, ...]
    files: tuple[FileRow, ...]


def count(checked: Iterable[Checked]) -> Statistics:
    """Count the findings of files."""
    rows: dict[tuple[str, str], Row] = {}
    files: list[FileRow] = []
    for one in checked:
        file = FileRow(one.path)
        for finding in one.report.findings:
            row = rows.setdefault((finding.rule, finding.manager), Row(finding.rule, finding.manager))
            for each in (row, file):
                each.count += 1
                each.bytes += finding.typical_bytes or 0
        if file.count:
            files.append(file)
    return Statistics(
        tuple(sorted(rows.values(), key=lambda row: (-row.count, row.rule, row.manager))),
        tuple(sorted(files, key=lambda file: (-file.count, file.file))),
    )


def document(statistics: Statistics) -> str:
    """Return the statistics as JSON."""
    found = {"rules": [asdict(row) for row in statistics.rows], "files": [asdict(row) for row in statistics.files]}
    return json.dumps({"schema": SCHEMA, "version": __version__, **found}, indent=1) + "\n"


def table(statistics: Statistics) -> str:
    """Return the statistics for people."""
    rules = [(row.count, row.bytes, _label(row)) for row in statistics.rows]
    files = [(row.count, row.bytes, printable(row.file)) for row in statistics.files]
    return "".join([*_lines(rules), *(["\n"] if files else []), *_lines(files)])


def _label(row: Row) -> str:
    return f"{row.rule}[{row.manager}]" if row.manager else row.rule


def _lines(rows: list[tuple[int, int, str]]) -> Iterator[str]:
    width = max((len(str(number)) for number, _, _ in rows), default=0)
    for number, weight, name in rows:
        yield f"{number:>{width}}  {size(weight) if weight else '':>7}  {name}\n"
