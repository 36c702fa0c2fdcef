"""Writing files so that they are there whole or not at all.

A folder may be another user's, who can put links in the place of files meanwhile. So files are opened, changed and
moved by the descriptor of their folder, and their owner and rights are set by their own descriptor.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BY_DESCRIPTOR = os.open in os.supports_dir_fd  # not on Windows
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class ChangedError(OSError):
    """A file that is not what it was when it was read."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, "the file changed while it was being worked on; run again")


def write_atomically(file: Path, data: str | bytes, *, over: bytes | None = None) -> None:
    """Put ``data`` (text as UTF-8) in the place of ``file``; a link is followed, and what is not its text is kept.

    That is its mode, owner, extended attributes, and other names: a file of several names is written in its place.
    With ``over``, only where the file still holds these bytes; else ChangedError is raised, which is an OSError. Raises
    OSError with the name of the file, also for one that is read-only; then what was there is there still. A file that
    is no plain file (a pipe, ``/dev/stdout``) is written to as it is.
    """
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        place = os.path.realpath(file)
        with _folder(os.path.dirname(place)) as folder:
            _write(folder, os.path.basename(place), content, over)
    except OSError as error:
        error.filename = str(file)  # and not what was written beside it, or nothing
        raise


def write_into(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by their paths in ``folder``; the folders are made where they are not there. Raises OSError."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)


class _Folder:
    """A folder whose files are named by their base names; by its descriptor, where the system can."""

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path, self.descriptor = path, descriptor

    def name(self, name: str) -> str:
        return name if self.descriptor is not None else os.path.join(self.path, name)

    def open(self, name: str, flags: int, mode: int = 0o777) -> int:
        return os.open(self.name(name), flags | _NO_LINK, mode, dir_fd=self.descriptor)

    def status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(self.name(name), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None


@contextmanager
def _folder(path: str) -> Iterator[_Folder]:
    if not _BY_DESCRIPTOR:
        yield _Folder(path, None)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK)
    try:
        yield _Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _write(folder: _Folder, name: str, data: bytes, over: bytes | None) -> None:
    before = folder.status(name)
    if before is None:
        if over is not None:
            raise ChangedError
        _replace(folder, name, data, None, None)
        return
    if not stat.S_ISREG(before.st_mode):  # it was a file, or a link to one, just now
        raise ChangedError
    if not os.access(folder.name(name), os.W_OK, dir_fd=folder.descriptor):
        raise PermissionError(errno.EACCES, "the file is read-only")
    in_place = before.st_nlink > 1
    descriptor = folder.open(name, os.O_RDWR if in_place else os.O_RDONLY)
    with os.fdopen(descriptor, "r+b" if in_place else "rb") as stream:
        if not os.path.samestat(os.fstat(descriptor), before) or (over is not None and stream.read() != over):
            raise ChangedError
        if in_place:
            stream.seek(0)
            stream.write(data)
            stream.truncate()
            stream.flush()
            os.fsync(descriptor)
        else:
            _replace(folder, name, data, before, descriptor)


def _replace(folder: _Folder, name: str, data: bytes, before: os.stat_result | None, original: int | None) -> None:
    """Write a new file and put it in the place of the one called ``name``, whose status and descriptor are given."""
    temporary = f".cleanroom-{secrets.token_hex(8)}"  # a name of its own: one made of a long name would be too long
    descriptor = folder.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if before is not None and original is not None:
                _keep(descriptor, before, original)
            os.fsync(descriptor)
        os.replace(
            folder.name(temporary), folder.name(name), src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor
        )
    except BaseException:
        with suppress(OSError):
            os.unlink(folder.name(temporary), dir_fd=folder.descriptor)
        raise


def _keep(descriptor: int, before: os.stat_result, original: int) -> None:
    """Give a file the owner, rights and extended attributes of another. Raises OSError when it cannot have these."""
    mode = stat.S_IMODE(before.st_mode)
    if hasattr(os, "fchown"):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except OSError:  # who may not give it away, keeps it; what ran as its owner would now run as another
            mode &= 0o777
    if hasattr(os, "listxattr"):
        for attribute in _attributes(original):
            try:
                os.setxattr(descriptor, attribute, os.getxattr(original, attribute))
            except OSError as error:
                if not attribute.startswith("security."):  # these are for the system to give
                    raise OSError(error.errno, f"its extended attribute {attribute} cannot be kept") from None
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)  # after the owner, whose change takes these rights away


def _attributes(descriptor: int) -> list[str]:
    try:
        return os.listxattr(descriptor)
    except OSError:  # a file system without them
        return []
