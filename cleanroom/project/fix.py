"""What ``cleanroom fix`` does once it is known what is wanted: fix the files, write them or show how, count."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct

from cleanroom.lint.findings import Fixed
from cleanroom.project import jobs
from cleanroom.project.files import File, arguments
from cleanroom.project.jobs import problems
from cleanroom.project.reading import STDIN, ReadError, decode, describe
from cleanroom.project.write import write_atomically


class Mode(Enum):
    """What becomes of the text that is fixed."""

    WRITE = "write"  # standard input goes to standard output
    DIFF = "diff"
    CHECK = "check"  # nothing: it is only said what would change
    WRITE_FIRST = "write first"  # the file is checked afterwards, which says what is left


class Job(jobs.Job, frozen=True):
    """One file to fix, and how."""

    mode: Mode
    unsafe: bool = False


class Outcome(jobs.Outcome, frozen=True):
    """What came of one file. ``text`` is the diff, or what standard input became."""

    lines: tuple[str, ...] = ()  # what was fixed and what was not
    fixed: int = 0
    declined: int = 0
    changes: bool = False


class Totals(Struct):
    """What adds up over all files."""

    fixed: int = 0
    declined: int = 0
    said: int = 0  # of both
    changed: int = 0  # files
    failed: bool = False

    def add(self, outcome: Outcome) -> None:
        """Count what came of one file."""
        self.fixed += outcome.fixed
        self.declined += outcome.declined
        self.said += len(outcome.lines)
        self.changed += outcome.changes
        self.failed |= outcome.failed

    def summary(self, done: str) -> str:
        """Return how many findings were ``done`` ("fixed"), and in how many files."""
        where = f" in {self.changed} file{'s' * (self.changed != 1)}" if self.changed else ""
        return f"{self.fixed} finding{'s' * (self.fixed != 1)} {done}{where}"


def run(files: Iterable[File], mode: Mode, *, reader: str, unsafe: bool, verbose: bool) -> Iterator[Outcome]:
    """Fix files, and yield what came of each, in order. One that has several names is fixed under the first."""
    return jobs.run(_fix, [Job(file, reader, verbose, mode, unsafe) for file in _distinct(files)], _failed)


def _distinct(files: Iterable[File]) -> Iterator[File]:
    """Yield each file once: two processes that write one would each undo what the other did."""
    seen = set()
    for file in files:
        try:
            status = os.stat(file.path)
        except (OSError, ValueError):  # whoever reads it says so
            yield file
            continue
        if (status.st_dev, status.st_ino) not in seen or file.path == STDIN:
            seen.add((status.st_dev, status.st_ino))
            yield file


# One file: what follows runs in worker processes too.


def _fix(job: Job) -> Outcome:
    from cleanroom.api import fix

    try:
        data = job.file.read_bytes()
        text = decode(data)
    except ReadError:
        if job.mode is Mode.WRITE_FIRST:  # the check that follows says so
            return Outcome(failed=True)
        raise
    result = fix(text, unsafe=job.unsafe, **arguments(job.file, job.reader))
    path, name = job.file.path, job.file.name
    errors = () if job.mode is Mode.WRITE_FIRST else result.errors
    notes = [f"{name}:{item.line}:{item.column}: error: {item.message}" for item in errors]
    changes = result.text != text
    if changes and path != STDIN and job.mode in (Mode.WRITE, Mode.WRITE_FIRST):
        try:
            write_atomically(Path(path), result.text, over=data)
        except OSError as error:
            return _failed(job, f"not written: {describe(error)}")
    return Outcome(
        _shown(job, text, result),
        tuple(notes),
        bool(result.errors),
        tuple(_lines(job, result)),
        len(result.fixed),
        len(result.declined),
        changes,
    )


def _shown(job: Job, text: str, result: Fixed) -> str:
    """Return what goes to standard output."""
    from cleanroom.formats.values import printable
    from cleanroom.syntax.text import diff

    if job.mode is Mode.DIFF:
        name = job.file.name
        return diff(text, result.text, "stdin" if name == STDIN else printable(name))
    return result.text if job.mode is Mode.WRITE and job.file.path == STDIN else ""


def _lines(job: Job, result: Fixed) -> Iterator[str]:
    """Yield one line for each finding, in the order of their place; what is only for information, with -v alone."""
    done = "fixed" if job.mode in (Mode.WRITE, Mode.WRITE_FIRST) else "can be fixed"
    rows = [(finding, done, finding.fix.title if finding.fix else "") for finding in result.fixed] + [
        (item.finding, "not fixed", item.reason)
        for item in (() if job.mode is Mode.WRITE_FIRST else result.declined)
        if job.verbose or item.finding.severity != "info"
    ]
    for finding, verdict, what in sorted(rows, key=lambda row: (row[0].line, row[0].column)):
        yield f"{job.file.name}:{finding.line}: {verdict}: {finding.label}: {what}"


def _failed(job: Job, message: str, *details: str) -> Outcome:
    return Outcome(notes=problems(job, message, *details), failed=True)
