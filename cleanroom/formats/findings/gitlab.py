"""GitLab's Code Quality report (https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from cleanroom.formats.findings.fingerprints import advice, fingerprinted
from cleanroom.lint.findings import Checked

_SEVERITIES = {"info": "info", "warning": "minor", "error": "major"}


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield one JSON array."""
    issues: list[object] = []
    for checked in files:
        path = checked.path.removeprefix("./")  # GitLab wants paths so
        for finding, mark in fingerprinted(checked):
            issues.append(
                {
                    "description": advice(finding),
                    "check_name": finding.label,
                    "fingerprint": mark,
                    "severity": _SEVERITIES[finding.severity],
                    "location": {
                        "path": path,
                        "positions": {
                            "begin": {"line": finding.line, "column": finding.column},
                            "end": {"line": finding.end_line, "column": finding.end_column},
                        },
                        "lines": {"begin": finding.line, "end": finding.end_line},
                    },
                }
            )
    yield json.dumps(issues, indent=1) + "\n"
