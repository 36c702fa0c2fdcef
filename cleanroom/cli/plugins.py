"""``cleanroom plugins``: the plugins that are installed, and their problems."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cleanroom import registries
from cleanroom.cli import Group, ask_all_plugins, verbose_option

if TYPE_CHECKING:
    from cleanroom.plugins.manager import Plugin


@click.group(cls=Group, invoke_without_command=True)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print the list.")
@verbose_option
@click.pass_context
def command(context: click.Context, form: str) -> None:
    """List every plugin: its version, where it is from, what it adds, and what is wrong with it."""
    if context.invoked_subcommand is not None:
        return
    from cleanroom.plugins.manager import SLOW

    ask_all_plugins()
    plugins = registries.plugins().all
    if form == "json":
        click.echo(json.dumps({"schema": "cleanroom/plugins/1", "plugins": [_row(each) for each in plugins]}, indent=1))
        return
    for plugin in plugins:
        click.echo(plugin.title)
        if plugin.path:
            click.echo(f"  from {plugin.path}")
        for hook, names in plugin.adds.items():
            click.echo(f"  {hook.removeprefix('cleanroom_')}: {', '.join(names)}")
        if plugin.seconds >= SLOW:
            click.echo(f"  slow: it takes {plugin.seconds:.1f} s to load")
        for problem in plugin.problems:
            click.echo(f"  problem: {problem.message}")
    if len(plugins) == 1:
        click.echo("No plugins are installed; begin one with: cleanroom plugins new NAME")


def _row(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.value,
        "path": plugin.path,
        "adds": {hook.removeprefix("cleanroom_"): names for hook, names in plugin.adds.items()},
        "status": "loaded" if plugin.hooks else "failed",
        "problems": [problem.message for problem in plugin.problems],
    }


@command.command("new", short_help="Write a plugin to begin with.")
@click.argument("name")
@click.option("-o", "--output", metavar="DIR", help="Where to write it. [default: a folder of its name here]")
@verbose_option
def new(name: str, output: str | None) -> None:
    """Write a plugin that adds the package manager NAME: it installs, and its tests pass at once."""
    from pathlib import Path

    from cleanroom.cli.scaffold import UnfitName, plugin

    try:
        files = plugin(name)
    except UnfitName as error:
        raise click.UsageError(str(error)) from None
    folder = Path(output or f"cleanroom-{name}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise click.UsageError(f"{folder} is there already and not empty; name another folder with -o DIR")
    from cleanroom.project.discover import describe
    from cleanroom.project.write import write_into

    try:
        write_into(folder, files)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {describe(error)}") from None
    click.echo(f"{folder}: {len(files)} files. Next:")
    click.echo(f"  pip install -e '{folder}[test]' && pytest {folder} && cleanroom show {name}")
    click.echo(
        f"  then say in {folder}/cleanroom_{name.replace('-', '_')}/recipes/{name}.yaml what {name} leaves where"
    )


@command.command("hooks", short_help="Show what a plugin can add, with examples.")
@click.argument("name", required=False)
@click.option("--format", "form", type=click.Choice(("text", "markdown")), default="text", help="How to print it.")
@verbose_option
def hooks_command(name: str | None, form: str) -> None:
    """List the functions that a plugin can have; of the one called NAME, show its example."""
    from cleanroom.cli import hooks
    from cleanroom.suggest import did_you_mean

    if form == "markdown":
        click.echo(hooks.markdown(), nl=False)
    elif name is None:
        for hook in hooks.HOOKS:
            click.echo(f"{hook}\n  {hooks.summary(hook)}")
        click.echo("An example of each: cleanroom plugins hooks NAME")
    else:
        hook = name if name.startswith("cleanroom_") else f"cleanroom_{name}"
        if hook not in hooks.HOOKS:
            known = ", ".join(hooks.HOOKS)
            raise click.UsageError(f"no hook {name!r}{did_you_mean(hook, hooks.HOOKS)} (there are: {known})")
        click.echo(hooks.text(hook))
