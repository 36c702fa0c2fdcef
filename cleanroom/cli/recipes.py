"""``cleanroom recipes``: for those who write recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cleanroom.cli import Group, verbose_option
from cleanroom.cli.recipes_new import command as new
from cleanroom.project.discover import describe
from cleanroom.project.exits import ERROR, FINDINGS

if TYPE_CHECKING:
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import Recipe

_BASES = "bases.yaml"
paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH…")


@click.group(cls=Group)
def command() -> None:
    """Begin, validate and format recipes, and check their links: what cleanroom knows about package managers."""


command.add_command(new)


@command.command()
@click.option(
    "--strict-proofs",
    is_flag=True,
    help="Exit 1 also where what was measured does not hold, or a remedy is not measured.",
)
@paths_argument
@verbose_option
def validate(paths: tuple[str, ...], strict_proofs: bool) -> int:
    """Check recipe files, and those in folders, each by itself and all against one another."""
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.load import parse_recipe
    from cleanroom.recipes.sources import shipped
    from cleanroom.recipes.validate import validate_bases, validate_recipe, validate_set

    faulty = False

    def report(problem: object) -> None:
        nonlocal faulty
        faulty = True
        click.echo(str(problem))

    recipes: list[Recipe] = []
    files, troubled = _read_all(paths)
    for file, data in files:
        is_bases = Path(file).name == _BASES
        problems = (validate_bases if is_bases else validate_recipe)(data, file)
        for problem in problems:
            report(problem)
        if not problems and not is_bases:
            recipes.append(parse_recipe(data, file))
    for conflict in (*validate_set(recipes), *_conflicts(recipes)):
        report(conflict)
    library = Library([shipped()], recipes)
    for recipe in recipes:
        for found in (*_record_problems(recipe), *_unread(recipe, library)):
            report(found)
        for note in _unmeasured(recipe):
            click.echo(note, err=True)
        for changed in (*_changes(recipe), *_contradictions(recipe, library)):
            click.echo(changed, err=True)
            faulty = faulty or strict_proofs
    if troubled:
        return ERROR
    if not faulty:
        click.echo(f"{len(files)} valid", err=True)
    return FINDINGS if faulty else 0


def _conflicts(recipes: Sequence[Recipe]) -> Iterator[object]:
    """Yield what keeps recipes from being used beside those that ship, and those of plugins."""
    from cleanroom import registries
    from cleanroom.recipes.model import RecipeError

    known = {Path(recipe.origin).resolve() for recipe in registries.library().recipes()}  # of a plugin, it may be
    others = [recipe.origin for recipe in recipes if Path(recipe.origin).resolve() not in known]
    try:
        registries.library(*others)
    except RecipeError as error:
        yield from error.problems


def _record_problems(recipe: Recipe) -> Iterator[object]:
    """Yield what is wrong with the record of a recipe's proofs."""
    from cleanroom.recipes import measurements
    from cleanroom.recipes.validate import validate_record

    path = Path(measurements.path_of(recipe))
    if not path.is_file():
        return
    problems = validate_record(path.read_bytes(), str(path))
    yield from problems
    if not problems and (manager := measurements.record_of(recipe).manager) != recipe.id:
        yield f"{path}:1:1: is about {manager!r}, not {recipe.id!r}"


def _changes(recipe: Recipe) -> Iterator[str]:
    """Yield what the recipe says otherwise since it was measured."""
    from cleanroom.recipes import measurements

    try:
        changed = list(measurements.stale(recipe, measurements.record_of(recipe)))
    except ValueError:  # no record, which is named elsewhere
        return
    if changed:
        yield (
            f"{recipe.origin}: has changed since it was measured, and counts as not proved: {'; '.join(changed)}; "
            f"measure it again: cleanroom prove {recipe.id} --record"
        )


