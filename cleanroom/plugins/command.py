"""A command of the command line that is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    import click


class Command(Struct, frozen=True):
    """A command, by its ``name`` after ``cleanroom``; ``load`` imports it."""

    name: str
    summary: str  # one line, for the list of commands
    load: Callable[[], click.Command]
