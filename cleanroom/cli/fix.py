"""``cleanroom fix``: mend Dockerfiles."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from cleanroom import batch, discover
from cleanroom.checking import file_reader, remark, script_reader
from cleanroom.cli import given_recipes, is_verbose, recipes_option, verbose_option
from cleanroom.cli.check import find, reader_option
from cleanroom.exits import FINDINGS, TROUBLE
from cleanroom.feeds import text as text_feed
from cleanroom.findings import Fixed
from cleanroom.records import dataclass
from cleanroom.settings import PREFERENCES, Settings


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to mend, and how. ``mode`` is ``write``, ``diff`` or ``check``."""

    path: str
    settings: Settings
    context: str | None
    reader: str
    write: bool
    diff: bool
    unsafe: bool
    verbose: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of one file. ``text`` is the diff, or what standard input became."""

    text: str = ""
    lines: tuple[str, ...] = ()  # what was fixed and what was not
    remarks: tuple[str, ...] = ()
    fixed: int = 0
    declined: int = 0
    changes: bool = False
    in_trouble: bool = False


@click.command(short_help="Mend what check finds.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--diff", is_flag=True, help="Show what would change and write nothing.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if something would change.")
@click.option("--unsafe", is_flag=True, help="Also make the fixes that are right only if you agree.")
@click.option(
    "--prefer",
    type=click.Choice(PREFERENCES),
    help="The kind of remedy to take where there are several. [default: the recipe's first]",
)
@click.option("--select", multiple=True, metavar="RULE", help="Fix only these: left-behind, left-behind[apt].")
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not fix these.")
@click.option("--target", metavar="STAGE", help="The stage that is built, when it is not the last.")
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Do not read these files and folders (as in .gitignore)."
)
@click.option(
    "--context",
    metavar="DIR",
    help="The build context, where scripts that are copied are read. [default: the Dockerfile's folder]",
)
@reader_option
@recipes_option
@verbose_option
def command(
    paths: tuple[str, ...],
    diff: bool,
    check: bool,
    unsafe: bool,
    prefer: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    target: str | None,
    exclude: tuple[str, ...],
    context: str | None,
    reader: str,
) -> int:
    """Mend the Dockerfiles at PATH: files, folders, or - for standard input, which goes mended to standard output.

    Only what no build can break by is changed; everything else stays as it is, to the byte. Says of each finding what
    was done, or why not. Exits 0, also when findings are left (check tells); 2 when something could not be read.
    """
    flags = {"select": select, "ignore": ignore, "target": target, "prefer": prefer, "recipes": given_recipes()}
    given = {name: value for name, value in flags.items() if value}
    files, remarks = find(paths, exclude, given, context)
    in_trouble = bool(remarks)
    for line in remarks:
        remark(line)
    jobs = [
        _Job(file, settings, folder, reader, not diff and not check, diff, unsafe, is_verbose())
        for file, settings, folder in files
    ]
    # What goes to standard output is the text or the diff; where there is none, what was done.
    report_on_stderr = diff or discover.STDIN in [job.path for job in jobs]
    fixed = declined = changed = 0
    for outcome in batch.run(_fix, jobs, _lost):
        click.echo(outcome.text, nl=False)
        sys.stdout.flush()
        for line in outcome.lines:
            click.echo(text_feed.printable(line), err=report_on_stderr)
        for line in outcome.remarks:
            remark(line)
        fixed += outcome.fixed
        declined += outcome.declined
        changed += outcome.changes
        in_trouble |= outcome.in_trouble
    sys.stdout.flush()
    click.echo(_summary(fixed, declined, changed, written=not diff and not check), err=True)
    if in_trouble:
        return TROUBLE
    return FINDINGS if check and changed else 0


def _summary(fixed: int, declined: int, changed: int, *, written: bool) -> str:
    if not fixed and not declined:
        return "Nothing to fix."
    verb = "fixed" if written else "can be fixed"
    where = f" in {changed} file{'s' * (changed != 1)}" if changed else ""
    return f"{fixed} finding{'s' * (fixed != 1)} {verb}{where}, {declined} not."


# One file: what follows runs in worker processes too.


def _fix(job: _Job) -> _Outcome:
    from cleanroom.fix import fix
    from cleanroom.library import load_with
    from cleanroom.text import diff

    try:
        data = sys.stdin.buffer.read() if job.path == discover.STDIN else Path(job.path).read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        return _trouble(job, discover.describe(error))
    except UnicodeDecodeError as error:
        return _trouble(job, f"not UTF-8 text (line {error.object.count(10, 0, error.start) + 1}); convert it to UTF-8")
    settings = job.settings
    try:
        result = fix(
            text,
            library=load_with(settings.recipes),
            reader=file_reader(job.path, job.reader),
            target=settings.target or None,
            read_file=script_reader(job.context),
            select=settings.select,
            ignore=settings.ignore,
            prefer=settings.prefer,
            unsafe=job.unsafe,
        )
    except Exception as error:  # the other files are still worth mending
        message = f"internal error: {type(error).__name__}: {error}"
        if not job.verbose:
            return _trouble(job, f"{message}; run again with -v for the traceback")
        import traceback

        return _trouble(job, message, *traceback.format_exc().splitlines())
    remarks = [f"{job.path}:{item.line}:{item.column}: error: {item.message}" for item in result.errors]
    remarks += [f"{job.path}:{item.line}:{item.column}: bug: {item.message}" for item in result.problems]
    changes = result.text != text
    shown = ""
    if job.diff:
        shown = diff(text, result.text, "stdin" if job.path == discover.STDIN else job.path)
    elif job.path == discover.STDIN:
        shown = result.text if job.write else ""
    elif changes and job.write:
        try:
            _write(Path(job.path), data, result.text.encode())
        except (OSError, _ChangedError) as error:
            return _trouble(
                job, f"not written: {error if isinstance(error, _ChangedError) else discover.describe(error)}"
            )
    return _Outcome(
        shown,
        tuple(_lines(job, result)),
        tuple(remarks),
        len(result.fixed),
        len(result.declined),
        changes,
        in_trouble=bool(result.errors or result.problems),
    )


def _lines(job: _Job, result: Fixed) -> Iterator[str]:
    """Yield one line for each finding, in the order of their place; what is only for information, with -v alone."""
    done = "fixed" if job.write else "can be fixed"
    rows = [(finding, done, finding.fix.title if finding.fix else "") for finding in result.fixed] + [
        (item.finding, "not fixed", item.reason)
        for item in result.declined
        if job.verbose or item.finding.severity != "info"
    ]
    for finding, verdict, what in sorted(rows, key=lambda row: (row[0].line, row[0].column)):
        yield f"{job.path}:{finding.line}: {verdict}: {text_feed.name(finding)}: {what}"


class _ChangedError(Exception):
    """The file is not what it was when it was read."""


def _write(path: Path, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of ``before``, whole or not at all. Raises OSError, _ChangedError."""
    path = path.resolve()
    mode = path.stat().st_mode
    if not os.access(path, os.W_OK):
        raise _ChangedError("the file is read-only")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode & 0o7777)  # noqa: PTH101
        with contextlib.suppress(OSError, AttributeError):  # who may not give it away, keeps it
            os.chown(name, path.stat().st_uid, path.stat().st_gid)
        if path.read_bytes() != before:
            raise _ChangedError("the file changed while it was being mended; run again")
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _trouble(job: _Job, message: str, *details: str) -> _Outcome:
    return _Outcome(remarks=(f"{job.path}: error: {message}", *details), in_trouble=True)


def _lost(job: _Job) -> _Outcome:
    return _trouble(job, "the process that mended this file died")
