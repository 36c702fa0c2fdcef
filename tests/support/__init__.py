"""What several tests need: where things are, and modules that make, run or read something for a test."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASE_FILES = ROOT / "tests" / "cases"
SHARED = ROOT.parent / "shared"  # material that development and CI have beside the project


def program(name: str) -> str:
    """Return the path of a program, looked for beside this Python first; skip the test without it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
