"""``cleanroom check``: findings in Dockerfiles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from cleanroom.cli import is_verbose, recipes_option, verbose_option
from cleanroom.cli.options import Given, file_options, format_option, known_format, selector_options
from cleanroom.lint.findings import SEVERITIES
from cleanroom.project import check
from cleanroom.project.exits import ERROR
from cleanroom.project.files import Found
from cleanroom.project.reading import STDIN


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@format_option("How to print findings: {}.")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    callback=lambda _context, _option, values: _outputs(values),
    help="Write findings in another format to a file, beside what is printed. May be repeated.",
)
@click.option("--statistics", is_flag=True, help="Print how many findings there are of each kind, in place of them.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary.")
@click.option("--write-baseline", metavar="FILE", help="Write what is found to FILE, for --baseline, and end.")
@click.option("--add-ignores", is_flag=True, help="Write comments into the files that ignore what is found, and end.")
@click.option("--reason", metavar="WORDS", help="With --add-ignores: why, for those who read the comments.")
@click.option("--fix", is_flag=True, help="First apply the fixes that cannot break a build, as the command fix does.")
@selector_options("Report")
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), help="The severity from which on to exit 1. [default: warning]"
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 also where there are findings.")
@file_options
@recipes_option
@verbose_option
def command(
    paths: tuple[str, ...],
    form: str,
    outputs: tuple[tuple[str, str], ...],
    statistics: bool,
    quiet: bool,
    fix: bool,
    fail_on: str | None,
    exit_zero: bool,
    **given: Any,
) -> int:
    """Find what package managers leave behind in the Dockerfiles at PATH: files, folders, or - for standard input.

    Exits 0 when there is nothing, 1 when there are findings, 2 when something could not be read. Options replace what
    the settings say: [tool.cleanroom] in pyproject.toml, or cleanroom.toml.
    """
    if given["add_ignores"] and (fix or given["write_baseline"]):
        raise click.UsageError("--add-ignores excludes --fix and --write-baseline")
    if given["reason"] is not None and not given["add_ignores"]:
        raise click.UsageError("--reason is for --add-ignores")
    asked = Given(given, fail_on=fail_on)
    if asked.shows(paths):
        return 0
    found = asked.find(paths)
    if given["add_ignores"]:
        return _add_ignores(found, asked.reader, _reason(given["reason"] or ""))
    if asked.writes_baseline:
        return _write_baseline(found, given["write_baseline"], asked.reader)
    wanted = check.Wanted(form, outputs, asked.reader, is_verbose(), quiet, exit_zero, statistics)
    is_fixed = _fix_first(found, wanted) if fix else True
    try:
        code = check.run(found, wanted)
    except check.OutputError as error:
        raise click.ClickException(str(error)) from None
    return code if is_fixed else ERROR


def _reason(words: str) -> str:
    """Return a reason as it can stand in a comment. Raises BadParameter."""
    if any(not char.isprintable() for char in words):
        raise click.BadParameter("--reason: one line, of letters that can be seen")
    return words.strip(" ,#:-")


def _add_ignores(found: Found, reader: str, reason: str) -> int:
    from cleanroom.project import ignoring
    from cleanroom.project.jobs import note

    for line in (*found.notes, *found.errors):
        note(line)
    count, failed = 0, bool(found.errors)
    for outcome in ignoring.run(found.files, reader, reason, verbose=is_verbose()):
        click.echo(outcome.text.encode("utf-8", "surrogateescape"), nl=False)
        for line in (*outcome.lines, *outcome.notes):
            note(line)
        count += outcome.hidden
        failed |= outcome.failed
    note(f"{count} finding{'s' * (count != 1)} ignored by comments.")
    return ERROR if failed else 0


def _write_baseline(found: Found, file: str, reader: str) -> int:
    from cleanroom.project import baseline
    from cleanroom.project.jobs import note

    checked, is_whole = check.collect(found, check.Wanted(reader=reader, verbose=is_verbose()))
    try:
        check.write(file, baseline.document(checked, file), "--write-baseline")
    except check.OutputError as error:
        raise click.ClickException(str(error)) from None
    count = sum(len(one.report.findings) for one in checked)
    note(f"{file}: {count} finding{'s' * (count != 1)}")
    return 0 if is_whole else ERROR


def _fix_first(found: Found, wanted: check.Wanted) -> bool:
    """Fix files that are checked afterwards, and say on standard error what was done; return whether all went well."""
    from cleanroom.project import fix
    from cleanroom.project.jobs import note

    if any(file.path == STDIN for file in found.files):
        raise click.UsageError("--fix writes to files; for standard input: cleanroom fix -")
    totals = fix.Totals()
    for outcome in fix.run(
        found.files, fix.Mode.WRITE_FIRST, reader=wanted.reader, unsafe=False, verbose=wanted.verbose
    ):
        for line in (*outcome.lines, *outcome.notes):
            note(line)
        totals.add(outcome)
    if totals.fixed and not wanted.quiet:
        note(f"{totals.summary('fixed')}.")
    return not totals.failed


def _outputs(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return each format and its file. Raises BadParameter also for a file that two would be written to."""
    found: list[tuple[str, str]] = []
    taken: dict[Path, str] = {}
    for form, file in map(_output, values):
        other = taken.setdefault(Path(file).resolve(), form)
        if other != form:
            raise click.BadParameter(f"both {other} and {form} would be written to {file}")
        found.append((form, file))
    return tuple(found)


def _output(value: str) -> tuple[str, str]:
    """Return the format and the file of ``FORMAT:FILE``. Raises BadParameter."""
    name, _, file = value.partition(":")
    if not file:
        raise click.BadParameter(f"{value!r} is not FORMAT:FILE, such as sarif:cleanroom.sarif")
    return known_format(name), file
