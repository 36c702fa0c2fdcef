"""``cleanroom settings``: what a settings file may say."""

from __future__ import annotations

import click

from cleanroom.cli import verbose_option


@click.command()
@click.option(
    "--format", "form", type=click.Choice(("text", "schema")), default="text", help="The reference, or a JSON Schema."
)
@verbose_option
def command(form: str) -> None:
    """Print every setting, with what it does, as a settings file that may be copied.

    Which settings are in force, `cleanroom check --show-settings PATH` prints.
    """
    import json

    from cleanroom.project import settings_reference

    if form == "schema":
        click.echo(json.dumps(settings_reference.schema(), indent=2))
    else:
        click.echo(settings_reference.reference(), nl=False)
