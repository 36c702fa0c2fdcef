"""Count what each cache weighs in each layer. Pure: a tree of files and places in, sums out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cleanroom.images.contents import Contents
from cleanroom.images.tree import Entry, Folder, Tree
from cleanroom.recipes.facts import at_home, cache_paths
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Cache, Recipe
from cleanroom.syntax.paths import UNKNOWN

# A variable may name any folder. One of these is never a cache as a whole.
_NEVER = frozenset(
    b"bin boot dev etc home lib lib64 opt proc root run sbin srv sys tmp usr usr/bin usr/lib usr/local usr/local/bin "
    b"usr/local/lib usr/sbin usr/share var var/cache var/lib var/tmp".split()
)
_MOST_HOMES = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cache lies; ``pattern`` may have globs, and has no slash in front. ``cache`` None: must stay."""

    recipe: Recipe
    cache: Cache | None
    pattern: bytes


@dataclass(slots=True)
class Weight:
    """What a cache weighs in a layer, at some paths."""

    files: int = 0
    size: int = 0  # bytes that would not be there without the cache
    stored: int = 0  # bytes of the layer as it is pulled
    linked: int = 0  # bytes that have another name outside of any cache: to remove the cache does not free them
    paths: dict[bytes, int] = field(default_factory=dict)  # bytes by path


@dataclass(frozen=True, slots=True)
class Key:
    """A cache in a layer. ``removed_in`` is the layer that hides it, -1 if none does."""

    layer: int
    manager: str
    cache: str
    removed_in: int


