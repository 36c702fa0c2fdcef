"""``over-cleaned``: a clean-up removes what must stay."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.events import Fill, Other, Remove
from cleanroom.findings import Finding
from cleanroom.ledger import Layer, Ledger
from cleanroom.paths import UNKNOWN, covers
from cleanroom.recipe import Keep, Recipe
from cleanroom.rules import Rule, finding


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for each removal of something a manager that the file uses must keep."""
    used: dict[str, Recipe] = {}
    for stage in ledger.stages:
        for layer in stage.layers:
            for event in layer.events:
                if isinstance(event, (Fill, Other)):
                    used[event.recipe.id] = event.recipe
    for stage in ledger.stages:
        for position, layer in enumerate(stage.layers):
            for event in layer.events:
                if not isinstance(event, Remove):
                    continue
                for recipe in used.values():
                    for keep in recipe.keep:
                        if _removes(event, keep) and _needed(keep, recipe, event, stage.layers[position:]):
                            yield finding(
                                ledger,
                                layer,
                                "over-cleaned",
                                "error",
                                recipe,
                                None,
                                event.span,
                                f"this removes {keep.path}, which {recipe.name} needs: {keep.why}",
                                paths=(keep.path,),
                            )


def _removes(event: Remove, keep: Keep) -> bool:
    for pattern in event.patterns:
        if UNKNOWN in pattern or not pattern.strip("/"):
            continue
        parts = [part for part in pattern.split("/") if part]
        if keep.folder and len(parts) > len(keep.path.strip("/").split("/")):
            continue
        if covers(pattern, keep.path) is True and (event.recursive or pattern == keep.path):
            return True
    return False


def _needed(keep: Keep, recipe: Recipe, removal: Remove, layers: list[Layer]) -> bool:
    if not keep.needed_by:
        return True
    return any(
        isinstance(event, (Fill, Other))
        and event.recipe.id == recipe.id
        and event.verb in keep.needed_by
        and (index > 0 or event.order > removal.order)
        for index, layer in enumerate(layers)
        for event in layer.events
    )


RULE = Rule(
    "over-cleaned",
    "the clean-up removes what must stay: a package database, a folder the manager needs",
    "error",
    """Some of what a manager keeps is its memory of what is installed. Without it, it cannot work on.

Bad:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/* /var/lib/dpkg

Good:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
""",
    find,
)
