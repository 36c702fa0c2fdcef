"""The folder of a survey: Parquet in parts, and a ledger of what is done, so that a later run does only the rest.

``places`` has a row for each Dockerfile that was met, ``files``, ``installs`` and ``findings`` rows for each content,
which is read once however often it occurs. A part appears whole or not at all, and counts once the ledger says so:
whatever stops a run, nothing is lost and nothing stands twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cleanroom.project.discover import describe
from cleanroom.project.write import write_atomically
from cleanroom.recipes.library import Library
from cleanroom_survey.examine import FILES, FINDINGS, INSTALLS, Examined
from cleanroom_survey.sources import Place

SCHEMA = "cleanroom/survey/1"
PLACES = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # as it was named
        pa.field("path", pa.string(), nullable=False),  # in the source; of a table, the number of the row, from 0
        pa.field("keys", pa.map_(pa.string(), pa.string()), nullable=False),  # the columns kept of a table
        pa.field("content", pa.string(), nullable=False),  # joins with the other tables
    ]
)
TABLES: Mapping[str, pa.Schema] = {"places": PLACES, "files": FILES, "installs": INSTALLS, "findings": FINDINGS}
_PART = 20_000  # contents in a part
_PLACES = 100_000  # places in a part
_GROUP = 2_000  # contents in a row group, which is what is held in memory
_PLACES_GROUP = 10_000


class StoreError(Exception):
    """A folder that cannot take or give a survey; the message says what to do."""


class Store:
    """A survey's folder. One process writes at a time."""

    def __init__(self, folder: Path, library: Library) -> None:
        """Open ``folder``, made when it is not there. Raises StoreError."""
        self.folder = folder
        self._head = {"schema": SCHEMA, "recipes": fingerprint(library)}
        self._prepare()
        self._buffers: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._buffered = 0  # contents
        self._writers: dict[str, _Part] = {}  # that are open
        self._places: list[dict[str, object]] = []
        self._place_keys: set[bytes] = set()
        self._contents: list[bytes] = []
        self._begun: set[bytes] = set()  # not in the ledger yet
        aside = folder / "files" / "set-aside.parquet"
        rows = pq.read_table(aside).to_pylist() if aside.is_file() else []
        self._set_aside: dict[str, dict[str, object]] = {row["content"]: row for row in rows}
        self._aside_changed = False
        try:
            self._ledger = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
            self._ledger.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._ledger.execute("PRAGMA journal_mode=DELETE")
            self._ledger.execute("BEGIN EXCLUSIVE")
            for table in ("places", "contents"):
                self._ledger.execute(f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY) WITHOUT ROWID")
            self._ledger.execute("CREATE TABLE IF NOT EXISTS parts (name TEXT PRIMARY KEY)")
            self._ledger.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{folder}: in use by another run, or damaged ({error})") from None
        self._drop_unfinished()

    def _prepare(self) -> None:
        head = self.folder / "survey.json"
        try:
            if self.folder.is_dir() and any(self.folder.iterdir()) and not head.is_file():
                raise StoreError(f"{self.folder}: neither empty nor a survey's folder; name another with -o")
            for name in TABLES:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            if not head.is_file():
                write_atomically(head, json.dumps(self._head, indent=1).encode() + b"\n")
            found = json.loads(head.read_bytes())
        except OSError as error:
            raise StoreError(f"{error.filename or self.folder}: {describe(error)}") from None
        except ValueError:
            raise StoreError(f"{head}: damaged; begin anew in another folder") from None
        if found != self._head:
            raise StoreError(
                f"{self.folder}: was begun with other recipes or another version; rows of both would not compare. "
                "Begin anew in another folder"
            )

    def _drop_unfinished(self) -> None:
        """Remove the parts that were written but never counted."""
        finished = {name for (name,) in self._ledger.execute("SELECT name FROM parts")}
        for name in TABLES:
            for file in (self.folder / name).iterdir():
                if f"{name}/{file.name}" not in finished and file.name != "set-aside.parquet":
                    file.unlink()

    def known(self, table: str, keys: Sequence[bytes]) -> set[bytes]:
        """Return which of ``keys`` (of ``places`` or ``contents``) are done or under way."""
        waiting = self._place_keys if table == "places" else self._begun
        found = {key for key in keys if key in waiting}
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            marks = ",".join("?" * len(some))
            found.update(
                key for (key,) in self._ledger.execute(f"SELECT key FROM {table} WHERE key IN ({marks})", some)
            )
        return found

    def begin(self, content: bytes) -> None:
        """Note that a content is under way."""
        self._begun.add(content)

    def add_place(self, place: Place, key: bytes, content: str) -> None:
        """Note that ``content`` stands at ``place``."""
        self._places.append(
            {"source": place.source, "path": place.path, "keys": list(place.keys.items()), "content": content}
        )
        self._place_keys.add(key)
        if len(self._place_keys) >= _PLACES:
            self.flush()
        elif len(self._places) >= _PLACES_GROUP:
            self._write()

    def add(self, contents: Iterable[str], examined: Examined) -> None:
        """Keep what a batch gave."""
        contents = list(contents)
        for content in contents:
            self._aside_changed |= self._set_aside.pop(content, None) is not None
        for name in ("files", "installs", "findings"):
            self._buffers[name].append(getattr(examined, name))
        self._contents += [bytes.fromhex(content) for content in contents]
        self._buffered += len(contents)
        if len(self._contents) >= _PART:
            self.flush()
        elif self._buffered >= _GROUP:
            self._write()

    def set_aside(self, row: dict[str, object]) -> None:
        """Keep the row of a content that no worker survived; the next run tries it again."""
        self._set_aside[str(row["content"])] = row
        self._aside_changed = True

    def flush(self) -> None:
        """Write what was added, and count it as done."""
        if not (self._contents or self._place_keys or self._aside_changed):
            return
        self._write()
        written = [f"{name}/{writer.finish()}" for name, writer in self._writers.items()]
        self._writers = {}
        aside = self.folder / "files" / "set-aside.parquet"
        if self._aside_changed and self._set_aside:
            _write_table(aside, pa.Table.from_pylist(list(self._set_aside.values()), FILES))
        elif self._aside_changed:
            aside.unlink(missing_ok=True)
        self._aside_changed = False
        self._ledger.execute("BEGIN")
        self._ledger.executemany("INSERT OR IGNORE INTO places VALUES (?)", ((key,) for key in self._place_keys))
        self._ledger.executemany("INSERT OR IGNORE INTO contents VALUES (?)", ((key,) for key in self._contents))
        self._ledger.executemany("INSERT INTO parts VALUES (?)", ((name,) for name in written))
        self._ledger.execute("COMMIT")
        self._begun.difference_update(self._contents)
        self._place_keys, self._contents = set(), []

    def _write(self) -> None:
        """Write what is held in memory to the parts that are open."""
        if self._places:
            self._buffers["places"].append(pa.Table.from_pylist(self._places, PLACES))
            self._places = []
        for name, tables in self._buffers.items():
            if not tables:
                continue
            if name not in self._writers:
                number = self._ledger.execute("SELECT count(*) FROM parts WHERE name LIKE ?", (f"{name}/%",)).fetchone()
                self._writers[name] = _Part(self.folder / name / f"part-{number[0]:06}.parquet", TABLES[name])
            self._writers[name].add(pa.concat_tables(tables))
            tables.clear()
        self._buffered = 0

    def close(self) -> None:
        """Give the folder free. What was not flushed is dropped."""
        self._ledger.close()


def place_key(place: Place, content: str) -> bytes:
    """Return the ledger's key of a place: the same place with other content is another."""
    whole = json.dumps([place.source, place.path, sorted(place.keys.items()), content])
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def fingerprint(library: Library) -> str:
    """Return by which recipes a survey was made; it changes with any of them and with the version of cleanroom."""
    from cleanroom.version import __version__

    whole = repr((__version__, library.recipes()))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _write_table(file: Path, table: pa.Table) -> None:
    part = _Part(file, table.schema)
    part.add(table)
    part.finish()


class _Part:
    """A Parquet file that is written piece by piece, and appears when it is whole."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._file = file
        self._unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        self._writer: Any = pq.ParquetWriter(self._unfinished, schema, compression="zstd")

    def add(self, table: pa.Table) -> None:
        """Write rows, as one row group."""
        self._writer.write_table(table)

    def finish(self) -> str:
        """Close the file, and return its name."""
        self._writer.close()
        self._unfinished.replace(self._file)
        return self._file.name
