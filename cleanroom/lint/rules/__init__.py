"""Rules: functions from the ledger to findings. One file a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.events import Fill
from cleanroom.engine.ledger import Layer, Ledger
from cleanroom.lint.findings import Advice, Finding
from cleanroom.recipes.facts import applies, at_home, by_sudo, remedy_text
from cleanroom.recipes.model import Cache, Recipe, Typical
from cleanroom.syntax.dockerfile import Dockerfile
from cleanroom.syntax.paths import UNKNOWN, below, covers
from cleanroom.syntax.text import Span


class Rule(Struct, frozen=True):
    """A rule. ``explanation`` is for a person: what it finds, why it matters, a bad and a good example."""

    name: str
    summary: str
    severity: str
    explanation: str
    find: Callable[[Ledger], Iterator[Finding]]
    default: bool = True


def advice(fill: Fill, layer: Layer) -> Iterator[Advice]:
    """Yield the remedies that keep what ``fill`` leaves out of this layer, as they are to be written there, best first.

    One that names another place than where the cache is here names this place instead.
    """
    recipe, cache = fill.recipe, fill.cache.id
    is_root = layer.user.partition(":")[0] in ("root", "0")
    path = fill.paths[0] if len(fill.paths) == 1 and UNKNOWN not in fill.paths[0] else ""
    texts: list[str] = []
    for remedy in recipe.remedies:
        if cache not in remedy.caches or applies(remedy.versions, remedy.bases, layer.base, recipe.id) is not True:
            continue
        if remedy.root_only and not (is_root or fill.sudo):
            continue
        uid = "0" if fill.sudo else layer.uid
        text = remedy_text(remedy, layer.home, uid)
        if remedy.kind == "mount" and path:
            targets = [at_home(target, layer.home) for target in remedy.targets]
            if not any(below(path, target) or "$" in target for target in targets):
                text = remedy_text(replace(remedy, targets=(_folder(path),)), layer.home, uid)
        elif remedy.kind == "clean":
            if text.startswith("rm ") and "&&" not in text and path:
                places = [at_home(word, layer.home) for word in text.split()[1:]]
                if not any(covers(place, path) or "$" in place for place in places):
                    text = f"rm -rf {path}"
            if fill.sudo:
                text = by_sudo(text)
        if text not in texts:
            texts.append(text)
            yield Advice(remedy.kind, text)


def _folder(path: str) -> str:
    """Return the folder of a path whose last part is a pattern for files."""
    head, _, last = path.rpartition("/")
    return head if "*" in last else path


def writable(remedies: Iterable[Advice], dockerfile: Dockerfile) -> Iterator[Advice]:
    """Yield what can be written in a file, as it is written there: among scripts alone is no ENV line and no mount."""
    for advice in remedies:
        if dockerfile.run == "RUN":
            yield advice
        elif advice.kind != "mount":
            text = f"export {advice.text[4:]}" if advice.text.startswith("ENV ") else advice.text
            yield replace(advice, text=text, run=dockerfile.run)


def finding(
    ledger: Ledger,
    layer: Layer | None,
    rule: str,
    severity: str,
    recipe: Recipe | None,
    cache: Cache | None,
    span: Span,
    message: str,
    *,
    paths: tuple[str, ...] = (),
    remedies: tuple[Advice, ...] = (),
    related: tuple[tuple[int, str], ...] = (),
    typical: Typical | None = None,
) -> Finding:
    """Return a finding at ``span``; one about no layer, or no manager, has None for it."""
    line, column = ledger.source.position(span.start)
    end_line, end_column = ledger.source.position(span.end)
    stage = ledger.stages[layer.stage] if layer else None
    if typical is None and cache is not None:
        typical = cache.typical
    if typical and recipe and layer and applies("", typical.bases, layer.base, recipe.id) is False:
        typical = None
    return Finding(
        rule=rule,
        manager=recipe.id if recipe else "",
        cache=cache.id if cache else "",
        severity=severity,
        message=message,
        span=span,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        instruction_line=layer.instruction.line if layer else line,
        stage=stage.name if stage else "",
        ships=stage is not None and stage.ships,
        paths=tuple(path.replace("\x00", "…") for path in paths),
        typical_bytes=typical.bytes if typical else None,
        typical_of=typical.of if typical else "",
        remedies=tuple(writable(remedies, ledger.dockerfile)),
        aliases=tuple(recipe.peers.items()) if recipe else (),
        related=related,
    )


def built_in() -> tuple[Rule, ...]:
    """Return the rules that ship."""
    from cleanroom.lint.rules import (
        cleanup_fails,
        downloads_anew,
        left_behind,
        mounts,
        not_lean,
        over_cleaned,
        removed_late,
        split_installs,
        unused_ignore,
    )

    return (
        *left_behind.RULES,
        cleanup_fails.RULE,
        *mounts.RULES,
        removed_late.RULE,
        split_installs.RULE,
        over_cleaned.RULE,
        not_lean.RULE,
        downloads_anew.RULE,
        unused_ignore.RULE,
    )
