"""The audit of an image as one page that needs nothing else: a treemap, and tables that say the same."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.formats.pages import templates
from cleanroom.images.audit import Audit, Reading, waste_by_manager
from cleanroom.images.causes import Tied
from cleanroom.images.formats.text import change, comparison, pulled
from cleanroom.images.formats.treemap import draw
from cleanroom.images.outlook import Outlook
from cleanroom.images.waste import Waste
from cleanroom.version import __version__

# White text on each has a contrast of at least 4.5: https://www.w3.org/TR/WCAG21/#contrast-minimum
COLOURS = ("#b3364a", "#a8500f", "#7d5e00", "#8f2f66", "#76481f", "#a83a6e", "#6a45a3", "#8a4a10")


def render(
    reading: Reading,
    tied: Tied | None = None,
    other: Audit | None = None,
    rest: tuple[Waste, Outlook] | None = None,
) -> Iterator[str]:
    """Yield the page in pieces; ``other`` is an image to show beside it, ``rest`` what else this one carries.

    Raises ExtraMissingError.
    """
    audit = reading.audit
    managers = list(waste_by_manager(audit))
    colours = {manager: COLOURS[index % len(COLOURS)] for index, (manager, *_) in enumerate(managers)}
    found = sorted((item for item in audit.leftovers if item.bytes), key=lambda item: -item.bytes)
    yield from (
        templates(__file__)
        .get_template("audit.html.jinja")
        .generate(
            version=__version__,
            waste=rest and rest[0],
            outlook=rest and rest[1],
            audit=audit,
            other=other,
            tied=tied,
            managers=managers,
            colours=colours,
            boxes=draw(reading, colours),
            leftovers=found,
            causes={} if tied is None else {id(cause.leftover): cause for cause in tied.causes},
            wastes={
                layer.number: sum(item.bytes for item in found if item.layer == layer.number) for layer in audit.layers
            },
            rows=[] if other is None else comparison(audit, other),
            heads=[] if other is None else _short(audit.reference, other.reference),
            change=change,
            pulled=pulled,
            percent=_percent,
            identity=id,
        )
    )


def _short(one: str, two: str) -> tuple[str, str]:
    """Return two references without their folders, if they still differ."""
    ends = one.rpartition("/")[2], two.rpartition("/")[2]
    return (one, two) if ends[0] == ends[1] or not all(ends) else ends


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f} %"
