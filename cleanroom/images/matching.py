"""Find many patterns in a tree of files at once: all of them walk down the folders together.

The work is that of the folders that are there and the patterns that fit them, not of all patterns for all homes in all
layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Generic, Protocol, TypeVar

from cleanroom.images.places import HOME
from cleanroom.images.tree import Entry, Folder, Tree


class Pattern(Protocol):
    """A path that may have globs, without a slash in front; one that begins with ``~`` is meant for every home."""

    @property
    def pattern(self) -> bytes:
        """The path."""


P = TypeVar("P", bound=Pattern)
Found = dict[bytes, tuple[Entry, list[P]]]  # by real path: what is there, and the places that mean it


class _Node(Generic[P]):
    """A folder of patterns: those that end here, and those that go on below."""

    __slots__ = ("also", "children", "globs", "places")

    def __init__(self) -> None:
        self.places: list[P] = []
        self.children: dict[bytes, _Node[P]] = {}
        self.globs: dict[bytes, _Node[P]] = {}
        self.also: list[_Node[P]] = []  # whose patterns go on here as well: those of homes, those of links

    def at(self, path: bytes) -> _Node[P]:
        """Return the node for a pattern below, made if it is not there."""
        node = self
        for part in path.split(b"/") if path else ():
            is_glob = any(character in part for character in b"*?[")
            node = (node.globs if is_glob else node.children).setdefault(part, _Node())
        return node


class Matcher(Generic[P]):
    """The places of caches, ready to be looked for in a tree."""

    def __init__(self, tree: Tree, places: Iterable[P], homes: Iterable[bytes]) -> None:
        self._tree = tree
        self._root: _Node[P] = _Node()
        self._links: _Node[P] = _Node()  # patterns by the real path of where a link leads now
        below_home: _Node[P] = _Node()
        for place in places:
            if place.pattern.startswith(HOME + b"/"):
                below_home.at(place.pattern[2:]).places.append(place)
            else:
                self._root.at(place.pattern).places.append(place)
        for home in homes:
            self._root.at(home).also.append(below_home)

    def seen(self) -> Found[P]:
        """Return what is found in the live file system. Symbolic links are followed."""
        return self._walk(self._tree.root, [self._root])

    def hidden(self, root: Folder) -> Found[P]:
        """Return what is found among what a layer hid, also below where links lead now. Call ``seen`` before."""
        return self._walk(root, [self._root, self._links])

    def _walk(self, root: Folder, nodes: list[_Node[P]]) -> Found[P]:
        found: Found[P] = {}
        walked: set[tuple[int, int]] = set()
        stack: list[tuple[bytes, Folder, _Node[P]]] = [(b"", root, node) for node in nodes]
        while stack:
            path, folder, node = stack.pop()
            stack.extend((path, folder, other) for other in node.also)
            for name, below in self._below(folder, node):
                place, entry = path + b"/" + name if path else name, folder[name]
                if type(entry) is int and entry in self._tree.targets and root is self._tree.root:
                    led = self._follow(place, below)
                    if led is None:
                        continue
                    place, entry = led
                if below.places:
                    known = found.setdefault(place, (entry, []))[1]
                    known += [other for other in below.places if other not in known]
                if type(entry) is dict and (id(entry), id(below)) not in walked:
                    walked.add((id(entry), id(below)))
                    stack.append((place, entry, below))
        return found

    def _below(self, folder: Folder, node: _Node[P]) -> Iterator[tuple[bytes, _Node[P]]]:
        """Yield the names in a folder that patterns mean, and these patterns."""
        few, many = (node.children, folder) if len(node.children) < len(folder) else (folder, node.children)
        self._tree.spend(len(few) + len(folder) * len(node.globs))
        yield from ((name, node.children[name]) for name in few if name in many)
        for glob, below in node.globs.items():
            yield from ((name, below) for name in sorted(folder) if fnmatchcase(name, glob))

    def _follow(self, place: bytes, below: _Node[P]) -> tuple[bytes, Entry] | None:
        """Return the folder that a link leads to; a link to a file is none of a cache, and weighs nothing itself."""
        led = self._tree.resolve(place)
        if led is None or type(led[1]) is int:
            return None
        node = self._links.at(b"".join(_literal(led[0])))
        if below not in node.also:
            node.also.append(below)
        return led


def _literal(path: bytes) -> Iterator[bytes]:
    """Yield a path so that its characters mean nothing in a pattern."""
    for number in path:
        character = bytes([number])
        yield b"[" + character + b"]" if character in b"*?[" else character
