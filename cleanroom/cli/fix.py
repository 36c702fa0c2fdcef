"""``cleanroom fix``: mend Dockerfiles."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from cleanroom.cli import given_recipes, is_verbose, recipes_option, verbose_option
from cleanroom.cli.check import find
from cleanroom.cli.options import context_option, exclude_option, reader_option, target_option
from cleanroom.formats.findings import text as text_feed
from cleanroom.lint.findings import Fixed
from cleanroom.project import batch, discover
from cleanroom.project.check import arguments, internal_error, remark
from cleanroom.project.exits import FINDINGS, TROUBLE
from cleanroom.project.settings import PREFERENCES, Settings
from cleanroom.project.write import write_atomically

if TYPE_CHECKING:
    from cleanroom.project.check import Found


class _Job(Struct, frozen=True):
    """One file to mend, and how. ``mode`` is ``write``, ``diff`` or ``check``."""

    path: str
    settings: Settings
    context: str | None
    reader: str
    write: bool
    diff: bool
    unsafe: bool
    verbose: bool
    then_check: bool = False  # what cannot be read or is not fixed is said after this


class _Outcome(Struct, frozen=True):
    """What came of one file. ``text`` is the diff, or what standard input became."""

    text: str = ""
    lines: tuple[str, ...] = ()  # what was fixed and what was not
    remarks: tuple[str, ...] = ()
    fixed: int = 0
    declined: int = 0
    changes: bool = False
    in_trouble: bool = False


@click.command()
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
@target_option
@exclude_option
@context_option
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
    total = _run(jobs, report_on_stderr=diff or discover.STDIN in [job.path for job in jobs])
    if not total.fixed and not total.declined:
        click.echo("Nothing to fix.", err=True)
    else:
        why = " (-v says why)" if total.fixed + total.declined > total.said else ""
        done = total.what_was("can be fixed" if diff or check else "fixed")
        click.echo(f"{done}, {total.declined} not{why}.", err=True)
    if in_trouble or total.in_trouble:
        return TROUBLE
    return FINDINGS if check and total.changed else 0


def mend(files: Iterable[Found], reader: str) -> bool:
    """Mend files that are checked afterwards, and say on standard error what was done; return whether all went well.

    ``reader`` is as in ``checking.run``.
    """
    jobs = [
        _Job(file, settings, folder, reader, True, False, False, is_verbose(), then_check=True)
        for file, settings, folder in files
    ]
    total = _run(jobs, report_on_stderr=True)
    if total.fixed:
        click.echo(f"{total.what_was('fixed')}.", err=True)
    return not total.in_trouble


class _Total(Struct):
    """What adds up over all files."""

    fixed: int = 0
    declined: int = 0
    said: int = 0  # of both
    changed: int = 0  # files
    in_trouble: bool = False

    def what_was(self, done: str) -> str:
        where = f" in {self.changed} file{'s' * (self.changed != 1)}" if self.changed else ""
        return f"{self.fixed} finding{'s' * (self.fixed != 1)} {done}{where}"


def _run(jobs: Sequence[_Job], *, report_on_stderr: bool) -> _Total:
    """Do the jobs, and say what came of each."""
    total = _Total()
    for outcome in batch.run(_fix, jobs, _lost):
        click.echo(outcome.text, nl=False)
        sys.stdout.flush()
        for line in outcome.lines:
            click.echo(text_feed.printable(line), err=report_on_stderr)
        for line in outcome.remarks:
            remark(line)
        total.fixed += outcome.fixed
        total.declined += outcome.declined
        total.said += len(outcome.lines)
        total.changed += outcome.changes
        total.in_trouble |= outcome.in_trouble
    sys.stdout.flush()
    return total


# One file: what follows runs in worker processes too.


def _fix(job: _Job) -> _Outcome:
    from cleanroom.api import fix
    from cleanroom.syntax.text import diff

    try:
        data = discover.read_bytes(job.path)
        text = discover.decode(data)
    except discover.ReadError as error:
        return _Outcome(in_trouble=True) if job.then_check else _trouble(job, str(error))
    try:
        result = fix(text, unsafe=job.unsafe, **arguments(job.path, job.settings, job.context, job.reader))
    except Exception as error:  # the other files are still worth mending
        return _trouble(job, *internal_error(error, verbose=job.verbose))
    errors = () if job.then_check else result.errors
    remarks = [f"{job.path}:{item.line}:{item.column}: error: {item.message}" for item in errors]
    remarks += [f"{job.path}:{item.line}:{item.column}: bug: {item.message}" for item in result.problems]
    changes = result.text != text
    shown = ""
    if job.diff:
        shown = diff(text, result.text, "stdin" if job.path == discover.STDIN else job.path)
    elif job.path == discover.STDIN:
        shown = result.text if job.write else ""
    elif changes and job.write:
        try:
            write_atomically(Path(job.path), result.text, over=data)
        except OSError as error:
            return _trouble(job, f"not written: {discover.describe(error)}")
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
        for item in (() if job.then_check else result.declined)
        if job.verbose or item.finding.severity != "info"
    ]
    for finding, verdict, what in sorted(rows, key=lambda row: (row[0].line, row[0].column)):
        yield f"{job.path}:{finding.line}: {verdict}: {finding.label}: {what}"


def _trouble(job: _Job, message: str, *details: str) -> _Outcome:
    return _Outcome(remarks=(f"{job.path}: error: {message}", *details), in_trouble=True)


def _lost(job: _Job) -> _Outcome:
    return _trouble(job, "the process that mended this file died")
