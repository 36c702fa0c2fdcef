"""What a plugin can add: functions of these names, in a module that an entry point of the group ``cleanroom`` names.

Each takes nothing and yields objects; mark it with ``@cleanroom.hookimpl``. What ships with cleanroom comes through
the same functions. Every example is a whole plugin, and what it does at a prompt; our tests run all of them, and
``cleanroom plugins hooks`` prints them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from cleanroom.formats.findings import Format
    from cleanroom.formats.recipes import Export
    from cleanroom.images.sources import ImageSource
    from cleanroom.lint.rules import Rule
    from cleanroom.plugins.command import Command
    from cleanroom.syntax.readers import Reader


def cleanroom_recipes() -> Iterable[str | os.PathLike[str]]:  # type: ignore[empty-body]
    """Yield recipe files, or folders of them: one YAML file a manager, and ``bases.yaml`` for base images.

    A recipe is data: nothing of it is run. It is validated when it is used. One that says ``replaces: ID`` stands in
    for that recipe; otherwise ids, aliases, executables and Python modules that are already taken stay with their first
    owner::

        import os.path

        from cleanroom import hookimpl


        @hookimpl
        def cleanroom_recipes():
            yield os.path.join(os.path.dirname(__file__), "recipes")

    With a recipe in that folder::

        $ cat recipes/zap.yaml
        id: zap
        name: zap
        summary: zap packages
        homepage: https://zap.example
        programs:
          - names: [zap]
        caches:
          - id: downloads
            what: downloaded packages
            paths:
              - path: ~/.cache/zap
            filled_by:
              - verbs: [install]
        remedies:
          - kind: clean
            caches: [downloads]
            run: rm -rf ~/.cache/zap
        sources:
          - https://zap.example/caching
        $ cleanroom query zap
        rm -rf ~/.cache/zap
    """


def cleanroom_rules() -> Iterable[Rule]:  # type: ignore[empty-body]
    """Yield rules: functions from the ledger, which knows what became of every fill, to findings.

    A rule that raises costs only its own findings, and its plugin is named::

        from cleanroom import hookimpl
        from cleanroom.lint.rules import Rule, finding

        WHY = "npm runs scripts of every package as it installs. Bad: RUN npm ci. Good: RUN npm ci --ignore-scripts."


        def find(ledger):
            commands = {outcome.fill.span: outcome for outcome in ledger.outcomes}  # one may fill several caches
            for outcome in commands.values():
                fill = outcome.fill
                command = ledger.dockerfile.text[fill.span.start : fill.span.end]
                if fill.recipe.id == "npm" and "--ignore-scripts" not in command:
                    message = "npm runs the scripts of packages; add --ignore-scripts"
                    yield finding(ledger, outcome.layer, "npm-scripts", "info", fill.recipe, None, fill.span, message)


        @hookimpl
        def cleanroom_rules():
            yield Rule("npm-scripts", "npm runs scripts of packages", "info", WHY, find)

    It stands beside the others::

        $ cat Dockerfile
        FROM node:22
        RUN npm ci
        $ cleanroom check Dockerfile --select npm-scripts | head -n 1
        Dockerfile:2:5  info  npm-scripts[npm]  npm runs the scripts of packages; add --ignore-scripts
    """


def cleanroom_readers() -> Iterable[Reader]:  # type: ignore[empty-body]
    """Yield readers: kinds of files that hold build steps, each read into the same instructions as a Dockerfile.

    Places in what is read are places in the file, so findings, ignores and fixes need nothing more. ``check`` and
    ``fix`` find such files by their names, or are told with ``--reader``::

        from cleanroom import hookimpl
        from cleanroom.syntax.dockerfile import parse
        from cleanroom.syntax.readers import Reader


        @hookimpl
        def cleanroom_readers():
            yield Reader("earthfile", "Earthfiles without targets", ("Earthfile",), parse)

    A file of that name is read now::

        $ cat Earthfile
        FROM debian:12
        RUN apt-get update && apt-get install -y curl
        $ cleanroom check Earthfile | head -n 1
        Earthfile:2:5  warning  left-behind[apt.lists]  apt leaves package lists that update downloads in this layer
    """


def cleanroom_reports() -> Iterable[Format]:  # type: ignore[empty-body]
    r"""Yield formats for findings, as ``check --format`` and ``--output`` take them.

    The text may come in pieces::

        from cleanroom import hookimpl
        from cleanroom.formats.findings import Format


        def render(files):
            for checked in files:
                for finding in checked.report.findings:
                    yield f"{checked.path}:{finding.line} {finding.rule}\n"


        @hookimpl
        def cleanroom_reports():
            yield Format("lines", "a line each: path, line, rule", render)

    Then::

        $ cat Dockerfile
        FROM debian:12
        RUN apt-get update && apt-get install -y curl
        $ cleanroom check Dockerfile --format lines
        Dockerfile:2 left-behind
    """


def cleanroom_exports() -> Iterable[Export]:  # type: ignore[empty-body]
    r"""Yield forms of the recipes, as ``export`` takes them.

    Each is texts by their relative paths::

        from cleanroom import hookimpl
        from cleanroom.formats.recipes import Export


        def render(library):
            return {"homepages.txt": "".join(f"{recipe.id} {recipe.homepage}\n" for recipe in library.recipes())}


        @hookimpl
        def cleanroom_exports():
            yield Export("homepages", "the ids and homepages, one a line", render)

    Then::

        $ cleanroom export homepages | grep '^apt '
        apt https://wiki.debian.org/Apt
    """


def cleanroom_images() -> Iterable[ImageSource]:  # type: ignore[empty-body]
    """Yield places that images come from, which ``audit`` asks before its own.

    What is opened for the time of reading goes onto the stack; return None for what is none of its references::

        from cleanroom import hookimpl
        from cleanroom.images.image import Image
        from cleanroom.images.sources import ImageSource


        def find(stack, reference, platform, limits):
            if reference.startswith("shelf:"):
                return Image(reference=reference, kind="rootfs", folder=reference.removeprefix("shelf:"))


        @hookimpl
        def cleanroom_images():
            yield ImageSource("shelf", find)

    Then::

        $ cat web/root/.cache/pip/http/body
        what pip downloaded
        $ cleanroom audit shelf:web -v | grep pip.cache
          pip.cache  20 bytes  1 file: /root/.cache/pip
    """


def cleanroom_commands() -> Iterable[click.Command | Command]:  # type: ignore[empty-body]
    """Yield commands, which stand beside ``check`` and the others.

    Each is a click command, or a ``cleanroom.plugins.command.Command``, which is imported when it is called::

        import click

        from cleanroom import hookimpl, library
        from cleanroom.plugins.command import Command


        @click.command("count")
        def count():
            click.echo(f"{len(library().ids())} managers are known")


        @hookimpl
        def cleanroom_commands():
            yield Command("count", "Count the package managers.", lambda: count)

    Then::

        $ cleanroom count | grep -c known
        1
    """
