"""Fixes by recipes of others: remedies that need more than the RUN, and text that must not get into a file."""

from __future__ import annotations

import pytest

from cleanroom.api import fix
from cleanroom.recipes.library import Library
from cleanroom.recipes.load import parse_recipe
from cleanroom.recipes.sources import shipped

SYNTAX = "# syntax=docker/dockerfile:1\n"


def library(remedies: str) -> Library:
    recipe = parse_recipe(
        "id: getit\nname: getit\nsummary: things\nhomepage: https://example.org\n"
        "programs:\n  - names: [getit]\n"
        "caches:\n  - id: cache\n    what: things\n    paths:\n      - path: ~/.getit/cache\n"
        "    filled_by:\n      - verbs: [add]\n"
        "preventions:\n  - caches: [cache]\n    variable: GETIT_OFF\n  - caches: [cache]\n    option: --nocache\n"
        f"cleanups:\n  - use: {{verbs: [wipe]}}\n    empties: [cache]\n{remedies}sources: [https://example.org]\n",
        "getit.yaml",
    )
    return Library([shipped()], [recipe])


def remedy(**fields: str) -> Library:
    lines = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    return library(f"remedies:\n  - caches: [cache]\n{lines}")


def mended(text: str, recipes: Library, *, unsafe: bool = False) -> str:
    result = fix(text, library=recipes, unsafe=unsafe, select=["getit"], ignore=["split-installs"])
    assert not result.problems
    again = fix(result.text, library=recipes, unsafe=unsafe, select=["getit"], ignore=["split-installs"])
    assert again.text == result.text
    return result.text


VARIABLE = remedy(kind="prevent", variable="GETIT_OFF", value='"1"')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FROM a\nRUN x\nRUN getit add y\n", "FROM a\nRUN x\nENV GETIT_OFF=1\nRUN getit add y\n"),
        # once for all RUNs of a stage, and for those built on it
        (
            "FROM a AS b\nRUN getit add y\nRUN x\nRUN getit add z\nFROM b\nRUN getit add w\n",
            "FROM a AS b\nENV GETIT_OFF=1\nRUN getit add y\nRUN x\nRUN getit add z\nFROM b\nRUN getit add w\n",
        ),
        # in each of two stages
        (
            "FROM a AS b\nRUN getit add y\nFROM c\nRUN getit add z\n",
            "FROM a AS b\nENV GETIT_OFF=1\nRUN getit add y\nFROM c\nENV GETIT_OFF=1\nRUN getit add z\n",
        ),
        # above the comments that belong to the RUN
        ("FROM a\nUSER b\n# why\nRUN getit add y\n", "FROM a\nUSER b\nENV GETIT_OFF=1\n# why\nRUN getit add y\n"),
        ("FROM a\r\nRUN getit add y\r\n", "FROM a\r\nENV GETIT_OFF=1\r\nRUN getit add y\r\n"),
        ("FROM a\nONBUILD RUN getit add y\n", "FROM a\nONBUILD ENV GETIT_OFF=1\nONBUILD RUN getit add y\n"),
        ('FROM a\nRUN ["getit", "add", "y"]\n', 'FROM a\nENV GETIT_OFF=1\nRUN ["getit", "add", "y"]\n'),
    ],
)
def test_a_variable(before: str, after: str) -> None:
    assert mended(before, VARIABLE) == after


@pytest.mark.parametrize(
    "text",
    [
        'FROM a\nENV GETIT_OFF=""\nRUN getit add y\n',  # the author has set it
        "FROM a\nRUN GETIT_OFF= getit add y\n",
        "FROM a\nUSER b\nRUN sudo getit add y\n",  # sudo does not pass it on
    ],
)
def test_a_variable_that_is_not_set(text: str) -> None:
    assert mended(text, VARIABLE) == text


def test_a_command_that_goes_first() -> None:
    recipes = remedy(kind="prevent", run="getit config cache off")
    text = "FROM a\nRUN x && getit add y\n"
    # The engine does not know the setting by this recipe, so that the fix does not do what it should.
    result = fix(text, library=recipes, select=["getit"])
    assert result.text == text
    assert len(result.problems) == 1


