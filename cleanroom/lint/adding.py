"""Ignore comments written into a text: its findings are hidden afterwards, and nothing else changes. No I/O."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from cleanroom.lint import ignores
from cleanroom.lint.findings import Finding, Report
from cleanroom.syntax.text import Source

# Another tool's comment, which may have to stand right above what it is about.
_OTHERS = re.compile(r"\s*#\s*(?!cleanroom\b)[\w-]+[ \t:]+[\w-]*(?:ignore|skip|disable|noqa)", re.IGNORECASE)

_Check = Callable[[str], Report]


class Added(Struct, frozen=True):
    """A text with comments, the findings that they hide, and those that none can hide."""

    text: str
    hidden: tuple[Finding, ...] = ()
    left: tuple[Finding, ...] = ()


def add_ignores(text: str, found: Iterable[Finding], check: _Check, reason: str = "") -> Added:
    """Write a comment for each instruction that has findings of ``found``, which ``check`` gives for the text.

    A comment stands above the instruction, or within it above the command where only that is read.
    """
    work = sorted((one for one in found if one.rule != "unused-ignore"), key=lambda one: -one.instruction_line)
    groups = [list(group) for _, group in groupby(work, key=lambda one: one.instruction_line)]
    hidden: list[Finding] = []
    before = _labels(check(text))
    for group in groups:  # from the end, so that the lines of those above stay as they are
        gone = Counter(one.label for one in group)
        for new in _written(text, group, reason):
            report = check(new)
            if not report.errors and not +(_labels(report) - (before - gone)):
                text, before = new, _labels(report)
                hidden += group
                break
    left = [one for one in found if one not in hidden]
    return Added(text, tuple(reversed(hidden)), tuple(left))


def _labels(report: Report) -> Counter[str]:
    return Counter(one.label for one in report.findings)


def _written(text: str, group: Sequence[Finding], reason: str) -> Iterator[str]:
    """Yield the text with one comment more, or one that says more, in each place where it could be read."""
    source = Source(text)
    selectors = sorted({one.label for one in group})
    for place in dict.fromkeys((group[0].instruction_line, min(one.line for one in group))):
        number = place
        line = source.line(place)
        while number > 1 and _OTHERS.match(source.line(number - 1)):
            number -= 1
        start = source.line_start(number)
        above = source.line(number - 1) if number > 1 else ""
        longer = ignores.extended(above, selectors, reason)
        if longer is not None:
            old = source.line_start(number - 1)
            yield text[:old] + longer + text[old + len(above) :]
        indent = line[: len(line) - len(line.lstrip())]
        end = "\r\n" if text.endswith("\r\n") or "\r\n" in text[start:] else "\n"
        yield text[:start] + indent + ignores.comment(selectors, reason) + end + text[start:]
