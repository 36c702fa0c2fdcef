"""docs/use/start.md, executed from nothing; of pre-commit, what it runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.test_tutorial import environment
from tests.support import ROOT, parse_yaml, sessions

__all__ = ["environment"]  # a fixture

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_step_does_what_it_shows(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cleanroom").symlink_to(ROOT)
    work = tmp_path / "project"
    work.mkdir()
    session = [sessions.Step("exec 2>&1", "")]
    for kind, text in BLOCK.findall((ROOT / "docs/use/start.md").read_text("utf-8")):
        if kind == "console":
            session += sessions.steps(text)
        elif kind == "dockerfile":
            (work / "Dockerfile").write_text(text)
        else:
            session.append(hook(parse_yaml(text)["repos"][0]["hooks"][0]))
    assert len(session) > 12
    sessions.run(session, work, environment)


def hook(wanted: dict[str, object]) -> sessions.Step:
    """Return what pre-commit runs for a hook, once it has installed it."""
    hooks = {item["id"]: item for item in parse_yaml((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    found = hooks[wanted["id"]]
    arguments = wanted.get("args", found.get("args", []))
    assert isinstance(arguments, list)
    return sessions.Step(shlex.join([*shlex.split(found["entry"]), *arguments, "Dockerfile"]), "No findings in 1 file.")
