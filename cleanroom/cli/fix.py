"""``cleanroom fix``: fix Dockerfiles."""

from __future__ import annotations

from typing import Any

import click

from cleanroom.cli import is_verbose, recipes_option, verbose_option
from cleanroom.cli.options import Given, file_options, selector_options
from cleanroom.formats.values import printable
from cleanroom.project import fix
from cleanroom.project.exits import ERROR, FINDINGS
from cleanroom.project.files import Found
from cleanroom.project.fix import Mode
from cleanroom.project.jobs import note
from cleanroom.project.reading import STDIN
from cleanroom.project.settings import PREFERENCES


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--diff", "mode", flag_value="diff", help="Show what would change and write nothing.")
@click.option("--check", "mode", flag_value="check", help="Write nothing; exit 1 if something would change.")
@click.option("--unsafe", is_flag=True, help="Also apply the fixes that are right only if you agree.")
@click.option(
    "--prefer",
    type=click.Choice(PREFERENCES),
    help="The kind of remedy to take where there are several. [default: the recipe's first]",
)
@click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
@selector_options("Fix")
@file_options
@recipes_option
@verbose_option
def command(
    paths: tuple[str, ...], mode: str | None, unsafe: bool, prefer: str | None, quiet: bool, **given: Any
) -> int:
    """Fix the Dockerfiles at PATH: files, folders, or - for standard input, which goes fixed to standard output.

    Applies only fixes that cannot break a build; everything else stays as it is, to the byte. Says of each finding what
    was done, or why not. Exits 0, also when findings are left (check tells); 2 when something could not be read.
    """
    asked = Given(given, prefer=prefer)
    if asked.shows(paths):
        return 0
    found = asked.find(paths)
    for line in (*found.notes, *found.errors):
        note(line)
    chosen = Mode(mode or "write")
    totals = _run(found, chosen, asked.reader, unsafe=unsafe, quiet=quiet)
    if not quiet:
        _summarise(totals, chosen)
    if found.errors or totals.failed:
        return ERROR
    return FINDINGS if chosen is Mode.CHECK and totals.changed else 0


def _run(found: Found, mode: Mode, reader: str, *, unsafe: bool, quiet: bool) -> fix.Totals:
    """Fix the files, and say what came of each."""
    # What goes to standard output is the text or the diff; where there is none, what was done.
    is_taken = mode is Mode.DIFF or any(file.path == STDIN for file in found.files)
    totals = fix.Totals()
    for outcome in fix.run(found.files, mode, reader=reader, unsafe=unsafe, verbose=is_verbose()):
        click.echo(outcome.text.encode("utf-8", "surrogateescape"), nl=False)  # bytes, whatever the locale
        for line in () if quiet else outcome.lines:
            if is_taken:
                note(line)
            else:
                click.echo(printable(line))
        for line in outcome.notes:
            note(line)
        totals.add(outcome)
    return totals


def _summarise(totals: fix.Totals, mode: Mode) -> None:
    if totals.fixed or totals.declined:
        why = " (-v says why)" if totals.fixed + totals.declined > totals.said else ""
        note(f"{totals.summary('fixed' if mode is Mode.WRITE else 'can be fixed')}, {totals.declined} not{why}.")
    elif not totals.failed:
        note("Nothing to fix.")
