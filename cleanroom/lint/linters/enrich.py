"""What cleanroom knows about the findings of another linter: the command, the reason, or why it is no finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.lint.check import Options, read, run_rules, with_fix
from cleanroom.lint.findings import SIZE_RULES, Finding, Problem, Report
from cleanroom.lint.linters.reports import Reported
from cleanroom.lint.rules import Rule
from cleanroom.recipes import rule_ids
from cleanroom.recipes.library import Library

if TYPE_CHECKING:
    from typing import TypeAlias

    _Judgement: TypeAlias = tuple[str, str, tuple[Finding, ...]]  # the verdict, why, our findings

VERDICTS = {
    "confirmed": "cleanroom finds the same, and knows what to do",
    "wrong": "no bytes ship for this: the linter does not see why",
    "optional": "no bytes ship for this; what the linter asks for only speeds builds up",
    "unknown": "cleanroom cannot tell",
    "other": "about something else than what package managers leave behind",
}


class Judged(Struct, frozen=True):
    """A linter's finding, and what cleanroom says to it."""

    reported: Reported
    verdict: str  # one of VERDICTS
    reason: str = ""
    managers: tuple[str, ...] = ()  # the recipes that name the linter's rule
    findings: tuple[Finding, ...] = ()  # ours, at the same instruction
    is_ours: bool = False  # the rule is cleanroom's own: `cleanroom export` wrote it


class Enriched(Struct, frozen=True):
    """A Dockerfile: the linter's findings with our verdict, and the findings it missed."""

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
    rules: Mapping[str, Rule],
    read_file: Callable[[str], str | None] | None = None,
) -> Enriched:
    """Judge what a linter says about one Dockerfile. Nothing is raised.

    ``rules`` are all there are; ``read_file`` is as for ``check``.
    """
    names = [_cache_name(item) for item in reported]
    own = rule_ids.caches(library) if any(name is not None for name in names) else {}
    known = peers(library)
    about = [(item, _about(item, name, known, own)) for item, name in zip(reported, names, strict=True)]
    options = Options(library, read_file=read_file)
    ledger = read(text, options)
    if isinstance(ledger, Problem):
        why = f"cleanroom cannot read the file: {ledger.message} (line {ledger.line})"
        judged = tuple(_judged(item, what, ("unknown", why, ())) for item, what in about)
        return Enriched(path, text, judged, (), Report(errors=(ledger,)))
    found = tuple(with_fix(ledger, finding) for finding in run_rules(ledger, rules, options)[0])
    judged = tuple(_judged(item, what, _verdict(item.line, what, ledger, found)) for item, what in about)
    confirmed = {id(finding) for item in judged for finding in item.findings}
    missed = tuple(item for item in found if id(item) not in confirmed and item.rule in SIZE_RULES)
    return Enriched(path, text, judged, missed, Report(found, tuple(ledger.unresolved)))


def _cache_name(item: Reported) -> str | None:
    """Return the cache that a report of a rule of cleanroom's is about; None for any other rule.

    ``""`` where the message, which should have it, names no cache.
    """
    rule = item.rule
    if match := re.fullmatch(rf"(?:.*\.)?({rule_ids.SEMGREP}.+)", rule):
        return match[1]
    if rule.startswith(rule_ids.CHECKOV):
        return rule
    said_by_us = item.linter == "cleanroom" or rule.startswith("cleanroom/")
    if rule == rule_ids.POLICY_ID or (said_by_us and rule.removeprefix("cleanroom/") in SIZE_RULES):
        last = re.match(r"(?s:.*)\[([\w.-]+\.[\w.-]+)\]", item.message)
        return last[1] if last else ""
    return None


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


class _About(Struct, frozen=True):
    """What a linter's rule is about."""

    managers: tuple[str, ...]  # none where it is about something else
    cache: str = ""  # the one cache of the one manager, where it is about that
    is_ours: bool = False
    is_about_speed: bool = False  # it asks for a mount, whatever becomes of the cache


