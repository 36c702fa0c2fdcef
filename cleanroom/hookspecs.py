"""What a plugin can add: functions of these names, in a module that an entry point of the group ``cleanroom`` names.

Each takes nothing and yields objects; mark it with ``@cleanroom.hookimpl``. What ships with cleanroom comes through
the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cleanroom.markers import hookspec

if TYPE_CHECKING:
    import click

    from cleanroom.commands import Command
    from cleanroom.exports import Export
    from cleanroom.feeds import Feed
    from cleanroom.images.sources import Source
    from cleanroom.readers import Reader
    from cleanroom.rules import Rule


@hookspec
def cleanroom_recipes() -> Iterable[str | os.PathLike[str]]:  # type: ignore[empty-body]
    """Yield recipe files, or folders of them: one YAML file a manager.

    A recipe is data: nothing of it is run. One that names ``replaces: ID`` stands in for that recipe.

    >>> from cleanroom import hookimpl
    >>> from pathlib import Path
    >>> @hookimpl
    ... def cleanroom_recipes():
    ...     yield Path(__file__).parent / "recipes"
    """


@hookspec
def cleanroom_rules() -> Iterable[Rule]:  # type: ignore[empty-body]
    """Yield rules: functions from the ledger, which knows what became of every fill, to findings.

    >>> from cleanroom import hookimpl
    >>> from cleanroom.rules import Rule
    >>> def find(ledger):
    ...     return iter(())
    >>> @hookimpl
    ... def cleanroom_rules():
    ...     yield Rule("no-curl", "curl is left in the image", "info", "Why, with a bad and a good example.", find)
    """


@hookspec
def cleanroom_readers() -> Iterable[Reader]:  # type: ignore[empty-body]
    """Yield readers: kinds of files that hold build steps, each read into the same instructions as a Dockerfile.

    >>> from cleanroom import hookimpl
    >>> from cleanroom.dockerfile import parse
    >>> from cleanroom.readers import Reader
    >>> @hookimpl
    ... def cleanroom_readers():
    ...     yield Reader("earthfile", "Earthfiles", ("Earthfile",), parse)
    """


@hookspec
def cleanroom_reports() -> Iterable[Feed]:  # type: ignore[empty-body]
    r"""Yield formats for findings, as ``check --format`` and ``--output`` take them.

    >>> from cleanroom import hookimpl
    >>> from cleanroom.feeds import Feed
    >>> def render(files):
    ...     for checked in files:
    ...         for finding in checked.report.findings:
    ...             yield f"{checked.path}\\t{finding.line}\\t{finding.rule}\\n"
    >>> @hookimpl
    ... def cleanroom_reports():
    ...     yield Feed("tsv", "tab-separated: path, line, rule", render)
    """


@hookspec
def cleanroom_exports() -> Iterable[Export]:  # type: ignore[empty-body]
    r"""Yield forms of the recipes, as ``export`` takes them: texts by their relative paths.

    >>> from cleanroom import hookimpl
    >>> from cleanroom.exports import Export
    >>> def render(library):
    ...     return {"managers.txt": "".join(f"{recipe.id}\\n" for recipe in library.recipes())}
    >>> @hookimpl
    ... def cleanroom_exports():
    ...     yield Export("names", "the ids, one a line", render)
    """


@hookspec
def cleanroom_images() -> Iterable[Source]:  # type: ignore[empty-body]
    """Yield places that images come from, which ``audit`` asks before its own.

    >>> from cleanroom import hookimpl
    >>> from cleanroom.images.layout import image
    >>> from cleanroom.images.files import FolderFiles
    >>> from cleanroom.images.sources import Source
    >>> def find(stack, reference, platform, limits):
    ...     if reference.startswith("shelf:"):
    ...         return image(FolderFiles(f"/srv/shelf/{reference[6:]}"), reference, limits, platform=platform)
    >>> @hookimpl
    ... def cleanroom_images():
    ...     yield Source("shelf", find)
    """


@hookspec
def cleanroom_commands() -> Iterable[click.Command | Command]:  # type: ignore[empty-body]
    """Yield click commands, which stand beside ``check`` and the others.

    >>> from cleanroom import hookimpl
    >>> import click
    >>> @click.command("hello")
    ... def hello():
    ...     click.echo("hello")
    >>> @hookimpl
    ... def cleanroom_commands():
    ...     yield hello
    """
