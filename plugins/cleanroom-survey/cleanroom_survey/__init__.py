"""Many Dockerfiles, one answer: who leaves what behind, as tables and as a report.

``examine`` is the work (one pure call over a table), ``sources`` says where Dockerfiles come from, ``store`` keeps the
results, ``run`` brings them together on one machine or a cluster, ``report`` reads the results, ``cli`` is the command.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cleanroom import hookimpl
from cleanroom.plugins.command import Command

if TYPE_CHECKING:
    import click


def _load() -> click.Command:
    from cleanroom_survey.cli import command  # what it imports takes a while

    return command


@hookimpl
def cleanroom_commands() -> Iterator[Command]:
    """Yield ``cleanroom survey``."""
    yield Command("survey", "Survey many Dockerfiles, as tables and a report.", _load)
