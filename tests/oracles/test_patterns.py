"""No pattern over text from outside takes more than quadratic time: judged by regexploit, which reads patterns."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import cleanroom
from cleanroom.recipes.load import RECIPES

pytestmark = pytest.mark.oracle


def of_modules() -> Iterator[tuple[str, str, int]]:
    for module in pkgutil.walk_packages(cleanroom.__path__, "cleanroom."):
        if not module.name.endswith("__main__"):
            try:
                found = importlib.import_module(module.name)
            except ImportError:  # of an extra that is not installed
                continue
            for name, value in vars(found).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{module.name}.{name}", value.pattern, value.flags


def of_recipes() -> Iterator[tuple[str, str, int]]:
    def walk(value: Any, place: str) -> Iterator[tuple[str, str, int]]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("pattern", "code") and isinstance(item, str):
                    yield place, item, 0
                yield from walk(item, f"{place}.{key}")
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, place)

    for file in sorted(RECIPES.glob("*.yaml")):
        yield from walk(yaml.safe_load(file.read_text("utf-8")), file.name)


def test_no_pattern_blows_up() -> None:
    sre = pytest.importorskip("regexploit.ast.sre")
    redos = pytest.importorskip("regexploit.redos")
    patterns = [*of_modules(), *of_recipes()]
    assert len(patterns) > 100
    slow = [
        f"{place}: {pattern}"
        for place, pattern, flags in patterns
        if any(found.starriness > 2 for found in redos.find(sre.SreOpParser().parse_sre(pattern, flags)))
    ]
    assert slow == []


def test_the_judge_notices() -> None:
    sre = pytest.importorskip("regexploit.ast.sre")
    redos = pytest.importorskip("regexploit.redos")
    assert any(found.starriness > 2 for found in redos.find(sre.SreOpParser().parse_sre(r"(?:[ \t]|#[^\n]*)*\n", 0)))
