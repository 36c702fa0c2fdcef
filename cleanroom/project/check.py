"""What ``cleanroom check`` does once it is known what is wanted: find the files, check them, print, count.

It needs no click unless something is wrong: that takes longer to import than a small file to check.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from cleanroom.formats.findings import text as text_feed
from cleanroom.lint.findings import SEVERITIES, Checked, Problem, Report
from cleanroom.project import batch, discover, exits
from cleanroom.project.exits import FINDINGS, TROUBLE
from cleanroom.project.gitignore import Patterns
from cleanroom.project.settings import Settings
from cleanroom.project.settings import find as find_settings
from cleanroom.registries import FORMATS, READERS, library

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from cleanroom.formats.findings.json import Rows
    from cleanroom.syntax.readers import Reader

    Found: TypeAlias = tuple[str, Settings, str | None]  # a file, its settings, the folder of its build context

_NOTHING: Mapping[str, Any] = {}
_WIDTH = 120  # of the lines shown, where there is no terminal
_LARGEST_SCRIPT = 1 << 20  # bytes; what is larger is no script that someone wrote


class OutputError(Exception):
    """A file that cannot be written; the message says which and why."""


class _Job(Struct, frozen=True):
    """One file to check, and how."""

    path: str
    settings: Settings
    context: str | None  # the folder of the build context
    form: str  # that is printed; "" where none is as the file is checked
    reader: str  # its name; "" for that of files so called
    kept: bool  # the report is wanted whole, for a feed
    colour: bool
    width: int
    verbose: bool


class _Outcome(Struct, frozen=True):
    """What came of one file: what to print, and what to count. Small, since it travels between processes."""

    text: str
    rows: Rows | None  # for the JSON document
    checked: Checked | None  # for feeds
    remarks: tuple[str, ...]  # for stderr
    severities: tuple[str, ...]  # of each finding
    fails: bool  # a finding at or over fail-on
    in_trouble: bool
    was_read: bool = True


def find(
    paths: Iterable[str], exclude: tuple[str, ...] = (), given: Mapping[str, Any] = _NOTHING, context: str | None = None
) -> tuple[list[Found], list[str]]:
    """Return the files that ``paths`` mean, each with its settings, and remarks about what cannot be read.

    ``exclude`` and ``given`` take the place of settings; ``context`` is the folder of the build context, by default
    that of each file. A file that is meant twice comes once. Raises SettingsError, UnknownName and RecipeError.
    """

    @functools.cache
    def settings_in(folder: str) -> Settings:
        return _settings(folder, given)

    found: dict[str, Found] = {}  # by absolute path
    remarks = []
    for path in paths:
        settings = settings_in(path if os.path.isdir(path) else os.path.dirname(path))
        patterns = Patterns(exclude) if exclude else Patterns(settings.exclude, os.path.dirname(settings.file))
        files, troubles = discover.discover(path, patterns.match)
        remarks += [f"{trouble.path}: error: {trouble.message}" for trouble in troubles]
        for file in files:
            key = file if file == discover.STDIN else os.path.abspath(file)
            found.setdefault(key, (file, settings, _context(file, context)))
    return list(found.values()), remarks


def run(
    found: Iterable[Found],
    remarks: Iterable[str],
    form: str = "text",
    outputs: Iterable[tuple[str, str]] = (),
    *,
    reader: str = "",
    verbose: bool = False,
) -> int:
    """Check files, print what is found in the format ``form``, and return the exit code.

    ``outputs`` are formats and files to write beside that; ``reader`` is for files that are not called as theirs are.
    Raises OutputError.
    """
    colour = text_feed.wants_colour(sys.stdout)
    width = _terminal_width() if sys.stdout.isatty() else _WIDTH
    printed = form if form in ("text", "json") else ""
    kept = bool(outputs) or not printed
    jobs = [
        _Job(file, settings, folder, printed, reader, kept, colour, width, verbose) for file, settings, folder in found
    ]
    totals = _Totals()
    for line in remarks:
        totals.in_trouble = True
        remark(line)
    outcomes = _show_progress(batch.run(_check, jobs, _lost), len(jobs))
    outcomes = totals.follow(outcomes)
    checked: list[Checked] = []
    if form == "json":
        from cleanroom.formats.findings.json import document

        for piece in document(outcome.rows for outcome in _collect(outcomes, checked) if outcome.rows):
            _print(piece)
    else:
        for outcome in _collect(outcomes, checked):
            _print(outcome.text)
        if not printed:
            for piece in FORMATS[form].render(checked):
                _print(piece)
        elif totals.files:
            remark(
                text_feed.summary(totals.severities, totals.files, totals.files_with_findings, totals.files_with_errors)
            )
    for name, file in outputs:
        _write(name, file, checked, width)
    if totals.in_trouble:
        return TROUBLE
    return FINDINGS if totals.fails else 0


def script_reader(context: str | None) -> Callable[[str], str | None] | None:
    """Return what reads scripts from a build context, None when there is none."""
    return None if context is None else functools.partial(_read_script, context)


def file_reader(path: str, name: str) -> Reader | None:
    """Return the reader called ``name``, else that of files called as ``path`` is; None for Dockerfiles."""
    from cleanroom.syntax.readers import DOCKERFILE

    reader = READERS[name] if name else discover.reader_of(os.path.basename(path))
    return None if reader is DOCKERFILE else reader


def arguments(path: str, settings: Settings, context: str | None, reader: str) -> dict[str, Any]:
    """Return the arguments of ``check`` and ``fix`` for one file: ``reader`` is a name, ``context`` a folder."""
    return {
        "library": library(*settings.recipes),
        "reader": file_reader(path, reader),
        "target": settings.target or None,
        "read_file": script_reader(context),
        "select": settings.select,
        "ignore": settings.ignore,
        "prefer": settings.prefer,
    }


def internal_error(error: Exception, *, verbose: bool) -> list[str]:
    """Return the lines about an error that no one foresaw, which is being handled; ``verbose`` adds its traceback."""
    message = exits.internal_error(error, verbose=verbose)
    if not verbose:
        return [message]
    import traceback

    return [message, *traceback.format_exc().splitlines()]


def _collect(outcomes: Iterable[_Outcome], checked: list[Checked]) -> Iterator[_Outcome]:
    """Pass the outcomes on, and keep what feeds need of them."""
    for outcome in outcomes:
        if outcome.checked is not None:
            checked.append(outcome.checked)
        yield outcome


def _write(name: str, file: str, checked: Iterable[Checked], width: int) -> None:
    """Write a feed to a file, whole or not at all; folders above it are made where they are not there."""
    from pathlib import Path

    from cleanroom.project.write import write_into

    pieces: Iterable[str]
    if name == "text":
        pieces = (text_feed.render(one.path, one.text, one.report, colour=False, width=width) for one in checked)
    else:
        pieces = FORMATS[name].render(checked)
    try:
        write_into(Path(), {file: "".join(pieces)})
    except OSError as error:
        raise OutputError(f"--output: {error.filename}: {discover.describe(error)}") from None


class _Totals(Struct):
    """What adds up over all files."""

    files: int = 0  # that were read
    files_with_findings: int = 0
    files_with_errors: int = 0  # of those that were read
    severities: Counter[str] = field(default_factory=Counter)
    fails: bool = False
    in_trouble: bool = False

    def follow(self, outcomes: Iterable[_Outcome]) -> Iterator[_Outcome]:
        """Yield the outcomes as they come, counted, and their remarks said."""
        for outcome in outcomes:
            self.files += outcome.was_read
            self.files_with_findings += bool(outcome.severities)
            self.files_with_errors += outcome.was_read and outcome.in_trouble
            self.severities.update(outcome.severities)
            self.fails |= outcome.fails
            self.in_trouble |= outcome.in_trouble
            for line in outcome.remarks:
                remark(line)
            yield outcome


def _terminal_width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _print(text: str) -> None:
    sys.stdout.write(text)


def remark(line: str) -> None:
    """Say something on standard error."""
    sys.stdout.flush()  # on a terminal both streams are one
    sys.stderr.write(f"{text_feed.printable(line)}\n")
    sys.stderr.flush()


def _show_progress(outcomes: Iterator[_Outcome], length: int) -> Iterator[_Outcome]:
    """Pass the outcomes on, with a progress bar on stderr if they are many and someone watches."""
    if length < batch.MANY or not sys.stderr.isatty():
        yield from outcomes
        return
    import click

    with click.progressbar(length=length, label="Checking", show_pos=True, file=sys.stderr) as bar:
        for outcome in outcomes:
            if outcome.remarks or (outcome.text and sys.stdout.isatty()):
                click.echo("\r\x1b[K", err=True, nl=False)  # what is printed next takes the place of the bar
            yield outcome
            bar.update(1)


def _settings(folder: str, given: Mapping[str, Any]) -> Settings:
    """Return the settings in force in ``folder``, with what was ``given`` on the command line in their place."""
    settings = replace(find_settings(folder), **given)
    if not (settings.select or settings.ignore or settings.recipes):
        return settings
    from cleanroom.project.names import selectors

    known = library(*settings.recipes)  # what is wrong with them is said once, not for each file
    return replace(
        settings,
        select=selectors(settings.select, known),
        ignore=selectors(settings.ignore, known),
    )


def _context(file: str, given: str | None) -> str | None:
    if given is not None or file == discover.STDIN:
        return given
    return os.path.dirname(file) or os.curdir


# One file: what follows runs in worker processes too.


def _check(job: _Job) -> _Outcome:
    from cleanroom.api import check

    try:
        text = discover.read(job.path)
    except discover.ReadError as error:
        return _unread(job, str(error))
    settings = job.settings
    try:
        report = check(text, **arguments(job.path, settings, job.context, job.reader))
    except Exception as error:  # the other files are still worth checking
        return _unread(job, *internal_error(error, verbose=job.verbose))
    remarks = [f"{job.path}:{error.line}:{error.column}: error: {error.message}" for error in report.errors]
    if job.verbose:
        remarks += [f"{job.path}:{item.line}: not known: {item.reason}" for item in report.unresolved]
    threshold = SEVERITIES.index(settings.fail_on)
    return _Outcome(
        text_feed.render(job.path, text, report, colour=job.colour, width=job.width) if job.form == "text" else "",
        _rows(job, text, report),
        _checked(job, text, report),
        tuple(remarks),
        tuple(finding.severity for finding in report.findings),
        fails=any(SEVERITIES.index(finding.severity) >= threshold for finding in report.findings),
        in_trouble=bool(report.errors),
    )


def _rows(job: _Job, text: str, report: Report) -> Rows | None:
    if job.form != "json":
        return None
    from cleanroom.formats.findings.json import rows

    return rows(job.path, text, report)


def _checked(job: _Job, text: str, report: Report) -> Checked | None:
    return Checked(job.path.replace("\\", "/"), text, report) if job.kept else None


def _lost(job: _Job) -> _Outcome:
    return _unread(job, "the process that read this file died")


def _unread(job: _Job, message: str, *details: str) -> _Outcome:
    """Return the outcome of a file that could not be checked."""
    report = Report(errors=(Problem(1, 1, message),))
    remarks = (f"{job.path}: error: {message}", *details)
    return _Outcome(
        "",
        _rows(job, "", report),
        _checked(job, "", report),
        remarks,
        (),
        fails=False,
        in_trouble=True,
        was_read=False,
    )


def _read_script(context: str, path: str) -> str | None:
    """Return the text of a file in the build context; None when it is not there, lies outside or is not text."""
    root = os.path.realpath(context)
    try:
        file = os.path.realpath(os.path.join(root, path.lstrip("/")))
        if (
            not file.startswith(os.path.join(root, ""))
            or not os.path.isfile(file)
            or os.path.getsize(file) > _LARGEST_SCRIPT
        ):
            return None
        with open(file, "rb") as stream:
            return stream.read().decode()
    except (OSError, ValueError):  # a name that no file can have, bytes that are no text
        return None
