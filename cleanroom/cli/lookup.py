"""Names that people give: what is unknown is a usage error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cleanroom import registries
from cleanroom.cli import given_recipes
from cleanroom.project import names

if TYPE_CHECKING:
    from cleanroom.lint.rules import Rule
    from cleanroom.project.settings import Settings
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import Recipe


def folders() -> tuple[str, ...]:
    """Return the folders of recipes that --recipes names, or else the settings in force here; whole paths."""
    library()
    return tuple(map(os.path.abspath, given_recipes() or _settings().recipes))


def library() -> Library:
    """Return the library with the recipes that --recipes names, or else the settings in force here."""
    with usage_errors():
        if given_recipes():
            return given_library()
        settings = _settings()
        if not settings.recipes:
            return registries.library()
        from cleanroom.project.files import announcement, stranger_library

        click.echo(announcement(settings), err=True)
        return stranger_library(settings)


def given_library() -> Library:
    """Return the library with the recipes that --recipes names, and no others but those that ship and of plugins."""
    with usage_errors():
        return registries.library(*given_recipes())


def _settings() -> Settings:
    from cleanroom.project.settings import find

    return find("")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn an unknown name into a usage error, and what is wrong with settings and recipes into an error."""
    from cleanroom.project.settings import SettingsError
    from cleanroom.recipes.model import RecipeError

    try:
        yield
    except names.UnknownName as error:
        raise click.UsageError(str(error)) from None
    except (SettingsError, RecipeError) as error:
        raise click.ClickException(str(error)) from None


def manager(library: Library, name: str) -> Recipe:
    """Return the recipe of the manager called ``name``. Raises UsageError."""
    with usage_errors():
        return names.find_recipe(library, name)


def rule(name: str) -> Rule:
    """Return the rule called ``name``, which may come with a finding's ``[manager.cache]``. Raises UsageError."""
    with usage_errors():
        return names.rule(name)
