"""Unpack a stream piece by piece, with bounds, and remember which bytes of it became which."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cleanroom.images.image import ImageError, Limits

PIECE = 1 << 20  # bytes handed on at once, at most
_READ = 1 << 16  # bytes read at once
_STEP = 1 << 13  # bytes read at once where each byte counts: what is left of them is copied at every stop
_NEAR = 130_000  # bytes
_GZIP, _ZSTD, _XZ, _BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh"


@dataclass(frozen=True, slots=True)
class Share:
    """How many stored bytes something takes: a guess, and what it is between."""

    low: int = 0
    guess: int = 0
    high: int = 0

    @property
    def is_sure(self) -> bool:
        """Whether the guess is true within 5 % or 130 kB, whichever is more."""
        return self.high - self.low <= max(_NEAR, self.guess // 20)


def _most(unpacked: int) -> float:
    """Return what so many bytes take at most: what does not compress is stored as it is, with a little around it."""
    return unpacked * 1.001 + 64


def used(read: Callable[[int], bytes], positions: Iterable[int], name: str) -> Iterator[int]:
    """Yield how many bytes of a gzip stream are used when so many came of it, for positions in order.

    That is true to some bytes, at the cost of unpacking it once more. Raises ImageError.
    """
    unpacker = zlib.decompressobj(31)
    data = b""
    taken = unpacked = 0
    try:
        for position in positions:
            while unpacked < position:
                if not data:
                    data = read(_STEP)
                    taken += len(data)
                    if not data:
                        raise ImageError(f"{name}: the compressed data is cut off")
                unpacked += len(unpacker.decompress(data, min(position - unpacked, PIECE)))
                data = unpacker.unconsumed_tail
                if unpacker.eof:
                    data = unpacker.unused_data.lstrip(b"\0")
                    unpacker = zlib.decompressobj(31)
            yield taken - len(data)
    except zlib.error as error:
        raise ImageError(f"{name}: the compressed data is broken: {error}") from None


class Stream:
    """The unpacked bytes of a layer, read once from front to back.

    ``read`` gives up to so many bytes of what is stored. While it is iterated over, ``unpacked`` and ``stored`` count
    the bytes so far. Iterating raises ImageError when the stream is cut off, broken, or unpacks beyond the limits, and
    at its end when its digest is not ``digest`` (of what is stored) or ``diff_id`` (of what comes of it); both are
    hexadecimal SHA-256 or SHA-512, ``""`` if unknown.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        name: str,
        limits: Limits,
        *,
        budget: int = 1 << 62,
        digest: str = "",
        diff_id: str = "",
    ) -> None:
        self.name = name
        self.compression = ""
        self.unpacked = 0
        self.stored = 0
        self._read = read
        self._limits = limits
        self._budget = budget
        self._digest = digest
        self._diff_id = diff_id
        self._hash = _hash(digest)
        self._unpacked_hash = _hash(diff_id)
        self._pending = 0  # bytes read, but not yet used
        self._outer = array("Q", [0])  # marks: after so many unpacked bytes …
        self._inner = array("Q", [0])  # … so many stored bytes were used

    def share(self, ranges: Iterable[tuple[int, int]]) -> Share:
        """Return how many stored bytes hold these ranges of unpacked ones, which are in order and do not overlap."""
        if not self.compression:
            count = sum(end - start for start, end in ranges)
            return Share(count, count, count)
        guess = low = high = 0.0
        for index, covered in self._covered(ranges):
            unpacked = self._outer[index + 1] - self._outer[index]
            stored = self._inner[index + 1] - self._inner[index]
            guess += stored * covered / unpacked
            if covered == unpacked:
                low += stored
                high += stored
            else:
                low += max(stored - _most(unpacked - covered), 0.0)
                high += min(stored, _most(covered))
        return Share(round(low), round(guess), round(high))

    def _covered(self, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield the stretches between two marks that the ranges touch, and how many bytes they have of each."""
        index = covered = 0
        for start, end in ranges:
            while start < end:
                found = max(bisect_right(self._outer, start, index) - 1, 0)
                if found + 1 >= len(self._outer):
                    break
                if found != index:
                    if covered:
                        yield index, covered
                    index, covered = found, 0
                stop = min(end, self._outer[index + 1])
                covered += stop - start
                start = stop
        if covered:
            yield index, covered

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces():
                self.unpacked += len(piece)
                if self._unpacked_hash is not None:
                    self._unpacked_hash.update(piece)
                self._check_size()
                if self.compression and (
                    self.stored - self._inner[-1] >= _READ or self.unpacked - self._outer[-1] >= PIECE
                ):
                    self._mark()
                yield piece
        except (zlib.error, lzma.LZMAError) as error:
            raise ImageError(f"{self.name}: the compressed data is broken: {error}") from None
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be read: {error.strerror or error}") from None
        self._mark()
        if self._hash is not None and self._hash.hexdigest() != self._digest:
            raise ImageError(f"{self.name}: the content does not have the digest {self._digest}")
        if self._unpacked_hash is not None and self._unpacked_hash.hexdigest() != self._diff_id:
            raise ImageError(f"{self.name}: the unpacked content does not have the digest {self._diff_id}")

    def _check_size(self) -> None:
        if self.unpacked > self._budget:
            raise ImageError(
                f"{self.name}: the layers unpack to more than {self._limits.unpacked:,} bytes; "
                "--trust reads them all the same"
            )
        if self.unpacked > self._limits.expansion_from and self.unpacked > self._limits.expansion * self.stored:
            raise ImageError(
                f"{self.name}: unpacks to more than {self._limits.expansion} times its size, as no honest layer does; "
                "--trust reads it all the same"
            )

    def _mark(self) -> None:
        if self.unpacked == self._outer[-1]:  # what follows the last byte: a checksum, padding
            self._inner[-1] = self.stored - self._pending
            return
        self._outer.append(self.unpacked)
        self._inner.append(self.stored - self._pending)

    def _take(self, count: int) -> bytes:
        data = self._read(count)
        self.stored += len(data)
        if self._hash is not None:
            self._hash.update(data)
        return data

    def _pieces(self) -> Iterator[bytes]:
        data = self._take(_READ)
        self.compression, start = _kind(data)
        if not self.compression:
            while data:
                yield data
                data = self._take(PIECE)
            return
        frame = start(self.name)
        while True:
            piece = frame.unpack(data)
            self._pending = frame.unused
            if piece:
                yield piece
            if frame.eof:
                data = frame.unused_data.lstrip(b"\0")  # padding
                while not data:
                    data = self._take(_READ)
                    if not data:
                        return
                    data = data.lstrip(b"\0")
                frame = start(self.name)
            elif frame.is_hungry:
                data = self._take(_READ)
                if not data:
                    raise ImageError(f"{self.name}: the compressed data is cut off")
            else:
                data = b""


def _hash(digest: str) -> hashlib._Hash | None:
    if not digest:
        return None
    return hashlib.sha512() if len(digest) == 128 else hashlib.sha256()


def _kind(data: bytes) -> tuple[str, Callable[[str], _Frame]]:
    if data.startswith(_GZIP):
        return "gzip", _Gzip
    # A zstd stream may begin with a frame to skip (0x184D2A50 to 5F), such as eStargz-like tables of contents.
    if data.startswith(_ZSTD) or (data[1:4] == b"\x2a\x4d\x18" and data[0] >> 4 == 5):
        return "zstd", _Zstd
    if data.startswith(_XZ):
        return "xz", _Frame
    if data.startswith(_BZIP2) and data[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2", _Bzip2
    return "", _Gzip


class _Frame:
    """One gzip member, zstd, bzip2 or xz frame, over the decompressor of its module: this one is for xz."""

    def __init__(self, name: str) -> None:  # noqa: ARG002 - as the others
        self._object: Any = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=128 << 20)

    def unpack(self, data: bytes) -> bytes:
        """Return what comes of ``data`` and of what was not used before, ``PIECE`` bytes at most."""
        piece: bytes = self._object.decompress(data, PIECE)
        return piece

    @property
    def is_hungry(self) -> bool:
        """Whether more of the stream is needed to go on."""
        return bool(self._object.needs_input)

    @property
    def unused(self) -> int:
        """How many of the bytes it got it did not use yet, as far as that can be known."""
        return len(self.unused_data)

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        """What follows its end."""
        unused: bytes = self._object.unused_data
        return unused


class _Gzip(_Frame):
    def __init__(self, name: str) -> None:  # noqa: ARG002 - as the others
        self._object = zlib.decompressobj(31)  # with gzip's header, and its checksum looked at

    def unpack(self, data: bytes) -> bytes:
        return super().unpack(self._object.unconsumed_tail + data)

    @property
    def is_hungry(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused(self) -> int:
        return len(self.unused_data) + len(self._object.unconsumed_tail)


class _Bzip2(_Frame):
    def __init__(self, name: str) -> None:  # noqa: ARG002 - as the others
        self._object = bz2.BZ2Decompressor()


class _Zstd(_Frame):
    def __init__(self, name: str) -> None:
        module = _zstd()
        if module is None:
            raise ImageError(
                f"{name}: is compressed with zstd, which this Python cannot read; "
                "install it with: pip install 'cleanroom-recipes[audit]'"
            )
        self._name = name
        self._error = module.ZstdError
        # Its own limit for the window, 128 MiB, stays: a frame may ask for more than this machine has.
        self._object = module.ZstdDecompressor()

    def unpack(self, data: bytes) -> bytes:
        try:
            return super().unpack(data)
        except self._error as error:
            raise ImageError(f"{self._name}: the compressed data is broken: {error}") from None


def _zstd() -> Any:
    """Return the module for zstd: Python's own from 3.14 on, else the one that the extra ``audit`` installs."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
