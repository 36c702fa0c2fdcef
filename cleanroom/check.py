"""The call that everything else uses: the text of a Dockerfile in, a report out. No I/O, no global state."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from cleanroom import dockerfile as reader
from cleanroom.dockerfile import Dockerfile, DockerfileError
from cleanroom.findings import Finding, Problem, Report
from cleanroom.ledger import Ledger, TargetError, build
from cleanroom.library import Library, load
from cleanroom.records import dataclass, replace
from cleanroom.rules import Rule, all_rules
from cleanroom.text import Source, Span

RULES: Mapping[str, Rule] = all_rules()


def check(
    text: str,
    *,
    library: Library | None = None,
    target: str | None = None,
    read_file: Callable[[str], str | None] | None = None,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    prefer: str = "",
    fixes: bool = True,
) -> Report:
    """Check the text of a Dockerfile.

    ``target`` names the stage that ships. ``read_file`` gives the text of a file of the build context (by its path
    there) or None; scripts that are copied in are read with it. ``select`` and ``ignore`` hold rules: ``left-behind``,
    ``left-behind[apt]``, ``left-behind[apt.lists]``. ``prefer`` (``clean``, ``prevent``, ``mount``) puts that kind of
    remedy first. Without ``fixes`` no finding has a fix, which is quicker. What cannot be read comes back in
    ``Report.errors``; nothing is raised.
    """
    ledger = read(text, library, target, read_file)
    if isinstance(ledger, Problem):
        return Report(errors=(ledger,))
    found = findings(ledger, select, ignore, prefer)
    if fixes:
        found = [with_fix(ledger, finding, prefer) for finding in found]
    return Report(tuple(found), tuple(ledger.unresolved))


def read(
    text: str, library: Library | None, target: str | None, read_file: Callable[[str], str | None] | None
) -> Ledger | Problem:
    """Return the ledger of a text, or why it could not be read."""
    try:
        return build(reader.parse(text), library or load(), target=target, read_file=read_file)
    except DockerfileError as error:
        return Problem(error.line, error.column, error.message)
    except TargetError as error:
        return Problem(1, 1, str(error))


def findings(ledger: Ledger, select: Collection[str], ignore: Collection[str], prefer: str) -> list[Finding]:
    """Return what the rules find, without what is ignored or not asked for, in the order of its place."""
    asked = {selector.partition("[")[0] for selector in select}
    rules = [rule for rule in RULES.values() if rule.default or rule.name in asked]
    found = [finding for rule in rules for finding in rule.find(ledger)]
    kept = list(_unignored(found, ledger.dockerfile, ledger.source))
    kept = [finding for finding in kept if _wanted(finding, select, ignore)]
    if prefer:
        kept = [
            replace(item, remedies=tuple(sorted(item.remedies, key=lambda advice: advice.kind != prefer)))
            for item in kept
        ]
    kept.sort(key=lambda item: (item.span.start, item.span.end, item.rule, item.manager, item.cache))
    return kept


def with_fix(ledger: Ledger, finding: Finding, prefer: str = "", *, unsafe: bool = False) -> Finding:
    """Return the finding with its fix, or with the reason why it has none."""
    from cleanroom.fixes import propose

    fix = propose(ledger, finding, prefer=prefer, unsafe=unsafe)
    return replace(finding, no_fix=fix) if isinstance(fix, str) else replace(finding, fix=fix)


def selects(selector: str, finding: Finding) -> bool:
    """Tell whether ``left-behind``, ``apt``, ``left-behind[apt]`` or ``left-behind[apt.lists]`` means this finding."""
    match = re.fullmatch(r"([\w-]*)(?:\[([\w-]+)(?:\.([\w-]+))?\])?", selector)
    if match is None:
        return False
    rule, manager, cache = match.groups()
    if manager is None and rule == finding.manager:
        return True
    return (
        (not rule or rule == finding.rule)
        and (manager is None or manager == finding.manager)
        and (cache is None or cache == finding.cache)
    )


def _wanted(finding: Finding, select: Collection[str], ignore: Collection[str]) -> bool:
    if any(selects(selector, finding) for selector in ignore):
        return False
    return not select or any(selects(selector, finding) for selector in select)


@dataclass(slots=True)
class _Ignore:
    selectors: tuple[str, ...]
    peer: str  # "hadolint" for hadolint's own comments
    first: int  # the lines it is for
    last: int
    line: int
    span: Span
    used: bool = False


_COMMENT = re.compile(r"\s*(cleanroom|hadolint)\s*:?\s*(global\s+)?(ignore(?:-file)?)\s*=\s*([^#]*)")


def _ignores(dockerfile: Dockerfile, source: Source) -> Iterator[_Ignore]:
    for comment in dockerfile.comments:
        match = _COMMENT.match(comment.text)
        if match is None:
            continue
        selectors = tuple(part.strip() for part in match[4].split(",") if part.strip())
        if match[2] or match[3] == "ignore-file":
            first, last = 0, len(source)
        else:
            following = (item for item in dockerfile.instructions if item.end_line >= comment.line)
            instruction = next(following, None)
            if instruction is None:
                first, last = 1, 0
            else:
                first, last = instruction.line, instruction.end_line
        yield _Ignore(selectors, "hadolint" if match[1] == "hadolint" else "", first, last, comment.line, comment.span)


def _unignored(found: list[Finding], dockerfile: Dockerfile, source: Source) -> Iterator[Finding]:
    ignores = list(_ignores(dockerfile, source))
    for finding in found:
        peers = {identifier for peer, ids in finding.aliases if peer == "hadolint" for identifier in ids}
        hidden = False
        for ignore in ignores:
            if not ignore.first <= finding.instruction_line <= ignore.last:
                continue
            if ignore.peer:
                meant = bool(peers & set(ignore.selectors)) and finding.rule in (
                    "left-behind",
                    "cleaned-late",
                    "cleaned-early",
                )
            else:
                meant = any(selects(selector, finding) for selector in ignore.selectors)
            if meant:
                ignore.used = hidden = True
        if not hidden:
            yield finding
    for ignore in ignores:
        if ignore.peer or ignore.used:
            continue
        line, column = source.position(ignore.span.start)
        end_line, end_column = source.position(ignore.span.end)
        yield Finding(
            rule="unused-ignore",
            manager="",
            cache="",
            severity="info",
            message=f"this comment ignores nothing: no {', '.join(ignore.selectors) or '(none is named)'} here",
            span=ignore.span,
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            instruction_line=line,
            stage="",
            ships=False,
        )
