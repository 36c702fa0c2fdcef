"""When a fact of a recipe holds on a base image, where a cache lies there, and how a remedy is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType

from msgspec import Struct

from cleanroom.recipes.model import Base, Cache, CachePath, Payload, Recipe, Remedy
from cleanroom.syntax.globs import matches
from cleanroom.syntax.paths import UNKNOWN, absolute


@lru_cache(maxsize=4096)
def in_range(version: str, ranges: str) -> bool:
    """Return True if ``version`` is in a range such as ``>=5, <7``; missing parts count as 0."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text)[:4]) + (0,) * 4

    for part in ranges.split(","):
        match = re.fullmatch(r"\s*(>=|<=|==|=|<|>)\s*([\d.]+)\s*", part)
        if match is None:
            continue
        a, b = numbers(version)[:4], numbers(match[2])[:4]
        holds = {">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b}.get(match[1], a == b)
        if not holds:
            return False
    return True


def applies(versions: str, bases: tuple[str, ...], base: Base, recipe_id: str) -> bool | None:
    """Return True if a fact with these ranges holds on a base image; None when that is not known."""
    verdict: bool | None = True
    if bases:
        image = base.images[0]
        if not any(
            f"family:{base.family}" == glob or (not glob.startswith("family:") and matches(image, glob))
            for glob in bases
        ):
            return False
    if versions:
        version = base.versions.get(recipe_id)
        if not version:
            verdict = None
        elif not in_range(version, versions):
            return False
    return verdict


def home_of(user: str, base: Base) -> str:
    """Return the home of a user by its name, ``~`` when it is not known."""
    if user in ("root", "0"):
        return "/root"
    if base.home and user == base.user:
        return base.home
    return f"/home/{user}" if re.fullmatch(r"[a-z_][\w.-]*", user) else "~"


def at_home(path: str, home: str) -> str:
    """Return a path of a recipe with ``home`` in the place of ``~`` at its beginning.

    >>> at_home("~/.cache/pip", "/root")
    '/root/.cache/pip'
    """
    return home + path[1:] if path.startswith("~") else path


def remedy_text(remedy: Remedy, home: str, uid: str = "") -> str:
    """Return what a remedy has one write; a cache mount belongs to root unless ``uid`` is another user's number."""
    if remedy.kind == "mount":
        sharing = f",sharing={remedy.sharing}" if remedy.sharing else ""
        sharing += f",uid={uid}" if uid not in ("", "0") else ""
        return " ".join(f"--mount=type=cache,target={at_home(target, home)}{sharing}" for target in remedy.targets)
    if remedy.option:
        return remedy.option
    if remedy.variable:
        return f"ENV {remedy.variable}={remedy.value}"
    return remedy.run


def by_sudo(script: str) -> str:
    """Return a line of shell as a user who is not root runs it."""
    if re.search(r"[|;]", script):
        return "sudo sh -c '" + script.replace("'", "'\\''") + "'"
    return " && ".join(f"sudo {part}" for part in script.split(" && "))


class Context(Struct, frozen=True, kw_only=True):
    """What a command of a manager runs with, as far as it says where caches lie."""

    base: Base
    home: str
    environment: Mapping[str, str | None] = MappingProxyType({})  # None: not known
    options: Sequence[str] = ()  # with their values: --cache-dir=/x
    folder: str = "/"  # where it works
    stored: Mapping[tuple[str, str], str] = MappingProxyType({})  # (recipe id, setting) -> its value
    user: str = "root"  # "?" when it is not known

    def variable(self, name: str) -> str | None:
        """Return the value of a variable, "" where it is not set, None where it is not known."""
        return self.environment.get(name, self.base.environment.get(name, ""))

    def option(self, name: str) -> str:
        """Return the value of an option, ``.`` of one without a value, "" where it is not given."""
        given = (option.partition("=")[2] for option in reversed(self.options) if option.startswith(f"{name}="))
        return next(given, "." if name in self.options else "")


class _Pattern(Struct, frozen=True):
    """A path of a recipe: what it begins with, by which kind of value, and the rest."""

    kind: str  # option, setting, variable; "" where the path is written out
    name: str
    rest: str


@cache
def _parse(path: str) -> _Pattern:
    if path.startswith("<"):
        name, _, rest = path[1:].partition(">")
        return _Pattern("option" if name.startswith("-") else "setting", name, rest)
    if match := re.match(r"\$\{?(\w+)\}?", path):
        return _Pattern("variable", match[1], path[match.end() :])
    return _Pattern("", "", path)


def cache_paths(recipe: Recipe, place: Cache | Payload, context: Context) -> tuple[str, ...]:
    """Return where a cache or payload lies, or may lie when that depends on what is not known."""
    found: list[str] = []
    for candidate in place.paths:
        holds = _holds(candidate, recipe, context)
        if holds is False:
            continue
        path = _located(_parse(candidate.path), recipe, context)
        if not path:
            continue
        if path.startswith("~"):
            path = at_home(path, context.home)
        elif not path.startswith(UNKNOWN):
            path = absolute(path, context.folder)
        if path not in found:
            found.append(path)
        if holds:
            break
    return tuple(found)


def _holds(path: CachePath, recipe: Recipe, context: Context) -> bool | None:
    """Return whether a place is one here; None when that is not known."""
    holds = applies(path.versions, path.bases, context.base, recipe.id)
    if holds is False:
        return False
    if path.with_variable:
        given = context.variable(path.with_variable)
        if given == "":
            return False
        holds = holds if given else None
    if path.user:
        if context.user == "?":
            return None
        if (path.user == "root") != (context.user.partition(":")[0] in ("root", "0")):
            return False
    return holds


def _located(pattern: _Pattern, recipe: Recipe, context: Context) -> str:
    """Return a path with the value that it begins with, "" where that is not set."""
    if pattern.kind == "":
        return pattern.rest
    if pattern.kind == "option":
        value: str | None = context.option(pattern.name)
    elif pattern.kind == "setting":
        value = context.stored.get((recipe.id, pattern.name), "")
    else:
        value = context.variable(pattern.name)
        if value and pattern.name in recipe.lists:
            value = value.partition(recipe.lists[pattern.name])[0]
    if value is None:
        return UNKNOWN + pattern.rest
    return value + pattern.rest if value else ""
