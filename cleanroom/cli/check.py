"""``cleanroom check``: findings in Dockerfiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from cleanroom.cli import given_recipes, is_verbose, recipes_option, verbose_option
from cleanroom.cli.lookup import usage_errors
from cleanroom.cli.options import (
    context_option,
    exclude_option,
    format_option,
    known_format,
    reader_option,
    target_option,
)
from cleanroom.lint.findings import SEVERITIES
from cleanroom.project import check
from cleanroom.project.discover import STDIN
from cleanroom.project.exits import TROUBLE
from cleanroom.project.settings import SettingsError


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@format_option("How to print findings: {}.")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    callback=lambda _context, _option, values: _outputs(values),
    help="Write findings in another format to a file, beside what is printed. May be repeated.",
)
@click.option("--fix", is_flag=True, help="First mend what no build can break by, as the command fix does.")
@click.option(
    "--select",
    multiple=True,
    metavar="RULE",
    help="Report these rules: left-behind, left-behind[apt], left-behind[apt.lists].",
)
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not report these.")
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), help="The severity from which on to exit 1. [default: warning]"
)
@target_option
@exclude_option
@context_option
@reader_option
@recipes_option
@verbose_option
def command(
    paths: tuple[str, ...],
    form: str,
    outputs: tuple[tuple[str, str], ...],
    fix: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    target: str | None,
    exclude: tuple[str, ...],
    context: str | None,
    reader: str,
) -> int:
    """Find what package managers leave behind in the Dockerfiles at PATH: files, folders, or - for standard input.

    Exits 0 when there is nothing, 1 when there are findings, 2 when something could not be read. Options replace what
    [tool.cleanroom] in pyproject.toml, or cleanroom.toml, says.
    """
    flags = {"select": select, "ignore": ignore, "fail_on": fail_on, "target": target}
    flags["recipes"] = given_recipes()
    given = {name: value for name, value in flags.items() if value}
    found, remarks = find(paths, exclude, given, context)
    is_mended = True
    if fix:
        from cleanroom.cli.fix import mend

        if any(file == STDIN for file, *_ in found):
            raise click.UsageError("--fix writes to files; for standard input: cleanroom fix -")
        is_mended = mend(found, reader)
    try:
        code = check.run(found, remarks, form, outputs, reader=reader, verbose=is_verbose())
    except check.OutputError as error:
        raise click.ClickException(str(error)) from None
    return code if is_mended else TROUBLE


def find(
    paths: tuple[str, ...], exclude: tuple[str, ...], given: Mapping[str, Any], context: str | None
) -> tuple[list[check.Found], list[str]]:
    """Return what ``check.find`` returns. Raises click's errors."""
    if context is not None and not Path(context).is_dir():
        raise click.UsageError(f"--context: {context!r} is no folder")
    from cleanroom.recipes.model import RecipeError

    try:
        with usage_errors():
            return check.find(paths, exclude, given, context)
    except (SettingsError, RecipeError) as error:
        raise click.ClickException(str(error)) from None


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
