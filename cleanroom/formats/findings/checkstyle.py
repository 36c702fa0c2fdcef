"""Checkstyle's XML, which many dashboards read (https://checkstyle.org/report_issues.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from cleanroom.formats.findings.fingerprints import advice
from cleanroom.formats.values import printable
from cleanroom.lint.findings import Checked


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield the document, a file at a time; files without findings are in it too."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<checkstyle version="4.3">\n'
    for checked in files:
        yield f"  <file name={_attribute(checked.path)}>\n"
        for finding in checked.report.findings:
            about = "".join(f".{part}" for part in (finding.rule, finding.manager, finding.cache) if part)
            yield _error(finding.line, finding.column, finding.severity, advice(finding), f"cleanroom{about}")
        for problem in checked.report.errors:
            yield _error(problem.line, problem.column, "error", problem.message, "cleanroom.error")
        yield "  </file>\n"
    yield "</checkstyle>\n"


def _error(line: int, column: int, severity: str, message: str, source: str) -> str:
    return (
        f'    <error line="{line}" column="{column}" severity="{severity}" '
        f"message={_attribute(message)} source={_attribute(source)}/>\n"
    )


def _attribute(text: str) -> str:
    return quoteattr(printable(text))  # XML has no way to write control characters
