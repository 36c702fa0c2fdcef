"""What an image carries beside caches that it may do without, weighed: ``recipes/images/waste.yaml`` names the kinds.

Each file counts once, and none that is a cache's: first those of packages that are only recommended and of development
dependencies, as the managers' own lists say, then those of the kinds, by their paths. What later layers hide, and what
is there more than once, is told apart: those bytes are among the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec
import yaml

from cleanroom.images import packages
from cleanroom.images.account import owned
from cleanroom.images.audit import Reading
from cleanroom.images.compression import Stream
from cleanroom.images.image import LayerSource, Limits
from cleanroom.images.matching import Found, Matcher
from cleanroom.images.tree import Entry, Folder, Tree, show
from cleanroom.recipes.model import FOLDER

WANTED = (packages.STATUS, packages.AUTOMATIC, packages.LOCK, b".list")  # ends of names of files that are read
_MOST_SHOWN = 20  # paths
_SMALLEST_COPY = 4096  # bytes
_ANYWHERE = "**/"


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of files that an image may do without."""

    id: str
    what: str
    paths: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    safe: str  # mostly, ask
    why: str
    how: str
    lean: Mapping[str, str] = {}  # recipe id -> id of its lean option
    sources: tuple[str, ...]


class _Kinds(msgspec.Struct, forbid_unknown_fields=True):
    kinds: tuple[Kind, ...]


_RECOMMENDED = Kind(
    id="recommended-packages",
    what="packages that are only recommended by others",
    safe="ask",
    why="a package that expects a recommended one to be there may lack it, such as ca-certificates with curl",
    how="apt-get install --no-install-recommends",
    lean={"apt": "recommends"},
    sources=("https://manpages.debian.org/bookworm/apt/apt-get.8.en.html",),
)
_DEVELOPMENT = Kind(
    id="development-dependencies",
    what="development dependencies of npm packages",
    safe="ask",
    why="what builds the program may be among them; nothing that only runs it is",
    how="npm ci --omit=dev, in a stage of its own where they are needed to build",
    lean={"npm": "development"},
    sources=("https://docs.npmjs.com/cli/v10/commands/npm-ci#omit",),
)


