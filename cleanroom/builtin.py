"""What ships with cleanroom, as a plugin like any other: the first one. Nothing is imported before it is asked for.

The commands are told by ``cleanroom.cli``, which stands above this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.formats.findings import Format
    from cleanroom.formats.recipes import Export
    from cleanroom.images.sources import ImageSource
    from cleanroom.lint.rules import Rule
    from cleanroom.syntax.readers import Reader


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


def cleanroom_reports() -> Iterator[Format]:
    """Yield the formats for findings."""
    from cleanroom.formats.findings import built_in

    yield from built_in()


def cleanroom_exports() -> Iterator[Export]:
    """Yield the forms of the recipes."""
    from cleanroom.formats.recipes import built_in

    yield from built_in()


def cleanroom_images() -> Iterator[ImageSource]:
    """Yield the places that images come from."""
    from cleanroom.images.sources import built_in

    yield from built_in()
