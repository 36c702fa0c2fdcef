"""Where caches may lie in an image: all that any recipe can mean, for every home that is or was there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cleanroom.images.contents import PASSWD, Contents
from cleanroom.recipes.facts import applies
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Cache, Recipe
from cleanroom.syntax.paths import UNKNOWN

# A variable may name any folder. One of these is never a cache as a whole.
_NEVER = frozenset(
    b"bin boot dev etc home lib lib64 opt proc root run sbin srv sys tmp usr usr/bin usr/lib usr/local usr/local/bin "
    b"usr/local/lib usr/sbin usr/share var var/cache var/lib var/tmp".split()
)
HOME = b"~"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a cache lies; ``pattern`` may have globs, and has no slash in front. ``cache`` None: must stay.

    A pattern that begins with ``~`` is meant for every home.
    """

    recipe: Recipe
    cache: Cache | None
    pattern: bytes
    only_alone: bool = False  # what an older version used, of which a newer one uses a part: not where that is there


def places(library: Library, base: Base, environment: Mapping[str, str]) -> Iterator[Place]:
    """Yield where the caches of all managers may lie, and what must stay.

    That is for any version and user, as the image's variables say, as those of its base do, and without any.
    """
    for recipe in library.recipes():
        for cache in recipe.caches:
            versions: dict[bytes, bool] = {}  # by pattern, whether it may be of the version that is there
            for candidate in cache.paths:
                is_likely = applies(candidate.versions, (), base, recipe.id) is not False
                for path in _meant(candidate.path, recipe, (environment, base.environment)):
                    if is_place(path):
                        versions[pattern(path)] = is_likely or versions.get(pattern(path), False)
            for found, is_likely in versions.items():
                is_outer = any(other.startswith(found + b"/") for other in versions)
                if is_likely or not is_outer:
                    yield Place(recipe, cache, found, is_outer)
        for keep in recipe.keep:
            if not keep.folder and is_place(keep.path):
                yield Place(recipe, None, pattern(keep.path))


def distinct(found: Iterable[Place]) -> Iterator[Place]:
    """Yield the places without those that another one names too."""
    seen: set[tuple[str, str, bytes]] = set()
    for place in found:
        key = (place.recipe.id, "" if place.cache is None else place.cache.id, place.pattern)
        if key not in seen:
            seen.add(key)
            yield place


def _meant(path: str, recipe: Recipe, environments: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield what a path of a recipe can mean; options and settings are those of the commands in the image's history."""
    if path.startswith("<"):
        return
    match = re.match(r"\$\{?(\w+)\}?", path)
    if match is None:
        yield path if path.startswith(("/", "~")) else "/" + path
        return
    for environment in environments:
        value = environment.get(match[1], "")
        for part in value.split(recipe.lists[match[1]]) if match[1] in recipe.lists else [value]:
            if part.startswith(("/", "~")):
                yield part + path[len(match[0]) :]


def is_place(path: str) -> bool:
    """Return True if a path may be a cache's: it is known, and not a folder that holds all kinds of things."""
    if not path.startswith(("/", "~/")) or UNKNOWN in path or ".." in path.split("/"):
        return False
    return bool(pattern(path)) and may_be_cache(pattern(path))


def may_be_cache(path: bytes) -> bool:
    """Return True unless the path is a folder that holds all kinds of things."""
    return path not in _NEVER and path != HOME


def pattern(path: str) -> bytes:
    """Return a path as a tree has it: bytes without a slash in front."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts).encode("utf-8", "surrogateescape")


def homes(contents: Contents, environment: Mapping[str, str], base: Base) -> tuple[bytes, ...]:
    """Return where homes are or were: patterns for those in ``/home``, and of every user that any layer had."""
    found = {b"root": None, b"home/*": None}
    users = [line.split(":") for text in _users(contents) for line in text.splitlines()]
    for home in (environment.get("HOME", ""), base.home, *(fields[5] for fields in users if len(fields) >= 6)):
        if home.startswith("/") and UNKNOWN not in home and ".." not in home.split("/"):
            found[pattern(home)] = None
    return tuple(found)


def _users(contents: Contents) -> Iterator[str]:
    """Yield the lists of users: the one that is there, and those that later layers replaced."""
    yield contents.text(PASSWD)
    for root in contents.tree.hidden.values():
        for _, entry in contents.tree.find(PASSWD, root):
            if type(entry) is int and entry in contents.texts:
                yield contents.texts[entry].decode("utf-8", "surrogateescape")


def spelled(found: Iterable[Place], homes: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the patterns of places, with each home in the place of ``~``."""
    for place in found:
        if not place.pattern.startswith(HOME + b"/"):
            yield place.pattern
            continue
        for home in homes:
            yield home + place.pattern[1:] if home else place.pattern[2:]
