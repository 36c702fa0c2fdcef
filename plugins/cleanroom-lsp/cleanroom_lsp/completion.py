"""The clean-ups that are missing at a place in a script, in the order in which they are best written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.formats.values import size
from cleanroom.lint.rules import advice
from cleanroom.syntax.text import Span
from cleanroom_lsp.analysis import Analysis

# Where a command begins: behind an operator or a keyword, or on a line that no backslash continues; and what is there.
_COMMAND = re.compile(
    r"(?:(?:&&|\|\||;|\||\{|\(|\bthen\b|\belse\b|\bdo\b)(?:[ \t]|\\\r?\n)*|(?:\A|(?<!\\)(?<!\\\r)\n)[ \t]*)"
    r"(?P<begun>[^\s&|;(){}#'\"][^\n&|;(){}#'\"]*|)\Z"
)
_BEHIND = re.compile(r"(?<=[^\s&|;\\])[ \t]+(?P<begun>&{0,2})\Z")
_STAND_IN = "true"


class CleanUp(Struct, frozen=True):
    """A command to write. ``span`` is what it takes the place of."""

    text: str
    detail: str
    span: Span


def clean_ups(analysis: Analysis, offset: int, *, asked: bool) -> list[CleanUp]:
    """Return the commands that empty what the script leaves up to ``offset``.

    Where a command begins they stand alone; behind a whole command, and only if a person ``asked``, with ``&&``.
    """
    before, rest = analysis.text[max(0, offset - 1000) : offset], analysis.text[offset : offset + 1]
    found: list[CleanUp] = []
    if match := _COMMAND.search(before):
        found = _missing(analysis, Span(offset - len(match["begun"]), offset), "", _STAND_IN)
    if not found and (match := _BEHIND.search(before)) and (asked or match["begun"]) and rest in ("", "\n", "\r"):
        found = _missing(analysis, Span(offset - len(match["begun"]), offset), "&& ", "")
    return found


def _missing(analysis: Analysis, span: Span, joiner: str, stand_in: str) -> list[CleanUp]:
    """Return the commands to write over ``span``, where something is under way that is not whole yet."""
    text = analysis.text
    begun = text[span.start : span.end]
    ledger = analysis.ledger_of(text[: span.start] + stand_in + text[span.end :])
    if ledger is None:
        return []
    left = list(_left(ledger, span.start))
    found: dict[str, str] = {}
    firsts: list[str] = []
    for outcome in left:
        ways = [item.text for item in advice(outcome.fill, outcome.layer) if item.kind == "clean"]
        firsts += [way for way in ways[:1] if way not in firsts]
        for way in ways:
            found.setdefault(way, _detail(outcome))
    if len(firsts) > 1:
        everything = " && ".join(firsts)
        managers = ", ".join(dict.fromkeys(outcome.fill.recipe.name for outcome in left))
        found = {everything: f"all that is left here: {managers}", **found}
    return [CleanUp(joiner + text, detail, span) for text, detail in found.items() if (joiner + text).startswith(begun)]


def _left(ledger: Ledger, offset: int) -> Iterator[Outcome]:
    """Yield what the layer at ``offset`` leaves that was filled before."""
    for outcome in ledger.outcomes:
        instruction = outcome.layer.instruction
        inside = instruction.span.start <= offset <= instruction.span.end
        if inside and outcome.state == Status.LEFT and outcome.fill.span.end <= offset and not outcome.fill.cache.minor:
            yield outcome


def _detail(outcome: Outcome) -> str:
    cache = outcome.fill.cache
    about = f", about {size(cache.typical.bytes)}" if cache.typical else ""
    return f"{outcome.fill.recipe.name}: {cache.what}{about}"