@dataclass(frozen=True, slots=True)
class Extra:
    """What an image has of a kind. ``own`` bytes are not its base's; paths have their bytes, the heaviest first."""

    kind: Kind
    bytes: int
    own: int
    files: int
    paths: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file that a later layer removes or replaces; layers count from 1."""

    path: str
    bytes: int
    layer: int
    removed_in: int


@dataclass(frozen=True, slots=True)
class Copies:
    """Files of one content: the bytes of one, and where it is, as layer and path."""

    bytes: int
    places: tuple[tuple[int, str], ...]

    @property
    def waste(self) -> int:
        """What all but one weigh."""
        return self.bytes * (len(self.places) - 1)


@dataclass(frozen=True, slots=True)
class Waste:
    """All that was found; ``hidden`` and ``copies`` the heaviest first."""

    extras: tuple[Extra, ...]
    hidden: tuple[Hidden, ...]
    copies: tuple[Copies, ...]


def kinds() -> tuple[Kind, ...]:
    """Return the kinds that have paths."""
    text = (Path(FOLDER) / "images/waste.yaml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), _Kinds).kinds


def weigh(reading: Reading, limits: Limits) -> Waste:
    """Return what an image carries beside caches. Its layers are read once more where files may be copies.

    ``reading`` must have been told to keep the texts of ``WANTED``. Raises ImageError.
    """
    sums = _Sums(reading)
    tree = reading.contents.tree
    for name in _recommended(reading):
        sums.add(_RECOMMENDED, name)
    below = _Anywhere(tree, [packages.LOCK])
    for path, entry in below.found(tree.root):
        text = reading.contents.texts.get(entry) if type(entry) is int else None
        folder = path.removesuffix(packages.LOCK)
        for name in packages.development(text or b""):
            sums.add(_DEVELOPMENT, folder + name)
    for place, number in _of_kinds(tree, kinds(), reading.homes):
        sums.count(place.kind, number, place.shown)
    return Waste(tuple(sums.extras()), tuple(_hidden(reading)), tuple(_copies(reading, limits)))


# Files by kind.


@dataclass(slots=True)
class _Sum:
    size: int = 0
    own: int = 0
    files: int = 0
    paths: dict[bytes, int] = field(default_factory=dict)


class _Sums:
    """What each kind weighs; a file counts once, with all its names."""

    def __init__(self, reading: Reading) -> None:
        self._tree = reading.contents.tree
        self._is_base = [layer.is_base for layer in reading.audit.layers]
        self._counted = bytearray(reading.counted)
        self._names: dict[int, int] = {}  # of files that have several: how many were seen
        self._sums: dict[str, tuple[Kind, _Sum]] = {}

    def add(self, kind: Kind, path: bytes) -> None:
        """Count a file, or all that is in a folder."""
        found = self._tree.resolve(path)
        if found is None:
            return
        if type(found[1]) is int:
            self.count(kind, found[1], path)
        elif type(found[1]) is dict:
            for number in self._tree.inodes(found[1]):
                self.count(kind, number, path)

    def count(self, kind: Kind, number: int, path: bytes) -> None:
        """Count one name of a file for a kind, unless the file has another name that no kind has."""
        if self._counted[number]:
            return
        self._names[number] = self._names.get(number, 0) + 1
        if self._names[number] < self._tree.links[number]:
            return
        self._counted[number] = 1
        size = self._tree.sizes[number]
        _, found = self._sums.setdefault(kind.id, (kind, _Sum()))
        found.size += size
        found.files += 1
        found.own += 0 if self._is_base[self._tree.layers[number]] else size
        found.paths[path] = found.paths.get(path, 0) + size

    def extras(self) -> Iterator[Extra]:
        """Yield what was counted, the heaviest kind first."""
        for kind, found in sorted(self._sums.values(), key=lambda item: -item[1].size):
            if found.size:
                paths = sorted(found.paths.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]
                shown = tuple((f"/{show(path)}", weight) for path, weight in paths)
                yield Extra(kind, found.size, found.own, found.files, shown)


def _recommended(reading: Reading) -> Iterator[bytes]:
    """Yield the paths of the files of packages that are only recommended."""
    contents = reading.contents
    known = packages.installed(contents.text(packages.STATUS))
    for package in packages.only_recommended(known, contents.text(packages.AUTOMATIC)):
        for name in (package.name, f"{package.name}:{package.architecture}"):
            for line in contents.text(packages.LISTS + f"/{name}.list".encode()).splitlines():
                path = line.strip("/").encode("utf-8", "surrogateescape")
                found = contents.tree.resolve(path)
                if found is not None and type(found[1]) is int:
                    yield path


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A pattern of a kind; ``shown`` is what to call it."""

    kind: Kind
    pattern: bytes
    shown: bytes
    stays: bool


def _of_kinds(tree: Tree, kinds: Sequence[Kind], homes: Iterable[bytes]) -> Iterator[tuple[_Place, int]]:
    """Yield the files of all kinds, each for the longest path that has it."""
    fixed: list[_Place] = []
    anywhere: list[_Place] = []
    for kind in kinds:
        for path in (*kind.paths, *kind.keep):
            pattern = path.removeprefix(_ANYWHERE).strip("/").encode()
            place = _Place(kind, pattern, pattern, path in kind.keep)
            (anywhere if path.startswith(_ANYWHERE) else fixed).append(place)
    found: Found[_Place] = Matcher(tree, fixed, homes).seen()
    by_name = {place.pattern: place for place in anywhere}
    for found_path, entry in _Anywhere(tree, by_name).found(tree.root):
        place = next(place for name, place in by_name.items() if (b"/" + found_path).endswith(b"/" + name))
        found.setdefault(found_path, (entry, []))[1].append(place)
    owners = {found_path: (entry, tuple(some)) for found_path, (entry, some) in found.items()}
    for number, top, places in owned(owners):
        if not any(place.stays for place in places):
            place = places[0]
            yield _Place(place.kind, place.pattern, _called(place, top), stays=False), number


def _called(place: _Place, path: bytes) -> bytes:
    """Return what to call where a file was found: a pattern for files of one folder, else the path itself."""
    last = place.pattern.rpartition(b"/")[2]
    if any(character in last for character in b"*?["):
        return path.rpartition(b"/")[0] + b"/" + last if b"/" in path else last
    return path


