"""Fixes judged by simulated builds of the whole file: see tests/support/simulation.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cleanroom.api import fix
from tests.support import CASE_FILES
from tests.support.image_build import Build
from tests.support.judge import Break, breaks, stays
from tests.support.programs import World
from tests.support.sandbox import is_possible
from tests.support.simulation import Simulator

WRONG = yaml.safe_load((CASE_FILES / "fixes_simulated" / "wrong.yaml").read_text("utf-8"))

pytestmark = pytest.mark.skipif(not is_possible(), reason="only root can give builds a root folder of their own")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as made:
        yield made


def judged(simulator: Simulator, old: str, new: str, world: World) -> tuple[Build, Build, list[Break]]:
    before = simulator.build(old, world)
    assert before.problem == ""
    after = simulator.build(new, world, like=before)
    found = breaks(before, after, old, new)
    if not found and "type=cache" in new:
        found = breaks(before, simulator.build(new, world, like=before, twice=True), old, new)
    return before, after, found


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["name"])
def test_wrong_fixes_show(simulator: Simulator, case: dict[str, Any]) -> None:
    world = World(case.get("files", {}), case.get("programs", {}))
    before, _, found = judged(simulator, case["before"], case["after"], world)
    assert before.failed == []
    kinds = {each.kind for each in found} or {"none"}
    assert case["breaks"] in kinds, found


@pytest.mark.shared
@pytest.mark.slow
def test_real_dockerfiles(simulator: Simulator, corpus: list[tuple[str, str]]) -> None:
    wrong = []
    count = 0
    for name, text in corpus:
        result = fix(text)
        if result.text == text:
            continue
        before = simulator.build(text)
        if before.problem:
            continue
        after = simulator.build(result.text, like=before)
        count += 1
        found = [*breaks(before, after, text, result.text), *stays(before, after, result.fixed)]
        wrong += [f"{name}: {each}" for each in found]
    assert wrong == []
    assert count > 150
