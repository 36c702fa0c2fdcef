"""Rules: functions from the ledger to findings. One file a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cleanroom.facts import applies, remedy_text
from cleanroom.findings import Advice, Finding
from cleanroom.ledger import Layer, Ledger
from cleanroom.recipe import Cache, Recipe, Typical
from cleanroom.records import dataclass
from cleanroom.text import Span


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``explanation`` is for a person: what it finds, why it matters, a bad and a good example."""

    name: str
    summary: str
    severity: str
    explanation: str
    find: Callable[[Ledger], Iterator[Finding]]
    default: bool = True


def advice(recipe: Recipe, caches: tuple[str, ...], layer: Layer) -> Iterator[Advice]:
    """Yield the remedies that keep one of ``caches`` out of this layer, as they are to be written there, best first."""
    for remedy in recipe.remedies:
        if not set(caches) & set(remedy.caches):
            continue
        if applies(remedy.versions, remedy.bases, layer.base, recipe.id) is not True:
            continue
        if remedy.root_only and layer.user.partition(":")[0] not in ("root", "0"):
            continue
        yield Advice(remedy.kind, remedy_text(remedy, layer.home))


def finding(
    ledger: Ledger,
    layer: Layer,
    rule: str,
    severity: str,
    recipe: Recipe,
    cache: Cache | None,
    span: Span,
    message: str,
    *,
    paths: tuple[str, ...] = (),
    remedies: tuple[Advice, ...] = (),
    related: tuple[tuple[int, str], ...] = (),
    typical: Typical | None = None,
) -> Finding:
    """Return a finding at ``span``."""
    line, column = ledger.source.position(span.start)
    end_line, end_column = ledger.source.position(span.end)
    stage = ledger.stages[layer.stage]
    if typical is None and cache is not None:
        typical = cache.typical
    return Finding(
        rule=rule,
        manager=recipe.id,
        cache=cache.id if cache else "",
        severity=severity,
        message=message,
        span=span,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        instruction_line=layer.instruction.line,
        stage=stage.name,
        ships=stage.ships,
        paths=tuple(path.replace("\x00", "…") for path in paths),
        typical_bytes=typical.bytes if typical else None,
        typical_of=typical.of if typical else "",
        remedies=remedies,
        aliases=tuple((peer, ids) for peer, ids in recipe.peers.items()),
        related=related,
    )


def all_rules() -> Mapping[str, Rule]:
    """Return every rule by its name."""
    from cleanroom.rules import cleanup_fails, leftovers, mounts, not_lean, over_cleaned, split_installs, unused_ignore

    rules = (
        *leftovers.RULES,
        cleanup_fails.RULE,
        *mounts.RULES,
        split_installs.RULE,
        over_cleaned.RULE,
        not_lean.RULE,
        unused_ignore.RULE,
    )
    return {rule.name: rule for rule in rules}
