"""``cleanroom export``: the recipes, for other tools and for readers."""

from __future__ import annotations

from pathlib import Path

import click

from cleanroom.cli import lookup, recipes_option, verbose_option
from cleanroom.formats.pages import ExtraMissingError
from cleanroom.registries import EXPORTS
from cleanroom.suggest import did_you_mean


@click.command()
@click.argument("form", metavar="FORMAT", required=False)
@click.option("-o", "--output", metavar="DIR", help="The folder to write to; needed where there are several files.")
@click.option("--list", "is_list", is_flag=True, help="Name the formats.")
@recipes_option
@verbose_option
def command(form: str | None, output: str | None, is_list: bool) -> None:
    """Write all recipes in FORMAT: to DIR, or to standard output where it is one file."""
    if is_list:
        width = max(map(len, EXPORTS))
        for export in EXPORTS.values():
            click.echo(f"{export.name:{width}}  {export.summary}")
        return
    if form is None:
        raise click.UsageError(f"name a FORMAT: {', '.join(EXPORTS)}")
    if form not in EXPORTS:
        raise click.UsageError(f"no format {form!r}{did_you_mean(form, EXPORTS)} (there are: {', '.join(EXPORTS)})")

    try:
        files = EXPORTS[form].render(lookup.library())
    except ExtraMissingError as error:
        raise click.ClickException(str(error)) from None
    if output is None:
        if len(files) > 1:
            raise click.UsageError(f"{form} is {len(files)} files; name a folder for them with -o DIR")
        click.echo("".join(files.values()), nl=False)
        return
    from cleanroom.project.discover import describe
    from cleanroom.project.write import write_into

    try:
        write_into(Path(output), files)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {describe(error)}") from None
    click.echo(f"{len(files)} file{'s' * (len(files) != 1)} in {output}", err=True)
