"""The JSON of hadolint (https://github.com/hadolint/hadolint#cli), so that tools for its reports take ours.

A finding goes by hadolint's own code where the recipe names one that looks at the same, else by our rule's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from cleanroom.formats.findings.fingerprints import advice
from cleanroom.lint.findings import Checked, Finding


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield one JSON array."""
    rows: list[object] = []
    for checked in files:
        rows += [
            {
                "code": code(finding),
                "column": finding.column,
                "file": checked.path,
                "level": finding.severity,
                "line": finding.line,
                "message": f"{advice(finding)} [cleanroom {finding.label}]",
            }
            for finding in checked.report.findings
        ]
        rows += [
            {
                "code": "DL1000",  # hadolint's own for a file that does not parse
                "column": problem.column,
                "file": checked.path,
                "level": "error",
                "line": problem.line,
                "message": problem.message,
            }
            for problem in checked.report.errors
        ]
    yield json.dumps(rows) + "\n"


def code(finding: Finding) -> str:
    """Return the code under which hadolint's readers see a finding."""
    if finding.rule in ("left-behind", "cleaned-late", "cleaned-early"):
        for peer, identifiers in finding.aliases:
            if peer == "hadolint" and identifiers:
                return identifiers[0]
    return f"cleanroom/{finding.rule}"
