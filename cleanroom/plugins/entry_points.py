"""The entry points of our group on a path, found without importing ``importlib.metadata`` where there are none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "cleanroom"


class EntryPoint(Struct, frozen=True, order=True):
    """Where a distribution names a plugin. Plugins load in this order."""

    distribution: str  # its normal name: lower case, hyphens
    name: str
    value: str  # module or module:object
    version: str


def normal(name: str) -> str:
    """Return the name of a distribution as all of its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(path: Sequence[str]) -> list[EntryPoint]:
    """Return the entry points of our group in the folders and archives of ``path``, sorted.

    Of two distributions of one name, the first on the path counts, whose modules are the ones that are imported.
    """
    found: dict[str, list[EntryPoint]] = {}
    for folder in dict.fromkeys(path):
        for distribution, place in _distributions(folder or os.curdir):
            name, version = _identity(distribution, place)
            points = distribution.entry_points.select(group=GROUP)
            if points:
                found.setdefault(name, [EntryPoint(name, point.name, point.value, version) for point in points])
    return sorted(point for points in found.values() for point in points)


def _distributions(folder: str) -> Iterator[tuple[Distribution, str]]:
    """Yield the distributions whose entry points may name our group, and where their metadata is."""
    try:
        with os.scandir(folder) as entries:
            places = sorted(entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    except NotADirectoryError:
        from importlib.metadata import distributions

        yield from ((distribution, "") for distribution in distributions(path=[folder]))
        return
    except OSError:
        return
    for place in places:
        try:
            with open(f"{place}/entry_points.txt", "rb") as file:
                if f"[{GROUP}]".encode() not in file.read():
                    continue
        except OSError:
            continue
        from importlib.metadata import Distribution
        from pathlib import Path

        yield Distribution.at(Path(place)), place


def _identity(distribution: Distribution, place: str) -> tuple[str, str]:
    """Return the normal name and the version; those in the name of the folder where there is no other metadata."""
    try:
        return normal(distribution.metadata["Name"]), distribution.version
    except Exception:  # by version of Python: PackageNotFoundError, KeyError, TypeError …
        name, _, version = os.path.basename(place).rpartition(".")[0].partition("-")
        return normal(name), version or "?"
