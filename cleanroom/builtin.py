"""What ships with cleanroom, as a plugin like any other: the first one. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from cleanroom.exports import Export
    from cleanroom.feeds import Feed
    from cleanroom.images.sources import Source
    from cleanroom.readers import Reader
    from cleanroom.rules import Rule


def cleanroom_recipes() -> Iterable[Path]:
    """Yield the folder of recipes."""
    from cleanroom.load import RECIPES

    yield RECIPES


def cleanroom_rules() -> Iterable[Rule]:
    """Yield the rules."""
    from cleanroom.rules import built_in

    return built_in()


def cleanroom_readers() -> Iterable[Reader]:
    """Yield the reader of Dockerfiles."""
    from cleanroom.readers import DOCKERFILE

    yield DOCKERFILE


def cleanroom_reports() -> Iterable[Feed]:
    """Yield the formats for findings."""
    from cleanroom.feeds import built_in

    return built_in()


def cleanroom_exports() -> Iterable[Export]:
    """Yield the forms of the recipes."""
    from cleanroom.exports import built_in

    return built_in()


def cleanroom_images() -> Iterable[Source]:
    """Yield the places that images come from."""
    from cleanroom.images.sources import built_in

    return built_in()


def cleanroom_commands() -> Iterable[click.Command]:
    """Yield nothing: the commands are loaded one by one, by their names, so that each starts fast."""
    return ()
