"""A comment for a pull request, in Markdown as code hosts read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cleanroom.formats.findings.text import bulk
from cleanroom.formats.values import cell, code
from cleanroom.lint.findings import Checked, Finding

_SIGNS = {"info": "ℹ️", "warning": "⚠️", "error": "❌"}  # noqa: RUF001
_LONGEST = 60_000  # characters; GitHub refuses comments of over 65,536


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield the comment: a heading with the count, a table a file."""
    found = [checked for checked in files if checked.report.findings or checked.report.errors]
    count = sum(len(checked.report.findings) for checked in found)
    if not found:
        yield "### cleanroom\n\nNothing is left behind. ✅\n"
        return
    noun = "finding" if count == 1 else "findings"
    where = f"{len(found)} file" if len(found) == 1 else f"{len(found)} files"
    yield f"### cleanroom: {count} {noun} in {where}\n"
    length, left_out = 0, 0
    for checked in found:
        rows = [_row(finding) for finding in checked.report.findings]
        rows += [f"| {problem.line} | ❌ | error | {cell(problem.message)} | |\n" for problem in checked.report.errors]
        head = (
            f"\n**{code(checked.path)}**\n\n| line | | rule | what is left | how to fix it |\n|---:|---|---|---|---|\n"
        )
        shown = []
        for row in rows:
            length += len(row)
            if length > _LONGEST:
                left_out += 1
            else:
                shown.append(row)
        if shown:
            yield head + "".join(shown)
    if left_out:
        yield f"\n… and {left_out} more, which do not fit in a comment.\n"


def _row(finding: Finding) -> str:
    example = f" (for example {cell(bulk(finding))})" if finding.typical_bytes else ""
    remedy = code(finding.remedies[0].text) if finding.remedies else ""
    message = f"{cell(finding.message)}{example}"
    return f"| {finding.line} | {_SIGNS[finding.severity]} | {code(finding.label)} | {message} | {remedy} |\n"
