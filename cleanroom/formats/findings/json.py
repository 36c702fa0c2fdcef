"""Findings for other tools: the document that ``schemas/findings-1.schema.json`` describes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cleanroom.lint.findings import Checked, Finding, Fix, Problem, Report
from cleanroom.syntax.text import Source
from cleanroom.version import __version__

SCHEMA = "cleanroom/findings/1"


class Rows(Struct, frozen=True):
    """What one file adds to the three lists of the document, written out already."""

    findings: tuple[str, ...]
    unresolved: tuple[str, ...]
    errors: tuple[str, ...]


def rows(file: str, text: str, report: Report) -> Rows:
    """Return the rows of one file."""
    source = Source(text)
    return Rows(
        tuple(json.dumps(finding_row(file, source, finding)) for finding in report.findings),
        tuple(json.dumps({"file": file, "line": item.line, "reason": item.reason}) for item in report.unresolved),
        tuple(json.dumps(error_row(file, problem)) for problem in report.errors),
    )


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield the document of files that were checked, in pieces."""
    return document(rows(checked.path, checked.text, checked.report) for checked in files)


def document(files: Iterable[Rows]) -> Iterator[str]:
    """Yield the document of many files in pieces, findings as soon as they come."""
    yield f'{{"schema": {json.dumps(SCHEMA)}, "version": {json.dumps(__version__)},\n "findings": ['
    unresolved: list[str] = []
    errors: list[str] = []
    separator = "\n  "
    for file in files:
        for finding in file.findings:
            yield separator + finding
            separator = ",\n  "
        unresolved += file.unresolved
        errors += file.errors
    yield f'],\n "unresolved": [{_list(unresolved)}],\n "errors": [{_list(errors)}]}}\n'


def _list(items: list[str]) -> str:
    return "".join(f"{',' * (index > 0)}\n  {item}" for index, item in enumerate(items))


def finding_row(file: str, source: Source, finding: Finding) -> dict[str, object]:
    """Return a finding as in the document."""
    size = finding.typical_bytes
    return {
        "file": file,
        "instruction_line": finding.instruction_line,
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "rule": finding.rule,
        "manager": finding.manager,
        "cache": finding.cache,
        "severity": finding.severity,
        "stage": finding.stage,
        "ships": finding.ships,
        "message": finding.message,
        "paths": finding.paths,
        "bytes": None if size is None else {"typical": size, "source": finding.typical_of},
        "remedies": [{"kind": advice.kind, "text": advice.text} for advice in finding.remedies],
        "fix": None if finding.fix is None else _fix(source, finding.fix),
        "aliases": dict(finding.aliases),
    }


def _fix(source: Source, fix: Fix) -> dict[str, object]:
    edits = []
    for edit in fix.edits:
        line, column = source.position(edit.span.start)
        end_line, end_column = source.position(edit.span.end)
        edits.append(
            {"line": line, "column": column, "end_line": end_line, "end_column": end_column, "text": edit.text}
        )
    return {"safe": fix.safe, "title": fix.title, "edits": edits}


def error_row(file: str, problem: Problem) -> dict[str, object]:
    """Return an error as in the document."""
    return {"file": file, "line": problem.line, "column": problem.column, "message": problem.message}
