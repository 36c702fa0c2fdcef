"""Sixty one-question Dockerfiles that tell linters apart, and our answer to each."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanroom.api import check
from tests.support import case_file

ANSWERS = case_file("oracles/probes.yaml")


@pytest.mark.shared
@pytest.mark.parametrize("name", ANSWERS)
def test_probe(name: str, shared: Path) -> None:
    report = check((shared / f"suites/probes/{name}.Dockerfile").read_text("utf-8"))
    found = [f"{item.rule}[{item.manager}{'.' if item.cache else ''}{item.cache}]" for item in report.findings]
    assert found == ANSWERS[name]
