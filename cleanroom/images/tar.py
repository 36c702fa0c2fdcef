"""Read the members of a tar stream by their headers alone: fast, in bounded memory, without trust.

The formats are those of pax (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html) and GNU tar
(https://www.gnu.org/software/tar/manual/html_node/Standard.html). Python's ``tarfile`` makes an object of every
member and keeps them all; this takes a tenth of the time.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple
from zlib import adler32

from cleanroom.images.image import LONGEST_PATH, ImageError

FILE, LINK, SYMLINK, FOLDER, OTHER = range(5)

_BLOCK = 512
_LARGEST_EXTENSION = 1 << 20  # bytes of a pax or GNU extension header; xattrs are the largest of them
_LARGEST_CONTENT = 8 << 20
_ZEROS = bytes(_BLOCK)
_KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"S": FILE,  # GNU, with holes
    b"1": LINK,
    b"2": SYMLINK,
    b"3": OTHER,
    b"4": OTHER,
    b"5": FOLDER,
    b"6": OTHER,
    b"D": FOLDER,  # GNU, incremental
}


class Member(NamedTuple):
    """One member. ``start`` and ``end`` are where its header and its data, padded, begin and end in the stream."""

    kind: int
    name: bytes
    target: bytes  # of a link
    size: int  # bytes of a file when unpacked, holes included
    start: int
    end: int
    content: bytes | None  # of files that were asked for


def members(pieces: Iterable[bytes], name: str, wanted: tuple[bytes, ...] = ()) -> Iterator[Member]:
    """Yield the members of a tar stream; ``name`` is what to call it in errors.

    The content of small files whose name ends with one of ``wanted`` comes along. All ``pieces`` are taken, also those
    behind the archive's end. Raises ImageError.
    """
    source = _Source(pieces, name)
    yield from _members(source, name, wanted)
    for _ in source.pieces:
        pass


def index(file: BinaryIO, name: str, most: int) -> Iterator[tuple[Member, int]]:
    """Yield the members of a tar file, ``most`` of them, and where the data of each begins; seeks over the data.

    Raises ImageError, also when there are more.
    """
    source = _File(file, name)
    for number, member in enumerate(_members(source, name, ())):
        if number >= most:
            raise ImageError(f"{name}: the archive has more than {most:,} members, and is no image")
        yield member, source.data_start


class _Source:
    """The bytes at hand, and the pieces that follow."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        self.pieces = iter(pieces)
        self.name = name
        self.data = b""
        self.position = 0  # in data
        self.passed = 0  # bytes of the stream before data

    data_start = 0  # of the member at hand, in the stream

    def more(self, count: int) -> bool:
        """Read until ``count`` bytes are buffered; return True if there are so many."""
        rest = self.data[self.position :]
        self.passed += self.position
        self.position = 0
        parts = [rest]
        have = len(rest)
        while have < count:
            piece = next(self.pieces, None)
            if piece is None:
                break
            parts.append(piece)
            have += len(piece)
        self.data = b"".join(parts)
        return have >= count

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes. Raises ImageError."""
        if len(self.data) - self.position < count and not self.more(count):
            raise ImageError(f"{self.name}: the archive is cut off")
        taken = self.data[self.position : self.position + count]
        self.position += count
        return taken

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes. Raises ImageError."""
        here = len(self.data) - self.position
        while count > here:
            count -= here
            self.passed += len(self.data)
            self.position = 0
            piece = next(self.pieces, None)
            if piece is None:
                self.data = b""
                raise ImageError(f"{self.name}: the archive is cut off")
            self.data = piece
            here = len(piece)
        self.position += count


class _File(_Source):
    """A file, in which to skip is to seek."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        super().__init__(iter(lambda: file.read(4096), b""), name)

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes. Raises ImageError."""
        self.passed += self.position + count
        self.data, self.position = b"", 0
        if self.passed > self.size:
            raise ImageError(f"{self.name}: the archive is cut off")
        self.file.seek(self.passed)


