"""What ships with cleanroom, as a plugin like any other: the first one. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from cleanroom.formats.findings import Feed
    from cleanroom.formats.recipes import Export
    from cleanroom.images.sources import Source
    from cleanroom.lint.rules import Rule
    from cleanroom.plugins.command import Command
    from cleanroom.syntax.readers import Reader

# In the order in which someone new meets them; a module called list would hide the builtin in the others.
_COMMANDS = {
    "check": ("check", "Find what package managers leave behind."),
    "fix": ("fix", "Mend what check finds."),
    "query": ("query", "Print the command that keeps it out."),
    "list": ("listing", "List the package managers."),
    "show": ("show", "Show all that is known about a manager."),
    "audit": ("audit", "Show what an image really carries."),
    "explain": ("explain", "Explain a rule."),
    "enrich": ("enrich", "Add to another linter's report what cleanroom knows."),
    "recipes": ("recipes", "Begin, validate and format recipes, check their links."),
    "prove": ("prove", "Measure recipes in real builds."),
    "export": ("export", "Write the recipes for other tools, or as pages."),
    "plugins": ("plugins", "List the plugins, or begin one."),
}


def cleanroom_recipes() -> Iterator[str]:
    """Yield the folder of recipes."""
    from cleanroom.recipes.model import FOLDER

    yield FOLDER


def cleanroom_rules() -> Iterator[Rule]:
    """Yield the rules."""
    from cleanroom.lint.rules import built_in

    yield from built_in()


def cleanroom_readers() -> Iterator[Reader]:
    """Yield the reader of Dockerfiles."""
    from cleanroom.syntax.readers import DOCKERFILE

    yield DOCKERFILE


def cleanroom_reports() -> Iterator[Feed]:
    """Yield the formats for findings."""
    from cleanroom.formats.findings import built_in

    yield from built_in()


def cleanroom_exports() -> Iterator[Export]:
    """Yield the forms of the recipes."""
    from cleanroom.formats.recipes import built_in

    yield from built_in()


def cleanroom_images() -> Iterator[Source]:
    """Yield the places that images come from."""
    from cleanroom.images.sources import built_in

    yield from built_in()


def cleanroom_commands() -> Iterator[Command]:
    """Yield the commands."""
    from cleanroom.plugins.command import Command

    for name, (module, summary) in _COMMANDS.items():
        yield Command(name, summary, partial(_load, module))


def _load(module: str) -> click.Command:
    command: click.Command = import_module(f"cleanroom.cli.{module}").command
    return command
