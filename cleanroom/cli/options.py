"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cleanroom.registries import FORMATS, READERS
from cleanroom.suggest import did_you_mean


def format_option(words: str) -> Callable[[Any], Any]:
    """Return the option ``--format``: text or another. ``words`` say what it does, with ``{}`` for the names."""
    return click.option(
        "--format",
        "form",
        default="text",
        metavar="FORMAT",
        callback=lambda _context, _option, name: known_format(name),
        help=f"{words.format(', '.join(('text', *FORMATS)))} [default: text]",
    )


def known_format(name: str) -> str:
    """Return the name of a format of findings. Raises BadParameter."""
    known = ("text", *FORMATS)
    if name not in known:
        raise click.BadParameter(f"no format {name!r}{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return name


target_option = click.option("--target", metavar="STAGE", help="The stage that is built, when it is not the last.")
exclude_option = click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Do not read these files and folders (as in .gitignore)."
)
context_option = click.option(
    "--context",
    metavar="DIR",
    help="The build context, where scripts that are copied are read. [default: the Dockerfile's folder]",
)
reader_option = click.option(
    "--reader",
    default="",
    metavar="NAME",
    callback=lambda _context, _option, name: _known_reader(name),
    help="What kind of file it is, whatever its name: dockerfile, or what a plugin adds.",
)


def _known_reader(name: str) -> str:
    if name and name not in READERS:
        raise click.BadParameter(f"no reader {name!r}{did_you_mean(name, READERS)} (there are: {', '.join(READERS)})")
    return name
