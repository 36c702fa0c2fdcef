"""When a fact of a recipe holds on a base image, where a cache lies there, and how a remedy is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from cleanroom.recipes.model import Base, Cache, Payload, Recipe, Remedy
from cleanroom.syntax.globs import matches
from cleanroom.syntax.paths import UNKNOWN, absolute


@lru_cache(maxsize=4096)
def in_range(version: str, ranges: str) -> bool:
    """Tell whether ``version`` is in a range such as ``>=5, <7``; missing parts count as 0."""

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
    """Tell whether a fact with these ranges holds on a base image; None when that is not known."""
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


def cache_paths(
    recipe: Recipe,
    cache: Cache | Payload,
    environment: Mapping[str, str | None],
    options: list[str],
    home: str,
    base: Base,
    folder: str = "/",
    stored: Mapping[tuple[str, str], str] = MappingProxyType({}),
    user: str = "root",
) -> tuple[str, ...]:
    """Return where a cache or payload lies, or may lie when that depends on what is not known.

    ``folder`` is where the command works, ``stored`` has the settings of managers, ``user`` is ``?`` when not known.
    """

    def variable(name: str) -> str | None:
        return environment.get(name, base.environment.get(name, ""))

    found: list[str] = []
    for candidate in cache.paths:
        holds = applies(candidate.versions, candidate.bases, base, recipe.id)
        if holds is False:
            continue
        if name := candidate.with_variable:
            given = variable(name)
            if given == "":
                continue
            holds = holds if given else None
        if candidate.user:
            if user == "?":
                holds = None
            elif (candidate.user == "root") != (user.partition(":")[0] in ("root", "0")):
                continue
        path = candidate.path
        if path.startswith("<"):
            name, _, tail = path[1:].partition(">")
            if name.startswith("-"):
                value = next(
                    (given.partition("=")[2] for given in reversed(options) if given.startswith(f"{name}=")),
                    "." if name in options else "",
                )
            else:
                value = stored.get((recipe.id, name), "")
            if not value:
                continue
            path = value + tail
        elif path.startswith("$"):
            match = re.match(r"\$\{?(\w+)\}?", path)
            name = match[1] if match else ""
            given = variable(name)
            if given and name in recipe.lists:
                given = given.partition(recipe.lists[name])[0]
            if given == "":
                continue
            path = (UNKNOWN if given is None else given) + path[len(match[0]) if match else 0 :]
        if path.startswith("~"):
            path = at_home(path, home)
        elif not path.startswith(UNKNOWN):
            path = absolute(path, folder)
        if path not in found:
            found.append(path)
        if holds:
            break
    return tuple(found)
