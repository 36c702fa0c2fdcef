"""The reference of hooks: its examples do what they show, and the page in docs says what the docstrings say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cleanroom import hookspecs
from cleanroom.cli import hooks
from cleanroom.cli.hooks import HOOKS
from tests.support import ROOT, assert_same_text, sessions


def test_every_hook_is_known() -> None:
    assert {name for name in vars(hookspecs) if name.startswith("cleanroom_")} == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_does_what_it_shows(hook: str, tmp_path: Path) -> None:
    examples = [part for part in hooks.parts(hook) if part.kind != "text"]
    assert [part.kind for part in examples] == ["python", "console"]
    (tmp_path / "example.py").write_text(examples[0].text)
    info = tmp_path / "example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cleanroom]\nexample = example\n")
    session = sessions.steps(examples[1].text)
    for step in session:
        if step.command.startswith("cat "):  # it shows a file that is there
            file = tmp_path / step.command.removeprefix("cat ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{step.output}\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    sessions.run(
        session,
        tmp_path,
        {
            "PATH": path,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "CLEANROOM_PLUGINS": "example",
        },
    )
    assert any(step.command.startswith("cleanroom ") for step in session)


def test_the_page_is_what_the_docstrings_say() -> None:
    command = [sys.executable, "-m", "cleanroom", "plugins", "hooks", "--format", "markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"})
    page = (ROOT / "docs" / "extend" / "hooks.md").read_text("utf-8")
    assert_same_text(page, done.stdout, "run: cleanroom plugins hooks --format markdown > docs/extend/hooks.md")
