"""Dockerfiles whose repair goes wrong elsewhere: each is mended, or declined for a true reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanroom.api import check, fix
from tests.oracles.buildkit import bash_reads, instructions, is_run, scripts, shfmt_reads

pytestmark = [pytest.mark.shared, pytest.mark.oracle]
# What is not mended: the reason, or "" where there is nothing to mend.
DECLINED = {
    "f5": "",  # an install without update, in exec form: the base empties the archives by itself
    "f7": "the command runs in the background: nothing tells when it is done",
}
# A mount on /var/lib/apt is a finding of its own, whose fix changes what is there.
IGNORED = {"f14": ("over-cleaned",)}


def test_every_trap_is_known(shared: Path) -> None:
    assert len(list((shared / "suites" / "traps").glob("*.Dockerfile"))) == 15


@pytest.mark.parametrize("name", [f"f{number}" for number in range(1, 16)])
def test_trap(shared: Path, name: str) -> None:
    text = (shared / "suites" / "traps" / f"{name}.Dockerfile").read_text("utf-8")
    options = {"ignore": ("split-installs", *IGNORED.get(name, ()))}
    before = check(text, **options).findings
    result = fix(text, **options)
    assert not result.problems
    if name in DECLINED:
        assert result.text == text
        assert [item.reason.startswith(DECLINED[name]) for item in result.declined] == [True] * bool(DECLINED[name])
        assert bool(before) == bool(DECLINED[name])
        return
    assert before
    assert not check(result.text, **options).findings
    old, new = instructions(text), instructions(result.text)
    assert [(row[0], row[2]) for _, row in old] == [(row[0], row[2]) for _, row in new]
    assert [row for _, row in old if not is_run(row)] == [row for _, row in new if not is_run(row)]
    assert all(bash_reads(script) and shfmt_reads(script) for script in scripts(result.text))
    # What was there is there still, in its order: a fix only adds.
    rest = iter(result.text)
    assert all(character in rest for character in text)
    assert fix(result.text, **options).text == result.text
