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

FOLDER = CASE_FILES / "fixes_simulated"
WRONG = yaml.safe_load((FOLDER / "wrong.yaml").read_text("utf-8"))
TRAPS = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted((FOLDER / "traps").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text("utf-8"))
]
BROKEN = yaml.safe_load((FOLDER / "broken_today.yaml").read_text("utf-8"))

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


def world_of(case: dict[str, Any]) -> World:
    return World(case.get("files", {}), case.get("programs", {}))


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["name"])
def test_wrong_fixes_show(simulator: Simulator, case: dict[str, Any]) -> None:
    before, _, found = judged(simulator, case["before"], case["after"], world_of(case))
    assert before.failed == []
    kinds = {each.kind for each in found} or {"none"}
    assert case["breaks"] in kinds, found


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAPS)
def test_traps_are_traps(simulator: Simulator, case: dict[str, Any]) -> None:
    """A fix that does not look who uses the cache breaks the build, and that shows."""
    naive = case["dockerfile"]
    for old, new in case["naive"].items():
        naive = naive.replace(old, new)
    assert naive != case["dockerfile"]
    before, _, found = judged(simulator, case["dockerfile"], naive, world_of(case))
    assert before.failed == []
    assert found != []


@pytest.mark.parametrize("case", TRAPS)
def test_traps(simulator: Simulator, case: dict[str, Any]) -> None:
    """Those in broken_today.yaml are broken: whoever mends one takes it out of there."""
    options = {key: case[key] for key in ("prefer", "unsafe") if key in case}
    result = fix(case["dockerfile"], **options)
    found = [Break("bug", problem.message) for problem in result.problems]
    if result.text != case["dockerfile"]:
        found += judged(simulator, case["dockerfile"], result.text, world_of(case))[2]
    assert (case["name"] in BROKEN) == bool(found), found


PARTS = 8  # for several workers


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_real_dockerfiles(simulator: Simulator, corpus: list[tuple[str, str]], part: int) -> None:
    wrong = []
    count = 0
    for name, text in corpus[part::PARTS]:
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
    assert count > 150 / PARTS