def _members(source: _Source, label: str, wanted: tuple[bytes, ...]) -> Iterator[Member]:
    said = _Said(label)
    start = -1
    while (header := _header(source, said)) is not None:
        if start < 0:
            start = source.passed + source.position - _BLOCK
        _check(header, label, start)
        size = _number(header[124:136], label)
        flag = header[156:157]
        if flag in b"xgLKX":
            said.read(flag, size, source)
            continue
        kind = _KINDS.get(flag, FILE)  # unknown kinds are to be read as files (POSIX)
        name = header[:100].partition(b"\0")[0]
        target = header[157:257].partition(b"\0")[0] if kind in (LINK, SYMLINK) else b""
        if header[345] and header[257:263] == b"ustar\0":
            name = header[345:500].partition(b"\0")[0] + b"/" + name
        real_size = -1
        if flag == b"S":
            real_size = _number(header[483:495], label)
            extended = header[482] == 1
            while extended:
                extended = source.take(_BLOCK)[504] == 1
        if said:
            name, target, size, real_size = said.instead_of(name, target, size, real_size)
            said = _Said(label)
        if len(name) > LONGEST_PATH or len(target) > LONGEST_PATH:
            raise ImageError(f"{label}: a name has {max(len(name), len(target)):,} bytes; no system can unpack it")
        if kind == FILE and name.endswith(b"/") and flag != b"S":
            kind = FOLDER  # as archives older than POSIX have it
        stored = size if kind == FILE or flag == b"D" else 0  # whatever the header of a link or folder says
        source.data_start = source.passed + source.position
        content = None
        if kind == FILE and stored <= _LARGEST_CONTENT and wanted and name.endswith(wanted):
            content = source.take(stored)
            source.skip(-stored % _BLOCK)
        elif stored:
            source.skip(stored + -stored % _BLOCK)
        unpacked = (real_size if real_size >= 0 else size) if kind == FILE else 0
        yield Member(kind, name, target, unpacked, start, source.passed + source.position, content)
        start = -1


def _header(source: _Source, said: _Said) -> bytes | None:
    """Return the next header; None at the end of the archive. Raises ImageError."""
    if len(source.data) - source.position < _BLOCK and not source.more(_BLOCK):
        if not source.data and not said:
            return None  # without the two blocks that end an archive, as some tools write it
        raise ImageError(f"{source.name}: the archive is cut off")
    header = source.data[source.position : source.position + _BLOCK]
    source.position += _BLOCK
    if header != _ZEROS:
        return header
    if said:
        raise ImageError(f"{source.name}: the archive ends within a member")
    return None


class _Said:
    """What extended headers say of the member that follows them; true if anything."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._pax: dict[bytes, bytes] = {}
        self._name = b""
        self._target = b""

    def __bool__(self) -> bool:
        return bool(self._pax or self._name or self._target)

    def read(self, flag: bytes, size: int, source: _Source) -> None:
        """Read the body of an extended header. Raises ImageError."""
        if size > _LARGEST_EXTENSION:
            raise ImageError(f"{self._label}: a member's extended header has {size:,} bytes; it is no honest archive")
        body = source.take(size)
        source.skip(-size % _BLOCK)
        if flag == b"L":
            self._name = body.partition(b"\0")[0]
        elif flag == b"K":
            self._target = body.partition(b"\0")[0]
        elif flag != b"g":  # what a global header may say matters to no one here
            self._pax.update(_records(body, self._label))

    def instead_of(self, name: bytes, target: bytes, size: int, real_size: int) -> tuple[bytes, bytes, int, int]:
        """Return what holds in the place of what the member's own header says. Raises ImageError."""
        pax = self._pax
        name = pax.get(b"GNU.sparse.name", pax.get(b"path", self._name or name))
        target = pax.get(b"linkpath", self._target or target)
        if b"size" in pax:
            size = _decimal(pax[b"size"], self._label)
        for key in (b"GNU.sparse.realsize", b"GNU.sparse.size"):
            if key in pax:
                real_size = _decimal(pax[key], self._label)
        return name, target, size, real_size


def _check(header: bytes, label: str, place: int) -> None:
    field = header[148:156]
    try:
        wanted = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        wanted = -1
    # Adler-32 has the sum of all bytes, plus 1, modulo 65521 in its lower half: far faster than adding them here.
    if adler32(header) & 0xFFFF == (1 + wanted - 256 + sum(field)) % 65521:
        return
    signed = sum(struct.unpack("148b8x356b", header)) + 256  # as some old systems counted
    if signed != wanted:
        raise ImageError(f"{label}: this is no tar archive, or a broken one (at byte {place:,})")


def _number(field: bytes, label: str) -> int:
    try:
        if field[0] & 0x80:  # GNU's numbers to the base of 256
            value = int.from_bytes(field, "big") & ((1 << 95) - 1)
            if field[0] == 0xFF or value >= 1 << 62:
                raise ValueError(value)
            return value
        value = int(field.strip(b" \0") or b"0", 8)
        if value < 0:
            raise ValueError(value)
        return value
    except ValueError:
        raise ImageError(f"{label}: a member has no valid size") from None


def _decimal(text: bytes, label: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise ImageError(f"{label}: a member has no valid size")
    return int(text)


def _records(body: bytes, label: str) -> Iterator[tuple[bytes, bytes]]:
    r"""Yield the records of a pax header: ``18 path=some/name\n``, the length counting all of it."""
    position = 0
    while position < len(body) and body[position] != 0:
        blank = body.find(b" ", position, position + 20)
        digits = body[position:blank] if blank > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        end = position + length
        if end <= blank + 1 or end > len(body) or body[end - 1 : end] != b"\n":
            raise ImageError(f"{label}: a member's extended header is broken")
        key, equals, value = body[blank + 1 : end - 1].partition(b"=")
        if not equals:
            raise ImageError(f"{label}: a member's extended header is broken")
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse."):
            yield key, value
        position = end
