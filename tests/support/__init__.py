"""What several tests need: where things are, and modules that make, run or read something for a test."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CASE_FILES = ROOT / "tests" / "cases"
SHARED = ROOT.parent / "shared"  # material that development and CI have beside the project

Once = Callable[[str, Callable[[Path], object]], Path]


def parse_yaml(text: str) -> Any:
    """Return what ``yaml.safe_load`` does, by libyaml where PyYAML has it: a tenth of the time."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def case_file(path: str) -> Any:
    """Return what a file of cases holds; its path is that below ``tests/cases``."""
    return parse_yaml((CASE_FILES / path).read_text("utf-8"))


def assert_same_text(found: str, expected: str, remedy: str) -> None:
    """Assert that two texts are the same; the message shows where they are not, and what to do about it."""
    lines = unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", lineterm="", n=1)
    assert found == expected, "\n".join([remedy, *lines])


def program(name: str) -> str:
    """Return the path of a program, looked for beside this Python first; skip the test without it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
