"""The format of reviewdog, whose suggestions are changes that a reviewer takes with one click.

https://github.com/reviewdog/reviewdog/tree/master/proto/rdf; its columns count bytes of UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from cleanroom.formats.findings.fingerprints import advice
from cleanroom.lint.findings import Checked, Finding
from cleanroom.syntax.text import Source, Span, joined

_SCREEN = 40  # lines of a suggestion: one who takes it has to see it whole
_SEVERITIES = {"info": "INFO", "warning": "WARNING", "error": "ERROR"}


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield one DiagnosticResult."""
    diagnostics: list[object] = []
    for checked in files:
        source = Source(checked.text)
        diagnostics += [_diagnostic(checked.path, source, finding) for finding in checked.report.findings]
        diagnostics += [
            {
                "message": problem.message,
                "location": {
                    "path": checked.path,
                    "range": {"start": {"line": problem.line, "column": problem.column}},
                },
                "severity": "ERROR",
            }
            for problem in checked.report.errors
        ]
    yield (
        json.dumps({"source": {"name": "cleanroom"}, "severity": "WARNING", "diagnostics": diagnostics}, indent=1)
        + "\n"
    )


def _diagnostic(path: str, source: Source, finding: Finding) -> dict[str, object]:
    diagnostic: dict[str, object] = {
        "message": advice(finding),
        "location": {"path": path, "range": _range(source, finding.span)},
        "severity": _SEVERITIES[finding.severity],
        "code": {"value": finding.label},
    }
    if finding.fix is not None and finding.fix.safe and finding.fix.edits:
        edit = joined(source.text, finding.fix.edits)  # each suggestion is a click of its own
        length = source.text.count("\n", edit.span.start, edit.span.end)
        if max(length, edit.text.count("\n")) < _SCREEN:
            diagnostic["suggestions"] = [{"range": _range(source, edit.span), "text": edit.text}]
    return diagnostic


def _range(source: Source, span: Span) -> dict[str, object]:
    return {"start": _position(source, span.start), "end": _position(source, span.end)}


def _position(source: Source, offset: int) -> dict[str, int]:
    line, column = source.position(offset)
    before = source.text[offset - column + 1 : offset]
    return {"line": line, "column": len(before.encode("utf-8", "surrogatepass")) + 1}
