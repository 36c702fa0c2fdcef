"""GitHub's workflow commands, which show findings at their lines in a pull request.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cleanroom.formats.findings.fingerprints import advice
from cleanroom.formats.values import printable
from cleanroom.lint.findings import Checked

_LEVELS = {"info": "notice", "warning": "warning", "error": "error"}


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield a line for each finding and each error."""
    for checked in files:
        path = _property(checked.path)
        for finding in checked.report.findings:
            place = f"file={path},line={finding.line},endLine={finding.end_line}"
            if finding.line == finding.end_line:  # columns mean nothing over several lines there
                place += f",col={finding.column},endColumn={finding.end_column}"
            title = _property(f"cleanroom {finding.label}")
            yield f"::{_LEVELS[finding.severity]} {place},title={title}::{_data(advice(finding))}\n"
        for problem in checked.report.errors:
            place = f"file={path},line={problem.line},col={problem.column}"
            yield f"::error {place},title=cleanroom::{_data(problem.message)}\n"


def _data(text: str) -> str:
    """Return text as data: a line feed would end the command, and the log shows what a terminal would obey."""
    lines = (printable(line) for line in text.split("\n"))
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
