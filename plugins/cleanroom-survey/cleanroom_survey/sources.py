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

from cleanroom.project import git
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


def open_source(
    name: str,
    *,
    content: str = "content",
    keys: Sequence[str] = (),
    names: Sequence[str] = (),
    passed_over: Callable[[str], None] = lambda _: None,
) -> Source:
    """Return the source that ``name`` means; ``passed_over`` is told of each Dockerfile of it that cannot be had.

    A folder; a bare git repository, or any with ``git:`` before its path; a tar archive; a table in Parquet or JSON
    lines, whose texts stand in the column ``content`` and whose columns ``keys`` are kept. Archives and tables may be
    URLs that fsspec knows. In folders, repositories and archives a file is a Dockerfile by its name, or when its name
    matches one of the globs ``names``. Raises SourceError.
    """

    def wanted(path: str) -> bool:
        base = path.rpartition("/")[2]
        return any(fnmatchcase(base, glob) for glob in names) if names else is_dockerfile(base)

    if name.startswith("git:"):
        return _git(name, name.removeprefix("git:"), wanted, passed_over)
    local = Path(name)
    if "://" not in name and local.is_dir():
        if (local / "HEAD").is_file() and (local / "objects").is_dir():
            return _git(name, name, wanted, passed_over)
        return _folder(name, wanted)
    bare = name.partition("?")[0].lower()
    if bare.endswith((".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")):
        return Source(name, None, lambda: _tar(name, wanted))
    if bare.endswith((".parquet", ".pq")):
        return _parquet(name, content, keys, passed_over)
    if bare.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        return Source(name, None, lambda: _json_lines(name, content, keys, passed_over))
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


def _git(name: str, root: str, wanted: Callable[[str], bool], passed_over: Callable[[str], None]) -> Source:
    """Read the Dockerfiles at HEAD from the object store; nothing is checked out, fetched or run."""
    blobs: list[tuple[str, str]] = []
    for entry in _run_git(name, root, "ls-tree", "-r", "-z", "HEAD").split(b"\0"):
        meta, _, path = entry.partition(b"\t")
        fields = meta.split()
        text = path.decode("utf-8", "surrogateescape")
        if len(fields) == 3 and fields[1] == b"blob" and fields[0] != b"120000" and wanted(text):
            blobs.append((fields[2].decode(), text))

    def read() -> Iterator[Place]:
        with subprocess.Popen(
            git.command(root, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git.environment(),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for identifier, path in blobs:
                process.stdin.write(f"{identifier}\n".encode())
                process.stdin.flush()
                header = process.stdout.readline().split()
                shown = path.encode("utf-8", "replace").decode()
                if not header:
                    raise SourceError(f"{name}: git ended at {shown}")
                if len(header) != 3:  # of a clone that holds a part of the objects
                    passed_over(f"{name}: {shown}: not in this clone; passed over")
                    continue
                data = _read_blob(process.stdout, int(header[2]))
                if data is None:
                    passed_over(f"{name}: {shown}: larger than {LARGEST >> 20} MiB; passed over")
                else:
                    yield Place(name, shown, data)

    return Source(name, len(blobs), read)


def _read_blob(stream: IO[bytes], size: int) -> bytes | None:
    """Return the next blob of ``git cat-file``, None for one that is too large, which is read past."""
    data = stream.read(size) if size <= LARGEST else None
    rest = 0 if data is not None else size
    while rest and (chunk := stream.read(min(rest, 1 << 20))):
        rest -= len(chunk)
    stream.read(1)
    return data


def _run_git(name: str, root: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            git.command(root, *arguments), capture_output=True, check=False, env=git.environment(), timeout=600
        )
    except FileNotFoundError:
        raise SourceError(f"{name}: git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"{name}: git did not answer within ten minutes") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SourceError(f"{name}: {said[-1] if said else 'git failed'}")
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


def _parquet(name: str, content: str, keys: Sequence[str], passed_over: Callable[[str], None]) -> Source:
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
                        yield from _row(name, row, values, content, keys, passed_over)
                        row += 1

    return Source(name, length, read)


def _json_lines(name: str, content: str, keys: Sequence[str], passed_over: Callable[[str], None]) -> Iterator[Place]:
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
            except RecursionError:
                passed_over(f"{name}:{row + 1}: nested too deeply; passed over")
                continue
            except ValueError as error:
                raise SourceError(f"{name}:{row + 1}: not a JSON object: {error}") from None
            if row == 0:
                _require(name, list(values), content, keys)
            yield from _row(name, row, values, content, keys, passed_over)


def _require(name: str, columns: Sequence[str], content: str, keys: Sequence[str]) -> None:
    from cleanroom.suggest import did_you_mean

    for column, option in ((content, "--content"), *((key, "--key") for key in keys)):
        if column not in columns:
            raise SourceError(
                f"{name}: no column {column!r} ({option}){did_you_mean(column, columns)} (it has: {', '.join(columns)})"
            )


def _row(
    name: str,
    row: int,
    values: Mapping[str, Any],
    content: str,
    keys: Sequence[str],
    passed_over: Callable[[str], None],
) -> Iterator[Place]:
    """Yield the Dockerfile of a row; none where the column holds no text."""
    value = values.get(content)
    if value is not None and not isinstance(value, str | bytes):
        passed_over(f"{name}: row {row}: {content} holds no text ({type(value).__name__}); passed over")
        return
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value or b""
    kept = {key: str(values[key]) for key in keys if values.get(key) is not None}
    yield Place(name, str(row), data, kept)
