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
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import Recipe


def folders() -> tuple[str, ...]:
    """Return the folders of recipes that --recipes names, or else the settings in force here; whole paths."""
    from cleanroom.project.settings import SettingsError, recipes_for

    try:
        return tuple(map(os.path.abspath, given_recipes() or recipes_for("")))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def library() -> Library:
    """Return the library with these recipes."""
    from cleanroom.recipes.model import RecipeError

    try:
        return registries.library(*(given_recipes() or folders()))
    except RecipeError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn an unknown name into a usage error."""
    try:
        yield
    except names.UnknownName as error:
        raise click.UsageError(str(error)) from None


def manager(library: Library, name: str) -> Recipe:
    """Return the recipe of the manager called ``name``. Raises UsageError."""
    with usage_errors():
        return names.find_recipe(library, name)


def rule(name: str) -> Rule:
    """Return the rule called ``name``, which may come with a finding's ``[manager.cache]``. Raises UsageError."""
    with usage_errors():
        return names.rule(name)
