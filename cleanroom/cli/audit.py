"""``cleanroom audit``: what an image really carries."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from cleanroom.cli import is_verbose, lookup, recipes_option, verbose_option
from cleanroom.project.exits import FINDINGS
from cleanroom.registries import FORMATS, IMAGE_SOURCES, RULES

if TYPE_CHECKING:
    from cleanroom.images.audit import Audit, Reading
    from cleanroom.images.causes import Source, Tied
    from cleanroom.images.image import Limits
    from cleanroom.images.outlook import Outlook
    from cleanroom.images.waste import Waste
    from cleanroom.recipes.library import Library

_WIDTH = 120  # of the lines, where there is no terminal
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_FORMATS = ("text", "json", "html", *(name for name in FORMATS if name != "json"))
_BESIDE = ("text", "json", "html", "markdown")  # formats that can show two images


@click.command()
@click.argument("image")
@click.option("--platform", default="", metavar="OS/ARCH", help="Which image of several: linux/arm64.")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    metavar="FORMAT",
    help=f"How to print it: {', '.join(_FORMATS)}. [default: text]",
)
@click.option("--base", metavar="IMAGE", help="The image it is built on, whose layers are told apart.")
@click.option("--dockerfile", metavar="FILE", help="What it was built from: tie what is left to its lines.")
@click.option("--target", metavar="STAGE", help="The stage of the Dockerfile, when it is not the last.")
@click.option("--context", metavar="DIR", help="The build context, for scripts. [default: the Dockerfile's folder]")
@click.option("--compare", metavar="IMAGE", help=f"Show another image beside it ({', '.join(_BESIDE)}).")
@click.option(
    "--max-waste",
    metavar="SIZE",
    help="Exit 1 when caches weigh more: 20MB, or a share of the image: 5%. With --base, its layers do not count.",
)
@click.option("--all", "is_all", is_flag=True, help="Also show what else may be left out, and what it could weigh.")
@click.option("--trust", is_flag=True, help="Read the image however large it is, or becomes.")
@recipes_option
@verbose_option
def command(
    image: str,
    platform: str,
    form: str,
    base: str | None,
    dockerfile: str | None,
    target: str | None,
    context: str | None,
    compare: str | None,
    max_waste: str | None,
    is_all: bool,
    trust: bool,
) -> int:
    """Show which package managers' caches IMAGE carries, in which layer, how heavy, and what keeps them out.

    IMAGE is an OCI layout or an archive that docker save, skopeo or buildah wrote, a root file system (a folder, an
    archive, or / of the container this runs in), docker://NAME through skopeo, or the name of an image that Docker or
    Podman has. Nothing in it is run.

    Exits 0; with --max-waste 1 when there is more; 2 when the image could not be read.
    """
    from cleanroom.images.image import DEFAULT, NONE, ImageError

    limit = None if max_waste is None else _limit(max_waste)
    limits = NONE if trust else DEFAULT
    if compare is not None and form not in _BESIDE:
        raise click.UsageError(
            f"--compare goes with --format {', '.join(_BESIDE)}: {form} has no place for what is no finding"
        )
    if dockerfile is None and (target or context):
        raise click.UsageError("--target and --context go with --dockerfile")
    library = lookup.library()
    if is_all and form not in ("text", "json", "html"):
        raise click.UsageError(f"--all goes with --format text, json, html: {form} has no place for what is no finding")
    try:
        source = None if dockerfile is None else _source(dockerfile, target, context, library)
        found = _read(image, platform, base, source, limits, library, _weigh if is_all else None)
        other = None if compare is None else _read(compare, platform, None, None, limits, library).reading.audit
    except ImageError as error:
        raise click.ClickException(str(error)) from None
    audit = found.reading.audit
    _notes(audit)
    _print(form, found, other)
    if limit is None:
        return 0
    waste = audit.own_waste if base is not None else audit.waste
    if waste <= limit(audit.bytes):
        return 0
    from cleanroom.formats.values import size

    click.echo(f"{size(waste)} of caches, more than --max-waste {max_waste}", err=True)
    return FINDINGS


class _Found(NamedTuple):
    """An image that was read, beside its Dockerfile; with --all, what else it carries, and what it could weigh."""

    reading: Reading
    tied: Tied | None
    rest: tuple[Waste, Outlook] | None


def _weigh(reading: Reading, tied: Tied | None, limits: Limits) -> tuple[Waste, Outlook]:
    from cleanroom.images import outlook, waste

    weighed = waste.weigh(reading, limits)
    return weighed, outlook.look(reading.audit, weighed, tied)


def _print(form: str, found: _Found, other: Audit | None) -> None:
    reading, tied, _ = found
    audit = reading.audit
    if form == "text":
        _print_text(found, other)
    elif form == "json":
        from cleanroom.images.formats.json import document

        click.echo(document(audit, tied, other, found.rest), nl=False)
    elif form == "html":
        from cleanroom.formats.pages import ExtraMissingError
        from cleanroom.images.formats.html import render

        try:
            page = "".join(render(reading, tied, other, found.rest))
        except ExtraMissingError as error:
            raise click.ClickException(str(error)) from None
        click.echo(page, nl=False)
    else:
        from cleanroom.images.formats.findings import checked

        for piece in FORMATS[form].render([checked(audit, tied)]):
            click.echo(piece, nl=False)
        if other is not None:
            from cleanroom.images.formats.findings import beside

            click.echo(beside(audit, other), nl=False)


def _print_text(found: _Found, other: Audit | None) -> None:
    from shutil import get_terminal_size

    from cleanroom.formats.findings.text import wants_colour
    from cleanroom.images.formats.text import Detail, Look, compare, painted, plain, render, rest

    colour = wants_colour(sys.stdout)
    width = get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    look = Look(width, painted if colour else plain, Detail.ALL if is_verbose() else Detail.LARGE)
    reading, tied, more = found
    lines = [*render(reading.audit, tied, look), *(rest(*more, tied, look) if more is not None else ())]
    if other is not None:
        lines += ["", *compare(reading.audit, other, width)]
    for line in lines:
        click.echo(line, color=colour)


def _notes(audit: Audit) -> None:
    """Say what could not be read of a root file system."""
    from cleanroom.formats.values import printable

    shown = audit.problems if is_verbose() else audit.problems[:1]
    for problem in shown:
        click.echo(printable(problem), err=True)
    if len(audit.problems) > len(shown):
        click.echo(f"and {len(audit.problems) - len(shown)} more; -v names them all", err=True)


def _limit(text: str) -> Callable[[int], float]:
    """Return what ``20MB`` or ``5%`` means for an image of so many bytes. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:(%)|([kmg]i?)?b?)\s*", text, re.IGNORECASE)
    if match is None:
        raise click.UsageError(f"--max-waste: {text!r} is no size; write 20MB, 500kB, 1.5GiB or 5%")
    number = float(match[1])
    if match[2]:
        return lambda whole: whole * number / 100
    return lambda _: number * _UNITS[(match[3] or "").lower()]


