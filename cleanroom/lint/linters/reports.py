"""Reads the reports of other linters: what each says about which line of which file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct


class ReportError(ValueError):
    """A text that is no report that can be read; the message says why."""


class Reported(Struct, frozen=True):
    """What another linter says."""

    linter: str  # hadolint, semgrep …; of SARIF, the name that the tool gives itself, in lower case
    rule: str  # as the linter names it
    path: str
    line: int  # 1-based; 0 where it is about the whole file
    message: str


def parse(text: str) -> list[Reported]:
    """Return what a report says, in its order. What it is shows in its form. Raises ReportError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"the report is no JSON: {error}") from None
    try:
        return list(_read(document))
    except ReportError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ReportError(f"the report is not as its linter writes it ({what})") from None


def _read(document: Any) -> Iterator[Reported]:
    if isinstance(document, list):
        if document and "check_type" in document[0]:  # Checkov, of several frameworks
            for part in document:
                yield from _checkov(part)
        else:
            yield from _hadolint(document)
        return
    forms: Mapping[str, Callable[[Any], Iterator[Reported]]] = {
        "runs": _sarif,
        "check_type": _checkov,
        "passed": _nothing,  # Checkov where it had nothing to check
        "queries": _kics,
        "Results": _trivy,
        "SchemaVersion": _nothing,  # Trivy without results
        "files": _tally,
        "results": _semgrep,
    }
    for key, read in forms.items():
        if isinstance(document, dict) and key in document:
            yield from read(document)
            return
    raise ReportError(
        "the report is none that can be read: JSON of hadolint, tally, Semgrep, Checkov, KICS or Trivy, or SARIF"
    )


def _nothing(_: Any) -> Iterator[Reported]:
    return iter(())


def _hadolint(rows: Any) -> Iterator[Reported]:
    for row in rows:
        yield Reported("hadolint", str(row["code"]), str(row["file"]), int(row["line"]), str(row["message"]))


def _sarif(document: Any) -> Iterator[Reported]:
    for run in document["runs"]:
        linter = str(run["tool"]["driver"]["name"]).lower()
        for result in run.get("results") or ():
            if _is_suppressed(result):
                continue
            for location in result.get("locations") or ():
                place = location["physicalLocation"]
                rule = result.get("ruleId") or (result.get("rule") or {}).get("id") or ""
                yield Reported(
                    linter,
                    str(rule),
                    str(place["artifactLocation"]["uri"]).removeprefix("file://"),
                    int((place.get("region") or {}).get("startLine", 0)),
                    str(result["message"].get("text", "")),
                )


def _is_suppressed(result: Any) -> bool:
    """Return True if a comment or a setting suppresses a result (SARIF 2.1.0, 3.27.23)."""
    suppressions = result.get("suppressions") or ()
    return bool(suppressions) and all(item.get("status", "accepted") == "accepted" for item in suppressions)


def _checkov(part: Any) -> Iterator[Reported]:
    for row in (part.get("results") or {}).get("failed_checks") or ():
        # Where Checkov was given a folder, file_path counts from there; file_abs_path says which file that is.
        path = row.get("file_abs_path") or row["file_path"]
        yield Reported("checkov", str(row["check_id"]), str(path), int(row["file_line_range"][0]), row["check_name"])


def _kics(document: Any) -> Iterator[Reported]:
    for query in document["queries"] or ():
        for row in query["files"]:
            yield Reported("kics", str(query["query_id"]), row["file_name"], int(row["line"]), str(query["query_name"]))


def _trivy(document: Any) -> Iterator[Reported]:
    for result in document["Results"] or ():
        for row in result.get("Misconfigurations") or ():
            if row.get("Status", "FAIL") == "FAIL":
                line = int((row.get("CauseMetadata") or {}).get("StartLine", 0))
                message = str(row.get("Message") or row.get("Title") or "")
                yield Reported("trivy", str(row["ID"]), str(result["Target"]), line, message)


def _tally(document: Any) -> Iterator[Reported]:
    for file in document["files"]:
        for row in file["violations"]:
            line = max(0, int(row["location"]["start"]["line"]))
            yield Reported("tally", str(row["rule"]), str(file["file"]), line, str(row["message"]))


def _semgrep(document: Any) -> Iterator[Reported]:
    for row in document["results"]:
        yield Reported(
            "semgrep", str(row["check_id"]), str(row["path"]), int(row["start"]["line"]), str(row["extra"]["message"])
        )
