"""A command of the command line that is imported when it is called."""

from __future__ import annotations

from cleanroom.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    import click


@dataclass(frozen=True, slots=True)
class Command:
    """A command, by its ``name`` after ``cleanroom``; ``load`` imports it."""

    name: str
    summary: str  # one line, for the list of commands
    load: Callable[[], click.Command]
