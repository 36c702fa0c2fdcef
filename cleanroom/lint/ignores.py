"""Comments in a file that hide findings: cleanroom's own and hadolint's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from cleanroom.engine.ledger import Ledger
from cleanroom.lint.findings import Finding, Suppressed
from cleanroom.lint.rules import finding as finding_at
from cleanroom.lint.selectors import UnknownName, resolve, selects
from cleanroom.syntax.text import Span

_COMMENT = re.compile(
    r"""\s*(?P<tool>cleanroom|hadolint)\s*:?\s*(?P<all>global\s+)?(?P<what>ignore(?:-file)?)\s*=\s*
    (?P<selectors>[^\s,\#]+(?:\s*,\s*[^\s,\#]+)*)""",  # what follows is the reason
    re.VERBOSE,
)
_MEANT = re.compile(r"\s*cleanroom(?:\s*:\s*\S|\s+(?:ignore|ignore-file|disable|noqa)\b)", re.IGNORECASE)
_SAME_IN_HADOLINT = ("left-behind", "cleaned-late", "cleaned-early")  # rules that its codes are about too


class Ignore(Struct):
    """A comment that hides findings of the lines ``first`` to ``last``; without selectors, one that cannot be read."""

    selectors: tuple[str, ...]
    first: int
    last: int
    span: Span
    reason: str = ""
    peer: str = ""  # "hadolint" for hadolint's own comments
    unknown: tuple[str, ...] = ()  # what is wrong with selectors that mean nothing, in words
    used: set[str] = set()  # selectors that hid a finding


def read(ledger: Ledger, rules: Collection[str]) -> list[Ignore]:
    """Return the comments of a file that hide findings, and those of ours that cannot be read."""
    found = []
    for comment in ledger.dockerfile.comments:
        if not comment.text.lstrip().lower().startswith(("cleanroom", "hadolint")):
            continue
        match = _COMMENT.match(comment.text)
        if match is None:
            if _MEANT.match(comment.text):
                found.append(Ignore((), 1, 0, comment.span))
            continue
        first, last = 0, len(ledger.source)
        if not match["all"] and match["what"] != "ignore-file":
            following = (item for item in ledger.dockerfile.instructions if item.end_line >= comment.line)
            instruction = next(following, None)
            first, last = (instruction.line, instruction.end_line) if instruction else (1, 0)
        selectors = [part.strip() for part in match["selectors"].split(",")]
        peer = "hadolint" if match["tool"] == "hadolint" else ""
        known, unknown = (selectors, []) if peer else _resolved(selectors, ledger, rules)
        reason = comment.text[match.end() :].strip(" \t#:-")
        found.append(Ignore(tuple(known), first, last, comment.span, reason, peer, tuple(unknown)))
    return found


def _resolved(selectors: Iterable[str], ledger: Ledger, rules: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the selectors that mean something, and what is wrong with the others."""
    known, unknown = [], []
    for selector in selectors:
        try:
            known.append(resolve(selector, rules, ledger.library))
        except UnknownName as error:
            unknown.append(error.message)
    return known, unknown


def apply(found: Iterable[Finding], ignores: Collection[Ignore]) -> tuple[list[Finding], list[Suppressed]]:
    """Return the findings that no comment hides, and those that one does; notes in ``ignores`` which were used."""
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in found:
        hiding = [ignore.reason for ignore in ignores if _hides(ignore, finding)]
        if hiding:
            suppressed.append(Suppressed(finding, next(filter(None, hiding), "")))
        else:
            kept.append(finding)
    return kept, suppressed


def _hides(ignore: Ignore, finding: Finding) -> bool:
    if not ignore.first <= finding.instruction_line <= ignore.last:
        return False
    if ignore.peer:
        codes = {code for peer, ids in finding.aliases if peer == ignore.peer for code in ids}
        meant = codes & set(ignore.selectors) if finding.rule in _SAME_IN_HADOLINT else set()
    else:
        meant = {selector for selector in ignore.selectors if selects(selector, finding)}
    ignore.used |= meant
    return bool(meant)


def unused(
    ledger: Ledger, ignores: Iterable[Ignore], ran: Collection[str], rules: Collection[str]
) -> Iterator[Finding]:
    """Yield a finding for each comment of ours that hides nothing. ``ran`` are the rules that ran, of all ``rules``."""
    for ignore in ignores:
        if not ignore.peer and (why := _why_unused(ignore, ran, rules)):
            yield finding_at(ledger, None, "unused-ignore", "info", None, None, ignore.span, why)


def _why_unused(ignore: Ignore, ran: Collection[str], rules: Collection[str]) -> str:
    """Return what is wrong with a comment, "" when it is as it should be."""
    if ignore.unknown:
        return f"this comment ignores nothing: {'; '.join(ignore.unknown)}"
    if not ignore.selectors:
        return "this comment cannot be read; write # cleanroom: ignore=left-behind, or left-behind[apt.lists]"
    idle = [item for item in ignore.selectors if item not in ignore.used]
    idle = [item for item in idle if (rule := item.partition("[")[0]) in ran or rule not in rules]
    return f"this comment ignores nothing: no {', '.join(idle)} here" if idle else ""
