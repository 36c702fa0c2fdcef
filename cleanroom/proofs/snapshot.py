"""All that an image shows, path by path: kind, rights, owner, content, links."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterable, Mapping
from typing import BinaryIO, NamedTuple, cast

from cleanroom.images.image import ImageError, LayerSource

FILE, FOLDER, LINK, DEVICE = "file", "folder", "link", "device"

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_PIECE = 1 << 20
_ATTRIBUTE = "SCHILY.xattr."


class Node(NamedTuple):
    """What is at a path. Names of one file have the same ``inode``; times are left out."""

    kind: str
    mode: int
    owner: tuple[int, int]  # numbers of user and group
    size: int = 0
    content: str = ""  # the digest of a file, the target of a symbolic link, the numbers of a device
    attributes: tuple[tuple[str, str], ...] = ()  # extended ones, such as capabilities
    inode: int = 0


Snapshot = Mapping[str, Node]


def read(layers: Iterable[LayerSource], below: Snapshot | None = None) -> Snapshot:
    """Return what ``layers``, the lowest first, show on top of ``below``. Raises ImageError."""
    shown = dict(below or {})
    for layer in layers:
        try:
            with layer.open() as file, tarfile.open(fileobj=cast("BinaryIO", file), mode="r|*") as archive:
                shown = _laid_over(shown, archive)
        except (tarfile.TarError, EOFError) as error:
            raise ImageError(f"{layer.name}: cannot be read: {error}") from None
    return shown


def texts(layers: Iterable[LayerSource], paths: Collection[str], most: int) -> dict[str, str]:
    """Return the first ``most`` bytes of the files at ``paths``, as they were last written. Raises ImageError."""
    found: dict[str, str] = {}
    for layer in layers:
        try:
            with layer.open() as file, tarfile.open(fileobj=cast("BinaryIO", file), mode="r|*") as archive:
                for member in archive:
                    path = _path(member.name)
                    source = archive.extractfile(member) if path in paths and member.isfile() else None
                    if source is not None:
                        found[path] = source.read(most).decode("utf-8", "replace")
        except (tarfile.TarError, EOFError) as error:
            raise ImageError(f"{layer.name}: cannot be read: {error}") from None
    return found


def _laid_over(below: Mapping[str, Node], archive: tarfile.TarFile) -> dict[str, Node]:
    """Return what is shown when a layer lies over what is ``below``."""
    own: dict[str, Node] = {}
    gone: set[str] = set()  # with all below it
    emptied: set[str] = set()  # folders
    number = max((node.inode for node in below.values()), default=0)
    for member in archive:
        path = _path(member.name)
        head, _, name = path.rpartition("/")
        if name == _OPAQUE:
            emptied.add(head or "/")
        elif name.startswith(_WHITEOUT):
            gone.add(f"{head}/{name.removeprefix(_WHITEOUT)}")
        elif member.islnk():
            own[path] = own.get(_path(member.linkname)) or below[_path(member.linkname)]
        else:
            number += 1
            own[path] = _node(member, archive, number)
    replaced = {path for path, node in own.items() if node.kind != FOLDER}
    kept = {path: node for path, node in below.items() if not _is_hidden(path, gone | replaced, emptied)}
    return {**kept, **own}


def _is_hidden(path: str, gone: Collection[str], emptied: Collection[str]) -> bool:
    if path in gone:
        return True
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        if path in gone or path in emptied:
            return True
    return False


def _node(member: tarfile.TarInfo, archive: tarfile.TarFile, number: int) -> Node:
    """Return what a member that is no hard link puts at its path."""
    kind, size, content = DEVICE, 0, f"{member.type!r} {member.devmajor} {member.devminor}"
    if member.isdir():
        kind, content = FOLDER, ""
    elif member.issym():
        kind, content = LINK, member.linkname
    elif member.isfile():
        kind, size, content = FILE, member.size, _digest(member, archive)
    attributes = sorted((key, value) for key, value in member.pax_headers.items() if key.startswith(_ATTRIBUTE))
    return Node(kind, member.mode & 0o7777, (member.uid, member.gid), size, content, tuple(attributes), number)


def _digest(member: tarfile.TarInfo, archive: tarfile.TarFile) -> str:
    found = hashlib.sha256()
    source = archive.extractfile(member)
    while source is not None and (piece := source.read(_PIECE)):
        found.update(piece)
    return found.hexdigest()


def _path(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return f"/{'/'.join(parts)}"
