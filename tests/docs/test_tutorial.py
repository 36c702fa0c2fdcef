"""docs/extend/tutorial.md, step by step, in an environment of its own, with what pip really installs."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import ROOT, sessions

PAGE = ROOT / "docs" / "extend" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Let pip find cleanroom, as a wheel, and all else where these tests find it: no index is asked."""
    for package in ("pip", "hatchling", "editables"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    others = tmp_path_factory.mktemp("others")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "cleanroom" not in entry.name and entry.suffix != ".pth":
            (others / entry.name).symlink_to(entry)
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(others),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(dist),
        "PIP_NO_BUILD_ISOLATION": "0",  # of pip's variables for options that take something away, this says yes
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.slow
def test_every_step_does_what_it_shows(environment: dict[str, str], tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    session: list[sessions.Step] = []
    end = 0
    for block in BLOCK.finditer(page):
        before = page[end : block.start()].rstrip()
        end = block.end()
        if block[1] == "console":
            session += sessions.steps(block[2])
            continue
        named = re.search(r"`([^`]+)`:$", before)
        assert named, f"which file is this?\n{block[2]}"
        session.append(sessions.Step(f"cat > {named[1]} <<'END OF FILE'\n{block[2]}END OF FILE", ""))
    assert len(session) > 15
    (tmp_path / "cleanroom").symlink_to(ROOT)
    work = tmp_path / "work"
    work.mkdir()
    sessions.run(session, work, environment)
