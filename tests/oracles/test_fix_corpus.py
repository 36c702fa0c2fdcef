"""Fixes on real Dockerfiles, judged by others: BuildKit's own reader, bash and shfmt, and a second fix.

A tenth of the files, or all with ``--whole-corpus``.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cleanroom.api import check, fix
from cleanroom.lint.findings import Finding
from tests.oracles.buildkit import bash_reads, instructions, is_run, scripts, shfmt_reads

pytestmark = [pytest.mark.shared, pytest.mark.oracle]


def unmeant(before: str, after: str, meant: set[int]) -> Iterator[str]:
    """Yield what BuildKit reads differently outside the RUNs on the lines ``meant``; ENV may be added."""
    old, new = instructions(before), instructions(after)
    matcher = difflib.SequenceMatcher(None, [row for _, row in old], [row for _, row in new], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        yield from (f"line {line}: {row[0]}" for line, row in old[a:b] if not (is_run(row) and line in meant))
        yield from (f"added: {row}" for _, row in new[c:d] if not is_run(row) and row[0] != "ENV")
        if len([row for _, row in new[c:d] if is_run(row)]) > b - a:
            yield "a RUN too many"


def accepts(script: str) -> bool:
    """Whether bash and shfmt can read a script."""
    return bash_reads(script) and shfmt_reads(script)


def kinds(findings: Iterator[Finding] | tuple[Finding, ...]) -> Counter[tuple[str, str, str, str]]:
    return Counter(
        ("left" if finding.rule in LEFT else finding.rule, finding.manager, finding.cache, finding.stage)
        for finding in findings
    )


LEFT = ("left-behind", "cleaned-late", "cleaned-early")
WAYS = [
    {"prefer": prefer, "unsafe": unsafe} for unsafe in (False, True) for prefer in ("", "clean", "prevent", "mount")
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way['prefer'] or 'first'}{'-unsafe' * way['unsafe']}")
def test_every_fix_is_right(way: dict[str, Any], corpus: list[tuple[str, str]]) -> None:
    wrong: list[str] = []
    changed = fixed = 0
    for name, text in corpus:
        result = fix(text, **way)
        wrong += [f"{name}: {problem.line}: {problem.message}" for problem in result.problems]
        if result.text == text:
            continue
        changed += 1
        fixed += len(result.fixed)
        meant = {finding.instruction_line for finding in result.fixed}
        for finding in result.fixed:
            assert finding.fix is not None
            meant |= {int(line) for line in re.findall(r"on line (\d+)", finding.fix.title)}
            joined = re.search(r"join the \w+ RUNs up to line (\d+)", finding.fix.title)
            meant |= set(range(finding.instruction_line, int(joined[1]) + 1)) if joined else set()
            assert way["unsafe"] or finding.fix.safe
        lines = {instruction for instruction, _ in instructions(text)}
        meant |= {max((line for line in lines if line <= other), default=0) for other in meant}
        wrong += [f"{name}: {what}" for what in unmeant(text, result.text, meant)]
        old, new = scripts(text), scripts(result.text)
        if all(accepts(script) for script in old - new):
            wrong += [f"{name}: a shell no longer reads {script!r}" for script in new - old if not accepts(script)]
        if "\r" not in text and "\r" in result.text:
            wrong.append(f"{name}: a carriage return")
        left = kinds(check(result.text, fixes=False).findings)
        more = left - (kinds(check(text, fixes=False).findings) - kinds(result.fixed))
        if more:
            wrong.append(f"{name}: more is left than should be: {more}")
        again = fix(result.text, **way)
        if again.text != result.text:
            wrong.append(f"{name}: a second fix changes it again")
    assert wrong == []
    assert changed > len(corpus) / 5
    assert fixed >= changed
