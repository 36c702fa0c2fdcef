"""Ignore comments that are written: each case's text before and after."""

from typing import Any

import pytest

from cleanroom.api import check
from cleanroom.lint.adding import add_ignores
from tests.support import case_file

CASES = case_file("lint/adding/ignores.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    found = check(case["before"]).findings
    added = add_ignores(case["before"], found, check, case.get("reason", ""))
    assert added.text == case["after"]
    after = check(added.text)
    assert list(added.left) == [one for one in found if one.rule == "unused-ignore"]
    assert [one.rule for one in after.findings] == [one.rule for one in added.left]
    assert {item.reason for item in after.suppressed} >= ({case["reason"]} if "reason" in case else set())