def _about(
    item: Reported, name: str | None, known: Mapping[str, tuple[str, ...]], own: Mapping[str, tuple[str, str]]
) -> _About:
    if name is None:
        return _About(known.get(canonical(item.rule), ()), is_about_speed="cache-mounts" in item.rule)
    if name not in own:
        return _About((), is_ours=True)
    manager, cache = own[name]
    return _About((manager,), cache, is_ours=True)


def _judged(item: Reported, about: _About, judgement: _Judgement) -> Judged:
    if not about.managers:
        why = "no recipe has the cache that this rule was exported for"
        return Judged(item, "unknown", why, is_ours=True) if about.is_ours else Judged(item, "other")
    verdict, reason, ours = judgement
    return Judged(item, verdict, reason, about.managers, ours, about.is_ours)


def _verdict(line: int, about: _About, ledger: Ledger, found: Iterable[Finding]) -> _Judgement:
    """Return what the ledger has at a line about these managers, or this cache: the verdict, why, our findings."""
    outcomes = [
        outcome
        for outcome in ledger.outcomes
        if outcome.layer.instruction.line <= line <= outcome.layer.instruction.end_line
        and outcome.fill.recipe.id in about.managers
        and about.cache in ("", outcome.fill.cache.id)
    ]
    lines = {outcome.layer.instruction.line for outcome in outcomes}
    ours = tuple(
        one
        for one in found
        if one.instruction_line in lines
        and one.manager in about.managers
        and about.cache in ("", one.cache)
        and one.rule in SIZE_RULES
    )
    if ours:
        return "confirmed", "", ours
    if not outcomes:
        return "unknown", _nothing_seen(line, about, ledger), ()
    reasons = [_reason(outcome, ledger) for outcome in outcomes]
    if any(outcome.state == Status.LEFT and why is None for outcome, why in zip(outcomes, reasons, strict=True)):
        return "unknown", "it ships, but a comment in the file asks cleanroom to ignore it", ()
    if any(why is None for why in reasons):
        return "unknown", "what becomes of the cache cannot be known from the file", ()
    verdict = "optional" if about.is_about_speed else "wrong"
    return verdict, "; ".join(dict.fromkeys(why for why in reasons if why)), ()


def _nothing_seen(line: int, about: _About, ledger: Ledger) -> str:
    what = " or ".join(about.managers) if len(about.managers) <= 3 else "a package manager"
    reason = f"cleanroom sees nothing here by which {what} fills {'this' if about.cache else 'a'} cache"
    instructions = ledger.dockerfile.instructions
    last = next((one.end_line for one in instructions if one.line <= line <= one.end_line), line)
    unread = dict.fromkeys(one.reason for one in ledger.unresolved if line <= one.line <= last)
    return f"{reason}; not known: {'; '.join(unread)}" if unread else reason


def _reason(outcome: Outcome, ledger: Ledger) -> str | None:
    """Return why what a command fills does not ship needlessly; None where that is not known."""
    stage, what = ledger.stages[outcome.layer.stage], f"{outcome.fill.recipe.name} ({outcome.fill.cache.what})"
    if outcome.state == Status.PREVENTED:
        return f"{what}: kept from being written by {outcome.fill.prevented}"
    if outcome.state == Status.MOUNTED and outcome.mount is not None:
        return f"{what}: on the {outcome.mount.kind} mount at {outcome.mount.target}, not in the layer"
    if outcome.state == Status.CLEAN:
        return f"{what}: removed in the same RUN"
    if outcome.state == Status.USED:
        return f"{what}: read whenever a container starts"
    if outcome.state == Status.PRESENT:
        return f"{what}: an earlier layer holds it already"
    if outcome.state == Status.LEFT and not stage.ships and outcome.copied_by is None:
        return f"{what}: left in the stage {stage.name}, which does not ship"
    if outcome.state == Status.LEFT and outcome.fill.cache.minor:
        return f"{what}: too small to matter"
    return None