class _Anywhere:
    """Names that mean the same in every folder; a name may have folders in it."""

    def __init__(self, tree: Tree, names: Iterable[bytes]) -> None:
        self._tree = tree
        self._names: dict[bytes, list[list[bytes]]] = {}
        for name in names:
            first, *others = name.split(b"/")
            self._names.setdefault(first, []).append(others)

    def found(self, root: Folder) -> Iterator[tuple[bytes, Entry]]:
        """Yield where they are, and what is there."""
        stack: list[tuple[bytes, Folder]] = [(b"", root)]
        while stack:
            path, folder = stack.pop()
            self._tree.spend(1)
            for name, entry in folder.items():
                place = path + b"/" + name if path else name
                for others in self._names.get(name, ()):
                    yield from _inside(place, entry, others)
                if type(entry) is dict:
                    stack.append((place, entry))


def _inside(path: bytes, entry: Entry, names: Sequence[bytes]) -> Iterator[tuple[bytes, Entry]]:
    for name in names:
        if type(entry) is not dict or name not in entry:
            return
        path, entry = path + b"/" + name, entry[name]
    yield path, entry


# Files that are hidden, and files that are there more than once.


def _files(root: Folder) -> Iterator[tuple[bytes, int]]:
    """Yield the path and inode of all files in a folder and below."""
    stack: list[tuple[bytes, Folder]] = [(b"", root)]
    while stack:
        path, folder = stack.pop()
        for name, entry in folder.items():
            place = path + b"/" + name if path else name
            if type(entry) is dict:
                stack.append((place, entry))
            elif type(entry) is int:
                yield place, entry


def _hidden(reading: Reading) -> list[Hidden]:
    """Return the files, no caches, that later layers remove or replace."""
    tree = reading.contents.tree
    found: dict[int, Hidden] = {}
    names: dict[int, int] = {}
    for layer, root in tree.hidden.items():
        for path, number in _files(root):
            if tree.sizes[number] and not reading.counted[number]:
                names[number] = names.get(number, 0) + 1
                found[number] = Hidden(f"/{show(path)}", tree.sizes[number], tree.layers[number] + 1, layer + 1)
    whole = [item for number, item in found.items() if names[number] >= tree.links[number]]
    return sorted(whole, key=lambda item: (-item.bytes, item.path))


def _copies(reading: Reading, limits: Limits) -> list[Copies]:
    """Return the files, no caches, of which there is another of the same content."""
    tree = reading.contents.tree
    sizes: dict[int, int] = {}
    for number, size in enumerate(tree.sizes):
        if size >= _SMALLEST_COPY and not reading.counted[number] and tree.links[number]:
            sizes[size] = sizes.get(size, 0) + 1
    candidates: dict[int, list[int]] = {}
    for number, size in enumerate(tree.sizes):
        if sizes.get(size, 0) > 1 and not reading.counted[number] and tree.links[number]:
            candidates.setdefault(tree.layers[number], []).append(number)
    groups: dict[tuple[int, bytes], list[int]] = {}
    for layer, numbers in candidates.items():
        source = reading.contents.layers[layer].source
        if source is not None:
            for number, digest in _digests(tree, source, numbers, limits):
                groups.setdefault((tree.sizes[number], digest), []).append(number)
    same = {number for numbers in groups.values() if len(numbers) > 1 for number in numbers}
    paths: dict[int, bytes] = {}
    for root in (tree.root, *tree.hidden.values()) if same else ():
        paths.update((number, path) for path, number in _files(root) if number in same)
    found = [
        Copies(size, tuple((tree.layers[number] + 1, f"/{show(paths[number])}") for number in numbers))
        for (size, _), numbers in groups.items()
        if len(numbers) > 1
    ]
    return sorted(found, key=lambda item: (-item.waste, item.places))


def _digests(tree: Tree, source: LayerSource, numbers: Sequence[int], limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Yield the digests of the contents of files of a layer, which is read once more; sparse files are passed over."""
    wanted = []
    for number in numbers:
        size = tree.sizes[number]
        start = tree.ends[number] - size - -size % 512
        if start > tree.starts[number]:
            wanted.append((start, start + size, number))
    wanted.reverse()
    position = 0
    digest = blake2b(digest_size=16)
    with source.open() as file:
        for piece in Stream(file.read, source.name, limits):
            end = position + len(piece)
            while wanted and wanted[-1][0] < end:
                start, stop, number = wanted[-1]
                digest.update(memoryview(piece)[max(start - position, 0) : stop - position])
                if stop > end:
                    break
                yield number, digest.digest()
                digest = blake2b(digest_size=16)
                wanted.pop()
            position = end
            if not wanted:
                return
