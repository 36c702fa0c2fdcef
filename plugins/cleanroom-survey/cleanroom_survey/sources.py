"""Where Dockerfiles come from: folders, git repositories, tar archives, tables. Each is read as a stream."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from msgspec import Struct, field

from cleanroom.project.discover import VERSION_CONTROL, is_dockerfile

LARGEST = 16 << 20  # bytes; what is larger is no Dockerfile that someone wrote
_ROWS = 512  # of a table, read at once


class Place(Struct, frozen=True):
    """Where one Dockerfile stands, and its bytes. ``path`` is unique within its source."""

    source: str
    path: str
    data: bytes
    keys: Mapping[str, str] = field(default_factory=dict)


class SourceError(Exception):
    """A source that cannot be read; the message names it and says what to do."""


class Source(Struct, frozen=True):
    """A source that was opened: how many Dockerfiles it holds, if that is known beforehand, and a way to read them."""

    name: str
    length: int | None
    read: Callable[[], Iterator[Place]]


def open_source(name: str, *, content: str = "content", keys: Sequence[str] = (), names: Sequence[str] = ()) -> Source:
    """Return the source that ``name`` means.

    A folder; a bare git repository, or any with ``git:`` before its path; a tar archive; a table in Parquet or JSON
    lines, whose texts stand in the column ``content`` and whose columns ``keys`` are kept. Archives and tables may be
    URLs that fsspec knows. In folders, repositories and archives a file is a Dockerfile by its name, or when its name
    matches one of the globs ``names``. Raises SourceError.
    """

    def wanted(path: str) -> bool:
        base = path.rpartition("/")[2]
        return any(fnmatchcase(base, glob) for glob in names) if names else is_dockerfile(base)

    if name.startswith("git:"):
        return _git(name, Path(name.removeprefix("git:")), wanted)
    local = Path(name)
    if "://" not in name and local.is_dir():
        if (local / "HEAD").is_file() and (local / "objects").is_dir():
            return _git(name, local, wanted)
        return _folder(name, wanted)
    bare = name.partition("?")[0].lower()
    if bare.endswith((".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")):
        return Source(name, None, lambda: _tar(name, wanted))
    if bare.endswith((".parquet", ".pq")):
        return _parquet(name, content, keys)
    if bare.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        return Source(name, None, lambda: _json_lines(name, content, keys))
    if "://" not in name and not local.exists():
        raise SourceError(f"{name}: no such file or folder")
    raise SourceError(
        f"{name}: not a source that is known; give a folder, a git repository (git:PATH), a tar archive (.tar, "
        ".tar.gz, …), or a table (.parquet, .jsonl)"
    )


def _folder(name: str, wanted: Callable[[str], bool]) -> Source:
    files: list[str] = []
    for folder, folders, found in os.walk(name):
        folders[:] = sorted(each for each in folders if each not in VERSION_CONTROL)
        files += [os.path.join(folder, each) for each in sorted(found) if wanted(each)]  # noqa: PTH118 - for speed
    if not files:
        raise SourceError(f"{name}: no Dockerfile in this folder (--name tells others by their names)")

    def read() -> Iterator[Place]:
        for file in files:
            path = Path(file)
            try:
                data = path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST else None
            except OSError:  # went away, or may not be read
                data = None
            if data is not None:
                yield Place(name, path.relative_to(name).as_posix().encode("utf-8", "replace").decode(), data)

    return Source(name, len(files), read)


def _git(name: str, folder: Path, wanted: Callable[[str], bool]) -> Source:
    """Read the Dockerfiles at HEAD from the object store; nothing is checked out."""
    listing = _run_git(name, folder, "ls-tree", "-r", "-z", "-l", "HEAD")
    blobs: list[tuple[str, str]] = []
    for entry in listing.split(b"\0"):
        meta, _, path = entry.partition(b"\t")
        fields = meta.split()
        if len(fields) != 4 or fields[1] != b"blob" or fields[0] == b"120000" or int(fields[3]) > LARGEST:
            continue
        text = path.decode("utf-8", "surrogateescape")
        if wanted(text):
            blobs.append((fields[2].decode(), text))

    def read() -> Iterator[Place]:
        with subprocess.Popen(
            ["git", "-C", str(folder), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for identifier, path in blobs:
                process.stdin.write(f"{identifier}\n".encode())
                process.stdin.flush()
                header = process.stdout.readline().split()
                if len(header) != 3:
                    raise SourceError(f"{name}: git has no object {identifier} for {path}")
                data = process.stdout.read(int(header[2]))
                process.stdout.read(1)
                yield Place(name, path.encode("utf-8", "replace").decode(), data)

    return Source(name, len(blobs), read)


def _run_git(name: str, folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise SourceError(f"{name}: git is not installed") from None
    if done.returncode:
        raise SourceError(f"{name}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return done.stdout


def _open(name: str) -> AbstractContextManager[Any]:
    """Open a file or URL for reading bytes. Raises SourceError."""
    import fsspec

    try:
        opened: AbstractContextManager[Any] = fsspec.open(name, "rb").open()
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{name}: {error}") from None
    return opened


def _tar(name: str, wanted: Callable[[str], bool]) -> Iterator[Place]:
    with _open(name) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    if member.isreg() and member.size <= LARGEST and wanted(member.name):
                        file = archive.extractfile(member)
                        if file is not None:
                            yield Place(name, member.name.removeprefix("./"), file.read())
        except (tarfile.TarError, EOFError, OSError) as error:
            raise SourceError(f"{name}: not a tar archive that can be read to its end: {error}") from None


def _parquet(name: str, content: str, keys: Sequence[str]) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _open(name) as stream:
        try:
            file = pq.ParquetFile(stream)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{name}: not Parquet: {error}") from None
        _require(name, file.schema_arrow.names, content, keys)
        length = file.metadata.num_rows

    def read() -> Iterator[Place]:
        with _open(name) as stream:
            row = 0
            # Without a buffer's size a row group, which may be the whole file, is read at once. One reader for all row
            # groups keeps memory for each that it has read; so does each thread of its pool.
            file = pq.ParquetFile(stream, buffer_size=1 << 20)
            for group in range(file.num_row_groups):
                wanted = [content, *keys]
                for batch in file.iter_batches(_ROWS, row_groups=[group], columns=wanted, use_threads=False):
                    for values in batch.to_pylist():
                        yield _row(name, row, values, content, keys)
                        row += 1

    return Source(name, length, read)


def _json_lines(name: str, content: str, keys: Sequence[str]) -> Iterator[Place]:
    import gzip
    import json

    with _open(name) as stream:
        lines: IO[bytes] | io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream
        for row, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError("not an object")
            except ValueError as error:
                raise SourceError(f"{name}:{row + 1}: not a JSON object: {error}") from None
            if row == 0:
                _require(name, list(values), content, keys)
            yield _row(name, row, values, content, keys)


def _require(name: str, columns: Sequence[str], content: str, keys: Sequence[str]) -> None:
    from cleanroom.suggest import did_you_mean

    for column, option in ((content, "--content"), *((key, "--key") for key in keys)):
        if column not in columns:
            raise SourceError(
                f"{name}: no column {column!r} ({option}){did_you_mean(column, columns)} (it has: {', '.join(columns)})"
            )


def _row(name: str, row: int, values: Mapping[str, Any], content: str, keys: Sequence[str]) -> Place:
    value = values.get(content)
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value or b"")
    kept = {key: str(values[key]) for key in keys if values.get(key) is not None}
    return Place(name, str(row), data, kept)
