"""A line a finding, as compilers write it, for editors and for ``grep``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cleanroom.formats.values import printable
from cleanroom.lint.findings import Checked


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield a line for each finding; what cannot be read is for standard error."""
    for checked in files:
        path = printable(checked.path)
        for finding in checked.report.findings:
            mark = " [fix]" if finding.fix is not None and finding.fix.safe else ""
            place = f"{path}:{finding.line}:{finding.column}"
            yield f"{place}: {finding.severity}: {finding.label}: {printable(finding.message)}{mark}\n"
