"""What cleanroom knows about the findings of another linter: the command, the reason, or why it is no finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from cleanroom import own_rules
from cleanroom.check import findings, read, with_fix
from cleanroom.findings import Finding, Problem, Report
from cleanroom.ledger import Ledger, Outcome
from cleanroom.library import Library
from cleanroom.linter_reports import Reported
from cleanroom.records import dataclass, replace

VERDICTS = {
    "confirmed": "cleanroom finds the same, and knows what to do",
    "wrong": "no bytes ship for this: the linter does not see why",
    "optional": "no bytes ship for this; what the linter asks for only speeds builds up",
    "unknown": "cleanroom cannot tell",
    "other": "about something else than what package managers leave behind",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A linter's finding, and what cleanroom says to it."""

    reported: Reported
    verdict: str  # one of VERDICTS
    reason: str = ""
    managers: tuple[str, ...] = ()  # the recipes that name the linter's rule
    findings: tuple[Finding, ...] = ()  # ours, at the same instruction
    is_ours: bool = False  # the rule is cleanroom's own: `cleanroom export` wrote it


@dataclass(frozen=True, slots=True)
class Enriched:
    """A Dockerfile: what the linter says of it, judged, and what it missed."""

    path: str
    text: str
    judged: tuple[Judged, ...]
    missed: tuple[Finding, ...]  # ours that the linter does not have
    report: Report  # ours, all of it


def enrich(
    path: str,
    text: str,
    reported: Iterable[Reported],
    library: Library,
    read_file: Callable[[str], str | None] | None = None,
) -> Enriched:
    """Judge what a linter says about one Dockerfile. ``read_file`` is as for ``check``. Nothing is raised."""
    ledger = read(text, library, None, read_file)
    if isinstance(ledger, Problem):
        why = f"cleanroom cannot read the file: {ledger.message} (line {ledger.line})"
        judged = tuple(Judged(item, "unknown", why) for item in reported)
        return Enriched(path, text, judged, (), Report(errors=(ledger,)))
    found = tuple(with_fix(ledger, finding) for finding in findings(ledger, (), (), ""))
    known, own = peers(library), own_rules.caches(library)
    judged = tuple(_judge(item, ledger, found, known, own) for item in reported)
    confirmed = {id(finding) for item in judged for finding in item.findings}
    missed = tuple(item for item in found if id(item) not in confirmed and item.rule in own_rules.SIZE)
    return Enriched(path, text, judged, missed, Report(found, tuple(ledger.unresolved)))


def peers(library: Library) -> Mapping[str, tuple[str, ...]]:
    """Return the ids of the recipes that name a linter's rule, by its canonical name."""
    known: dict[str, tuple[str, ...]] = {}
    for recipe in library.recipes():
        for rules in recipe.peers.values():
            for rule in rules:
                name = canonical(rule)
                if recipe.id not in known.get(name, ()):
                    known[name] = (*known.get(name, ()), recipe.id)
    return known


def canonical(rule: str) -> str:
    """Return the name of a linter's rule that is the same wherever it is named.

    tally writes ``hadolint/DL3042``, Semgrep puts folders in front with dots, Trivy has written ``AVD-DS-0025``,
    ``DS025`` and ``DS-0025`` for the same.
    """
    name = re.split(r"[/.]", rule)[-1]
    if match := re.fullmatch(r"(?:AVD-)?DS-?0*(\d+)", name):
        return f"DS-{int(match[1]):04}"
    return name


def _judge(
    item: Reported,
    ledger: Ledger,
    found: Iterable[Finding],
    known: Mapping[str, tuple[str, ...]],
    own: Mapping[str, tuple[str, str]],
) -> Judged:
    name = own_rules.name(item)
    if name is None:
        managers = known.get(canonical(item.rule), ())
        return _compare(Judged(item, "other", "", managers), ledger, found) if managers else Judged(item, "other")
    if name not in own:
        return Judged(item, "unknown", "no recipe has the cache that this rule was exported for", is_ours=True)
    manager, cache = own[name]
    return _compare(Judged(item, "other", "", (manager,), is_ours=True), ledger, found, cache)


def _compare(item: Judged, ledger: Ledger, found: Iterable[Finding], cache: str = "") -> Judged:
    """Judge what is about some managers, or about one cache of a manager, by what the ledger has at its line."""
    managers = item.managers
    outcomes = [
        outcome
        for outcome in ledger.outcomes
        if outcome.layer.instruction.line <= item.reported.line <= outcome.layer.instruction.end_line
        and outcome.fill.recipe.id in managers
        and cache in ("", outcome.fill.cache.id)
    ]
    lines = {outcome.layer.instruction.line for outcome in outcomes}
    ours = tuple(
        one
        for one in found
        if one.instruction_line in lines
        and one.manager in managers
        and cache in ("", one.cache)
        and one.rule in own_rules.SIZE
    )
    if ours:
        return replace(item, verdict="confirmed", findings=ours)
    if not outcomes:
        what = " or ".join(managers) if len(managers) <= 3 else "a package manager"
        reason = f"cleanroom sees nothing here by which {what} fills {'this' if cache else 'a'} cache"
        return replace(item, verdict="unknown", reason=reason)
    reasons = [_reason(outcome, ledger) for outcome in outcomes]
    if any(outcome.state == "left" and why is None for outcome, why in zip(outcomes, reasons, strict=True)):
        reason = "it ships, but a comment in the file asks cleanroom to ignore it"
        return replace(item, verdict="unknown", reason=reason)
    if any(why is None for why in reasons):
        return replace(item, verdict="unknown", reason="what becomes of the cache cannot be known from the file")
    verdict = "optional" if "cache-mounts" in item.reported.rule else "wrong"
    return replace(item, verdict=verdict, reason="; ".join(dict.fromkeys(why for why in reasons if why)))


def _reason(outcome: Outcome, ledger: Ledger) -> str | None:
    """Return why what a command fills does not ship needlessly; None where that is not known."""
    stage, what = ledger.stages[outcome.layer.stage], f"{outcome.fill.recipe.name} ({outcome.fill.cache.what})"
    if outcome.state == "prevented":
        return f"{what}: kept from being written by {outcome.fill.prevented}"
    if outcome.state == "mounted" and outcome.mount is not None:
        return f"{what}: on the {outcome.mount.kind} mount at {outcome.mount.target}, not in the layer"
    if outcome.state == "clean":
        return f"{what}: removed in the same RUN"
    if outcome.state == "used":
        return f"{what}: read whenever a container starts"
    if outcome.state == "there":
        return f"{what}: an earlier layer holds it already"
    if outcome.state == "left" and not stage.ships and outcome.copied_by is None:
        return f"{what}: left in the stage {stage.name}, which does not ship"
    if outcome.state == "left" and outcome.fill.cache.minor:
        return f"{what}: too small to matter"
    return None
