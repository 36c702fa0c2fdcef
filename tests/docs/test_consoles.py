"""Each console on our pages is run, and what it prints is compared with what the page shows.

Not run are commands that end with ``# needs …`` and those behind root's ``#``. What shows no output may print any.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, case_file, sessions

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DATA = case_file("docs/consoles.yaml")
PAGES: dict[str, dict[str, Any]] = DATA["pages"]


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text("utf-8"))


def test_every_page_with_a_console_is_run() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    found = {str(page.relative_to(ROOT)) for page in pages if blocks(page)}
    assert found == PAGES.keys() | DATA["tested"].keys()
    assert all((ROOT / path).is_file() for path in (*DATA["elsewhere"].values(), *DATA["tested"].values()))


def runnable(block: str) -> list[sessions.Step]:
    """Return the steps of a block that can be run here."""
    block = re.sub(r"^# .*\n(?:(?![$#] ).*\n)*", "", block, flags=re.MULTILINE)
    found = sessions.steps(block)
    shows = any(step.output for step in found)
    return [
        sessions.Step(step.command, step.output.replace("[…]", "…") if shows else "…")
        for step in found
        if " # needs " not in step.command and not step.command.startswith(tuple(DATA["elsewhere"]))
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runnable, blocks(ROOT / page)))])
def test_console(page: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for name, text in PAGES[page].get("files", {}).items():
        (work / name).write_text(text)
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if page.startswith("plugins/"):
        environment |= installed(ROOT / Path(page).parent, tmp_path / "plugins")
    else:
        for folder in ("examples", "recipes", "docs"):
            copy_of(ROOT / folder, work / folder)
    for block in blocks(ROOT / page):
        session = runnable(block)
        if session:
            sessions.run([sessions.Step("exec 2>&1", ""), *session], work, environment)


def copy_of(folder: Path, place: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            copy = place / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())


def installed(plugin: Path, place: Path) -> dict[str, str]:
    """Return the environment in which a plugin is installed, as its metadata says."""
    name = plugin.name.removeprefix("cleanroom-")
    info = place / f"cleanroom_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {plugin.name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cleanroom]\n{name} = cleanroom_{name}\n")
    path = os.pathsep.join((str(place), str(plugin), os.environ.get("PYTHONPATH", "")))
    return {"PYTHONPATH": path, "CLEANROOM_PLUGINS": name}