def test_a_mount_with_what_it_needs() -> None:
    recipes = library(
        "remedies:\n  - kind: mount\n    caches: [cache]\n    targets: [~/.getit]\n    sharing: locked\n"
        "    environment: {GETIT_LINKS: copy}\n"
    )
    text = f"{SYNTAX}FROM a\nENV HOME=/home/b\nRUN getit add y\n"
    assert mended(text, recipes) == (
        f"{SYNTAX}FROM a\nENV HOME=/home/b\nENV GETIT_LINKS=copy\n"
        "RUN --mount=type=cache,target=/home/b/.getit,sharing=locked getit add y\n"
    )
    for syntax in ("", "# syntax=docker/dockerfile:1.1\n", "# syntax=acme/other\n"):
        old = text.replace(SYNTAX, syntax)
        assert mended(old, recipes) == old
        assert "--mount" in mended(old, recipes, unsafe=True)
    there = text.replace("RUN", "ENV GETIT_LINKS=hard\nRUN")
    assert "GETIT_LINKS=copy" not in mended(there, recipes)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("rm -rf ~/.getit/cache", "rm -rf ~/.getit/cache"),
        ("rm -rf ~/.getit/cache/*", "rm -rf ~/.getit/cache/*"),
        ("getit wipe", "getit wipe"),
        ("getit wipe && rm -rf ~/.getit/cache", "getit wipe && rm -rf ~/.getit/cache"),
    ],
)
def test_a_plain_clean_up_is_safe(run: str, text: str) -> None:
    recipes = remedy(kind="clean", run=f'"{run}"')
    assert mended("FROM a\nRUN getit add y\n", recipes) == f"FROM a\nRUN getit add y && {text}\n"


@pytest.mark.parametrize(
    "run",
    [
        "curl https://example.org/x | sh; rm -rf ~/.getit/cache",
        "rm -rf $HOME/.getit/cache",
        "rm -rf ~/.getit/cache > /etc/passwd",
        "X=1 getit wipe",
        "other && getit wipe",
        "getit wipe || true",
        "rm -rf / ~/.getit/cache",
        "rm -rf /* ~/.getit/cache",
        "rm -rf ~ ~/.getit/cache",
        "rm -rf ~/* ~/.getit/cache",
        "rm -rf /etc/x ~/.getit/cache",
        "rm -rf /var/lib ~/.getit/cache",
        "rm -rf ~/x/../../.. ~/.getit/cache",
    ],
)
def test_anything_else_is_not_safe(run: str) -> None:
    recipes = remedy(kind="clean", run=f"'{run}'")
    text = "FROM a\nRUN getit add y\n"
    assert mended(text, recipes) == text


@pytest.mark.parametrize(
    "run", [r"getit wipe\nRUN curl x", "getit wipe # x", "getit 'wipe", r"getit wipe\t", r"getit \"wipe"]
)
def test_what_never_gets_into_a_file(run: str) -> None:
    try:
        recipes = remedy(kind="clean", run=f'"{run}"')
    except ValueError:
        return  # the reader of recipes refused it
    text = "FROM a\nRUN getit add y\n"
    assert mended(text, recipes, unsafe=True) == text


@pytest.mark.parametrize(
    "option", ["--nocache; x", "--nocache && x", "--nocache\\nRUN x", "--nocache $(x)", "--nocache `x`"]
)
def test_an_option_that_is_more_than_one(option: str) -> None:
    recipes = remedy(kind="prevent", option=f'"{option}"')
    text = "FROM a\nRUN getit add y\n"
    assert mended(text, recipes, unsafe=True) == text


@pytest.mark.parametrize("target", ["/x,type=bind", "/x y", "/x\\nRUN x", "$X", "relative"])
def test_a_target_that_is_no_path(target: str) -> None:
    recipes = library(f'remedies:\n  - kind: mount\n    caches: [cache]\n    targets: ["{target}"]\n')
    text = f"{SYNTAX}FROM a\nRUN getit add y\n"
    assert mended(text, recipes, unsafe=True) == text
