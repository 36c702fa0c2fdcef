"""``cleanroom recipes new``: one recipe to begin with; asks for what it needs when someone is there to answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from cleanroom.cli import lookup, recipes_option, verbose_option
from cleanroom.cli.scaffold import Draft, UnfitName, check_name
from cleanroom.project.discover import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleanroom.recipes.library import Library

# What has no default that could be true: the option, the field, the question.
_NEEDED = (
    ("--summary", "summary", "What it installs, in a few words"),
    ("--homepage", "homepage", "Its homepage (a URL)"),
    ("--path", "path", "The folder it leaves in an image, such as ~/.cache/zap"),
    ("--source", "source", "Where that is documented or measured (a URL)"),
)


@click.command("new")
@click.argument("manager")
@click.option("--summary", metavar="TEXT", help="What it installs, in a few words.")
@click.option("--homepage", metavar="URL", help="Its own site.")
@click.option("--path", metavar="PATH", help="The folder it leaves behind: ~/.cache/zap, $ZAP_CACHE, /var/cache/zap.")
@click.option("--source", metavar="URL", help="Where that is documented or measured.")
@click.option("--executable", "executables", multiple=True, metavar="NAME", help="Its programs. [default: MANAGER]")
@click.option("--verb", "verbs", multiple=True, metavar="WORD", help="What fills the folder. [default: install]")
@click.option("--clean", metavar="COMMAND", help="What empties it. [default: rm -rf PATH]")
@click.option("--prevent", metavar="OPTION", help="An option of these verbs that keeps it empty: --no-cache.")
@click.option("--replaces", metavar="MANAGER", help="The recipe that this one stands in for.")
@click.option("-o", "--output", metavar="DIR", default=".", help="The folder to write it to. [default: this one]")
@recipes_option
@verbose_option
def command(
    manager: str,
    summary: str | None,
    homepage: str | None,
    path: str | None,
    source: str | None,
    executables: tuple[str, ...],
    verbs: tuple[str, ...],
    clean: str | None,
    prevent: str | None,
    replaces: str | None,
    output: str,
) -> None:
    """Write a recipe for the package manager MANAGER: MANAGER.yaml, which is valid at once.

    On a terminal it asks for what it is not told; elsewhere --summary, --homepage, --path and --source must be given.
    """
    try:
        check_name(manager)
    except UnfitName as error:
        raise click.UsageError(str(error)) from None
    library = lookup.library()
    file = Path(output) / f"{manager}.yaml"
    if file.exists():
        raise click.UsageError(f"{file} is there already; name another folder with -o DIR")
    draft = Draft(manager, executables=executables or (manager,), replaces=replaces or "")
    _check_claims(draft, library)
    given: dict[str, Any] = {"summary": summary, "homepage": homepage, "path": path, "source": source}
    given |= {"clean": clean, "prevent": prevent, "verbs": verbs or None}
    draft = replace(draft, **{name: value for name, value in given.items() if value is not None})
    if sys.stdin.isatty() and sys.stderr.isatty():
        draft = _asked(draft, given)
    elif missing := [option for option, name, _ in _NEEDED if given[name] is None]:
        raise click.UsageError(f"give {', '.join(missing)} (on a terminal, it asks for them)")
    if problem := draft.problem():
        raise click.UsageError(f"no recipe can be made of that: {problem}")
    _write(file, draft)


def _check_claims(draft: Draft, library: Library) -> None:
    """Raise UsageError when another recipe has the id or an executable."""
    if draft.replaces and draft.replaces not in library.ids():
        lookup.manager(library, draft.replaces)
        raise click.UsageError(f"--replaces takes the id of a recipe: {library.find(draft.replaces).id}")
    for name in (draft.id, *draft.executables):
        found = library.find(name) if name in library.ids() else (library.program(name) or (None,))[0]
        if found is not None and found.id != draft.replaces:
            who = f"the recipe {found.id} ({library.provider(found.id)})"
            raise click.UsageError(f"{name!r} belongs to {who}; to stand in for it, say --replaces {found.id}")


def _asked(draft: Draft, given: dict[str, Any]) -> Draft:
    """Return the draft with what the person answers; what makes no valid recipe is asked again."""

    def ask(name: str, question: str, default: str | None = None, read: Callable[[str], object] = str.strip) -> None:
        nonlocal draft

        def accept(answer: str) -> Draft:
            values: dict[str, Any] = {name: read(answer)}
            changed = replace(draft, **values)
            if problem := changed.problem():
                raise click.UsageError(problem)
            return changed

        if given[name] is None:
            draft = click.prompt(question, default=default, value_proc=accept, err=True, show_default=bool(default))

    for _, name, question in _NEEDED[:3]:
        ask(name, question)
    ask("verbs", "What fills it (the words behind the program, comma-separated)", "install", _list)
    ask("clean", "The command that empties it", draft.clean_command)
    ask("prevent", "An option that keeps it empty, such as --no-cache (Enter for none)", "")
    ask(*_NEEDED[3][1:])
    return draft


def _list(answer: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in answer.split(",") if part.strip())


def _write(file: Path, draft: Draft) -> None:
    from cleanroom.project.write import write_atomically
    from cleanroom.recipes.load import RECIPES

    schema = file.with_name("recipe.schema.json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not schema.exists():
            write_atomically(schema, (RECIPES / schema.name).read_bytes())
        write_atomically(file, draft.text())
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {describe(error)}") from None
    click.echo(f"{file} is a valid recipe; {schema.name} beside it tells editors the fields. Next:")
    click.echo(f"  say in it what else {draft.id} leaves where (https://pypi.org/project/cleanroom-recipes/)")
    click.echo(f"  cleanroom recipes validate {file}")
    click.echo(f"  cleanroom query {draft.id} --recipes {file}")
