"""Comments in a file that hide findings: cleanroom's own and hadolint's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.ledger import Ledger
from cleanroom.lint.findings import Finding, Fix, Suppressed
from cleanroom.lint.rules import finding as finding_at
from cleanroom.lint.selectors import UnknownName, resolve, selects
from cleanroom.syntax.text import Edit, Span

_COMMENT = re.compile(
    r"""\s*(?P<tool>cleanroom|hadolint)\s*:?\s*(?:(?P<scope>global|stage)\s+)?(?P<what>ignore(?:-file)?)\s*=\s*
    (?P<selectors>[^\s,\#]+(?:\s*,\s*[^\s,\#]+)*)""",  # what follows is the reason
    re.VERBOSE,
)
_MEANT = re.compile(r"\s*cleanroom(?:\s*:\s*\S|\s+(?:ignore|ignore-file|disable|noqa)\b)", re.IGNORECASE)
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*\w+[ \t]*=")
_SAME_IN_HADOLINT = ("left-behind", "cleaned-late", "cleaned-early")  # rules that its codes are about too


def comment(selectors: Iterable[str], reason: str = "") -> str:
    """Return the comment that hides what the selectors name in the instruction below it."""
    return f"# cleanroom: ignore={','.join(selectors)} {reason}".rstrip()


def extended(line: str, selectors: Iterable[str], reason: str = "") -> str | None:
    """Return a line that is such a comment with more selectors, None where it is none or has another reason."""
    indent, mark, text = line.partition("#")
    match = _COMMENT.match(text) if mark and not indent.strip() else None
    if match is None or match["tool"] != "cleanroom" or match["scope"] or match["what"] == "ignore-file":
        return None
    if reason and text[match.end() :].strip(" \t#:-") != reason:
        return None
    start, end = match.span("selectors")
    both = dict.fromkeys((*(part.strip() for part in text[start:end].split(",")), *selectors))
    return f"{indent}#{text[:start]}{','.join(both)}{text[end:]}"


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
    listed: Span = Span(0, 0)  # where the selectors stand


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
        first, last = _lines(ledger, comment.line, "global" if match["what"] == "ignore-file" else match["scope"])
        selectors = [part.strip() for part in match["selectors"].split(",")]
        peer = "hadolint" if match["tool"] == "hadolint" else ""
        known, unknown = (selectors, []) if peer else _resolved(selectors, ledger, rules)
        reason = comment.text[match.end() :].strip(" \t#:-")
        start = comment.span.end - len(comment.text)
        listed = Span(start + match.start("selectors"), start + match.end("selectors"))
        found.append(Ignore(tuple(known), first, last, comment.span, reason, peer, tuple(unknown), listed=listed))
    return found


def _lines(ledger: Ledger, line: int, scope: str | None) -> tuple[int, int]:
    """Return the first and the last line that a comment on ``line`` is about; one of a stage, to the stage's end."""
    if scope == "global":
        return 0, len(ledger.source)
    following = next((item for item in ledger.dockerfile.instructions if item.end_line >= line), None)
    if following is None:
        return 1, 0
    last = following
    if scope == "stage":
        stage = [stage for stage in ledger.dockerfile.stages if stage.instruction.line <= following.line][-1]
        last = (stage.instruction, *stage.instructions)[-1]
    return following.line, last.end_line


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
        if ignore.peer:
            continue
        idle = [item for item in ignore.selectors if item not in ignore.used]
        idle = [item for item in idle if (rule := item.partition("[")[0]) in ran or rule not in rules]
        why = _why_unused(ignore, idle)
        if why:
            found = finding_at(ledger, None, "unused-ignore", "info", None, None, ignore.span, why)
            fix = _without(ledger, ignore, idle)
            yield replace(found, no_fix=fix) if isinstance(fix, str) else replace(found, fix=fix)


def _why_unused(ignore: Ignore, idle: Collection[str]) -> str:
    """Return what is wrong with a comment, "" when it is as it should be."""
    if ignore.unknown:
        return f"this comment ignores nothing: {'; '.join(ignore.unknown)}"
    if not ignore.selectors:
        return "this comment cannot be read; write # cleanroom: ignore=left-behind, or left-behind[apt.lists]"
    return f"this comment ignores nothing: no {', '.join(idle)} here" if idle else ""


def _without(ledger: Ledger, ignore: Ignore, idle: Collection[str]) -> Fix | str:
    """Return the fix that drops a comment, or the selectors of it that are idle; else why there is none."""
    if ignore.unknown or not ignore.selectors:
        return "what it was meant to ignore is for its author to tell"
    text = ledger.dockerfile.text
    used = [item for item in ignore.selectors if item not in idle]
    if used:
        return Fix(True, f"drop {', '.join(idle)} from the comment", (Edit(ignore.listed, ",".join(used)),))
    start = text.rfind("\n", 0, ignore.span.start) + 1
    end = text.find("\n", ignore.span.end) + 1 or len(text)
    if text[start : ignore.span.start].strip() or text[ignore.span.end : end].strip():
        return "something else stands on its line"
    if _DIRECTIVE.match(text, end) and not text[:start].strip():
        return "the comment below it would become a parser directive"
    return Fix(True, "drop the comment", (Edit(Span(start, end), ""),))
