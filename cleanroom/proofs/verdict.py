"""Judge what was measured: a remedy is proved, failed, or void; a hazard happens as written, or not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from cleanroom.images.tree import Entry, Tree, show
from cleanroom.recipes.measurements import Held
from cleanroom.recipes.model import Hazard, Remedy

PROVED, FAILED, VOID = "proved", "failed", "void"
_REST = 0.1  # of a cache that may stay where the recipe says that something does
_SAME = 0.98  # of a cache, when it is said to stay: what is in it differs a little from build to build
_MOST_SHOWN = 3


def held_in(caches: Mapping[str, Held], cache: str) -> int:
    """Return all bytes under a cache's paths, also those that are files of something else too."""
    held = caches.get(cache)
    return held.bytes + held.linked if held is not None else 0


def of_remedy(
    remedy: Remedy, without: Mapping[str, Held], left: Mapping[str, Held], gone: Collection[str]
) -> tuple[str, str]:
    """Return the verdict on a remedy whose build passed, and the reason where it is not proved.

    ``gone`` are the files outside of the caches that are not there with the remedy.
    """
    before = {cache: held_in(without, cache) for cache in remedy.caches}
    if not any(before.values()):
        return VOID, f"without it there is nothing in {' and '.join(remedy.caches)} either"
    for cache, size in before.items():
        rest = held_in(left, cache)
        allowed = size * _REST if remedy.leaves else 0
        if rest > allowed:
            return FAILED, f"{rest:,} of {size:,} bytes stay in {cache}"
    if gone:
        return FAILED, f"takes what is no cache: {_some(gone)}"
    return PROVED, ""


def of_hazard(
    hazard: Hazard, caches: Collection[str], without: Mapping[str, Held], left: Mapping[str, Held]
) -> tuple[str, str]:
    """Return the verdict on a hazard whose build passed (where it ``fails``, passing means that the command failed)."""
    if hazard.effect == "fails":
        return PROVED, ""
    names = list(caches) or [cache for cache in without if held_in(without, cache)]
    if not names:
        return FAILED, "there is nothing in the caches without it either"
    for cache in names:
        before, after = held_in(without, cache), held_in(left, cache)
        if hazard.effect == "refills" and not after:
            return FAILED, f"{cache} is not filled again"
        if hazard.effect != "refills" and (not after or after < before * _SAME):
            return FAILED, f"{cache} holds {after:,} bytes after it, {before:,} without it"
    return PROVED, ""


def gone(
    before: Collection[str], after: Collection[str], caches: Collection[str], targets: Collection[str] = ()
) -> list[str]:
    """Return the files of ``before`` that ``after`` has not, but for those of caches and of cache mounts."""
    return sorted(
        path
        for path in set(before) - set(after)
        if not any(_covers(cache, path) for cache in caches)
        and not any(path == target or path.startswith(f"{target}/") for target in targets)
    )


def _covers(cache: str, path: str) -> bool:
    return path == cache or path.startswith(f"{cache}/") or ("*" in cache and fnmatchcase(path, cache))


def files(tree: Tree) -> frozenset[str]:
    """Return the paths of all files and links that an image shows."""
    found = []
    stack: list[tuple[bytes, Entry]] = [(b"", tree.root)]
    while stack:
        place, folder = stack.pop()
        if isinstance(folder, dict):
            stack += [(place + b"/" + name, entry) for name, entry in folder.items()]
        else:
            found.append(show(place))
    return frozenset(found)


def _some(paths: Collection[str]) -> str:
    shown = list(paths)[:_MOST_SHOWN]
    more = f" and {len(paths) - len(shown)} more" if len(paths) > len(shown) else ""
    return ", ".join(shown) + more
