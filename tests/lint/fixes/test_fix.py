"""What a fix makes of a file: one YAML file a topic, the Dockerfile before beside the one after.

A case has ``name``, ``before``, ``after`` (left out when nothing changes), and optionally ``declined`` (for each
finding that is left, ``rule[manager.cache]@line: reason``, the reason cut where the case cuts it), ``prefer``,
``unsafe``, ``files`` (the build context), ``select``. Findings of ``split-installs`` count only where the case selects
them. Whatever a case says, a second fix changes nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from cleanroom.api import check, fix
from cleanroom.syntax.text import apply
from tests.support import CASE_FILES, parse_yaml

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted((CASE_FILES / "lint/fixes").glob("*.yaml"))
    for case in parse_yaml(path.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    unknown = case.keys() - {"name", "before", "after", "declined", "prefer", "unsafe", "files", "select"}
    assert not unknown
    options: dict[str, Any] = {
        "prefer": case.get("prefer", ""),
        "unsafe": case.get("unsafe", False),
        "read_file": case.get("files", {}).get,
        "select": case.get("select", ()),
        "ignore": () if "select" in case else ("split-installs",),
    }
    result = fix(case["before"], **options)
    assert not result.errors
    assert not result.problems
    assert result.text == case.get("after", case["before"])
    assert bool(result.fixed) == ("after" in case)
    expected = case.get("declined", [])
    declined = [
        f"{item.finding.rule}[{item.finding.manager}{'.' if item.finding.cache else ''}{item.finding.cache}]"
        f"@{item.finding.line}: {item.reason}"
        for item in result.declined
    ]
    assert len(declined) == len(expected), declined
    for got, want in zip(declined, expected, strict=True):
        assert got.startswith(want)
    again = fix(result.text, **options)
    assert again.text == result.text
    assert not again.fixed


def test_the_fix_of_a_finding_mends_it_alone() -> None:
    text = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\nRUN pip install x\n"
    for finding in check(text).findings:
        assert finding.fix is not None
        assert finding.fix.safe
        after = check(apply(text, finding.fix.edits)).findings
        assert (finding.rule, finding.manager) not in {(other.rule, other.manager) for other in after}


def test_findings_keep_the_place_they_had_before() -> None:
    text = "FROM python:3\nRUN apt-get update \\\n && apt-get install -y curl \\\n && npm ci\n"
    assert [(finding.line, finding.manager) for finding in fix(text).fixed] == [(2, "apt"), (4, "npm")]


def test_lines_are_told_by_the_numbers_they_had_before() -> None:
    text = "FROM debian:12\nRUN apt-get update\nRUN apt-get install -y x\nRUN apt-get install -y y\n"
    result = fix(text, unsafe=True)
    titles = [finding.fix.title for finding in result.fixed if finding.fix]
    assert titles == [
        "drop this RUN, which does nothing but apt-get update, and apt-get update on line 3, which needs it, "
        "and apt-get update on line 4, which needs it",
        "join it to the RUN on line 3",
    ]


def test_a_text_that_is_no_dockerfile() -> None:
    result = fix("FORM debian\n")
    assert result.text == "FORM debian\n"
    assert result.errors[0].line == 1


def test_what_is_not_selected_stays() -> None:
    text = "FROM python:3\nRUN apt-get update\nRUN pip install x\n"
    assert "lists" not in fix(text, select=["pip"]).text
    assert "no-cache" not in fix(text, ignore=["left-behind[pip]"]).text


def test_an_ignore_comment_is_heeded() -> None:
    text = "FROM python:3\n# cleanroom: ignore=left-behind\nRUN pip install x\n"
    assert fix(text).text == text
