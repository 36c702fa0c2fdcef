"""The call that fixes a Dockerfile: its text in, the text with the fixes made out. No I/O, no global state.

Fixes are made in passes, all that do not overlap at once. After each pass the text is read again: it must still parse,
the findings that were fixed must be gone and no other be there. A fix that fails this is dropped and reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from cleanroom.engine.ledger import Ledger
from cleanroom.lint.check import Options, read, run_rules, with_fix
from cleanroom.lint.findings import Declined, Finding, Fix, Fixed, Problem
from cleanroom.lint.rules import Rule
from cleanroom.syntax import shell
from cleanroom.syntax.dockerfile import Instruction
from cleanroom.syntax.text import Edit, Source, apply

_PASSES = 50  # each fixes something: this is far over what a file has in one place


def fix(text: str, options: Options, rules: Mapping[str, Rule], *, unsafe: bool = False) -> Fixed:
    """Fix the findings of a Dockerfile's text. ``rules`` are all there are, by name.

    ``unsafe`` also makes the fixes that are right only if the author agrees. Nothing is raised: what cannot be read
    comes back in ``errors``, and the text as it was.
    """
    ledger = read(text, options)
    if isinstance(ledger, Problem):
        return Fixed(text, errors=(ledger,))
    return _Work(text, ledger, options, rules, unsafe=unsafe).apply_fixes()


class _Work:
    """A text that is being fixed."""

    def __init__(self, text: str, ledger: Ledger, options: Options, rules: Mapping[str, Rule], *, unsafe: bool) -> None:
        self.original = Source(text)
        self.ledger = ledger
        self.options = options
        self.rules = rules
        self.unsafe = unsafe
        self.passes: list[list[Edit]] = []
        self.fixed: list[Finding] = []
        self.problems: list[Problem] = []
        self.dropped: set[tuple[str, str]] = set()

    def apply_fixes(self) -> Fixed:
        """Make passes until nothing is left to fix."""
        seen = {self.ledger.dockerfile.text}
        found = self.findings(self.ledger)
        for _ in range(_PASSES):
            chosen = self.choose(found)
            if not chosen:
                break
            after = self.attempt(found, chosen)
            if after is None:  # one of them is at fault: the others are made one by one
                for finding in chosen:
                    after = self.attempt(found, [finding])
                    if after is not None:
                        chosen = [other for other in chosen if other.fix == finding.fix]
                        break
                    self.drop(finding)
                else:
                    continue
            ledger, remaining = after
            if ledger.dockerfile.text in seen:
                break
            seen.add(ledger.dockerfile.text)
            self.fixed += [self.located(finding) for finding in chosen]
            self.passes.append(_edits(chosen))
            self.ledger, found = ledger, remaining
        declined = [Declined(self.located(finding), self.renumbered(self.reason(finding))) for finding in found]
        return Fixed(
            self.ledger.dockerfile.text,
            tuple(sorted(self.fixed, key=_place)),
            tuple(sorted(declined, key=lambda item: _place(item.finding))),
            tuple(self.problems),
        )

    def findings(self, ledger: Ledger) -> list[Finding]:
        """Return the findings of a ledger, with their fixes."""
        options = self.options
        found, _ = run_rules(ledger, self.rules, options)
        return [with_fix(ledger, finding, options.prefer, unsafe=self.unsafe) for finding in found]

    def choose(self, found: Iterable[Finding]) -> list[Finding]:
        """Return the findings whose fixes can be made at once. Equal fixes are one.

        RUNs are joined once each of them is fixed, so that clean-ups that both have can become one.
        """
        chosen: list[Finding] = []
        made: set[Fix] = set()
        taken: list[Edit] = []
        fixable = [
            finding
            for finding in found
            if finding.fix and (finding.fix.safe or self.unsafe) and _key(finding) not in self.dropped
        ]
        single = [finding for finding in fixable if finding.rule != "split-installs"]
        for finding in single or fixable:
            fix = finding.fix
            assert fix is not None
            if fix not in made:
                if any(edit != other and _touch(edit, other) for edit in fix.edits for other in taken):
                    continue
                made.add(fix)
                taken += fix.edits
            chosen.append(finding)
        return chosen

    def attempt(self, found: list[Finding], chosen: list[Finding]) -> tuple[Ledger, list[Finding]] | None:
        """Return what is there once the fixes of ``chosen`` are made; None when they do not do what they should."""
        before = self.ledger
        edits = _edits(chosen)
        try:
            text = apply(before.dockerfile.text, edits)
        except ValueError:
            return None
        ledger = read(text, self.options)
        if isinstance(ledger, Problem) or not _same_elsewhere(before, ledger, edits) or not _readable(before, ledger):
            return None
        remaining = self.findings(ledger)
        allowed = Counter(_kind(finding) for finding in found)
        allowed.subtract(_kind(finding) for finding in chosen)
        # That RUNs could be joined is only advice, which an update in the second one brings.
        added = Counter(_kind(finding) for finding in remaining if finding.rule != "split-installs")
        if added - +allowed:
            return None
        return ledger, remaining

    def drop(self, finding: Finding) -> None:
        """Give a fix up and say so."""
        self.dropped.add(_key(finding))
        place = self.located(finding)
        title = finding.fix.title if finding.fix else ""
        self.problems.append(
            Problem(
                place.line,
                place.column,
                f"the fix of {finding.rule}[{finding.manager}] ({title}) did not do what it should, and was left out",
            )
        )

    def reason(self, finding: Finding) -> str:
        """Return why a finding was not fixed."""
        if _key(finding) in self.dropped:
            return "what would mend it does something else in this file too"
        if finding.fix is None:
            return finding.no_fix
        return f"{finding.fix.why}; with --unsafe: {finding.fix.title}"

    def located(self, finding: Finding) -> Finding:
        """Return a finding with the lines and columns that it has in the text before any pass."""
        if not self.passes:
            return finding
        start = self.back(finding.span.start)
        end = max(self.back(finding.span.end), start)
        line, column = self.original.position(start)
        end_line, end_column = self.original.position(end)
        fix = finding.fix and replace(
            finding.fix, title=self.renumbered(finding.fix.title), why=self.renumbered(finding.fix.why)
        )
        return replace(
            finding,
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            instruction_line=self.line_before(finding.instruction_line),
            message=self.renumbered(finding.message),
            fix=fix,
        )

    def renumbered(self, words: str) -> str:
        """Return a message with the line numbers of the text before any pass."""
        return re.sub(r"\bline (\d+)", lambda match: f"line {self.line_before(int(match[1]))}", words)

    def line_before(self, number: int) -> int:
        """Return the number in the text before any pass of a line of the text as it is now."""
        if number > len(self.ledger.source):
            return number
        return self.original.position(self.back(self.ledger.source.line_start(number)))[0]

    def back(self, offset: int) -> int:
        """Return the offset in the text before any pass of one in the text as it is now."""
        for edits in reversed(self.passes):
            offset = _before(offset, edits)
        return offset


def _place(finding: Finding) -> tuple[int, int, str, str, str]:
    return finding.line, finding.column, finding.rule, finding.manager, finding.cache


def _key(finding: Finding) -> tuple[str, str]:
    """Return what identifies a dropped fix in a later pass."""
    return (
        f"{finding.rule}[{finding.manager}.{finding.cache}] {finding.message}",
        finding.fix.title if finding.fix else "",
    )


def _edits(chosen: Iterable[Finding]) -> list[Edit]:
    return sorted({edit for finding in chosen if finding.fix for edit in finding.fix.edits})


def _touch(edit: Edit, other: Edit) -> bool:
    return edit.span.start <= other.span.end and other.span.start <= edit.span.end


def _before(offset: int, edits: Sequence[Edit]) -> int:
    """Return the offset before ``edits`` of what is at ``offset`` after them."""
    shift = 0
    for edit in edits:
        start = edit.span.start + shift
        if offset < start:
            break
        if offset < start + len(edit.text):
            return edit.span.start
        shift += len(edit.text) - (edit.span.end - edit.span.start)
    return offset - shift


def _kind(finding: Finding) -> tuple[str, str, str, str]:
    """Return what findings are counted by: not their place and message, which edits change."""
    rule = "left-behind" if finding.rule in ("cleaned-late", "cleaned-early") else finding.rule
    return rule, finding.manager, finding.cache, finding.stage


def _same_elsewhere(before: Ledger, after: Ledger, edits: Sequence[Edit]) -> bool:
    """Return True if all instructions that no edit touches are still there, in their order."""

    def shape(instruction: Instruction) -> tuple[object, ...]:
        return (
            instruction.keyword,
            instruction.onbuild,
            tuple(flag.text for flag in instruction.flags),
            instruction.arguments.text,
            tuple(heredoc.body.text for heredoc in instruction.heredocs),
        )

    untouched = [
        shape(instruction)
        for instruction in before.dockerfile.instructions
        if not any(
            (edit.span.start <= instruction.span.end and instruction.span.start < edit.span.end)
            or instruction.span.start < edit.span.start <= instruction.span.end
            for edit in edits
        )
    ]
    rest = iter([shape(instruction) for instruction in after.dockerfile.instructions])
    if not all(any(shape == other for other in rest) for shape in untouched):
        return False
    return len(after.dockerfile.instructions) <= len(before.dockerfile.instructions) + len(edits)


def _readable(before: Ledger, after: Ledger) -> bool:
    """Return True if as many scripts can be read as before."""
    return _unreadable(after) <= _unreadable(before)


def _unreadable(ledger: Ledger) -> int:
    count = 0
    for stage in ledger.stages:
        for layer in stage.layers:
            for script in layer.scripts:
                try:
                    shell.parse(script)
                except shell.ShellError:
                    count += 1
    return count
