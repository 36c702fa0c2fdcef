"""What ``cleanroom check --add-ignores`` does: comments that hide what is found, written into the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cleanroom.lint.findings import Report
from cleanroom.project import jobs
from cleanroom.project.files import File, arguments
from cleanroom.project.filters import reported
from cleanroom.project.jobs import problems
from cleanroom.project.reading import STDIN, decode, describe


class Job(jobs.Job, frozen=True):
    """One file to write comments into, and the reason that they give."""

    reason: str


class Outcome(jobs.Outcome, frozen=True):
    """What came of one file. ``text`` is what standard input became."""

    lines: tuple[str, ...] = ()  # what is ignored, and what is not
    hidden: int = 0


def run(files: Iterable[File], reader: str, reason: str, *, verbose: bool) -> Iterator[Outcome]:
    """Yield what came of each file."""
    return jobs.run(_add, [Job(file, reader, verbose, reason) for file in files], _failed)


# One file: what follows runs in worker processes too.


def _add(job: Job) -> Outcome:
    from pathlib import Path

    from cleanroom.api import check
    from cleanroom.lint.adding import add_ignores
    from cleanroom.project.write import write_atomically

    data = job.file.read_bytes()
    text = decode(data)
    given = arguments(job.file, job.reader)

    def look(text: str) -> Report:
        return check(text, **given, fixes=False)

    path, name = job.file.path, job.file.name
    report = look(text)
    added = add_ignores(text, reported(job.file, text, report).findings, look, job.reason)
    if added.text != text and path != STDIN:
        try:
            write_atomically(Path(path), added.text, over=data)
        except OSError as error:
            return _failed(job, f"not written: {describe(error)}")
    rows = [(one, "ignored") for one in added.hidden] + [(one, "not ignored") for one in added.left]
    rows.sort(key=lambda row: (row[0].line, row[0].column))
    return Outcome(
        added.text if path == STDIN else "",
        tuple(f"{name}:{error.line}:{error.column}: error: {error.message}" for error in report.errors),
        bool(report.errors),
        tuple(f"{name}:{one.line}: {what}: {one.label}" for one, what in rows),
        len(added.hidden),
    )


def _failed(job: Job, message: str, *details: str) -> Outcome:
    return Outcome(notes=problems(job, message, *details), failed=True)
