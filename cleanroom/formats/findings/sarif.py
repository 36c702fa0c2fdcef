"""SARIF 2.1.0, which code hosts and editors read (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from cleanroom.formats.findings.fingerprints import fingerprinted
from cleanroom.lint.findings import Checked, Finding, Fix
from cleanroom.lint.rules import Rule
from cleanroom.syntax.text import Source, Span
from cleanroom.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"info": "note", "warning": "warning", "error": "error"}


def render(files: Iterable[Checked], rules: Mapping[str, Rule]) -> Iterator[str]:
    """Yield one SARIF log, which describes all ``rules``."""
    names = list(rules)
    results: list[object] = []
    notes: list[object] = []
    for checked in files:
        source = Source(checked.text)
        results += [_result(checked.path, source, finding, mark, names) for finding, mark in fingerprinted(checked)]
        results += _suppressed(checked, source, names)
        notes += [
            {
                "level": "error",
                "message": {"text": problem.message},
                "locations": [
                    {
                        "physicalLocation": _place(
                            checked.path, {"startLine": problem.line, "startColumn": problem.column}
                        )
                    }
                ],
            }
            for problem in checked.report.errors
        ]
    driver = {
        "name": "cleanroom",
        "semanticVersion": __version__,
        "rules": [_rule(rule) for rule in rules.values()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "results": results,
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.name,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": f"{rule.summary[:1].upper()}{rule.summary[1:]}."},
        "fullDescription": {"text": rule.explanation.partition("\n\n")[0].strip()},
        "help": {"text": rule.explanation.strip(), "markdown": _markdown(rule.explanation)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity], "enabled": rule.default},
        "properties": {"tags": ["docker", "image-size"]},
    }


def _markdown(explanation: str) -> str:
    """Return an explanation with its indented examples fenced."""
    lines: list[str] = []
    fenced = False
    for line in explanation.strip().splitlines():
        indented = line.startswith("    ")
        if indented != fenced and line:
            lines.append("```dockerfile" if indented else "```")
            fenced = indented
        lines.append(line.removeprefix("    ") if fenced else line)
    return "\n".join([*lines, *(["```"] if fenced else [])])


def _result(path: str, source: Source, finding: Finding, mark: str, names: list[str]) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} [{finding.label}]"},
        "locations": [
            {
                "physicalLocation": _place(
                    path,
                    {
                        "startLine": finding.line,
                        "startColumn": finding.column,
                        "endLine": finding.end_line,
                        "endColumn": finding.end_column,
                    },
                )
            }
        ],
        "partialFingerprints": {"cleanroomFinding/v1": mark},
    }
    if finding.rule in names:
        result["ruleIndex"] = names.index(finding.rule)
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": text}, "physicalLocation": _place(path, {"startLine": line})}
            for number, (line, text) in enumerate(finding.related, 1)
        ]
    if finding.fix is not None and finding.fix.edits:
        result["fixes"] = [_fix(path, source, finding.fix)]
    return result


def _suppressed(checked: Checked, source: Source, names: list[str]) -> Iterator[dict[str, object]]:
    """Yield the findings that comments hide, which a reader of the log shows as closed or not at all."""
    reasons = {id(item.finding): item.reason for item in checked.report.suppressed}
    for finding, mark in fingerprinted(checked, [item.finding for item in checked.report.suppressed]):
        reason = reasons[id(finding)]
        suppression = {"kind": "inSource", **({"justification": reason} if reason else {})}
        yield {**_result(checked.path, source, finding, mark, names), "suppressions": [suppression]}


def _fix(path: str, source: Source, fix: Fix) -> dict[str, object]:
    replacements = [
        {"deletedRegion": _region(source, edit.span), "insertedContent": {"text": edit.text}} for edit in fix.edits
    ]
    return {
        "description": {"text": fix.title if fix.safe else f"{fix.title} (only if you agree: it may change the build)"},
        "artifactChanges": [{"artifactLocation": {"uri": _uri(path)}, "replacements": replacements}],
    }


def _region(source: Source, span: Span) -> dict[str, int]:
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _place(path: str, region: dict[str, int]) -> dict[str, object]:
    return {"artifactLocation": {"uri": _uri(path)}, "region": region}


def _uri(path: str) -> str:
    """Return a relative reference, or a file URI for an absolute path."""
    if path == "-":
        return "stdin"
    quoted = quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"))
    return f"file://{quoted}" if quoted.startswith("/") else quoted
