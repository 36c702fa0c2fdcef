"""Count what each cache weighs in each layer. Pure: a tree of files and places in, sums out."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cleanroom.images.compression import Share, used
from cleanroom.images.contents import Contents
from cleanroom.images.image import LayerSource
from cleanroom.images.matching import Found, Matcher
from cleanroom.images.places import Place, may_be_cache
from cleanroom.images.tree import Entry, Tree
from cleanroom.recipes.model import Recipe

T = TypeVar("T")
Owners = dict[bytes, tuple[Entry, tuple[Place, ...]]]  # by path: what is there, and whose it may be


_NOTHING = Share()


@dataclass(slots=True)
class Weight:
    """What a cache weighs in a layer, at some paths."""

    files: int = 0
    size: int = 0  # bytes that would not be there without the cache
    stored: Share = _NOTHING  # bytes of the layer as it is pulled
    linked: int = 0  # bytes that have another name outside of any cache: to remove the cache does not free them
    paths: dict[bytes, int] = field(default_factory=dict)  # bytes by path
    inodes: array[int] = field(default_factory=lambda: array("Q"))  # of files that weigh something


@dataclass(frozen=True, slots=True)
class Key:
    """A cache in a layer. ``removed_in`` is the layer that hides it, -1 if none does."""

    layer: int
    manager: str
    cache: str
    removed_in: int


def weigh(
    contents: Contents,
    matcher: Matcher[Place],
    filled: Mapping[int, Collection[tuple[str, str]]],
) -> tuple[dict[Key, Weight], bytearray]:
    """Return what each cache weighs in each layer, and by inode whether it counts there.

    What a later layer hides is counted apart.

    Every file counts once: for the cache whose path is the longest. Where caches share a path, it is the one that a
    command of the layer ``filled``, as (manager, cache), else the likeliest by what else the image has. The bytes of a
    file with several names count only if all of them are in caches.
    """
    tree = contents.tree
    weights: dict[Key, Weight] = {}
    counted = bytearray(len(tree.sizes))
    several: dict[int, list[tuple[Key, bytes]]] = {}  # names in caches of files that have more than one
    found = [(-1, matcher.seen())]
    found += [(layer, matcher.hidden(root)) for layer, root in sorted(tree.hidden.items())]
    for removed_in, owners in _Judge(tree, [places for _, places in found]).owners(found):
        for number, top, choice in owned(owners):
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
    _store(contents, weights)
    return weights, counted


def _store(contents: Contents, weights: Mapping[Key, Weight]) -> None:
    """Compute how many compressed bytes of its layer each weight takes.

    The marks of a stream tell, unless files of a cache alternate with others between two of them: then a layer in gzip
    is read once more, and else the weight is between two numbers.
    """
    unsure: dict[int, list[Weight]] = {}
    for key, weight in weights.items():
        layer = contents.layers[key.layer]
        weight.stored = layer.share(_ranges(contents.tree, weight))
        if not weight.stored.is_sure and layer.compression == "gzip":
            unsure.setdefault(key.layer, []).append(weight)
    for number, some in unsure.items():
        source = contents.layers[number].source
        if source is not None:
            _measure(contents.tree, source, some)


def _ranges(tree: Tree, weight: Weight) -> Iterator[tuple[int, int]]:
    """Yield where the files of a weight stand in their layer, in order; neighbours are one range."""
    begin = end = 0
    for number in sorted(weight.inodes):  # inodes are numbered as they come
        if tree.starts[number] != end:
            if end > begin:
                yield begin, end
            begin = tree.starts[number]
        end = tree.ends[number]
    if end > begin:
        yield begin, end


def _measure(tree: Tree, source: LayerSource, weights: Iterable[Weight]) -> None:
    """Read a layer in gzip once more, and stop where files of these weights begin and end."""
    found = sorted(
        (start, end, number) for number, weight in enumerate(weights) for start, end in _ranges(tree, weight)
    )
    sums: dict[int, int] = {}
    with source.open() as file:
        stops = used(file.read, (stop for start, end, _ in found for stop in (start, end)), source.name)
        for (_, _, number), begin, end in zip(found, stops, stops, strict=True):
            sums[number] = sums.get(number, 0) + end - begin
    for number, weight in enumerate(weights):
        weight.stored = Share(sums[number], sums[number], sums[number])


def _add(weight: Weight, contents: Contents, number: int, top: bytes) -> None:
    tree = contents.tree
    size = tree.sizes[number]
    weight.size += size
    weight.paths[top] = weight.paths.get(top, 0) + size
    if size:
        weight.inodes.append(number)


def _shown(path: bytes, place: Place) -> bytes:
    """Return what to call the place of a file: the pattern that found it with others, else the path of its cache."""
    name = place.pattern.rpartition(b"/")[2]
    if any(character in name for character in b"*?["):
        return path.rpartition(b"/")[0] + b"/" + name
    return path


class _Judge:
    """Decides which of several managers a path belongs to, by what else of theirs the image has."""

    def __init__(self, tree: Tree, found: Sequence[Found[Place]]) -> None:
        self._tree = tree
        self._installed: dict[str, bool] = {}
        self._evidence: dict[str, set[bytes]] = {}  # by recipe: places that no other recipe means
        self._paths: dict[tuple[str, str], list[bytes]] = {}  # by cache: where it is, for those of which parts may be
        for owners in found:
            for path, (_, places) in owners.items():
                if len({place.recipe.id for place in places}) == 1:
                    self._evidence.setdefault(places[0].recipe.id, set()).add(places[0].pattern)
                for place in places:
                    if place.cache is not None and not place.only_alone:
                        self._paths.setdefault((place.recipe.id, place.cache.id), []).append(path + b"/")

    def owners(self, found: Iterable[tuple[int, Found[Place]]]) -> Iterator[tuple[int, Owners]]:
        """Yield for what is there, and what each layer hid, the paths of caches and whose they may be, best first."""
        for removed_in, paths in found:
            owners: Owners = {}
            for path, (entry, places) in paths.items():
                left = [place for place in places if not (place.only_alone and self._has_part(place, path))]
                if left and may_be_cache(path):  # by way of a link, it may be any folder
                    owners[path] = entry, tuple(sorted(left, key=self._rank) if len(left) > 1 else left)
            yield removed_in, owners

    def _has_part(self, place: Place, path: bytes) -> bool:
        known = self._paths.get((place.recipe.id, place.cache.id if place.cache is not None else ""), ())
        return any(other.startswith(path + b"/") for other in known)

    def _rank(self, place: Place) -> tuple[bool, bool, bool, int]:
        """Return what sorts the likeliest first."""
        is_minor = place.cache is not None and place.cache.minor
        evidence = len(self._evidence.get(place.recipe.id, ()))
        return place.cache is not None, is_minor, not self._is_installed(place.recipe), -evidence

    def _is_installed(self, recipe: Recipe) -> bool:
        """Return True if the image has, or had, one of the manager's programs."""
        if recipe.id not in self._installed:
            self._installed[recipe.id] = any(
                True
                for program in recipe.programs
                for name in program.names
                for folder in (b"usr/bin", b"usr/local/bin", b"bin", b"sbin", b"opt/*/bin")
                for root in (None, *self._tree.hidden.values())
                for _ in self._tree.find(folder + b"/" + name.encode(), root)
            )
        return self._installed[recipe.id]


def _pick(choice: tuple[Place, ...], filled: Collection[tuple[str, str]]) -> Place:
    if any(place.cache is None for place in choice):
        return choice[0]  # it holds what must stay as well, and paths do not tell which is which
    for place in choice:
        if place.cache is not None and (place.recipe.id, place.cache.id) in filled:
            return place
    return choice[0]


def owned(owners: Mapping[bytes, tuple[Entry, tuple[T, ...]]]) -> Iterator[tuple[int, bytes, tuple[T, ...]]]:
    """Yield every file at these paths and below: its inode, the longest path that has it, and whose it may be."""
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
