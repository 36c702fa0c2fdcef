"""``cleanroom list``: the managers."""

from __future__ import annotations

import click

from cleanroom.cli import lookup, recipes_option, verbose_option


@click.command()
@recipes_option
@verbose_option
def command() -> None:
    """List the package managers there are recipes for; beside those that do not ship, where they are from."""
    library = lookup.library()
    recipes = library.recipes()
    width = max((len(recipe.id) for recipe in recipes), default=0)
    for recipe in recipes:
        also = f" (also: {', '.join(recipe.aliases)})" if recipe.aliases else ""
        provider = library.provider(recipe.id)
        source = "" if provider == "built-in" else f"  [{provider}]"
        click.echo(f"{recipe.id:<{width}}  {recipe.summary}{also}{source}")
