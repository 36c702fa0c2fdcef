"""``cleanroom audit``: what an image really carries."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cleanroom.cli import is_verbose, verbose_option
from cleanroom.exits import FINDINGS

if TYPE_CHECKING:
    from cleanroom.images.audit import Audit, Reading

_WIDTH = 120  # of the lines, where there is no terminal
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


@click.command(short_help="Show what an image really carries.")
@click.argument("image")
@click.option("--platform", default="", metavar="OS/ARCH", help="Which image of several: linux/arm64.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print the audit.")
@click.option("--base", metavar="IMAGE", help="The image it is built on, whose layers are told apart.")
@click.option(
    "--max-waste",
    metavar="SIZE",
    help="Exit 1 when caches weigh more: 20MB, or a share of the image: 5%. With --base, its layers do not count.",
)
@click.option("--trust", is_flag=True, help="Read the image however large it is, or becomes.")
@verbose_option
def command(image: str, platform: str, form: str, base: str | None, max_waste: str | None, trust: bool) -> int:
    """Show which package managers' caches IMAGE carries, in which layer, how heavy, and what keeps them out.

    IMAGE is an OCI layout or an archive that docker save, skopeo or buildah wrote, a root file system (a folder, an
    archive, or / of the container this runs in), docker://NAME through skopeo, or the name of an image that Docker or
    Podman has. Nothing is unpacked or run.

    Exits 0, with --max-waste 1 when there is more, 2 when the image could not be read.
    """
    from cleanroom.images.limits import DEFAULT, NONE, ImageError

    limit = None if max_waste is None else _limit(max_waste)
    limits = NONE if trust else DEFAULT
    try:
        reading = _read(image, platform, base, limits)
    except ImageError as error:
        raise click.ClickException(str(error)) from None
    audit = reading.audit
    for problem in audit.problems if is_verbose() else audit.problems[:1]:
        click.echo(problem, err=True)
    if len(audit.problems) > 1 and not is_verbose():
        click.echo(f"and {len(audit.problems) - 1} more; -v names them all", err=True)
    if form == "json":
        from cleanroom.feeds.audit_json import document

        click.echo(document(audit), nl=False)
    else:
        _print(audit)
    if limit is None:
        return 0
    waste = audit.own_waste if base is not None else audit.waste
    most = limit(audit.bytes)
    if waste <= most:
        return 0
    from cleanroom.feeds.text import size

    click.echo(f"{size(waste)} of caches, more than --max-waste {max_waste}", err=True)
    return FINDINGS


def _print(audit: Audit) -> None:
    from shutil import get_terminal_size

    from cleanroom.feeds.audit_text import render
    from cleanroom.feeds.text import wants_colour

    colour = wants_colour(sys.stdout)
    width = get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    for line in render(audit, colour=colour, width=width, verbose=is_verbose()):
        click.echo(line, color=colour)


def _limit(text: str) -> Callable[[int], float]:
    """Return what ``20MB`` or ``5%`` means for an image of so many bytes. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:(%)|([kmg]i?)?b?)\s*", text, re.IGNORECASE)
    if match is None:
        raise click.UsageError(f"--max-waste: {text!r} is no size; write 20MB, 500kB, 1.5GiB or 5%")
    number = float(match[1])
    if match[2]:
        return lambda whole: whole * number / 100
    return lambda _: number * _UNITS[(match[3] or "").lower()]


def _read(image: str, platform: str, base: str | None, limits: object) -> Reading:
    from cleanroom.images.audit import audit
    from cleanroom.images.limits import ImageError, Limits
    from cleanroom.images.sources import open_image

    assert isinstance(limits, Limits)
    diff_ids: tuple[str, ...] | None = None
    if base is not None:
        with open_image(base, platform=platform, limits=limits) as below:
            diff_ids = below.configuration.diff_ids
            if not diff_ids:
                raise ImageError(f"{base}: is no image with layers, and cannot be a --base")
    with open_image(image, platform=platform, limits=limits) as source:
        total = sum(layer.size for layer in source.layers)
        with _bar(total) as progress:
            return audit(source, base=diff_ids, base_name=base or "", limits=limits, progress=progress)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None] | None]:
    """Show how far it is, if someone watches."""
    if not sys.stderr.isatty():
        yield None
        return
    if not total:
        yield None
        return
    with click.progressbar(length=total, label="Reading", file=sys.stderr) as bar:
        yield bar.update
