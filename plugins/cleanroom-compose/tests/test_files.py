"""Dockerfiles in other files: what is found where, what a fix writes, and files that cannot be read."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import cleanroom
from cleanroom.registries import READERS
from cleanroom.syntax.text import apply
from cleanroom.testing import cases, check_case

FILES = yaml.safe_load((Path(__file__).parent / "embedded" / "files.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases"))
def test_script(case: dict[str, Any]) -> None:
    check_case(case)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
def test_file(case: dict[str, Any], end: str) -> None:
    before, after = (case.get(key, case["before"]).replace("\n", end) for key in ("before", "after"))
    reader = READERS[case["reader"]]
    report = cleanroom.check(before, reader=reader)
    assert not report.errors
    found = [f"{one.label}@{one.line}:{one.column} {before[one.span.start : one.span.end]}" for one in report.findings]
    assert found == case["found"]
    fixed = cleanroom.fix(before, reader=reader)
    assert not fixed.problems
    assert fixed.text == after
    edits = sorted({edit for one in report.findings if one.fix for edit in one.fix.edits})
    assert apply(before, edits) == after  # what editors do is the same


@pytest.mark.parametrize(
    ("reader", "text", "place"),
    [
        ("compose", "a: [", (1, 5)),
        ("compose", "build:\n  dockerfile_inline: |\n    FROM a\n    FORM b\n", (4, 5)),
        ("bake", 'target "a" {\n  dockerfile-inline = <<EOT\nFROM x\n', (2, 23)),
        ("bake-json", '{"dockerfile-inline": "FROM a\\nFORM b"}', (1, 32)),
        ("shell", "#!/usr/bin/python3\nprint()\n", (1, 1)),
    ],
)
def test_what_cannot_be_read(reader: str, text: str, place: tuple[int, int]) -> None:
    (problem,) = cleanroom.check(text, reader=READERS[reader]).errors
    assert (problem.line, problem.column) == place
    assert cleanroom.fix(text, reader=READERS[reader]).text == text


PIECES = st.sampled_from(
    [
        *("a: ", "dockerfile_inline: ", "|\n", ">\n", "  ", '"', "FROM x\\n", "  FROM x\n", "RUN pip install y", "\n"),
        *("$$", "&a ", "*a", "dockerfile-inline = ", "<<-E\n", "E\n", "${", "#!", "{", "}"),
    ]
)


@given(st.lists(PIECES).map("".join), st.sampled_from(["compose", "bake", "bake-json", "shell"]))
def test_any_text(text: str, reader: str) -> None:
    report = cleanroom.check(text, reader=READERS[reader])
    assert all(0 <= one.span.start <= one.span.end <= len(text) for one in report.findings)
    again = cleanroom.fix(text, reader=READERS[reader])
    assert cleanroom.fix(again.text, reader=READERS[reader]).text == again.text
