"""What ``cleanroom check`` does once it is known what is wanted: check the files, print, count.

It needs no click unless many files are checked: that takes longer to import than a small file to check.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cleanroom.formats.findings import text as text_format
from cleanroom.lint.findings import SEVERITIES, Checked, Finding, Problem, Report
from cleanroom.project import batch, jobs
from cleanroom.project.exits import ERROR, FINDINGS
from cleanroom.project.files import Found, arguments, find
from cleanroom.project.filters import reported
from cleanroom.project.jobs import note, problems
from cleanroom.project.reading import describe
from cleanroom.registries import FORMATS

if TYPE_CHECKING:
    from cleanroom.formats.findings.json import Rows
    from cleanroom.project.statistics import Statistics

__all__ = ["OutputError", "Wanted", "find", "run"]

_WIDTH = 120  # of the lines shown, where there is no terminal


class OutputError(Exception):
    """A file that cannot be written; the message says which and why."""


class Wanted(Struct, frozen=True):
    """What is to be printed and written, and when the exit code is 1.

    ``outputs`` are formats, and files to write them to; ``reader`` is for files that are not called as theirs are.
    """

    form: str = "text"
    outputs: tuple[tuple[str, str], ...] = ()
    reader: str = ""
    verbose: bool = False
    quiet: bool = False  # no summary
    exit_zero: bool = False  # also where there are findings
    statistics: bool = False  # in place of the findings


class _Job(jobs.Job, frozen=True):
    form: str  # that is printed; "" where none is as the file is checked
    kept: bool  # the report is wanted whole
    look: text_format.Look


class _Outcome(jobs.Outcome, frozen=True):
    rows: Rows | None = None  # for the JSON document
    checked: Checked | None = None
    severities: tuple[str, ...] = ()  # of each finding
    fails: bool = False  # a finding at or over fail-on
    was_read: bool = True


class _Totals(Struct):
    """What adds up over all files."""

    files: int = 0  # that were read
    files_with_findings: int = 0
    files_with_errors: int = 0  # of those that were read
    severities: Counter[str] = field(default_factory=Counter)
    fails: bool = False
    failed: bool = False

    def follow(self, outcomes: Iterable[_Outcome]) -> Iterator[_Outcome]:
        """Yield the outcomes as they come, counted, and their notes said."""
        for outcome in outcomes:
            self.files += outcome.was_read
            self.files_with_findings += bool(outcome.severities)
            self.files_with_errors += outcome.was_read and outcome.failed
            self.severities.update(outcome.severities)
            self.fails |= outcome.fails
            self.failed |= outcome.failed
            for line in outcome.notes:
                note(line)
            yield outcome

    def exit_code(self, wanted: Wanted) -> int:
        if self.failed:
            return ERROR
        return FINDINGS if self.fails and not wanted.exit_zero else 0

    def summary(self) -> str:
        return text_format.summary(self.severities, self.files, self.files_with_findings, self.files_with_errors)


def run(found: Found, wanted: Wanted | None = None) -> int:
    """Check files, print what is found, and return the exit code. Raises OutputError."""
    wanted = wanted or Wanted()
    printed = wanted.form if wanted.form in ("text", "json") and not wanted.statistics else ""
    kept = bool(wanted.outputs) or not printed
    look = _look()
    work = [_Job(file, wanted.reader, wanted.verbose, printed, kept, look) for file in found.files]
    totals = _Totals(failed=bool(found.errors))
    for line in (*found.notes, *found.errors):
        note(line)
    outcomes = totals.follow(_show_progress(jobs.run(_check, work, _failed), len(work)))
    checked: list[Checked] = []
    _print_all(_collect(outcomes, checked), printed)
    if wanted.statistics:
        _print_statistics(checked, wanted.form)
    elif not printed:
        for piece in FORMATS[wanted.form].render(checked):
            sys.stdout.write(piece)
    if wanted.form in ("text", "concise") and totals.files and not wanted.quiet:
        note(totals.summary())
    for name, file in wanted.outputs:
        _write(name, file, checked, look)
    return totals.exit_code(wanted)


def collect(found: Found, wanted: Wanted) -> tuple[list[Checked], bool]:
    """Return what is found in files, without printing it, and whether all could be read."""
    work = [_Job(file, wanted.reader, wanted.verbose, "", True, _look()) for file in found.files]
    totals = _Totals(failed=bool(found.errors))
    checked: list[Checked] = []
    for line in (*found.notes, *found.errors):
        note(line)
    for _ in _collect(totals.follow(jobs.run(_check, work, _failed)), checked):
        pass
    return checked, not totals.failed


def _print_all(outcomes: Iterable[_Outcome], form: str) -> None:
    """Print outcomes as they come; those of formats that are not printed so have no text."""
    if form == "json":
        from cleanroom.formats.findings.json import document

        for piece in document(outcome.rows for outcome in outcomes if outcome.rows):
            sys.stdout.write(piece)
    else:
        for outcome in outcomes:
            sys.stdout.write(outcome.text)


def _print_statistics(checked: Iterable[Checked], form: str) -> None:
    from cleanroom.project import statistics

    found: Statistics = statistics.count(checked)
    sys.stdout.write(statistics.document(found) if form == "json" else statistics.table(found))


def _look() -> text_format.Look:
    terminal = sys.stdout.isatty()
    return text_format.Look(
        colour=text_format.wants_colour(sys.stdout),
        width=_terminal_width() if terminal else _WIDTH,
        wraps=terminal,
    )


def _collect(outcomes: Iterable[_Outcome], checked: list[Checked]) -> Iterator[_Outcome]:
    """Pass the outcomes on, and keep what formats need of them."""
    for outcome in outcomes:
        if outcome.checked is not None:
            checked.append(outcome.checked)
        yield outcome


def _write(name: str, file: str, checked: Iterable[Checked], look: text_format.Look) -> None:
    if name == "text":
        plain = text_format.Look(width=look.width)
        pieces: Iterable[str] = (text_format.render(one.path, one.text, one.report, plain) for one in checked)
    else:
        pieces = FORMATS[name].render(checked)
    write(file, "".join(pieces), "--output")


def write(file: str, text: str, option: str) -> None:
    """Write a file, whole or not at all; folders above it are made. Raises OutputError, which names the option."""
    from pathlib import Path

    from cleanroom.project.write import write_into

    try:
        write_into(Path(), {file: text})
    except OSError as error:
        raise OutputError(f"{option}: {error.filename}: {describe(error)}") from None


def _terminal_width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _show_progress(outcomes: Iterator[_Outcome], length: int) -> Iterator[_Outcome]:
    """Pass the outcomes on, with a progress bar on stderr if they are many and someone watches."""
    if length < batch.MANY or not sys.stderr.isatty():
        yield from outcomes
        return
    import click

    with click.progressbar(length=length, label="Checking", show_pos=True, file=sys.stderr) as bar:
        for outcome in outcomes:
            if outcome.notes or (outcome.text and sys.stdout.isatty()):
                click.echo("\r\x1b[K", err=True, nl=False)  # what is printed next takes the place of the bar
            yield outcome
            bar.update(1)


# One file: what follows runs in worker processes too.


def _check(job: _Job) -> _Outcome:
    from cleanroom.api import check

    text = job.file.read()
    report = reported(job.file, text, check(text, **arguments(job.file, job.reader)))
    path, settings = job.file.name, job.file.settings
    notes = [f"{path}:{error.line}:{error.column}: error: {error.message}" for error in report.errors]
    if job.verbose:
        notes += [f"{path}:{item.line}: not known: {item.reason}" for item in report.unresolved]
    return _Outcome(
        text_format.render(path, text, report, job.look) if job.form == "text" else "",
        tuple(notes),
        bool(report.errors),
        _rows(job, text, report),
        _checked(job, text, report),
        tuple(finding.severity for finding in report.findings),
        any(_is_over(finding, settings.fail_on) for finding in report.findings),
    )


def _is_over(finding: Finding, threshold: str) -> bool:
    return SEVERITIES.index(finding.severity) >= SEVERITIES.index(threshold)


def _rows(job: _Job, text: str, report: Report) -> Rows | None:
    if job.form != "json":
        return None
    from cleanroom.formats.findings.json import rows

    return rows(job.file.name, text, report)


def _checked(job: _Job, text: str, report: Report) -> Checked | None:
    return Checked(job.file.name.replace("\\", "/"), text, report) if job.kept else None


def _failed(job: _Job, message: str, *details: str) -> _Outcome:
    report = Report(errors=(Problem(1, 1, message),))
    notes = problems(job, message, *details)
    return _Outcome("", notes, True, _rows(job, "", report), _checked(job, "", report), was_read=False)
