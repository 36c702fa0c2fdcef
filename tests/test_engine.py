"""What the engine finds: one YAML file a topic or a manager, the Dockerfile beside what is expected.

A case has ``name``, ``dockerfile``, ``expect`` (a list of ``rule[manager.cache]@line``) and optionally ``files`` (the
build context), ``target``, ``select``, ``message`` (text that the first finding's message holds), ``advice`` (the texts
of its remedies), ``bytes`` (the typical bytes of each), ``unresolved`` (how many), ``recipe`` (one more recipe; the
required fields that it leaves out are those of recipe_problems.yaml).
Findings of ``split-installs`` are left out unless the case expects or selects that rule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cleanroom.check import check
from cleanroom.library import Library
from cleanroom.load import parse_recipe, validate_recipe

CASES_FOLDER = Path(__file__).parent / "cases"
REST = yaml.safe_load((CASES_FOLDER / "recipe_problems.yaml").read_text("utf-8"))["rest"]
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for folder in ("engine", "recipes")
    for path in sorted((CASES_FOLDER / folder).glob("*.yaml"))
    for case in yaml.safe_load(path.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    files = case.get("files", {})
    library = None
    if "recipe" in case:
        given = yaml.safe_load(case["recipe"])
        text = case["recipe"] + "".join(f"{line}\n" for field, line in REST.items() if field not in given)
        assert not validate_recipe(text, "foo.yaml")
        library = Library(recipes=[parse_recipe(text, "foo.yaml")])
    report = check(
        case["dockerfile"],
        library=library,
        target=case.get("target"),
        read_file=files.get,
        select=case.get("select", ()),
    )
    assert not report.errors
    expected = case["expect"]
    is_asked = any("split-installs" in line for line in (*expected, *case.get("select", ())))
    found = [finding for finding in report.findings if finding.rule != "split-installs" or is_asked]
    shown = [
        f"{finding.rule}[{finding.manager}{'.' if finding.cache else ''}{finding.cache}]@{finding.line}"
        for finding in found
    ]
    assert shown == expected
    if "message" in case:
        assert case["message"] in found[0].message
    if "advice" in case:
        assert [advice.text for advice in found[0].remedies] == case["advice"]
    if "bytes" in case:
        assert [finding.typical_bytes for finding in found] == case["bytes"]
    if "unresolved" in case:
        assert len(report.unresolved) == case["unresolved"]
