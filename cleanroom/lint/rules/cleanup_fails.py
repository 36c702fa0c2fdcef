"""``cleanup-fails``: a clean-up that exits non-zero, asks, or does nothing as written."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Clean
from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.lint.findings import Advice, Finding
from cleanroom.lint.rules import Rule, finding
from cleanroom.recipes.model import Hazard


def _caches(clean: Clean, hazard: Hazard) -> set[str]:
    """Return the caches that the clean-up was meant for: those that the command to use instead empties."""
    meant = {cache for remedy in clean.recipe.remedies if remedy.run == hazard.instead for cache in remedy.caches}
    return meant or {cache.id for cache in clean.recipe.caches}


def misused(outcome: Outcome) -> bool:
    """Return True if a misused clean-up of the manager stands for this leftover, and is reported in its place."""
    return any(
        isinstance(event, Clean)
        and event.recipe.id == outcome.fill.recipe.id
        and event.order > outcome.fill.order
        and any(outcome.fill.cache.id in _caches(event, hazard) for hazard in event.hazards)
        for event in outcome.layer.events
    )


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for each clean-up with a hazard; one that merely frees nothing only where something is left."""
    for stage in ledger.stages:
        for layer in stage.layers:
            left = {
                (outcome.fill.recipe.id, outcome.fill.cache.id)
                for outcome in ledger.outcomes_in(layer)
                if outcome.state == Status.LEFT
                and (stage.ships or outcome.copied_by is not None)
                and not outcome.fill.cache.minor
            }
            for event in layer.events:
                if not isinstance(event, Clean):
                    continue
                for hazard in event.hazards:
                    wanted = {(event.recipe.id, cache) for cache in _caches(event, hazard)}
                    if hazard.effect != "fails" and not wanted & left:
                        continue
                    yield finding(
                        ledger,
                        layer,
                        "cleanup-fails",
                        "warning",
                        event.recipe,
                        None,
                        event.span,
                        hazard.what,
                        remedies=(Advice("clean", hazard.instead),) if hazard.instead else (),
                    )


RULE = Rule(
    "cleanup-fails",
    "a clean-up exits non-zero, asks, or does nothing as written",
    "warning",
    """The clean-up is there and looks right, but the manager refuses it or does nothing.

Bad:
    RUN npm ci && npm cache clean

Good:
    RUN npm ci && npm cache clean --force
""",
    find,
)
