"""Which findings of a file are reported: those that are not in the baseline, on the lines that were changed."""

from __future__ import annotations

from msgspec.structs import replace

from cleanroom.lint.findings import Checked, Finding, Report
from cleanroom.project.files import File


def reported(file: File, text: str, report: Report) -> Report:
    """Return the report with the findings that are asked for."""
    if not file.known and file.lines is None:
        return report
    from cleanroom.formats.findings.fingerprints import fingerprinted

    marks = fingerprinted(Checked("", text, report))  # by any path: a baseline names files by their own
    known = set(file.known)
    kept = (finding for finding, mark in marks if mark not in known and _is_in(finding, file.lines))
    return replace(report, findings=tuple(kept))


def _is_in(finding: Finding, lines: tuple[tuple[int, int], ...] | None) -> bool:
    """Return True if the command of a finding, or the instruction it is in, was changed."""
    if lines is None:
        return True
    first = min(finding.line, finding.instruction_line)
    return any(start <= finding.end_line and first <= end for start, end in lines)
