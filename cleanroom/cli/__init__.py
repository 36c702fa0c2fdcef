"""The command line: one file a command, loaded when it is called. ``main`` decides how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module

import click

from cleanroom import registries
from cleanroom.plugins.command import Command
from cleanroom.plugins.manager import FAULTS
from cleanroom.plugins.registry import Contract, PluginFailed, Registry
from cleanroom.project import exits
from cleanroom.suggest import did_you_mean
from cleanroom.version import __version__

_VERBOSE = "cleanroom.verbose"  # keys in the context's meta
_RECIPES = "cleanroom.recipes"


class Group(click.Group):
    """A group that names the command that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names. Raises UsageError when there is none."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            hint = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"no such command: {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


# In the order in which someone new meets them; a module called list would hide the builtin in the others.
_SHIPPED = {
    "check": ("check", "Find what package managers leave behind."),
    "fix": ("fix", "Fix what check finds."),
    "query": ("query", "Print the command that keeps it out."),
    "list": ("listing", "List the package managers."),
    "show": ("show", "Show all that is known about a manager."),
    "audit": ("audit", "Show what an image really carries."),
    "explain": ("explain", "Explain a rule."),
    "settings": ("settings", "Show what a settings file may say."),
    "enrich": ("enrich", "Add to another linter's report what cleanroom knows."),
    "recipes": ("recipes", "Begin, validate and format recipes, check their links."),
    "prove": ("prove", "Measure recipes in real builds."),
    "export": ("export", "Write the recipes for other tools, or as pages."),
    "plugins": ("plugins", "List the plugins, or begin one."),
}


def _shipped() -> Iterator[Command]:
    for name, (module, summary) in _SHIPPED.items():
        yield Command(name, summary, partial(_load, module))


def _load(module: str) -> click.Command:
    command: click.Command = import_module(f"{__name__}.{module}").command
    return command


COMMANDS: Registry[Command | click.Command] = Registry(
    "cleanroom_commands", registries.plugins, lambda: Contract((Command, click.Command)), ships=_shipped
)


_OF_CLICK = (click.ClickException, click.exceptions.Exit, click.Abort)


class _Cleanroom(Group):
    """The commands; none is imported before it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        found = COMMANDS.get(cmd_name)
        command = _loaded(found) if isinstance(found, Command) else found
        return _completed(command) if command and "_CLEANROOM_COMPLETE" in os.environ else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by what is known of them without importing them."""
        width = formatter.width - 6 - max(map(len, COMMANDS), default=0)
        rows = [
            (name, found.summary if isinstance(found, Command) else found.get_short_help_str(width))
            for name, found in COMMANDS.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> int:
        """Run the command, and return its exit code."""
        is_strict = bool(ctx.params.get("strict_plugins"))

        def work() -> int | None:
            if is_strict:
                ask_all_plugins()
            try:
                code: int | None = super(_Cleanroom, self).invoke(ctx)
            except (*_OF_CLICK, PluginFailed):
                raise
            except Exception as error:
                name = ctx.invoked_subcommand or ""
                if name not in COMMANDS or COMMANDS.owner(name).is_builtin:
                    raise
                what = f"{type(error).__name__}: {error}"
                raise PluginFailed(f"the command {name} of {COMMANDS.owner(name).title} failed: {what}") from error
            return code

        code = exits.run(work, verbose=lambda: bool(ctx.meta.get(_VERBOSE)), passes=_OF_CLICK)
        is_wrong = registries.plugins().problems or registries.plugins().missing
        return exits.ERROR if is_strict and is_wrong and code in (0, exits.FINDINGS) else code


def _completed(command: click.Command) -> click.Command:
    """Return a command, and those below it, with words that a shell can complete."""
    from cleanroom.cli.completion import prepare

    if isinstance(command, click.Group):
        for below in command.commands.values():
            prepare(below)
    return prepare(command)


def _loaded(command: Command) -> click.Command:
    """Return a command, imported. Raises PluginFailed, with the plugin to blame, when one of a plugin cannot be."""
    owner = COMMANDS.owner(command.name)
    if owner.is_builtin:
        return command.load()
    try:
        found = command.load()
        if not isinstance(found, click.Command):
            raise TypeError(f"it is {type(found).__name__}, not a click command")
    except FAULTS:
        owner.blame_error(f"the command {command.name} cannot be loaded:")
        raise PluginFailed(f"the command {command.name} of {owner.title} cannot be loaded") from None
    return found


def ask_all_plugins() -> None:
    """Ask every plugin for all that it adds, so that all problems show."""
    for registry in (*registries.ALL, COMMANDS):
        len(registry)
    library = registries.library()
    library.recipes()
    library.base("scratch")


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[_VERBOSE] = value or ctx.meta.get(_VERBOSE, False)  # cleanroom -v check is cleanroom check -v
    return value


verbose_option = click.option(
    *("-v", "--verbose"),
    is_flag=True,
    is_eager=True,  # also where another option is refused
    callback=_remember,
    expose_value=False,
    help="Say more: tracebacks, and what could not be known.",
)


def _remember_recipes(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.meta[_RECIPES] = value


recipes_option = click.option(
    "--recipes",
    multiple=True,
    metavar="DIR",
    callback=_remember_recipes,
    expose_value=False,
    help="Know the recipes in this folder too. May be repeated.",
)


def given_recipes() -> tuple[str, ...]:
    """Return what the running command was given with --recipes."""
    given: tuple[str, ...] = click.get_current_context().meta.get(_RECIPES, ())
    return given


def is_verbose() -> bool:
    """Return True if the running command was given -v."""
    return bool(click.get_current_context().meta.get(_VERBOSE))


@click.command(cls=_Cleanroom, context_settings={"help_option_names": ["-h", "--help"]})  # of all commands
@click.version_option(__version__, message="%(version)s")
@verbose_option
@click.option("--strict-plugins", is_flag=True, help="Exit 2 when something is wrong with a plugin.")
def cli(strict_plugins: bool) -> None:
    """Find what package managers leave behind in container images, and the command that keeps it out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    exits.write_anything()
    try:
        code: int | None = cli.main(arguments, prog_name="cleanroom", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.UsageError):  # a name may be unknown since the plugin that adds it failed
            registries.plugins().say_problems(verbose=bool(error.ctx and error.ctx.meta.get(_VERBOSE)))
        return exits.ERROR
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return exits.INTERRUPTED
    return code or 0