def homes(contents: Contents, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the home folders that the image has: those of its users, and what else lies in ``/home``."""
    found = ["/root", environment.get("HOME", "")]
    for line in contents.text(b"etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) >= 6:
            found.append(fields[5])
    tree = contents.tree
    found += [
        f"/{path.decode('utf-8', 'surrogateescape')}"
        for root in (None, *tree.hidden.values())
        for path, _ in tree.find(b"home/*", root)
    ]
    kept = dict.fromkeys(
        home.rstrip("/") for home in found if home.startswith("/") and UNKNOWN not in home and "/../" not in f"{home}/"
    )
    return tuple(home for home in kept if not home or tree.exists(pattern(home)))[:_MOST_HOMES]


def places(
    library: Library, base: Base, environment: Mapping[str, str], homes: Iterable[str], tree: Tree
) -> Iterator[Place]:
    """Yield where the caches of all managers may lie: as the environment says, and without it."""
    without: Mapping[str, str | None] = {}
    seen: set[tuple[str, str, bytes]] = set()
    for home in ("~", *homes):  # without a home that is known, places below one are passed over
        for recipe in library.recipes():
            for cache in recipe.caches:
                for settings in (environment, without):
                    found = cache_paths(recipe, cache, settings, [], home, base)
                    for path in _likely([pattern(path) for path in found if is_place(path)], tree):
                        if (recipe.id, cache.id, path) not in seen:
                            seen.add((recipe.id, cache.id, path))
                            yield Place(recipe, cache, path)
            for keep in recipe.keep:
                kept = at_home(keep.path, home)
                if not keep.folder and is_place(kept) and (recipe.id, "", pattern(kept)) not in seen:
                    seen.add((recipe.id, "", pattern(kept)))
                    yield Place(recipe, None, pattern(kept))


def is_place(path: str) -> bool:
    """Tell whether a path may be a cache's: it is known, and not a folder that holds all kinds of things."""
    if not path.startswith("/") or UNKNOWN in path or ".." in path.split("/"):
        return False
    return bool(pattern(path)) and pattern(path) not in _NEVER


def _likely(found: list[bytes], tree: Tree) -> Iterator[bytes]:
    """Yield the paths of a cache, without those that hold another one that is there.

    Where the version of the manager is not known, both may be meant: npm's cache is ``~/.npm/_cacache`` from version 5
    on and was all of ``~/.npm`` before.
    """
    for path in found:
        inner = [other for other in found if other.startswith(path + b"/")]
        if not any(tree.exists(other) for other in inner):
            yield path


def pattern(path: str) -> bytes:
    """Return a path as a tree has it: bytes without a slash in front."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts).encode("utf-8", "surrogateescape")


def weigh(
    contents: Contents, candidates: Collection[Place], filled: Mapping[int, Collection[tuple[str, str]]]
) -> tuple[dict[Key, Weight], bytearray]:
    """Return what each cache weighs in each layer, and by inode whether it counts there.

    What a later layer hides is counted apart.

    Every file counts once: for the cache whose path is the longest. Where caches share a path, it is the one that a
    command of the layer ``filled``, as (manager, cache), else one whose program the image has. The bytes of a file
    with several names count only if all of them are in caches.
    """
    tree = contents.tree
    weights: dict[Key, Weight] = {}
    counted = bytearray(len(tree.sizes))
    several: dict[int, list[tuple[Key, bytes]]] = {}  # names in caches of files that have more than one
    installed = _Installed(tree)
    for removed_in, root in ((-1, tree.root), *sorted(tree.hidden.items())):
        owners = _owners(tree, None if removed_in < 0 else root, candidates, installed)
        for number, top, choice in _owned(owners):
            layer = tree.layers[number]
            place = _pick(choice, filled.get(layer, ()))
            if place.cache is None:
                continue
            key = Key(layer, place.recipe.id, place.cache.id, removed_in)
            weight = weights.setdefault(key, Weight())
            weight.files += 1
            if tree.links[number] > 1:
                several.setdefault(number, []).append((key, _shown(top, place)))
                continue
            counted[number] = 1
            _add(weight, contents, number, _shown(top, place))
    for number, names in several.items():
        key, top = names[0]
        if len(names) >= tree.links[number]:
            counted[number] = 1
            _add(weights[key], contents, number, top)
        else:
            weights[key].linked += tree.sizes[number]
            weights[key].paths.setdefault(top, 0)
    return weights, counted


def _add(weight: Weight, contents: Contents, number: int, top: bytes) -> None:
    tree = contents.tree
    size = tree.sizes[number]
    weight.size += size
    weight.paths[top] = weight.paths.get(top, 0) + size
    if size:
        weight.stored += contents.layers[tree.layers[number]].share(tree.starts[number], tree.ends[number])


def _shown(path: bytes, place: Place) -> bytes:
    """Return what to call the place of a file: the pattern that found it with others, else the path of its cache."""
    parent = path.rpartition(b"/")[0]
    return place.pattern if place.pattern.rpartition(b"/")[0] == parent else path


class _Installed:
    """Which managers the image has, by the names of their programs."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, bool] = {}

    def __call__(self, recipe: Recipe) -> bool:
        if recipe.id not in self._known:
            self._known[recipe.id] = any(
                True
                for program in recipe.programs
                for name in program.names
                for folder in (b"usr/bin", b"usr/local/bin", b"bin", b"sbin", b"opt/*/bin")
                for _ in self._tree.find(folder + b"/" + name.encode())
            )
        return self._known[recipe.id]


def _pick(choice: tuple[Place, ...], filled: Collection[tuple[str, str]]) -> Place:
    if any(place.cache is None for place in choice):
        return choice[0]  # it holds what must stay as well, and paths do not tell which is which
    for place in choice:
        if place.cache is not None and (place.recipe.id, place.cache.id) in filled:
            return place
    return choice[0]


def _owners(
    tree: Tree, hidden: Folder | None, candidates: Collection[Place], installed: _Installed
) -> dict[bytes, tuple[Entry, tuple[Place, ...]]]:
    """Return the paths of caches that are there, what is there, and whose they may be, the likeliest first."""
    found: dict[bytes, tuple[Entry, list[Place]]] = {}
    for place in candidates:
        patterns = [place.pattern] if hidden is None else dict.fromkeys((place.pattern, _real(tree, place.pattern)))
        for pattern in patterns:
            for path, entry in tree.find(pattern, hidden):
                whose = found.setdefault(path, (entry, []))[1]
                if place not in whose:
                    whose.append(place)

    def likeliest(place: Place) -> tuple[bool, bool, bool]:
        return (place.cache is not None, place.cache is not None and place.cache.minor, not installed(place.recipe))

    return {path: (entry, tuple(sorted(whose, key=likeliest))) for path, (entry, whose) in found.items()}


def _real(tree: Tree, pattern: bytes) -> bytes:
    """Return a pattern with the symbolic links that are there now followed: where a cache lay that is gone."""
    parts = pattern.split(b"/")
    for count in range(len(parts), 0, -1):
        head = b"/".join(parts[:count])
        if re.search(rb"[*?[]", head):
            continue
        found = tree.resolve(head)
        if found is not None:
            return b"/".join([found[0], *parts[count:]]).strip(b"/")
    return pattern


def _owned(
    owners: Mapping[bytes, tuple[Entry, tuple[Place, ...]]],
) -> Iterator[tuple[int, bytes, tuple[Place, ...]]]:
    """Yield every file in caches: its inode, the path of its cache, and whose it may be."""
    nested = {b"/".join(path.split(b"/")[:count]) for path in owners for count in range(1, path.count(b"/") + 1)}
    for path, (entry, whose) in owners.items():
        if type(entry) is int:
            yield entry, path, whose
            continue
        stack: list[tuple[bytes, Entry]] = [(path, entry)]
        while stack:
            place, folder = stack.pop()
            assert type(folder) is dict
            holds_others = place in nested
            for name, child in folder.items():
                if type(child) is int:
                    if not holds_others or place + b"/" + name not in owners:
                        yield child, path, whose
                elif type(child) is dict:
                    below = place + b"/" + name
                    if below not in owners:
                        stack.append((below, child))
