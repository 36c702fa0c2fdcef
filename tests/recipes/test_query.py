"""The answers of ``query``: the whole table; each does in the engine what it promises, and is good shell.

The table is ``cases/library/query.yaml``: the official image of each manager, as root and as ``app``, a user who is
added.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml

import cleanroom
from cleanroom.recipes.model import Recipe, Use
from cleanroom.recipes.query import Answer, NoRemedy, query
from cleanroom.registries import library
from tests.support import CASE_FILES, ROOT, assert_same_text, program

# What must stand before an install, so that what it leaves is waste.
SETUP = {"deno": """echo '{"nodeModulesDir": "auto"}' > deno.json"""}
# Where a use is told by program text.
PROGRAM_TEXT = {
    "julia": """julia -e 'using Pkg; Pkg.add("HTTP")'""",
    "quicklisp": """sbcl --eval '(ql:quickload :alexandria)'""",
}
TABLE = CASE_FILES / "library/query.yaml"
KINDS = ("clean", "prevent", "mount")
USERS = ("root", "app")
RECIPES = {recipe.id: recipe for recipe in library().recipes()}
POSIX = [recipe for recipe in RECIPES.values() if not recipe.shell]


def ask(recipe: Recipe, kind: str, user: str) -> Answer | None:
    try:
        return query(recipe, library(), prefer=kind, user=user)
    except NoRemedy:
        return None


def text_of(answer: Answer) -> str:
    before = [answer.before] if answer.before else []
    settings = [f"ENV {name}={value}" for name, value in answer.environment.items()]
    return "; ".join([answer.text, *(f"needs {need}" for need in [*settings, *before])])


def answers() -> Iterator[tuple[Recipe, str, str, Answer]]:
    for recipe in RECIPES.values():
        for kind in KINDS:
            for user in USERS:
                if (answer := ask(recipe, kind, user)) is not None:
                    yield recipe, kind, user, answer


def test_the_whole_table() -> None:
    """What ``query`` says for each manager; where it differs for ``app``, that stands under ``app``."""
    table: dict[str, dict[str, str]] = {}
    for recipe, kind, user, answer in answers():
        row = table.setdefault(recipe.id, {"on": recipe.official_image or "any image"})
        text = text_of(answer)
        if row.get(kind) != text:
            row[kind if user == "root" else f"{kind} as {user}"] = text
    found = yaml.safe_dump(table, sort_keys=False, width=10_000)
    assert_same_text(found, TABLE.read_text("utf-8"), f"if this is right, change {TABLE.relative_to(ROOT)}")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_way_is_one_line_or_said_to_be_missing(recipe: Recipe) -> None:
    for kind in KINDS:
        for user in USERS:
            answer = ask(recipe, kind, user)
            if answer is None:
                assert recipe.without[kind]
            else:
                assert answer.text.strip() == answer.text != ""
                assert "\n" not in answer.text


def _command(recipe: Recipe, use: Use) -> str:
    """Return a command line of this use."""
    if recipe.id in PROGRAM_TEXT:
        return PROGRAM_TEXT[recipe.id]
    program = (use.programs or recipe.programs[0].names)[0]
    word = "https://example.org/x.pkg" if use.code else "https://example.org/x"
    verb = use.verbs[0].replace("?*", "x").replace("*", "x")
    options = [*use.with_options[:1], *use.with_all_options]
    operand = word if use.operands == "some" else ""
    return " ".join(part for part in (program, verb, *options, operand) if part)


def _installs(recipe: Recipe, user: str, answer: Answer) -> list[str]:
    """Return the command lines that fill what the answer is about."""
    caches = [cache for cache in recipe.caches if cache.id in answer.caches]
    sudo = "sudo " if user != "root" and all(remedy.root_only for remedy in recipe.remedies if remedy.run) else ""
    lines = dict.fromkeys(sudo + _command(recipe, cache.filled_by[0]) for cache in caches)
    return [*([SETUP[recipe.id]] if recipe.id in SETUP else []), *lines]


def _follow(answer: Answer, commands: list[str]) -> tuple[list[str], str, list[str]]:
    """Return what the answer makes of a RUN: lines before it, its flags, its commands."""
    lines = [f"ENV {name}={value}" for name, value in answer.environment.items()]
    commands = [*([answer.before] if answer.before else []), *commands]
    if answer.kind == "mount":
        return lines, f"{answer.text} ", commands
    if answer.text.startswith("ENV "):
        return [*lines, answer.text], "", commands
    if answer.text.startswith("-"):
        return lines, "", [command if "echo" in command else f"{command} {answer.text}" for command in commands]
    return lines, "", [*commands, answer.text] if answer.kind == "clean" else [answer.text, *commands]


def _dockerfile(recipe: Recipe, user: str, before: list[str], flags: str, commands: list[str]) -> str:
    first = [f"FROM {recipe.official_image or 'debian'}", f"USER {user}"]
    return "\n".join([*first, *before, f"RUN {flags}{' && '.join(commands)}", ""])


def _left(dockerfile: str, recipe: Recipe) -> set[str]:
    findings = cleanroom.check(dockerfile).findings
    return {finding.cache for finding in findings if finding.manager == recipe.id}


@pytest.mark.parametrize(("recipe", "kind", "user"), [(a, b, c) for a in POSIX for b in KINDS for c in USERS])
def test_what_is_said_is_what_helps(recipe: Recipe, kind: str, user: str) -> None:
    """An install that leaves a cache leaves it no longer with the answer."""
    answer = ask(recipe, kind, user)
    if answer is None:
        return
    commands = _installs(recipe, user, answer)
    assert all(recipe.cache(name).minor for name in answer.caches) or _left(
        _dockerfile(recipe, user, [], "", commands), recipe
    )
    dockerfile = _dockerfile(recipe, user, *_follow(answer, commands))
    assert not _left(dockerfile, recipe) & set(answer.caches), dockerfile


SHELLS = {"busybox": "busybox", "dash": "dash", "": "sh"}


@pytest.mark.oracle
@pytest.mark.parametrize("recipe", POSIX, ids=lambda recipe: recipe.id)
@pytest.mark.parametrize("tool", ["shfmt", "shellcheck"])
def test_what_is_said_is_good_shell(recipe: Recipe, tool: str) -> None:
    """The whole script, with the install; ShellCheck's errors and warnings, without exceptions."""
    shell = SHELLS.get(library().base(recipe.official_image).sh, "bash")
    for kind in KINDS:
        for user in USERS:
            if (answer := ask(recipe, kind, user)) is None:
                continue
            script = " && ".join(_follow(answer, _installs(recipe, user, answer))[2]) + "\n"
            if tool == "shfmt":
                command = [program("shfmt"), "-ln", "bash" if shell == "bash" else "posix", "-filename", "script"]
            else:
                command = [program("shellcheck"), "-s", shell, "-S", "warning", "-"]
            done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{script}{done.stdout}{done.stderr}"
