"""Platforms as people and tools write them: ``linux/arm64``, ``aarch64``, ``arm/v7``.

Source: https://github.com/containerd/platforms#specifiers, whose names and defaults these are.
"""

from __future__ import annotations

import platform as machine
from collections.abc import Iterable
from dataclasses import dataclass

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armv7l": "arm/v7",
    "armv7": "arm/v7",
    "armel": "arm/v6",
    "armv6l": "arm/v6",
    "i386": "386",
    "i686": "386",
    "x86": "386",
    "ppc64el": "ppc64le",
}
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_VARIANTS = {"arm64": "v8"}  # what no variant means; of arm it means any


@dataclass(frozen=True, slots=True)
class Platform:
    """A system, an architecture and a variant of it, ``""`` for any."""

    system: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.system, self.architecture, self.variant) if part)


def parse(text: str) -> Platform:
    """Return what a text names; what it leaves out is Linux, and any variant."""
    parts = text.lower().split("/")
    if parts[0] not in _SYSTEMS:
        parts.insert(0, "linux")
    system, architecture, variant = (*parts, "", "")[:3]
    architecture, _, implied = _ARCHITECTURES.get(architecture, architecture).partition("/")
    return Platform(system, architecture, variant or implied or _VARIANTS.get(architecture, ""))


def here() -> Platform:
    """Return the platform of images that run on this machine."""
    return parse(f"linux/{machine.machine()}")


def choose(given: Iterable[str], wanted: Platform) -> str | None:
    """Return which of several platforms is meant: the one that is the same, else the highest variant of it."""
    fitting = [text for text in given if _fits(parse(text), wanted)]
    same = [text for text in fitting if parse(text) == wanted]
    variants = sorted(fitting, key=lambda text: (len(parse(text).variant), parse(text).variant))
    return next(iter(same or variants[::-1]), None)


def _fits(given: Platform, wanted: Platform) -> bool:
    return (given.system, given.architecture) == (wanted.system, wanted.architecture) and (
        not wanted.variant or given.variant == wanted.variant
    )
