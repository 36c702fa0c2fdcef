"""``downloads-anew``: what every build fetches again, since no cache mount keeps it."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Fill
from cleanroom.engine.ledger import Layer, Ledger, Outcome, Status
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, advice, finding
from cleanroom.recipes.facts import applies
from cleanroom.recipes.model import Remedy
from cleanroom.syntax.paths import UNKNOWN

_MET = (Status.LEFT, Status.CLEAN, Status.PREVENTED, Status.USED)


def mountable(fill: Fill, layer: Layer) -> Remedy | None:
    """Return the remedy that keeps what ``fill`` fetches in a mount."""
    return next(
        (
            remedy
            for remedy in fill.recipe.remedies
            if remedy.kind == "mount"
            and fill.cache.id in remedy.caches
            and applies(remedy.versions, remedy.bases, layer.base, fill.recipe.id) is True
        ),
        None,
    )


def fetches(outcome: Outcome) -> bool:
    """Return True if a command fetches into a place that is known, and no mount keeps it."""
    fill = outcome.fill
    return (
        outcome.state in _MET
        and not fill.cache.minor
        and bool(fill.paths)
        and all(UNKNOWN not in path and path.startswith("/") for path in fill.paths)
        and bool(outcome.layer.uid or fill.sudo)
        and mountable(fill, outcome.layer) is not None
        and not any(flag.name == "network" and flag.value == "none" for flag in outcome.layer.instruction.flags)
    )


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for the last command by which a manager fetches in a RUN, of all stages."""
    if ledger.dockerfile.run != "RUN":
        return
    for layer in (layer for stage in ledger.stages for layer in stage.layers if not layer.instruction.onbuild):
        last: dict[str, Fill] = {}
        for outcome in ledger.outcomes_in(layer):
            fill = outcome.fill
            seen = last.get(fill.recipe.id)
            if fetches(outcome) and (
                seen is None or fill.recipe.caches.index(fill.cache) <= fill.recipe.caches.index(seen.cache)
            ):
                last[fill.recipe.id] = fill
        for fill in last.values():
            mounts = tuple(item for item in advice(fill, layer) if item.kind == "mount")[:1]
            yield finding(
                ledger,
                layer,
                "downloads-anew",
                "info",
                fill.recipe,
                fill.cache,
                fill.span,
                f"{fill.recipe.name} fetches {fill.cache.what} anew in each build; a cache mount keeps them where the "
                "builder keeps its mounts",
                paths=fill.paths,
                remedies=mounts,
            )


RULE = Rule(
    "downloads-anew",
    "every build fetches this anew: no cache mount keeps it",
    "info",
    """A cache mount keeps what a manager fetched from one build to the next, and out of the image. It helps only
where the builder keeps its mounts, which runners of CI often do not, and needs BuildKit or Buildah. So this rule is
off unless it is selected: --select downloads-anew.

Bad:
    RUN pip install --no-cache-dir flask

Good:
    RUN --mount=type=cache,target=/root/.cache/pip pip install flask
""",
    find,
    default=False,
)
