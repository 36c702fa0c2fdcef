"""``cleanroom query``: the command, on one line, fit for ``$(…)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cleanroom.cli import lookup, recipes_option, verbose_option

if TYPE_CHECKING:
    from cleanroom.recipes.model import Recipe, Remedy


@click.command()
@click.argument("manager")
@click.option("--cache", default="", metavar="ID", help="Only this cache of the manager, such as `lists` of apt.")
@click.option(
    "--prefer",
    type=click.Choice(("clean", "prevent", "mount")),
    default="clean",
    show_default=True,
    help="A command that cleans up, an option or variable that prevents, or a cache mount.",
)
@click.option(
    "--base", default="", metavar="IMAGE", help="The image to build on. [default: the manager's official one]"
)
@click.option("--user", default="", metavar="NAME", help="The user who installs. [default: the image's own]")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print the answer.")
@recipes_option
@verbose_option
def command(manager: str, cache: str, prefer: str, base: str, user: str, form: str) -> None:
    """Print the command that keeps out of an image what MANAGER leaves behind.

    \b
    RUN apt-get update && apt-get install -y curl && $(cleanroom query apt)
    """  # noqa: D301 - the character itself, for click
    from cleanroom.recipes.query import NoRemedy, query

    library = lookup.given_library()  # no settings: what is printed is run
    recipe = lookup.manager(library, manager)
    try:
        answer = query(recipe, library, prefer=prefer, cache=cache, base=base, user=user)
    except NoRemedy as error:
        raise click.UsageError(str(error)) from None
    if form == "json":
        import json

        from cleanroom.recipes.plain import plain

        data = plain(answer)
        assert isinstance(data, dict)
        del data["remedy"]
        click.echo(json.dumps({**data, "proof": _proof(recipe, answer.remedy)}, indent=1))
    else:
        click.echo(answer.text)
        for note in answer.notes():
            click.echo(note, err=True)


def _proof(recipe: Recipe, remedy: Remedy) -> dict[str, object]:
    """Return what was measured of a remedy: its verdict, and the bytes that its caches hold without it and with it."""
    from cleanroom.recipes import measurements

    found = measurements.by_remedy(recipe)[recipe.remedies.index(remedy)]
    if found is None:
        return {"verdict": "not yet proved"}
    measured, item = found
    size = {"before": measurements.before(measured, item), "left": sum(measured.left.values())}
    told: dict[str, object] = {
        "verdict": measured.verdict,
        "bytes": size,
        "base": item.base,
        "version": item.version,
        "date": item.date,
    }
    return {**told, "reason": measured.reason} if measured.reason else told
