"""Dockerfiles that stand in files of another kind: each is checked and fixed alone, its places are the file's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from msgspec.structs import replace

from cleanroom.engine.events import Unresolved
from cleanroom.lint import check as whole
from cleanroom.lint.check import Options
from cleanroom.lint.findings import Declined, Finding, Fix, Fixed, Problem, Report, Suppressed
from cleanroom.lint.fix import fix as fix_whole
from cleanroom.lint.rules import Rule
from cleanroom.syntax.dockerfile import DockerfileError
from cleanroom.syntax.readers import Embedded
from cleanroom.syntax.text import Edit, Source, Span, apply

_TOKEN = re.compile(r"\w+|\n|[^\S\n]+|.", re.DOTALL)
_NO_WAY = "the file holds the Dockerfile in a form in which it cannot be changed"


def check(text: str, options: Options, rules: Mapping[str, Rule], *, fixes: bool = True) -> Report:
    """Return what is found in all Dockerfiles of a text."""
    reports: list[Report] = []
    try:
        parts = _parts(text, options)
    except DockerfileError as error:
        return Report(errors=(Problem(error.line, error.column, error.message),))
    for part in parts:
        inner = part.options(options)
        ledger = whole.read(part.inner, inner)
        if isinstance(ledger, Problem):
            reports.append(Report(errors=(part.problem(ledger),)))
        else:
            reports.append(part.report(whole.check(ledger, rules, inner, fixes=fixes)))
    return Report(
        tuple(item for report in reports for item in report.findings),
        tuple(item for report in reports for item in report.unresolved),
        tuple(item for report in reports for item in report.errors),
        tuple(item for report in reports for item in report.suppressed),
    )


def fix(text: str, options: Options, rules: Mapping[str, Rule], *, unsafe: bool = False) -> Fixed:
    """Fix all Dockerfiles of a text. One whose new text the file would not hold as it is stays as it was."""
    try:
        parts = _parts(text, options)
    except DockerfileError as error:
        return Fixed(text, errors=(Problem(error.line, error.column, error.message),))
    results = [fix_whole(part.inner, part.options(options), rules, unsafe=unsafe) for part in parts]
    edits: list[Edit] = []
    wanted = [part.inner for part in parts]
    fixed: list[Finding] = []
    declined: list[Declined] = []
    for index, (part, result) in enumerate(zip(parts, results, strict=True)):
        more = None if result.text == part.inner else list(part.rewritten(result.text))
        new = [*edits, *(more or ())]
        after = [*wanted[:index], result.text, *wanted[index + 1 :]]
        if more and _holds(text, new, after, options):
            edits, wanted = new, after
            fixed += [part.finding(item) for item in result.fixed]
        else:
            declined += [Declined(part.finding(replace(item, fix=None)), _NO_WAY) for item in result.fixed]
        declined += [Declined(part.finding(item.finding), part.words(item.reason)) for item in result.declined]
    problems = [part.problem(item) for part, result in zip(parts, results, strict=True) for item in result.problems]
    errors = [part.problem(item) for part, result in zip(parts, results, strict=True) for item in result.errors]
    return Fixed(apply(text, edits), tuple(fixed), tuple(declined), tuple(problems), tuple(errors))


def _parts(text: str, options: Options) -> list[_Part]:
    assert options.reader is not None
    assert options.reader.embedded is not None
    source = Source(text)
    return [_Part(source, one) for one in options.reader.embedded(text)]


def _holds(text: str, edits: Sequence[Edit], wanted: Sequence[str], options: Options) -> bool:
    """Return True if the Dockerfiles are those that are wanted once the edits are made."""
    try:
        return [part.inner for part in _parts(apply(text, edits), options)] == list(wanted)
    except (DockerfileError, ValueError):
        return False


class _Part:
    """One Dockerfile of a file, and what its places and edits are in the file."""

    def __init__(self, source: Source, embedded: Embedded) -> None:
        self.source = source
        self.embedded = embedded
        self.inner = embedded.text.text
        self.lines = Source(self.inner)

    def options(self, options: Options) -> Options:
        return replace(options, reader=None, target=options.target or self.embedded.target or None)

    def line(self, number: int) -> int:
        if number > len(self.lines):
            return number
        return self.source.position(self.embedded.text.offset(self.lines.line_start(number)))[0]

    def words(self, words: str) -> str:
        return re.sub(r"\blines? \d+(?:(?:, | and )\d+)*", lambda match: self._renumbered(match[0]), words)

    def _renumbered(self, words: str) -> str:
        return re.sub(r"\d+", lambda match: str(self.line(int(match[0]))), words)

    def problem(self, problem: Problem) -> Problem:
        offset = min(len(self.inner), self.lines.line_start(min(problem.line, len(self.lines))) + problem.column - 1)
        return Problem(*self.source.position(self.embedded.text.offset(offset)), self.words(problem.message))

    def report(self, report: Report) -> Report:
        return Report(
            tuple(map(self.finding, report.findings)),
            tuple(Unresolved(self.line(item.line), self.words(item.reason)) for item in report.unresolved),
            tuple(map(self.problem, report.errors)),
            tuple(Suppressed(self.finding(item.finding), item.reason) for item in report.suppressed),
        )

    def finding(self, finding: Finding) -> Finding:
        """Return a finding with the places of the file, and its fix."""
        span = self.embedded.text.span(finding.span.start, finding.span.end)
        line, column = self.source.position(span.start)
        end_line, end_column = self.source.position(span.end)
        fix = finding.fix and self.fix(finding.fix)
        return replace(
            finding,
            span=span,
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            instruction_line=self.line(finding.instruction_line),
            message=self.words(finding.message),
            fix=fix,
            no_fix=_NO_WAY if finding.fix and not fix else self.words(finding.no_fix),
            related=tuple((self.line(number), self.words(words)) for number, words in finding.related),
        )

    def fix(self, fix: Fix) -> Fix | None:
        edits = tuple(self.edit(edit) for edit in fix.edits)
        written = tuple(edit for edit in edits if edit is not None)
        if len(written) < len(edits):
            return None
        return replace(fix, title=self.words(fix.title), why=self.words(fix.why), edits=written)

    def edit(self, edit: Edit) -> Edit | None:
        begin, stop, text = edit.span.start, edit.span.end, edit.text
        if stop == len(self.inner) and text.endswith("\n") and self.inner.endswith("\n"):
            stop, text = stop - 1, text[:-1]  # behind the last line end, another kind of text goes on
            if begin > stop:
                begin, text = stop, f"\n{text}"
        written = self.embedded.write(text)
        if written is None:
            return None
        # The end of what is replaced is the begin of what follows: what stands before that in the file goes too.
        start, end = (self.embedded.text.offset(offset) for offset in (begin, stop))
        return Edit(Span(start, end), written)

    def rewritten(self, new: str) -> Iterator[Edit]:
        """Yield the edits that make another text of this one, each as small as it can be."""
        yield from filter(None, map(self.edit, _joined(self.inner, _line_changes(self.inner, new))))


def _line_changes(before: str, after: str) -> Iterator[Edit]:
    old_lines, new_lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    at = 0
    for kind, start, end, first, last in SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
        old, new = "".join(old_lines[start:end]), "".join(new_lines[first:last])
        if kind != "equal":
            yield from _changes(old, new, at)
        at += len(old)


def _joined(text: str, edits: Iterable[Edit]) -> list[Edit]:
    """Return the edits, those as one that nothing but a line end stands between."""
    found: list[Edit] = []
    for edit in edits:
        between = text[found[-1].span.end : edit.span.start] if found else " "
        if between in ("", "\n"):
            last = found.pop()
            edit = Edit(Span(last.span.start, edit.span.end), last.text + between + edit.text)
        found.append(edit)
    return found


def _changes(old: str, new: str, at: int) -> Iterator[Edit]:
    tokens, others = _TOKEN.findall(old), _TOKEN.findall(new)
    for kind, start, end, first, last in SequenceMatcher(None, tokens, others, autojunk=False).get_opcodes():
        length = len("".join(tokens[start:end]))
        if kind != "equal":
            yield Edit(Span(at, at + length), "".join(others[first:last]))
        at += length
