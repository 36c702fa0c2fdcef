"""``not-lean``: the manager could install less that nothing at run time needs. Off unless selected."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Optional
from cleanroom.engine.ledger import Ledger
from cleanroom.lint.findings import Advice, Finding
from cleanroom.lint.rules import Rule, finding
from cleanroom.recipes.model import Lean


def _advice(lean: Lean) -> tuple[Advice, ...]:
    ways = [Advice("lean", option) for option in lean.options[:1]]
    ways += [Advice("lean", f"ENV {name}={values[0]}") for name, values in list(lean.variables.items())[:1]]
    if lean.files and lean.text:
        ways.append(Advice("lean", f"{lean.text} in {lean.files[0]}"))
    return tuple(ways)


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for the last command of each layer that ships and installs more than it must."""
    for stage in ledger.stages:
        if not stage.ships:
            continue
        for layer in stage.layers:
            last: dict[tuple[str, str], Optional] = {}
            for event in layer.events:
                if isinstance(event, Optional) and not event.removed:
                    last[event.recipe.id, event.lean.id] = event
            for event in last.values():
                lean = event.lean
                message = f"{event.recipe.name} also installs {lean.what}"
                if lean.cost:
                    message += f"; left out, {lean.cost}"
                yield finding(
                    ledger,
                    layer,
                    "not-lean",
                    "info",
                    event.recipe,
                    None,
                    event.span,
                    message,
                    remedies=_advice(lean),
                    typical=lean.typical,
                )


RULE = Rule(
    "not-lean",
    "the manager could install less that nothing at run time needs",
    "info",
    """Managers install more than what was asked for: recommended packages, documentation, development dependencies.
What may be left out is for you to judge, so this rule is off unless it is selected: --select not-lean.

Bad:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*

Good:
    RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
""",
    find,
    default=False,
)
