"""``cleanroom survey``: many Dockerfiles, as tables and as a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cleanroom.cli import Group, lookup, recipes_option, verbose_option
from cleanroom.project.exits import ERROR

if TYPE_CHECKING:
    from cleanroom_survey.examine import Examined
    from cleanroom_survey.run import Crew, Totals
    from cleanroom_survey.sources import Source


class _Survey(Group):
    """A group whose command ``run`` need not be named: ``cleanroom survey SOURCE…``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name ``run`` where no command is named. A source called ``report`` is ``./report``."""
        if args and args[0] not in (*self.commands, "--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Survey)
def command() -> None:
    """Follow many Dockerfiles and keep what is found as tables; report on them.

    `cleanroom survey SOURCE… -o OUT` fills OUT (it is short for `survey run`), `cleanroom survey report OUT` writes
    pages about it.
    """


@command.command("run")
@click.argument("names", nargs=-1, required=True, metavar="SOURCE…")
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="The folder for the tables; one begun before goes on."
)
@click.option(
    "--content", default="content", show_default=True, metavar="COLUMN", help="Of tables: the column with the texts."
)
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="Of tables: a column to keep. May be repeated.")
@click.option(
    "--name",
    "globs",
    multiple=True,
    metavar="GLOB",
    help="File names that are Dockerfiles, in place of the usual ones.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=None, metavar="N", help="Processes on this machine. [default: one a core]"
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Work on the Dask cluster whose scheduler listens there (tcp://…)."
)
@recipes_option
@verbose_option
def run(
    names: tuple[str, ...],
    output: str,
    content: str,
    keys: tuple[str, ...],
    globs: tuple[str, ...],
    jobs: int | None,
    scheduler: str | None,
) -> int:
    """Follow every Dockerfile in SOURCE: folders, git repositories (git:PATH), archives, tables (Parquet, JSON lines).

    Archives and tables may be URLs. The same content is followed once. A run that was interrupted, or one with more
    sources, does only what is not done yet. Exits 0, or 2 when a source could not be read to its end.
    """
    from cleanroom_survey.examine import examine
    from cleanroom_survey.run import survey
    from cleanroom_survey.sources import SourceError, open_source
    from cleanroom_survey.store import Store, StoreError

    try:
        say = partial(click.echo, err=True)
        sources = [open_source(name, content=content, keys=keys, names=globs, passed_over=say) for name in names]
        with closing(Store(Path(output), lookup.library())) as store:
            crew = _crew(jobs, scheduler, partial(examine, recipes=lookup.folders()))
            try:
                totals = survey(sources, store, crew, _Progress(sources))
            except KeyboardInterrupt:
                click.echo(
                    f"\nInterrupted; what is done is kept in {output}. The same command goes on from there.", err=True
                )
                raise
            finally:
                crew.dismiss()
    except (SourceError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    for source, path in totals.set_aside:
        click.echo(f"{source}: {path}: a worker process died on it twice; set aside", err=True)
    click.echo(
        f"{totals.places:,} Dockerfiles met, {totals.new:,} contents followed; see: cleanroom survey report {output}",
        err=True,
    )
    return ERROR if totals.set_aside else 0


@command.command("report")
@click.argument("folder", metavar="OUT")
@click.option("-o", "--output", metavar="DIR", help="Where to write report.html and report.md. [default: OUT]")
@verbose_option
def report(folder: str, output: str | None) -> None:
    """Write report.html and report.md about the tables in OUT."""
    from cleanroom_survey.report import ReportError, write

    try:
        for file in write(Path(folder), Path(output or folder)):
            click.echo(file)
    except ReportError as error:
        raise click.ClickException(str(error)) from None


def _crew(jobs: int | None, scheduler: str | None, work: Callable[[Any], Examined]) -> Crew:
    from cleanroom_survey.run import cluster, local

    if scheduler is None:
        return local(jobs or os.cpu_count() or 1, work)
    if jobs is not None:
        raise click.UsageError("--jobs and --scheduler exclude each other")
    try:
        return cluster(scheduler, work)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--scheduler: no Dask scheduler answers at {scheduler}: {error}") from None


class _Progress:
    """A bar on stderr with the rate and the time left, where someone watches."""

    def __init__(self, sources: list[Source]) -> None:
        from tqdm import tqdm

        lengths = [source.length for source in sources]
        total = None if None in lengths else sum(length or 0 for length in lengths)
        self._bar = tqdm(total=total, unit=" files", file=sys.stderr, disable=not sys.stderr.isatty(), mininterval=0.5)
        self._shown = 0

    def __call__(self, totals: Totals) -> None:
        self._bar.update(totals.places - self._shown)
        self._shown = totals.places
        self._bar.set_postfix_str(f"{totals.new:,} contents followed", refresh=False)
