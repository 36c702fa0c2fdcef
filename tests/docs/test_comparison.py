"""docs/use/comparison.md: what it says of cleanroom is run, what it says of others stands in their help."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_cli import Run, run
from tests.cli.test_everyday import APT, git
from tests.support import ROOT, program

__all__ = ["run"]  # a fixture

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/use/comparison.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| convenience")
]
OPTION = re.compile(r"`(--?[a-z-]+)([^`]*)`")
HELP = {
    "ruff": ["ruff", "check", "--help"],
    "hadolint": ["hadolint", "--help"],
    "sqlfluff": ["sqlfluff", "lint", "--help"],
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_cleanroom(row: list[str], run: Run) -> None:
    given = OPTION.match(row[1])
    if given is None:
        assert row[1] == "no"
        return
    git("init", "-q", ".")
    Path("Dockerfile").write_text(APT)
    Path("cleanroom.toml").touch()
    git("add", ".")
    git("commit", "-qm", "one")
    result = run("check", given[1], *given[2].split(), ".")
    assert result.code in (0, 1), result.err


@pytest.mark.oracle
@pytest.mark.parametrize(("column", "name"), list(enumerate(HELP, 2)))
def test_others(column: int, name: str) -> None:
    command = [program(name), *HELP[name][1:]]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", page))
    said = [OPTION.match(row[column]) for row in ROWS]
    assert {match[1] for match in said if match} <= options
    # What is said not to be there is not there by cleanroom's name, either.
    missing = {OPTION.match(row[1]) for row in ROWS if row[column].startswith("no")}
    assert not {match[1] for match in missing if match and match[1] != "--select"} & options
