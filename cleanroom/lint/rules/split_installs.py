"""``split-installs``: one manager's installs in neighbouring RUNs."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Fill
from cleanroom.engine.late import taken_from
from cleanroom.engine.ledger import Layer, Ledger
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, finding


def _installs(layer: Layer) -> Iterator[Fill]:
    """Yield the fills of a layer but for what any command of a manager leaves that keeps more where it installs."""
    for event in layer.events:
        if isinstance(event, Fill) and (not event.cache.minor or all(cache.minor for cache in event.recipe.caches)):
            yield event


def _flags(layer: Layer) -> set[str]:
    return {flag.text for flag in layer.instruction.flags}


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding at each RUN whose neighbour above installs with the same manager."""
    for stage in ledger.stages:
        if not stage.ships:
            continue
        places = {id(instruction): index for index, instruction in enumerate(stage.stage.instructions)}
        for above, layer in zip(stage.layers, stage.layers[1:], strict=False):
            if places[id(layer.instruction)] != places[id(above.instruction)] + 1:
                continue
            if above.instruction.onbuild or layer.instruction.onbuild:
                continue
            if _flags(above) != _flags(layer):
                continue  # a mount or a network of one RUN is not meant for the other
            late = taken_from(ledger, above, layer)
            before = {fill.recipe.id for fill in _installs(above)}
            seen: set[str] = set()
            for event in _installs(layer):
                if event.recipe.id in before and event.recipe.id not in seen | late:
                    seen.add(event.recipe.id)
                    yield finding(
                        ledger,
                        layer,
                        "split-installs",
                        "info",
                        event.recipe,
                        None,
                        event.span,
                        f"the RUN on line {above.instruction.line} uses {event.recipe.name} too: together they need "
                        "one layer and one clean-up",
                        related=((above.instruction.line, "the RUN it could be part of"),),
                    )


RULE = Rule(
    "split-installs",
    "one manager's installs stand in neighbouring RUNs: one layer, one clean-up would do",
    "info",
    """Installs that belong together make one layer when they stand in one RUN, and need one clean-up.

Bad:
    RUN conda install -y numpy && conda clean -afy
    RUN conda install -y scipy && conda clean -afy

Good:
    RUN conda install -y numpy scipy && conda clean -afy
""",
    find,
)
