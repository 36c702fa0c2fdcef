"""``cleanroom list``: the managers."""

from __future__ import annotations

import click

from cleanroom.cli import verbose_option


@click.command(short_help="List the package managers.")
@verbose_option
def command() -> None:
    """List the package managers there are recipes for."""
    from cleanroom.library import load

    recipes = load().recipes()
    width = max((len(recipe.id) for recipe in recipes), default=0)
    for recipe in recipes:
        also = f" (also: {', '.join(recipe.aliases)})" if recipe.aliases else ""
        click.echo(f"{recipe.id:<{width}}  {recipe.summary}{also}")
