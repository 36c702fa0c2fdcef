"""The same work on each file: what came of it, what is said of it, and what adds up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from cleanroom.formats.values import printable
from cleanroom.project import batch, exits
from cleanroom.project.files import File
from cleanroom.project.reading import ReadError


class Job(Struct, frozen=True):
    """One file to work on; those of each command say how."""

    file: File
    reader: str  # its name; "" for that of files so called
    verbose: bool


class Outcome(Struct, frozen=True):
    """What came of one file. Small, since it travels between processes."""

    text: str = ""  # for standard output
    notes: tuple[str, ...] = ()  # for standard error
    failed: bool = False  # the exit code is then 2


SomeJob = TypeVar("SomeJob", bound=Job)
SomeOutcome = TypeVar("SomeOutcome", bound=Outcome)
Failed = Callable[..., SomeOutcome]  # of the job, and lines about what went wrong


def run(
    work: Callable[[SomeJob], SomeOutcome], jobs: Sequence[SomeJob], failed: Failed[SomeOutcome]
) -> Iterator[SomeOutcome]:
    """Yield ``work(job)`` for each job, in order; ``failed(job, *lines)`` where it cannot be done.

    Both are functions of a module, which worker processes import.
    """
    return batch.run(partial(_attempt, work, failed), jobs, partial(_lost, failed))


def _attempt(work: Callable[[Any], Any], failed: Failed[Any], job: Job) -> Any:
    try:
        return work(job)
    except ReadError as error:
        return failed(job, str(error))
    except Exception as error:  # the other files are still worth working on
        message = exits.internal_error(error, verbose=job.verbose)
        return failed(job, message, *(_traceback() if job.verbose else ()))


def _traceback() -> list[str]:
    import traceback

    return traceback.format_exc().splitlines()


def _lost(failed: Failed[Any], job: Job) -> Any:
    return failed(job, "the process that worked on this file died")


def problems(job: Job, message: str, *details: str) -> tuple[str, ...]:
    """Return the lines about a file that could not be worked on."""
    return (f"{job.file.name}: error: {message}", *details)


def note(line: str) -> None:
    """Say something on standard error."""
    sys.stdout.flush()  # on a terminal both streams are one
    sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()
