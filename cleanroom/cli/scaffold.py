"""What ``plugins new`` and ``recipes new`` write: a recipe to begin with, and a distribution around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from msgspec import Struct

from cleanroom.recipes.format import canonical
from cleanroom.recipes.load import RECIPES
from cleanroom.recipes.model import RecipeError
from cleanroom.recipes.validate import validate_recipe
from cleanroom.version import __version__


class UnfitName(ValueError):  # noqa: N818 - public name
    """A name that no recipe or distribution can have; the message says which can."""


def check_name(name: str) -> None:
    """Raise UnfitName unless a recipe may be called ``name``."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UnfitName(f"{name!r} cannot be the name of a recipe; take lower-case letters, digits and single dashes")


class Draft(Struct, frozen=True):
    """What a recipe needs at least; an empty field stands for something harmless until it is known."""

    id: str
    summary: str = ""
    homepage: str = ""
    path: str = ""  # the folder that is left behind
    source: str = ""  # where that is said
    executables: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("install",)
    clean: str = ""  # the command that empties the folder
    prevent: str = ""  # an option that keeps it empty
    replaces: str = ""

    @property
    def clean_command(self) -> str:
        """The command that empties the folder."""
        return self.clean or f"rm -rf {self.path or f'~/.cache/{self.id}'}"

    def text(self) -> str:
        """Return the recipe in canonical form. Raises RecipeError for what is no text of a recipe."""
        homepage = self.homepage or f"https://example.org/{self.id}"
        verbs = ", ".join(map(_quoted, self.verbs))
        option = f"caches: [cache]\n  option: {_quoted(self.prevent)}\n"
        preventions = f"preventions:\n- {option}" if self.prevent else ""
        prevent = f"- kind: prevent\n  {option}  verbs: [{verbs}]\n" if self.prevent else ""
        replaces = f"replaces: {_quoted(self.replaces)}\n" if self.replaces else ""
        text = f"""# yaml-language-server: $schema=./recipe.schema.json
id: {self.id}
name: {self.id}
summary: {_quoted(self.summary or f"what {self.id} installs")}
homepage: {_quoted(homepage)}
{replaces}programs:
- names: [{", ".join(map(_quoted, self.executables or (self.id,)))}]
caches:
- id: cache
  what: downloaded packages
  paths:
  - path: {_quoted(self.path or f"~/.cache/{self.id}")}
  filled_by:
  - verbs: [{verbs}]
{preventions}remedies:
{prevent}- kind: clean
  caches: [cache]
  run: {_quoted(self.clean_command)}
sources:
- {_quoted(self.source or homepage)}
"""
        return canonical(text, f"{self.id}.yaml")

    def problem(self) -> str:
        """Return what is wrong with it, "" when it is a valid recipe."""
        try:
            problems = validate_recipe(self.text(), f"{self.id}.yaml")
        except RecipeError as error:
            problems = list(error.problems)
        return problems[0].message if problems else ""


def _quoted(text: str) -> str:
    """Return text as YAML; ``canonical`` takes the quotes away where there need be none."""
    return json.dumps(text, ensure_ascii=False)


def plugin(name: str) -> Mapping[str, str]:
    """Return the files of a plugin that adds the manager ``name``, by their paths. Raises UnfitName."""
    check_name(name)
    package = f"cleanroom_{name.replace('-', '_')}"
    return {
        "pyproject.toml": f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "cleanroom-{name}"
version = "0.1.0"
description = "What {name} leaves behind in container images, for cleanroom"
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["cleanroom-recipes>={__version__}"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points.cleanroom]
{name} = "{package}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
""",
        f"{package}/__init__.py": f'''"""What {name} leaves behind in container images."""

import os.path

from cleanroom import hookimpl


@hookimpl
def cleanroom_recipes():
    """Yield the folder of recipes."""
    yield os.path.join(os.path.dirname(__file__), "recipes")
''',
        f"{package}/recipes/{name}.yaml": Draft(name).text(),
        f"{package}/recipes/recipe.schema.json": (RECIPES / "recipe.schema.json").read_text("utf-8"),
        "tests/test_recipes.py": '''"""The cases in cases/: a Dockerfile each, and what cleanroom finds in it."""

from pathlib import Path

import pytest

from cleanroom.testing import cases, check_case


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases"))
def test_case(case):
    check_case(case)
''',
        f"tests/cases/{name}.yaml": f"""- name: an install that leaves its cache
  dockerfile: |
    FROM debian:12
    RUN {name} install something
  expect:
  - left-behind[{name}.cache]@2
- name: cleaned in the same layer
  dockerfile: |
    FROM debian:12
    RUN {name} install something && rm -rf ~/.cache/{name}
  expect: []
- name: cleaned a layer too late
  dockerfile: |
    FROM debian:12
    RUN {name} install something
    RUN rm -rf ~/.cache/{name}
  expect:
  - cleaned-late[{name}.cache]@2
""",
        "README.md": f"""# cleanroom-{name}

Teaches [cleanroom](https://pypi.org/project/cleanroom-recipes/) what `{name}` leaves behind in container images.

```console
$ pip install cleanroom-{name}
$ cleanroom query {name}
```
""",
        ".github/workflows/test.yml": f"""name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install -e '.[test]'
      - run: cleanroom recipes validate {package}/recipes
      - run: pytest
      - run: cleanroom --strict-plugins plugins
""",
    }
