"""Read the layers of an image, once and in order, into one tree of files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread

from cleanroom.images.compression import Share, Stream
from cleanroom.images.image import DEFAULT, Image, ImageError, LayerSource, Limits
from cleanroom.images.tar import FILE, FOLDER, LINK, OTHER, SYMLINK, Member, members
from cleanroom.images.tree import Names, Tree, show

PASSWD, OS_RELEASE = b"etc/passwd", b"etc/os-release"
_WANTED = (PASSWD, b"/os-release")
Ranges = Iterable[tuple[int, int]]
_AHEAD = 8  # pieces, of a MiB at most
_LARGEST_TEXT = 8 << 20
_MOST_KEPT = 128 << 20  # bytes of all texts
_NOT_FILES = (b"proc", b"sys", b"dev")  # of the container one is in: nothing that an image has


@dataclass(slots=True)
class LayerContents:
    """What one layer holds. ``unpacked`` are the bytes of its tar stream, ``stored`` those that are pulled.

    A layer that a lower one is the same as is not pulled again.
    """

    unpacked: int = 0
    stored: int = 0
    compression: str = ""
    files: int = 0
    bytes: int = 0  # of its files
    share: Callable[[Ranges], Share] = lambda _: Share()  # the stored bytes of ranges of unpacked ones
    source: LayerSource | None = None  # to be read once more


@dataclass(slots=True)
class Contents:
    """An image that was read."""

    tree: Tree
    layers: list[LayerContents]
    texts: dict[int, bytes] = field(default_factory=dict)  # small files that say something about the system, by inode
    problems: list[str] = field(default_factory=list)  # what could not be read of a folder

    kept: int = 0  # bytes of texts

    def keep(self, number: int, text: bytes) -> None:
        """Keep the text of a file, while there is room."""
        if self.kept + len(text) <= _MOST_KEPT:
            self.kept += len(text)
            self.texts[number] = text

    def text(self, path: bytes) -> str:
        """Return the text of a file that was kept, ``""`` if there is none."""
        found = self.tree.resolve(path)
        content = self.texts.get(found[1]) if found is not None and type(found[1]) is int else None
        return (content or b"").decode("utf-8", "replace")


def read(
    image: Image,
    limits: Limits = DEFAULT,
    progress: Callable[[int], None] | None = None,
    keep: tuple[bytes, ...] = (),
) -> Contents:
    """Read all layers; ``progress`` is called every so many bytes. Raises ImageError.

    The text of files whose names end as ``keep`` says is kept.
    """
    if image.folder:
        return _folder(image.folder, limits, progress, keep)
    tree = Tree(limits, Names.PLAIN if image.kind == "rootfs" else Names.WITH_WHITEOUTS)
    contents = Contents(tree, [])
    budget = limits.unpacked
    repeated = 0
    known: dict[str, LayerContents] = {}
    for source in image.layers:
        same = known.get(source.digest or source.diff_id)
        if same is not None:
            repeated += same.unpacked
            if repeated > limits.repeated:
                raise ImageError(f"{source.name}: is the same as one before, like others: --trust reads it once more")
        with source.open() as file:
            stream = Stream(
                _told(file.read, progress),
                source.name,
                limits,
                budget=budget,
                digest=source.digest,
                diff_id="" if source.digest else source.diff_id,
            )
            layer = _layer(contents, stream, (*_WANTED, *keep))
        budget -= stream.unpacked
        layer.source = source
        if same is not None:
            layer = replace(layer, stored=0, share=lambda _: Share(), source=None)  # one blob is pulled once
        elif source.digest or source.diff_id:
            known[source.digest or source.diff_id] = layer
        contents.layers.append(layer)
    return contents


def _told(read: Callable[[int], bytes], progress: Callable[[int], None] | None) -> Callable[[int], bytes]:
    if progress is None:
        return read

    def reading(count: int) -> bytes:
        data = read(count)
        progress(len(data))
        return data

    return reading


def _ahead(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """Yield the pieces of a stream, read, hashed and unpacked by a thread of its own while the caller looks at them."""
    ready: Queue[bytes | BaseException | None] = Queue(_AHEAD)
    is_over = Event()

    def run() -> None:
        try:
            for piece in pieces:
                ready.put(piece)
                if is_over.is_set():
                    return
            ready.put(None)
        except BaseException as error:  # to be raised where it is waited for
            ready.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while (piece := ready.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        is_over.set()
        while thread.is_alive():  # it may wait for room
            with suppress(Empty):
                ready.get(timeout=0.01)


def _layer(contents: Contents, stream: Stream, keep: tuple[bytes, ...]) -> LayerContents:
    tree = contents.tree
    tree.begin(stream.name)
    first = len(tree.sizes)
    add = tree.add
    with closing(_ahead(stream)) as pieces:
        for member in members(pieces, stream.name, keep):
            add(member)
            if member.content is not None:
                contents.keep(len(tree.sizes) - 1, member.content)
    tree.finish()
    return LayerContents(
        stream.unpacked,
        stream.stored,
        stream.compression,
        sum(1 for size in tree.sizes[first:] if size),
        sum(tree.sizes[first:]),
        stream.share,
    )


def _folder(root: str, limits: Limits, progress: Callable[[int], None] | None, keep: tuple[bytes, ...]) -> Contents:
    """Read a root file system that is unpacked already, as one layer. Nothing but names and sizes is looked at."""
    tree = Tree(limits, Names.PLAIN)
    contents = Contents(tree, [])
    tree.begin(root)
    walk = _Walk(root, contents.problems)
    links: dict[tuple[int, int], tuple[bytes, int]] = {}  # of files with several names: the first, and its inode here
    counts: dict[int, int] = {}
    position = 0
    for name, kind, status, target in walk:
        size = status.st_size if kind == FILE else 0
        if kind == FILE and status.st_nlink > 1:
            first, _ = links.setdefault((status.st_dev, status.st_ino), (name, len(tree.sizes)))
            if first != name:
                tree.add(Member(LINK, name, first, 0, 0, 0, None))
                continue
            counts[len(tree.sizes)] = status.st_nlink
        if kind == FILE and keep and name.endswith(keep):
            contents.keep(len(tree.sizes), _text(walk.top + b"/" + name))
        tree.add(Member(kind, name, target, size, position, position + size, None))
        position += size
        if progress is not None:
            progress(1)
    tree.finish()
    for number, count in counts.items():
        tree.links[number] = max(count, tree.links[number])  # also those outside of the folder
    for path in (PASSWD, OS_RELEASE):
        found = tree.resolve(path)
        if found is not None and type(found[1]) is int:
            contents.texts[found[1]] = _text(walk.top + b"/" + found[0])
    files = sum(1 for size in tree.sizes if size)
    contents.layers.append(LayerContents(position, position, "", files, sum(tree.sizes), _plain))
    return contents


class _Walk:
    """All that lies in a folder and below, on its own file system: name, kind, status, target of a link."""

    def __init__(self, root: str, problems: list[str]) -> None:
        self.top = os.fsencode(root)
        self._root = root
        self._problems = problems
        self._device = Path(root).stat().st_dev

    def __iter__(self) -> Iterator[tuple[bytes, int, os.stat_result, bytes]]:
        stack = [b""]
        while stack:
            folder = stack.pop()
            for entry in self._entries(folder):
                name = folder + b"/" + entry.name if folder else entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                    kind = _kind(status.st_mode)
                    target = os.readlink(entry.path) if kind == SYMLINK else b""  # noqa: PTH115 - bytes
                except OSError as error:
                    self._problems.append(f"{show(name)}: cannot be read: {error.strerror}")
                    continue
                if status.st_dev != self._device or (self._root == "/" and name in _NOT_FILES):
                    continue  # mounted there, and nothing that the image has
                if kind == FOLDER:
                    stack.append(name)
                yield name, kind, status, target

    def _entries(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        try:
            return sorted(os.scandir(self.top + b"/" + folder), key=lambda entry: entry.name)
        except OSError as error:
            self._problems.append(f"{show(folder) or self._root}: cannot be read: {error.strerror}")
            return []


def _plain(ranges: Ranges) -> Share:
    count = sum(end - start for start, end in ranges)
    return Share(count, count, count)


def _kind(mode: int) -> int:
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return FOLDER
    return SYMLINK if stat.S_ISLNK(mode) else OTHER


def _text(path: bytes) -> bytes:
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    with os.fdopen(number, "rb") as file:
        return file.read(_LARGEST_TEXT) if stat.S_ISREG(os.fstat(number).st_mode) else b""
