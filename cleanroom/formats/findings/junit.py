"""JUnit's XML, which every CI shows as tests: a file is a suite, a finding a test that failed.

https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from cleanroom.formats.findings.fingerprints import advice
from cleanroom.formats.values import printable
from cleanroom.lint.findings import Checked


def render(files: Iterable[Checked]) -> Iterator[str]:
    """Yield the document, a file at a time. Info findings pass; a file without findings is a test that passed."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="cleanroom">\n'
    for checked in files:
        findings, errors = checked.report.findings, checked.report.errors
        failures = sum(finding.severity != "info" for finding in findings)
        count = len(findings) + len(errors) or 1
        yield (
            f'  <testsuite name={_attribute(checked.path)} tests="{count}" failures="{failures}" '
            f'errors="{len(errors)}">\n'
        )
        for finding in findings:
            place = f"{checked.path}:{finding.line}:{finding.column}"
            case = (
                f"    <testcase name={_attribute(f'{finding.label} at {finding.line}:{finding.column}')} "
                f'classname={_attribute(checked.path)} file={_attribute(checked.path)} line="{finding.line}">'
            )
            text = f"{place}: {advice(finding)}"
            if finding.severity == "info":
                yield f"{case}<system-out>{_text(text)}</system-out></testcase>\n"
            else:
                yield (
                    f"{case}<failure type={_attribute(finding.rule)} message={_attribute(finding.message)}>"
                    f"{_text(text)}</failure></testcase>\n"
                )
        for problem in errors:
            yield (
                f'    <testcase name="readable" classname={_attribute(checked.path)} file={_attribute(checked.path)} '
                f'line="{problem.line}"><error type="error" message={_attribute(problem.message)}/></testcase>\n'
            )
        if not findings and not errors:
            yield f'    <testcase name="clean" classname={_attribute(checked.path)} file={_attribute(checked.path)}/>\n'
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _attribute(text: str) -> str:
    return quoteattr(printable(text))


def _text(text: str) -> str:
    return escape(printable(text))
