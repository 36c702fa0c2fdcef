"""The file system that layers make together, and what each of them hid of those below.

A folder is a mapping of names to entries; an entry is a folder or the number of an inode. Inodes are columns of
numbers, so that 300,000 files fit into some 50 MB. Whiteouts are those of the OCI image specification
(https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts): they hide what lower layers hold, and
nothing of their own layer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import Enum
from fnmatch import fnmatchcase
from typing import Union

from cleanroom.images.image import DEFAULT, LONGEST_PATH, ImageError, Limits
from cleanroom.images.tar import FOLDER, LINK, SYMLINK, Member

Entry = Union["Folder", int]
Folder = dict[bytes, Entry]
Trail = list[tuple[bytes, Entry]]  # folders from the root down, each with its real path

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_MOST_LINKS = 40  # symbolic links in a row, as in Linux
_MOST_LED = 1_000  # links whose ends are remembered
_MOST_REMEMBERED = 16 << 20  # bytes of names of folders that are remembered as they are written


class Names(Enum):
    """What names such as ``.wh.x`` mean."""

    WITH_WHITEOUTS = "whiteouts"  # as in a layer: x is gone
    PLAIN = "plain"  # nothing but themselves


class Tree:
    """Layers laid over each other. Feed it with ``begin``, ``add`` and ``finish``, the lowest layer first.

    Paths are bytes without a slash at either end; the root is ``b""``. Symbolic links are followed as within the
    image, never out of it.
    """

    def __init__(self, limits: Limits = DEFAULT, names: Names = Names.WITH_WHITEOUTS) -> None:
        self.root: Folder = {}
        self.hidden: dict[int, Folder] = {}  # by the layer that removed or replaced it; folders as they were
        self.sizes = array("Q")  # bytes of a file
        self.starts = array("Q")  # where it stands in its layer
        self.ends = array("Q")
        self.layers = array("H")  # that brought it
        self.links = array("I")  # its names, all there ever were
        self.targets: dict[int, bytes] = {}  # of symbolic links
        self.layer = -1
        self._label = ""
        self._limits = limits
        self._heeds_whiteouts = names is Names.WITH_WHITEOUTS
        self._entries = 0
        self._name_bytes = 0
        self._whiteouts: list[tuple[Folder, bytes, bytes]] = []  # folder, its path, the name hidden; b"": all
        self._folders: dict[bytes, tuple[Folder, bytes]] = {}  # by path as it is written: the folder, its real path
        self._grave: tuple[bytes, Folder] | None = None
        self._led: dict[bytes, tuple[Trail, int]] = {}  # where links lead, and by how many others, until one changes
        self._bare: dict[int, Folder] = {}  # folders in which lower layers have nothing any more
        self.steps = 0  # of work, as ``spend`` counts it

    def begin(self, label: str) -> None:
        """Begin the next layer; ``label`` is what to call it in errors."""
        self.layer += 1
        self._label = label
        self._folders = {b"": (self.root, b"")}
        self._grave = None

    def add(self, member: Member) -> None:
        """Add a member of the layer. Raises ImageError."""
        name = member.name
        kind = member.kind
        if name[:2] == b"./":
            name = name[2:]
        if kind == FOLDER or name[-1:] == b"/":
            name = name.rstrip(b"/")
        head, _, base = name.rpartition(b"/")
        found = self._folders.get(head)
        if found is None:
            found = self._parent(head, member.name)
        folder, path = found
        if base in (b"", b".", b".."):
            if base == b"..":
                raise self._outside(member.name)
            return
        if base[:4] == _WHITEOUT and self._heeds_whiteouts:
            self._whiteout(folder, path, base, member.name)
            return
        old = folder.get(base)
        if kind == FOLDER:
            if type(old) is dict:
                return
            if old is not None:
                self._bury(old, path, base)
            self._count(base)
            folder[base] = {}
            return
        if kind == LINK:
            number = self._link_target(member)
            if old == number and type(old) is int:
                return
        else:
            number = len(self.sizes)
            self.sizes.append(member.size)
            self.starts.append(member.start)
            self.ends.append(member.end)
            self.layers.append(self.layer)
            self.links.append(0)
            if kind == SYMLINK:
                self.targets[number] = member.target
        if old is None:
            self._count(base)
        else:
            self._bury(old, path, base)
        self.links[number] += 1
        folder[base] = number

    def finish(self) -> None:
        """End the layer: hide what its whiteouts say."""
        self._bare.clear()
        for folder, path, base in sorted(self._whiteouts, key=lambda item: (item[1].count(b"/"), item[1], item[2])):
            if id(folder) in self._bare:
                continue  # a whiteout above hid all that lower layers have here
            for name in (base,) if base else tuple(folder):
                entry = folder.get(name)
                if entry is not None and id(entry) not in self._bare and self._hide(entry, _join(path, name)):
                    del folder[name]
            if not base:
                self._bare[id(folder)] = folder
        self._whiteouts.clear()
        self._bare.clear()
        self._folders = {}

    def spend(self, steps: int) -> None:
        """Count work that an image asks for. Raises ImageError beyond the limit."""
        self.steps += steps
        if self.steps > self._limits.steps:
            raise ImageError(
                f"{self._label}: links, whiteouts and deep paths of this image take more than {self._limits.steps:,} "
                "steps to follow; --trust follows them all the same"
            )

    # -- looking -------------------------------------------------------------------------------------------------

    def find(self, pattern: bytes, root: Folder | None = None) -> Iterator[tuple[bytes, Entry]]:
        """Yield what a path, in which ``*``, ``?`` and ``[`` are as in a shell, means: its real path and the entry.

        Looks in the live file system, or in the folders of ``hidden``, where no symbolic link is followed.
        """
        live = root is None
        parts = [part for part in pattern.split(b"/") if part]
        level: list[tuple[bytes, Entry]] = [(b"", self.root if root is None else root)]
        for index, part in enumerate(parts):
            self.spend(len(level))
            following: list[tuple[bytes, Entry]] = []
            is_last = index == len(parts) - 1
            is_glob = any(character in part for character in b"*?[")
            for path, entry in level:
                if type(entry) is not dict:
                    continue
                names = sorted(entry) if is_glob else ([part] if part in entry else [])
                for name in names:
                    if is_glob and not fnmatchcase(name, part):
                        continue
                    child = entry[name]
                    place = _join(path, name)
                    if live and not is_glob and type(child) is int and child in self.targets:
                        resolved = self.resolve(place)
                        if resolved is None or (is_last and type(resolved[1]) is int):
                            continue
                        place, child = resolved
                    following.append((place, child))
            level = following
        yield from level

    def resolve(self, path: bytes) -> tuple[bytes, Entry] | None:
        """Return the real path of a path, and what is there; None when nothing is."""
        found = self._follow([(b"", self.root)], path, 0)
        return None if found is None else found[0][-1]

    def _follow(self, above: Trail, path: bytes, hops: int) -> tuple[Trail, int] | None:
        """Return where a path leads from a folder, as all folders down to it, and how many links were followed."""
        trail = list(above)
        parts = path.split(b"/")
        self.spend(len(parts))
        for part in parts:
            if part in (b"", b"."):
                continue
            here, folder = trail[-1]
            if type(folder) is not dict:
                return None
            if part == b"..":
                if len(trail) > 1:
                    trail.pop()
                continue
            entry = folder.get(part)
            if entry is None:
                return None
            place = _join(here, part)
            if type(entry) is int and entry in self.targets:
                led = self._follow_link(trail, place, entry, hops)
                if led is None:
                    return None
                trail, hops = list(led[0]), led[1]
            else:
                trail.append((place, entry))
        return trail, hops

    def _follow_link(self, above: Trail, place: bytes, number: int, hops: int) -> tuple[Trail, int] | None:
        known = self._led.get(place)
        if known is None:
            if hops >= _MOST_LINKS:
                return None
            target = self.targets[number]
            led = self._follow(above[:1] if target.startswith(b"/") else above, target, hops + 1)
            if led is None:
                return None
            known = led[0], led[1] - hops
            if type(known[0][-1][1]) is dict and len(self._led) < _MOST_LED:
                self._led[place] = known
        trail, more = known
        return None if hops + more > _MOST_LINKS else (trail, hops + more)

    def exists(self, path: bytes) -> bool:
        """Return True if something is, or was, at ``path``."""
        return self.resolve(path) is not None or any(
            True for root in self.hidden.values() for _ in self.find(path, root)
        )

    @staticmethod
    def inodes(folder: Folder) -> Iterator[int]:
        """Yield the inode of each name in a folder and those below."""
        stack = [folder]
        while stack:
            for entry in stack.pop().values():
                if type(entry) is dict:
                    stack.append(entry)
                elif type(entry) is int:
                    yield entry

    # -- building ------------------------------------------------------------------------------------------------

    def _outside(self, name: bytes) -> ImageError:
        return ImageError(f"{self._label}: {show(name)} leads out of the image")

    def _count(self, name: bytes) -> None:
        self._entries += 1
        self._name_bytes += len(name)
        if self._entries > self._limits.entries or self._name_bytes > self._limits.name_bytes:
            raise ImageError(
                f"{self._label}: the image has more than {self._limits.entries:,} files and folders, or names of more "
                f"than {self._limits.name_bytes:,} bytes; --trust reads it all the same"
            )

    def _parent(self, head: bytes, name: bytes) -> tuple[Folder, bytes]:
        """Return the folder that a member's path names, and its real path; makes what is not there."""
        if len(head) > LONGEST_PATH:
            raise ImageError(f"{self._label}: a path is too long: {show(name)[:80]}…")
        above, _, last = head.rpartition(b"/")
        place = self._folders.get(above)
        if place is None:
            place = (self.root, b"")
            parts = above.split(b"/")
            self.spend(len(parts))
            for part in parts:
                place = self._step(*place, part, name)
            self._remember(above, place)
        place = self._step(*place, last, name)
        self._remember(head, place)
        return place

    def _remember(self, written: bytes, place: tuple[Folder, bytes]) -> None:
        if len(self._folders) * max(len(written), 300) > _MOST_REMEMBERED:
            self._folders.clear()
        self._folders[written] = place

    def _step(self, folder: Folder, path: bytes, part: bytes, name: bytes) -> tuple[Folder, bytes]:
        """Return the folder ``part`` of another one, made if it is not there; ``name`` is the member that wants it."""
        if part in (b"", b"."):
            return folder, path
        if part == b"..":
            raise self._outside(name)
        entry = folder.get(part)
        if type(entry) is dict:
            return entry, _join(path, part)
        if type(entry) is int and entry in self.targets:
            place, below = self.resolve(_join(path, part)) or (b"", None)
            if type(below) is dict:
                return below, place
        if entry is not None:
            self._bury(entry, path, part)
        self._count(part)
        made: Folder = {}
        folder[part] = made
        return made, _join(path, part)

    def _link_target(self, member: Member) -> int:
        head, _, base = member.target.strip(b"/").removeprefix(b"./").rpartition(b"/")
        if base == b".." or b".." in head.split(b"/"):
            raise self._outside(member.target)
        found = self.resolve(head) if head else (b"", self.root)
        entry = found[1].get(base) if found is not None and type(found[1]) is dict else None
        if type(entry) is not int:
            raise ImageError(
                f"{self._label}: {show(member.name)} is a hard link to {show(member.target)}, which is not there"
            )
        return entry

    def _whiteout(self, folder: Folder, path: bytes, base: bytes, name: bytes) -> None:
        if base == _OPAQUE:
            hidden = b""
        elif base.startswith(b".wh..wh."):  # of AUFS itself
            return
        else:
            hidden = base[len(_WHITEOUT) :]
            if hidden in (b"", b".", b".."):
                raise ImageError(f"{self._label}: {show(name)} is a whiteout of nothing that can be")
        self._count(hidden)
        self._whiteouts.append((folder, path, hidden))

    def _bury(self, entry: Entry, path: bytes, name: bytes) -> None:
        """Take an entry of the folder ``path`` away, which the present layer replaces."""
        if type(entry) is dict:
            self._forget()
            self._hide(entry, _join(path, name))
            for number in self.inodes(entry):  # of this layer: written twice, and never seen
                self._drop(number)
        elif type(entry) is int and not self._hide(entry, _join(path, name)):
            self._drop(entry)
            if entry in self.targets:
                self._forget()

    def _forget(self) -> None:
        """Forget where paths lead, since something in their way is gone."""
        self._folders = {b"": (self.root, b"")}
        self._led.clear()

    def _drop(self, number: int) -> None:
        self.links[number] -= 1
        if not self.links[number]:
            self.sizes[number] = 0

    def _hide(self, entry: Entry, path: bytes) -> bool:
        """Move what lower layers brought of an entry to ``hidden``; return True if nothing of it is left."""
        if type(entry) is int:
            if self.layers[entry] == self.layer:
                return False
            if entry in self.targets:
                self._forget()
            parent, _, name = path.rpartition(b"/")
            self._grave_of(parent)[name] = entry
            return True
        assert type(entry) is dict
        order: list[tuple[Folder, bytes]] = [(entry, path)]
        for folder, place in order:  # grows
            self._bare[id(folder)] = folder
            gone = []
            grave: Folder | None = None
            for child, value in folder.items():
                if type(value) is dict:
                    order.append((value, _join(place, child)))
                elif type(value) is int and self.layers[value] != self.layer:
                    if grave is None:
                        grave = self._grave_of(place)
                    grave[child] = value
                    gone.append(child)
            for child in gone:
                del folder[child]
        # Folders that are empty now weigh nothing; they go when the layer brought nothing into them.
        for folder, _ in reversed(order):
            for child in [child for child, value in folder.items() if type(value) is dict and not value]:
                del folder[child]
        self._forget()
        return not entry

    def _grave_of(self, path: bytes) -> Folder:
        if self._grave is not None and self._grave[0] == path:
            return self._grave[1]
        folder = self.hidden.setdefault(self.layer, {})
        parts = path.split(b"/") if path else []
        self.spend(len(parts))
        for part in parts:
            entry = folder.get(part)
            if type(entry) is not dict:
                entry = folder[part] = {}
            folder = entry
        self._grave = path, folder
        return folder


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name


def show(path: bytes) -> str:
    r"""Return a path for people and for JSON; bytes that are no UTF-8 as ``\xff``."""
    return path.decode("utf-8", "backslashreplace")