def _source(dockerfile: str, target: str | None, context: str | None, library: Library) -> Source:
    from cleanroom.images.causes import Source
    from cleanroom.images.image import ImageError
    from cleanroom.project import discover
    from cleanroom.project.files import script_reader

    try:
        text = discover.read(dockerfile)
    except discover.ReadError as error:
        raise ImageError(f"{dockerfile}: {error}") from None
    folder = context if context is not None else str(Path(dockerfile).parent)
    return Source(dockerfile, text, target=target, read_file=script_reader(folder), library=library, rules=RULES)


def _read(
    image: str,
    platform: str,
    base: str | None,
    source: Source | None,
    limits: Limits,
    library: Library,
    weigh: Callable[[Reading, Tied | None, Limits], tuple[Waste, Outlook]] | None = None,
) -> _Found:
    from cleanroom.images import base as base_image
    from cleanroom.images import waste
    from cleanroom.images.audit import audit
    from cleanroom.images.image import ImageError
    from cleanroom.images.sources import open_image

    more = [source for name, source in IMAGE_SOURCES.items() if not IMAGE_SOURCES.owner(name).is_builtin]
    diff_ids: tuple[str, ...] | None = None
    if base is not None:
        with open_image(base, platform=platform, limits=limits, more=more) as lower:
            diff_ids = lower.configuration.diff_ids
            if not diff_ids:
                raise ImageError(f"{base}: is no image with layers, and cannot be a --base")
    with open_image(image, platform=platform, limits=limits, more=more) as found, _bar(found.layers) as progress:
        if diff_ids is not None:
            below = base_image.below(found, base or "", diff_ids)
        elif source is not None:
            below = base_image.beside_dockerfile(found.configuration, source.base_layers(found.configuration))
        else:
            below = base_image.guess(found.configuration)
        keep = () if weigh is None else waste.WANTED
        reading = audit(found, library=library, base=below, limits=limits, progress=progress, keep=keep)
        tied = None if source is None else source.tie(reading.audit, reading.configuration)
        return _Found(reading, tied, None if weigh is None else weigh(reading, tied, limits))


@contextmanager
def _bar(layers: tuple[object, ...]) -> Iterator[Callable[[int], None] | None]:
    """Show how far it is, if someone watches."""
    total = sum(getattr(layer, "size", 0) for layer in layers)
    if not total or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=total, label="Reading", file=sys.stderr) as bar:
        yield bar.update
