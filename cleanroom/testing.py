"""For the tests of plugins: cases in YAML, a Dockerfile each and what is expected of it, as our own tests have them.

::

    import pytest
    from cleanroom.testing import cases, check_case

    @pytest.mark.parametrize("case", cases("tests/cases"))
    def test_case(case):
        check_case(case)

A case has ``name``, ``dockerfile`` (the text; with ``reader``, of another kind of file) and ``expect``, a list of
``rule[manager.cache]@line``. It may have ``files`` (the build context: texts by path), ``target`` (a stage),
``select``, ``message`` (text that the first finding's message holds), ``advice`` (the texts of its remedies), ``bytes``
(the typical bytes of each finding), ``unresolved`` (how many), ``fixed`` (the text that ``cleanroom fix`` makes of it),
``reports`` (by format, what ``cleanroom check --format`` prints; the file is called Dockerfile, unless the case gives
its ``path``), ``recipe`` (the text of one more recipe). Findings of ``split-installs`` are left out unless the case
names that rule.

This module is public: what is here stays as long as the major version does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cleanroom.api import check, fix
from cleanroom.lint.findings import Checked, Finding
from cleanroom.recipes.library import Library
from cleanroom.recipes.sources import shipped
from cleanroom.registries import FORMATS, READERS

if TYPE_CHECKING:
    from cleanroom.recipes.model import Recipe

Case = Mapping[str, Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML has it

_KEYS = {
    *("name", "dockerfile", "reader", "expect", "files", "target", "select", "message", "advice", "bytes"),
    *("unresolved", "fixed", "recipe", "reports", "path"),
}


def cases(path: str | os.PathLike[str]) -> list[Any]:
    """Return the cases in a YAML file, or in all those of a folder, for ``pytest.mark.parametrize``, by their names.

    Raises ValueError for one that cannot be right.
    """
    import pytest

    place = Path(path)
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    if not files:
        raise ValueError(f"{place}: no cases (*.yaml) in this folder")
    return [pytest.param(case, id=f"{file.stem}: {case['name']}") for file in files for case in _read(file)]


def _read(file: Path) -> Iterator[Case]:
    for number, case in enumerate(yaml.load(file.read_text("utf-8"), _Loader) or (), 1):
        where = f"{file}: case {number}"
        if not isinstance(case, dict) or not case.keys() >= {"name", "dockerfile", "expect"}:
            raise ValueError(f"{where}: needs name, dockerfile and expect")
        if unknown := case.keys() - _KEYS:
            raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))} (there are: {', '.join(sorted(_KEYS))})")
        yield case


def check_case(case: Case, library: Library | None = None) -> None:
    """Assert that a case holds; ``library`` is by default that of all recipes there are."""
    if library is None and "recipe" in case:
        from cleanroom.recipes.load import parse_recipe

        library = Library([shipped()], [parse_recipe(case["recipe"], "recipe.yaml")])
    reader = READERS[case["reader"]] if "reader" in case else None
    files: Mapping[str, str] = case.get("files", {})
    options: dict[str, Any] = {
        "library": library,
        "target": case.get("target"),
        "read_file": files.get,
        "select": tuple(case.get("select", ())),
        "reader": reader,
    }
    report = check(case["dockerfile"], **options)
    assert not report.errors, report.errors
    expected = case["expect"]
    is_asked = any("split-installs" in line for line in (*expected, *case.get("select", ())))
    found = [finding for finding in report.findings if finding.rule != "split-installs" or is_asked]
    shown = [label(finding) for finding in found]
    assert shown == expected, f"found {shown}, expected {expected}"
    if "message" in case:
        assert case["message"] in found[0].message, found[0].message
    if "advice" in case:
        advice = [remedy.text for remedy in found[0].remedies]
        assert advice == case["advice"], f"advice {advice}, expected {case['advice']}"
    if "bytes" in case:
        assert [finding.typical_bytes for finding in found] == case["bytes"]
    if "unresolved" in case:
        assert len(report.unresolved) == case["unresolved"], report.unresolved
    if "fixed" in case:
        _assert_text("fixed", fix(case["dockerfile"], **options).text, case["fixed"])
    for name, text in case.get("reports", {}).items():
        checked = Checked(case.get("path", "Dockerfile"), case["dockerfile"], report)
        _assert_text(name, "".join(FORMATS[name].render([checked])), text)


def _assert_text(what: str, found: str, expected: str) -> None:
    """Assert that two texts are equal; the message shows in which lines they are not."""
    from difflib import unified_diff

    lines = unified_diff(expected.splitlines(), found.splitlines(), f"{what}, expected", f"{what}, found", lineterm="")
    assert found == expected, "\n".join(lines) or f"{what}: they differ in how lines end"


def label(finding: Finding) -> str:
    """Return a finding as cases name it: ``left-behind[apt.lists]@2``."""
    return f"{finding.label if finding.manager else f'{finding.rule}[]'}@{finding.line}"


def check_recipe(recipe: Recipe) -> None:
    """Assert that the text of a recipe is valid and in canonical form."""
    from cleanroom.recipes.format import canonical
    from cleanroom.recipes.validate import validate_recipe

    text = Path(recipe.origin).read_text("utf-8")
    problems = validate_recipe(text, recipe.origin)
    assert not problems, "\n".join(map(str, problems))
    assert text == canonical(text, recipe.origin), f"{recipe.origin}: run cleanroom recipes fmt"
