"""The image that could be: what it would weigh after the fixes, and with what managers can leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cleanroom.images.audit import Audit
from cleanroom.images.causes import Tied
from cleanroom.images.waste import Waste


@dataclass(frozen=True, slots=True)
class Saving:
    """Bytes that something frees: a cache or a kind of files, and the line of the Dockerfile it is due to, if known."""

    what: str  # apt.lists; recommended-packages
    bytes: int
    line: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the image weighs, and what is due to its own layers: what fixes free, and what not-lean does besides."""

    bytes: int
    fixes: tuple[Saving, ...]
    lean: tuple[Saving, ...]

    @property
    def fixed(self) -> int:
        """What it weighs after the fixes."""
        return self.bytes - sum(saving.bytes for saving in self.fixes)

    @property
    def least(self) -> int:
        """What it weighs when managers leave out what they can besides."""
        return self.fixed - sum(saving.bytes for saving in self.lean)


def look(audit: Audit, waste: Waste, tied: Tied | None) -> Outlook:
    """Return the outlook. Beside a Dockerfile, only what its fixes save counts; of the base image, nothing does."""
    return Outlook(audit.bytes, tuple(_fixes(audit, tied)), tuple(_lean(waste, tied)))


def _fixes(audit: Audit, tied: Tied | None) -> Iterator[Saving]:
    if tied is None:
        for item in audit.leftovers:
            if item.bytes and not item.is_base and item.remedies:
                yield Saving(f"{item.manager}.{item.cache}", item.bytes, None)
        return
    for cause in tied.causes:
        finding = cause.finding
        if finding is not None and finding.fix is not None and finding.fix.safe and not cause.leftover.is_base:
            item = cause.leftover
            yield Saving(f"{item.manager}.{item.cache}", item.bytes, finding.line)


def _lean(waste: Waste, tied: Tied | None) -> Iterator[Saving]:
    for extra in waste.extras:
        if not extra.kind.lean or not extra.own:
            continue
        if tied is None:
            yield Saving(extra.kind.id, extra.own, None)
            continue
        lines = _lines(tied, tuple(extra.kind.lean.items()))
        if lines:
            yield Saving(extra.kind.id, extra.own, lines[0])


def _lines(tied: Tied, lean: Sequence[tuple[str, str]]) -> list[int]:
    """Return the lines where ``not-lean`` says that these are installed, as (manager, lean option)."""
    return [line for manager, option, line in tied.lean if (manager, option) in lean]
