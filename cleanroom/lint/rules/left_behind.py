"""``left-behind``, ``cleaned-late`` and ``cleaned-early``: bytes that ship. One finding for a cache and a layer."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, advice, finding
from cleanroom.lint.rules.cleanup_fails import misused


def shipped(ledger: Ledger) -> list[Outcome]:
    """Return what is left in layers that ship: the last fill of each cache in each layer."""
    if ("shipped", 0) not in ledger.memory:
        last: dict[tuple[int, str, str, tuple[str, ...]], Outcome] = {}
        for outcome in ledger.outcomes:
            ships = ledger.stages[outcome.layer.stage].ships or outcome.copied_by is not None
            if outcome.state == Status.LEFT and ships and not outcome.fill.cache.minor:
                key = (
                    outcome.layer.instruction.span.start,
                    outcome.fill.recipe.id,
                    outcome.fill.cache.id,
                    outcome.fill.paths,
                )
                last[key] = outcome
        ledger.memory["shipped", 0] = list(last.values())
    found = ledger.memory["shipped", 0]
    assert isinstance(found, list)
    return found


def _kind(outcome: Outcome) -> str:
    if outcome.late is not None:
        return "cleaned-late"
    return "cleaned-early" if outcome.early is not None else "left-behind"


def _find(ledger: Ledger, rule: str) -> Iterator[Finding]:
    for outcome in shipped(ledger):
        if _kind(outcome) != rule or misused(outcome):
            continue
        fill, layer = outcome.fill, outcome.layer
        name, what = fill.recipe.name, fill.cache.what
        related: tuple[tuple[int, str], ...] = ()
        if outcome.late is not None:
            line = ledger.source.position(outcome.late[1].span.start)[0]
            message = (
                f"{name} leaves {what}; the RUN on line {outcome.late[0].instruction.line} removes it from view, "
                "but the bytes stay in this layer"
            )
            related = ((line, "the clean-up that comes a layer too late"),)
        elif outcome.early is not None:
            line = ledger.source.position(outcome.early.span.start)[0]
            message = f"{name} leaves {what}; the clean-up on line {line} runs before this command and not after it"
            related = ((line, "the clean-up that comes too early"),)
        else:
            message = f"{name} leaves {what} in this layer"
            if outcome.missed is not None:
                line = ledger.source.position(outcome.missed.span.start)[0]
                message += f"; the clean-up on line {line} {outcome.why_missed}"
                related = ((line, f"the clean-up that {outcome.why_missed}"),)
        for mount in layer.mounts:
            if why := _useless(mount.target, fill.paths):
                message += f"; the mount on {mount.target} does not help: {why}"
        if fill.cache.linked:
            message += f"; where it is hard-linked with {fill.cache.linked}, removing it frees only the rest"
        if outcome.copied_by is not None:
            message += f", and the {outcome.copied_by.keyword} on line {outcome.copied_by.line} ships it"
            related += ((outcome.copied_by.line, "the instruction that ships it"),)
        yield finding(
            ledger,
            layer,
            rule,
            "warning",
            fill.recipe,
            fill.cache,
            fill.span,
            message,
            paths=fill.paths,
            remedies=tuple(advice(fill, layer)),
            related=related,
        )


def _useless(target: str, paths: tuple[str, ...]) -> str:
    """Return why a mount that seems meant for one of ``paths`` is not on it, "" where it seems meant for another."""
    home, _, tail = target.rpartition("/.")
    if not home or not any(path.endswith(f"/.{tail}") or f"/.{tail}/" in path for path in paths):
        return ""
    return "~ is not expanded there" if "~" in home else "it is in the home of another user"


RULES = (
    Rule(
        "left-behind",
        "a cache is left in a layer that ships",
        "warning",
        """A package manager fills a cache that nothing needs at run time, and nothing empties it in the same RUN.

Bad:
    RUN apt-get update && apt-get install -y curl

Good:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
""",
        lambda ledger: _find(ledger, "left-behind"),
    ),
    Rule(
        "cleaned-late",
        "a cache is emptied, but in a later layer: the bytes stay",
        "warning",
        """Each RUN makes a layer. What a later layer deletes is hidden, yet its bytes still ship with the earlier one.

Bad:
    RUN apt-get update && apt-get install -y curl
    RUN rm -rf /var/lib/apt/lists/*

Good:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
""",
        lambda ledger: _find(ledger, "cleaned-late"),
    ),
    Rule(
        "cleaned-early",
        "a cache is emptied before the last command that fills it",
        "warning",
        """The clean-up runs, and then another command fills the cache again.

Bad:
    RUN yum install -y gcc && yum clean all && yum install -y make

Good:
    RUN yum install -y gcc && yum install -y make && yum clean all
""",
        lambda ledger: _find(ledger, "cleaned-early"),
    ),
)
