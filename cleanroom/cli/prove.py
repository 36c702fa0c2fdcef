"""``cleanroom prove``: recipes, measured in real builds."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cleanroom.cli import is_verbose, lookup, recipes_option, verbose_option
from cleanroom.project.exits import ERROR, FINDINGS

if TYPE_CHECKING:
    from cleanroom.proofs.run import Workshop
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.measurements import Proved
    from cleanroom.recipes.model import Proof, Recipe


@click.command()
@click.argument("managers", nargs=-1, metavar="[MANAGER…]")
@click.option(
    "--engine",
    type=click.Choice(("buildah", "podman", "docker")),
    help="What builds. [default: what is here]",
)
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="NAME=PLACE",
    help="Where a base image is: debian:12-slim=oci:FOLDER, or what else the engine takes. May be repeated.",
)
@click.option(
    "--given-bases", is_flag=True, help="Only proofs on a base that --base names; no registry of images is asked."
)
@click.option("--record", is_flag=True, help="Write what was measured into proofs/ beside the recipes.")
@click.option(
    "--time-limit",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="For each build.",
)
@click.option(
    "--folder", default="", metavar="DIR", help="Where the images lie meanwhile. [default: /srv, else /var/tmp]"
)
@click.option(
    "--certificates",
    metavar="FILE",
    help="Certificates that the clients in the builds trust. [default: what SSL_CERT_FILE names]",
)
@click.option("--quick", is_flag=True, help="Only the remedies and hazards, not the lines that show what is read how.")
@click.option(
    "--coverage", is_flag=True, help="Build nothing: say what is measured of what the recipes say, and what not."
)
@click.option("--find-fills", is_flag=True, help="Show where the files of the installs land, and those of each --run.")
@click.option(
    "--run", "lines", multiple=True, metavar="LINE", help="With --find-fills: a line in place of the installs."
)
@click.option("--only", default="", metavar="ID", help="Only the proof with this id, or on this base.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print it.")
@recipes_option
@verbose_option
def command(
    managers: tuple[str, ...],
    engine: str | None,
    bases: tuple[str, ...],
    given_bases: bool,
    record: bool,
    time_limit: int,
    folder: str,
    certificates: str | None,
    quick: bool,
    coverage: bool,
    find_fills: bool,
    lines: tuple[str, ...],
    only: str,
    form: str,
) -> int:
    """Prove what the recipes say: build with the real MANAGER, without a remedy and with each, and measure the images.

    A remedy is proved when the caches hold bytes without it and none with it, nothing else is gone, what was installed
    works, and so does a second install. All commands run in the containers of the engine, none on this machine.

    Exits 0 when all is proved, 1 when something is not, 2 when a proof could not be run.
    """
    from cleanroom.proofs import engines
    from cleanroom.proofs.run import Workshop

    library = lookup.library()
    if lines and not find_fills:
        raise click.UsageError("--run goes with --find-fills")
    if coverage:
        return _cover([lookup.manager(library, name) for name in managers] or library.recipes(), library, form)
    recipes = [lookup.manager(library, name) for name in managers] or [item for item in library.recipes() if item.proof]
    for recipe in recipes:
        if not recipe.proof:
            raise click.UsageError(f"the recipe of {recipe.id} has no proof to run; {recipe.origin} can have one")
    given = dict(_pair(text) for text in bases)

    def is_chosen(proof: Proof) -> bool:
        return (not only or only in (proof.id, proof.base)) and (not given_bases or proof.base in given)

    chosen = [(recipe, proofs) for recipe in recipes if (proofs := list(filter(is_chosen, recipe.proof)))]
    if not chosen:
        raise click.UsageError("there is no such proof: see --only and --given-bases, and the recipes' field proof")
    trusted = os.environ.get("SSL_CERT_FILE", "") if certificates is None else certificates
    if trusted and not Path(trusted).is_file():
        raise click.UsageError(f"--certificates: {trusted}: there is no such file")
    try:
        with _terminated(), engines.opened(engines.choose(engine or ""), folder, time_limit) as opened:
            workshop = Workshop(opened, library, given, trusted, _progress, quick)
            if find_fills:
                return _find_fills(chosen, workshop, lines)
            return _prove(chosen, workshop, form, record=record)
    except engines.EngineError as error:
        raise click.ClickException(str(error)) from None


def _cover(recipes: Sequence[Recipe], library: Library, form: str) -> int:
    """Say what is measured: of each manager that was named, or of all together."""
    from cleanroom.proofs import report
    from cleanroom.proofs.coverage import counts, facts

    found = {recipe.id: list(facts(recipe, library)) for recipe in recipes}
    if form == "json":
        import json

        click.echo(json.dumps({manager: counts(known) for manager, known in found.items()}, indent=1))
        return 0
    for manager, known in found.items():
        lines = report.coverage(manager, known)
        for line in lines if len(found) == 1 or is_verbose() else [next(lines)]:
            click.echo(line)
    if len(found) > 1:
        click.echo(next(report.coverage("all", [fact for known in found.values() for fact in known])))
    return 0


def _find_fills(chosen: Sequence[tuple[Recipe, Sequence[Proof]]], workshop: Workshop, lines: Sequence[str]) -> int:
    """Show where files land. Returns ERROR when something could not be built."""
    from cleanroom.proofs import report
    from cleanroom.proofs.run import ProofError, find_fills

    code = 0
    for recipe, proofs in chosen:
        for proof in proofs:
            click.echo(f"{recipe.id} on {proof.base}:")
            try:
                for found in find_fills(recipe, proof, workshop, lines or (proof.install, *proof.cases)):
                    click.echo("\n".join(report.landed(found)))
            except ProofError as error:
                click.echo(f"{recipe.id} on {proof.base}: could not be run: {error}", err=True)
                code = ERROR
    return code


def _prove(chosen: Sequence[tuple[Recipe, Sequence[Proof]]], workshop: Workshop, form: str, *, record: bool) -> int:
    from cleanroom.proofs.report import lines
    from cleanroom.proofs.run import ProofError, prove
    from cleanroom.recipes import measurements

    code = 0
    documents = []
    for recipe, proofs in chosen:
        found: list[Proved] = []
        for proof in proofs:
            try:
                item = prove(recipe, proof, workshop)
            except ProofError as error:
                if is_verbose() and error.__cause__ is not None:
                    click.echo(str(error.__cause__), err=True)
                click.echo(f"{recipe.id} on {proof.base}: could not be run: {error}", err=True)
                code = ERROR
                continue
            found.append(item)
            if form == "text":
                for line in lines(recipe.id, item):
                    click.echo(line)
            if not _holds(item):
                code = code or FINDINGS
        if found and record:
            _record(recipe, found)
        documents.append(measurements.Record(manager=recipe.id, proofs=tuple(found)))
    if form == "json":
        import json

        click.echo(json.dumps([json.loads(measurements.document(item)) for item in documents], indent=1))
    return code


def _holds(found: Proved) -> bool:
    verdicts = [item.verdict for item in found.remedies] + [item.verdict for item in found.hazards]
    return all(verdict == "proved" for verdict in [*verdicts, *(item.verdict for item in found.cases)])


def _record(recipe: Recipe, found: list[Proved]) -> None:
    """Write what was found; what was recorded of other proofs of the recipe stays."""
    from cleanroom.project.write import write_atomically
    from cleanroom.recipes import measurements

    path = measurements.path_of(recipe)
    try:
        former = measurements.record_of(recipe).proofs
    except ValueError:
        former = ()
    known = {measurements.proof_id(proof) for proof in recipe.proof}
    new = {item.proof for item in found}
    kept = [item for item in former if item.proof in known - new]
    Path(path).parent.mkdir(exist_ok=True)
    text = measurements.document(measurements.Record(manager=recipe.id, proofs=(*kept, *found)))
    write_atomically(Path(path), text)
    click.echo(f"{path}: written", err=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if not (name and equals and place):
        raise click.UsageError(f"--base: {text!r} is not NAME=PLACE, such as debian:12-slim=oci:FOLDER")
    return name, place


def _progress(what: str) -> None:
    if is_verbose() or sys.stderr.isatty():
        click.echo(f"… {what}", err=True)


@contextmanager
def _terminated() -> Iterator[None]:
    """End as an interrupt does when the process is asked to end, so that all is put away."""

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
