"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from cleanroom.cli import given_recipes
from cleanroom.project.files import File, Found, Wish, find
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


def selector_options(verb: str) -> Callable[[Any], Any]:
    """Return the options ``--select`` and ``--ignore`` of a command that does what ``verb`` says: Report, Fix."""

    def add(command: Any) -> Any:
        ignore = click.option("--ignore", multiple=True, metavar="RULE", help=f"Do not {verb.lower()} these.")
        words = f"{verb} these rules: left-behind, left-behind[apt], left-behind[apt.lists], apt."
        return click.option("--select", multiple=True, metavar="RULE", help=words)(ignore(command))

    return add


_FILE_OPTIONS = (
    click.option("--target", metavar="STAGE", help="The stage that is built, when it is not the last."),
    click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Do not read these files and folders (as in .gitignore)."
    ),
    click.option("--force-exclude", is_flag=True, help="Heed excludes also for files that are named."),
    click.option("--no-gitignore", is_flag=True, help="Read also what .gitignore files name."),
    click.option(
        "--context",
        metavar="DIR",
        help="The build context, where scripts that are copied are read. [default: the Dockerfile's folder]",
    ),
    click.option("--stdin-filename", metavar="FILE", help="What standard input is called, and where it would lie."),
    click.option("--config", metavar="FILE", help="The settings file. [default: the nearest, upward]"),
    click.option("--isolated", is_flag=True, help="Read no settings file."),
    click.option("--baseline", metavar="FILE", help="Leave out the findings in this file (see --write-baseline)."),
    click.option("--diff-base", metavar="REV", help="Only findings on lines that were changed since this commit."),
    click.option("--trust", is_flag=True, help="Read files also where links lead out, and however large."),
    click.option("--show-files", is_flag=True, help="Name the files that would be read, and end."),
    click.option("--show-settings", is_flag=True, help="Print the settings in force, and end."),
    reader_option,
)


def file_options(command: Any) -> Any:
    """Add the options that say which files are read, and how: those of ``Given``."""
    for option in reversed(_FILE_OPTIONS):
        command = option(command)
    return command


class Given:
    """What a command was given of ``file_options`` and ``selector_options``; ``more`` are settings of its own."""

    def __init__(self, options: Mapping[str, Any], **more: Any) -> None:
        self._options = options
        self.reader: str = options["reader"]
        self.writes_baseline = bool(options.get("write_baseline"))
        names = ("select", "ignore", "target")
        settings = {name: options[name] for name in names} | more | {"recipes": given_recipes()}
        self._settings = {name: value for name, value in settings.items() if value}
        if options["no_gitignore"]:
            self._settings["gitignore"] = False

    def find(self, paths: Iterable[str]) -> Found:
        """Return the files that are meant. Raises click's errors."""
        from cleanroom.cli.lookup import usage_errors

        paths = tuple(paths)
        if not paths:
            raise click.UsageError("name a PATH: a file, a folder (. for this one), or - for standard input")
        with usage_errors():
            found = find(paths, self._wish())
        return found if self.writes_baseline else self._narrowed(found)

    def _wish(self) -> Wish:
        options = self._options
        if options["context"] is not None and not Path(options["context"]).is_dir():
            raise click.UsageError(f"--context: {options['context']!r} is no folder")
        if options["isolated"] and options["config"]:
            raise click.UsageError("--config and --isolated exclude each other")
        if options["config"] and not Path(options["config"]).exists():
            raise click.UsageError(f"--config: {options['config']!r} is not there")
        return Wish(
            self._settings,
            options["exclude"],
            options["context"],
            "" if options["isolated"] else options["config"],
            options["force_exclude"],
            options["trust"],
            options["stdin_filename"] or "",
        )

    def _narrowed(self, found: Found) -> Found:
        """Return the files with what is known of their findings, and which of their lines count."""
        from cleanroom.project import narrowing

        try:
            return narrowing.narrowed(found, self._options["baseline"], self._options["diff_base"])
        except narrowing.NarrowingError as error:
            raise click.UsageError(str(error)) from None

    def shows(self, paths: Iterable[str]) -> bool:
        """Print the files or the settings, where that is asked for; return whether it is."""
        if self._options["show_files"]:
            _show_files(self.find(paths).files)
        elif self._options["show_settings"]:
            _show_settings(self.find(tuple(paths) or ("-",)).files)
        else:
            return False
        return True


def _show_files(files: Iterable[File]) -> None:
    from cleanroom.formats.values import printable

    for file in files:
        click.echo(printable(file.name))


def _show_settings(files: Iterable[File]) -> None:
    from cleanroom.project.settings_reference import in_force

    shown = dict.fromkeys(file.settings for file in files)
    click.echo("\n".join(map(in_force, shown)), nl=False)