def _unmeasured(recipe: Recipe) -> Iterator[str]:
    """Yield that the proofs do not speak for the newest version, which is no fault of the recipe."""
    from cleanroom.recipes import measurements

    try:
        newest = measurements.unmeasured(recipe)
        with_which = ", ".join(measurements.majors(recipe))
    except ValueError:  # no record, which is named elsewhere
        return
    if newest:
        yield f"{recipe.origin}: note: proofs are with version {with_which}; the newest, {newest}, is not measured"


def _unread(recipe: Recipe, library: Library) -> Iterator[str]:
    """Yield the clean-ups that the engine reads otherwise than the recipe means them."""
    from cleanroom.proofs.consistency import unread

    yield from (f"{recipe.origin}: {problem}" for problem in unread(recipe, library))


def _contradictions(recipe: Recipe, library: Library) -> Iterator[str]:
    """Yield what does not go together in a recipe and its record."""
    from cleanroom.proofs.consistency import problems
    from cleanroom.recipes import measurements

    try:
        record = measurements.record_of(recipe)
    except ValueError:  # no record, which is named elsewhere
        return
    yield from (f"{measurements.path_of(recipe)}: {problem}" for problem in problems(recipe, record, library))


@command.command()
@click.option(
    "--check", is_flag=True, help="Change nothing; name the files that would change, and exit 1 if there are any."
)
@paths_argument
@verbose_option
def fmt(paths: tuple[str, ...], check: bool) -> int:
    """Write recipe files in the one canonical form: field order, quotes, line breaks."""
    from cleanroom.project.write import write_atomically
    from cleanroom.recipes.format import canonical
    from cleanroom.recipes.model import RecipeError

    differs = False
    files, troubled = _read_all(paths)
    for file, data in files:
        try:
            text = canonical(data, file)
        except RecipeError as error:
            click.echo(str(error), err=True)
            troubled = True
            continue
        if text.encode() == data:
            continue
        differs = True
        if check:
            click.echo(f"{file}: not in canonical form; run `cleanroom recipes fmt`")
        else:
            try:
                write_atomically(Path(file), text)
            except OSError as error:
                click.echo(f"{file}: error: {describe(error)}", err=True)
                troubled = True
                continue
            click.echo(f"{file}: rewritten")
    if troubled:
        return ERROR
    return FINDINGS if check and differs else 0


@command.command()
@click.option("--online", is_flag=True, help="Open each link too, and name those that lead nowhere.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@paths_argument
@verbose_option
def links(paths: tuple[str, ...], online: bool, timeout: float) -> int:
    """Check the links in recipe files, and in those in folders: their form, and with --online whether they lead on."""
    from cleanroom.recipes.links import Link, form_problems, unreachable
    from cleanroom.recipes.links import links as links_of
    from cleanroom.recipes.model import RecipeError

    problems = []
    sound: list[Link] = []
    files, troubled = _read_all(paths)
    for file, data in files:
        try:
            found = list(links_of(data, file))
        except RecipeError as error:
            click.echo(str(error), err=True)
            troubled = True
            continue
        faulty = list(form_problems(found))
        problems += faulty
        places = {(problem.line, problem.column) for problem in faulty}
        sound += [link for link in found if (link.line, link.column) not in places]
    if online:
        problems += unreachable(sound, timeout)
    for problem in sorted(problems):
        click.echo(str(problem))
    if troubled:
        return ERROR
    if not problems:
        one = len(sound) == 1
        checked = "opened" if online else f"checked by {'its' if one else 'their'} form"
        click.echo(f"{len(sound)} link{'s' * (not one)} {checked}", err=True)
    return FINDINGS if problems else 0


def _read_all(paths: Sequence[str]) -> tuple[list[tuple[str, bytes]], bool]:
    """Return the recipe files that ``paths`` mean and their bytes, and whether some could not be read."""
    files: list[tuple[str, bytes]] = []
    troubled = False
    for path in paths:
        try:
            files += [(str(file), file.read_bytes()) for file in _expand(Path(path))]
        except OSError as error:
            click.echo(f"{error.filename}: error: {describe(error)}", err=True)
            troubled = True
    return files, troubled


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.yaml"))
    if not found:
        raise OSError(0, "no recipe (*.yaml) in this folder", str(path))
    return found
