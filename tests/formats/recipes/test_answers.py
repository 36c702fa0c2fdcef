"""Every place that says how to keep a manager's caches out says first what ``query`` says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser

import pytest

from cleanroom import registries
from cleanroom.cli import main
from cleanroom.formats.values import cell, code
from cleanroom.recipes.model import Recipe
from cleanroom.recipes.query import KINDS, answers
from cleanroom.registries import EXPORTS

RECIPES = registries.library().recipes()
HEADINGS = {"clean": "Clean up", "prevent": "eep it from being written", "mount": "ount a cache"}


@pytest.fixture(scope="module")
def exported() -> Mapping[str, Mapping[str, str]]:
    return {name: EXPORTS[name].render(registries.library()) for name in ("json", "markdown", "html", "table")}


def first_by_kind(page: str) -> Iterator[tuple[str, str]]:
    """Yield for each kind the first line below its heading on a page of Markdown or of ``show``."""
    lines = [line for line in page.splitlines() if line]
    for kind, heading in HEADINGS.items():
        for place, line in enumerate(lines):
            if heading in line and not line.startswith(("- ", "  ")):
                yield kind, lines[place + 1]


class Copied(HTMLParser):
    """What a page has to be copied, in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._is_command = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser calls it so
        if tag == "code":
            self._is_command = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_command = self._is_command and tag != "code"

    def handle_data(self, data: str) -> None:
        if self._is_command:
            self.texts[-1] += data


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_all_say_the_same(
    recipe: Recipe, exported: Mapping[str, Mapping[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said = {kind: answer.text for kind, answer in answers(recipe, registries.library()).items()}
    for kind, text in said.items():
        assert main(["query", recipe.id, "--prefer", kind]) == 0
        assert capsys.readouterr().out == f"{text}\n"

    assert json.loads(exported["json"][f"managers/{recipe.id}.json"])["answer"] == said
    (row,) = [row for row in json.loads(exported["json"]["index.json"])["managers"] if row["id"] == recipe.id]
    assert row["answer"] == said

    page = dict(first_by_kind(exported["markdown"][f"managers/{recipe.id}.md"]))
    for kind, text in said.items():
        assert page[kind].startswith(f"- {code(text)}: ")
    (line,) = [
        line
        for line in exported["markdown"]["index.md"].splitlines()
        if f"](managers/{recipe.id}.md) | {cell(recipe.summary)}" in line
    ]
    assert line.endswith(f"| {code(said['clean']) if 'clean' in said else 'nothing'} |")

    (line,) = [line for line in exported["table"]["managers.md"].splitlines() if line.startswith(f"| [{recipe.id}](")]
    cells = dict(zip(KINDS, line.replace("\\|", "\0").split(" | ")[2:5], strict=True))
    for kind in KINDS:
        expected = code(said[kind]).replace("\\|", "\0") if kind in said else "no: "
        assert cells[kind].startswith(expected)

    assert main(["show", recipe.id]) == 0
    shown = dict(first_by_kind(capsys.readouterr().out))
    for kind, answer in answers(recipe, registries.library()).items():
        first = answer.remedy
        plain = first.run or first.option or f"ENV {first.variable}={first.value}"
        assert (first.targets[0] if kind == "mount" else plain) in shown[kind]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_so_does_the_site(recipe: Recipe, exported: Mapping[str, Mapping[str, str]]) -> None:
    said = {kind: answer.text for kind, answer in answers(recipe, registries.library()).items()}
    texts = Copied(exported["html"][f"managers/{recipe.id}.html"]).texts
    places = [texts.index(text) for text in said.values()]
    assert places == sorted(places)
    row = exported["html"]["index.html"].partition(f'href="managers/{recipe.id}.html"')[2].partition("</tr>")[0]
    assert Copied(row).texts == ([said["clean"]] if "clean" in said else list(said.values())[:1])
