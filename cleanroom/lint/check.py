"""The call that everything else uses: the text of a Dockerfile in, a report out. No I/O, no global state."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.ledger import Ledger, TargetError, build
from cleanroom.lint.findings import Advice, Finding, Problem, Report, Suppressed
from cleanroom.lint.rules import Rule
from cleanroom.lint.rules import finding as finding_at
from cleanroom.plugins.manager import FAULTS, Plugin, Registry, blame_error
from cleanroom.recipes.library import Library, load
from cleanroom.suggest import did_you_mean
from cleanroom.syntax import dockerfile
from cleanroom.syntax.dockerfile import Dockerfile, DockerfileError
from cleanroom.syntax.readers import Reader
from cleanroom.syntax.text import Source, Span


def _guarded(plugin: Plugin, rule: Rule) -> Rule:
    """Return a rule of a plugin that finds nothing where it fails."""

    def find(ledger: Ledger) -> Iterator[Finding]:
        try:
            found = list(rule.find(ledger))
            if wrong := [item for item in found if not isinstance(item, Finding)]:
                raise TypeError(f"it yields {type(wrong[0]).__name__}, not Finding")
        except FAULTS:
            blame_error(plugin, f"the rule {rule.name} raises")
            return iter(())
        return iter(found)

    return replace(rule, find=find)


RULES: Registry[Rule] = Registry("cleanroom_rules", Rule, guard=_guarded)


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
    reader: Reader | None = None,
) -> Report:
    """Check the text of a Dockerfile.

    ``target`` names the stage that ships. ``read_file`` gives the text of a file of the build context (by its path
    there) or None; scripts that are copied in are read with it. ``select`` and ``ignore`` hold rules: ``left-behind``,
    ``left-behind[apt]``, ``left-behind[apt.lists]``. ``prefer`` (``clean``, ``prevent``, ``mount``) puts that kind of
    remedy first. Without ``fixes`` no finding has a fix, which is quicker. ``reader`` reads text that is no
    Dockerfile. What cannot be read comes back in ``Report.errors``; nothing is raised.
    """
    ledger = read(text, library, target, read_file, reader)
    if isinstance(ledger, Problem):
        return Report(errors=(ledger,))
    found, suppressed = judged(ledger, select, ignore, prefer)
    if fixes:
        found = [with_fix(ledger, finding, prefer) for finding in found]
    return Report(tuple(found), tuple(ledger.unresolved), suppressed=tuple(suppressed))


def read(
    text: str,
    library: Library | None,
    target: str | None,
    read_file: Callable[[str], str | None] | None,
    reader: Reader | None = None,
) -> Ledger | Problem:
    """Return the ledger of a text, or why it could not be read."""
    try:
        parse = dockerfile.parse if reader is None else reader.parse
        return build(parse(text), library or load(), target=target, read_file=read_file)
    except DockerfileError as error:
        return Problem(error.line, error.column, error.message)
    except TargetError as error:
        return Problem(1, 1, str(error))


def findings(ledger: Ledger, select: Collection[str], ignore: Collection[str], prefer: str) -> list[Finding]:
    """Return what the rules find, without what is ignored or not asked for, in the order of its place."""
    return judged(ledger, select, ignore, prefer)[0]


def judged(
    ledger: Ledger, select: Collection[str], ignore: Collection[str], prefer: str
) -> tuple[list[Finding], list[Suppressed]]:
    """Return ``findings``, and those that comments in the file hide; both in the order of their place."""
    asked = {selector.partition("[")[0] for selector in select}
    rules = [rule for rule in RULES.values() if rule.default or rule.name in asked]
    found = [finding for rule in rules for finding in rule.find(ledger)]
    kept, hidden = _by_comments(found, ledger, [rule.name for rule in rules])
    kept = [_worded(finding, ledger.dockerfile) for finding in kept if _wanted(finding, select, ignore)]
    hidden = [item for item in hidden if _wanted(item.finding, select, ignore)]
    if prefer:
        kept = [
            replace(item, remedies=tuple(sorted(item.remedies, key=lambda advice: advice.kind != prefer)))
            for item in kept
        ]
    kept.sort(key=_order)
    hidden.sort(key=lambda item: _order(item.finding))
    return kept, hidden


def _order(finding: Finding) -> tuple[object, ...]:
    return finding.span.start, finding.span.end, finding.rule, finding.manager, finding.cache


def with_fix(ledger: Ledger, finding: Finding, prefer: str = "", *, unsafe: bool = False) -> Finding:
    """Return the finding with its fix, or with the reason why it has none."""
    from cleanroom.lint.fixes import propose

    fix = propose(ledger, finding, prefer=prefer, unsafe=unsafe)
    if isinstance(fix, str):
        return replace(finding, no_fix=_told(fix, ledger.dockerfile))
    if ledger.dockerfile.run != "RUN":
        fix = replace(fix, title=_told(fix.title, ledger.dockerfile))
    return replace(finding, fix=fix)


def _worded(finding: Finding, dockerfile: Dockerfile) -> Finding:
    """Return a finding in the words of the file."""
    if dockerfile.run == "RUN":
        return finding
    message = _told(finding.message, dockerfile)
    return replace(finding, remedies=tuple(writable(finding.remedies, dockerfile)), message=message)


def _told(words: str, dockerfile: Dockerfile) -> str:
    """Return what is said of a RUN as it is said of what the file has in its place."""
    return words.replace("this RUN", f"this {dockerfile.run}")


def writable(remedies: Iterable[Advice], dockerfile: Dockerfile) -> Iterator[Advice]:
    """Yield what can be written in a file, as it is written there: among scripts alone is no ENV line and no mount."""
    for advice in remedies:
        if dockerfile.run == "RUN":
            yield advice
        elif advice.kind != "mount":
            text = f"export {advice.text[4:]}" if advice.text.startswith("ENV ") else advice.text
            yield replace(advice, text=text, run=dockerfile.run)


_SELECTOR = re.compile(r"([\w-]*)(?:\[([\w-]+)(?:\.([\w-]+))?\])?")


def selects(selector: str, finding: Finding) -> bool:
    """Tell whether ``left-behind``, ``apt``, ``left-behind[apt]`` or ``left-behind[apt.lists]`` means this finding."""
    match = _SELECTOR.fullmatch(selector)
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


class _Ignore(Struct):
    selectors: tuple[str, ...]
    peer: str  # "hadolint" for hadolint's own comments
    first: int  # the lines it is for
    last: int
    span: Span
    used: set[str]  # selectors that hid a finding
    reason: str = ""


_COMMENT = re.compile(
    r"""\s*(?P<tool>cleanroom|hadolint)\s*:?\s*(?P<all>global\s+)?(?P<what>ignore(?:-file)?)\s*=\s*
    (?P<selectors>[^\s,\#]+(?:\s*,\s*[^\s,\#]+)*)""",  # what follows is the reason
    re.VERBOSE,
)
_MEANT = re.compile(r"\s*cleanroom(?:\s*:\s*\S|\s+(?:ignore|ignore-file|disable|noqa)\b)", re.IGNORECASE)


def _ignores(dockerfile: Dockerfile, source: Source) -> Iterator[_Ignore]:
    for comment in dockerfile.comments:
        if not comment.text.lstrip().lower().startswith(("cleanroom", "hadolint")):
            continue
        match = _COMMENT.match(comment.text)
        if match is None:
            if _MEANT.match(comment.text):
                yield _Ignore((), "", 1, 0, comment.span, set())
            continue
        selectors = tuple(part.strip() for part in match["selectors"].split(","))
        first, last = 0, len(source)
        if not match["all"] and match["what"] != "ignore-file":
            following = (item for item in dockerfile.instructions if item.end_line >= comment.line)
            instruction = next(following, None)
            first, last = (instruction.line, instruction.end_line) if instruction else (1, 0)
        peer = "hadolint" if match["tool"] == "hadolint" else ""
        reason = comment.text[match.end() :].strip(" \t#:-")
        yield _Ignore(selectors, peer, first, last, comment.span, set(), reason)


def _by_comments(
    found: list[Finding], ledger: Ledger, rules: Collection[str]
) -> tuple[list[Finding], list[Suppressed]]:
    """Part what comments leave from what they hide; what is wrong with a comment is a finding too."""
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    ignores = list(_ignores(ledger.dockerfile, ledger.source))
    for finding in found:
        peers = {identifier for peer, ids in finding.aliases if peer == "hadolint" for identifier in ids}
        hiding: list[str] = []
        for ignore in ignores:
            if not ignore.first <= finding.instruction_line <= ignore.last:
                continue
            if ignore.peer:
                meant = peers & set(ignore.selectors)
                meant = meant if finding.rule in ("left-behind", "cleaned-late", "cleaned-early") else set()
            else:
                meant = {selector for selector in ignore.selectors if selects(selector, finding)}
            ignore.used |= meant
            if meant:
                hiding.append(ignore.reason)
        if hiding:
            suppressed.append(Suppressed(finding, next(filter(None, hiding), "")))
        else:
            kept.append(finding)
    ours = ((ignore, _why_unused(ignore, ledger.library, rules)) for ignore in ignores if not ignore.peer)
    kept += [
        finding_at(ledger, None, "unused-ignore", "info", None, None, ignore.span, why) for ignore, why in ours if why
    ]
    return kept, suppressed


def _why_unused(ignore: _Ignore, library: Library, rules: Collection[str]) -> str:
    """Return what is wrong with an ignore comment, "" when it is as it should be. ``rules`` are those that ran."""
    if not ignore.selectors:
        return "this comment cannot be read; write # cleanroom: ignore=left-behind, or left-behind[apt.lists]"
    idle = [selector for selector in ignore.selectors if selector not in ignore.used]
    unknown = [why for selector in idle if (why := _why_unknown(selector, library))]
    if unknown:
        return f"this comment ignores nothing: {'; '.join(unknown)}"
    idle = [selector for selector in idle if (rule := selector.partition("[")[0]) in rules or rule not in RULES]
    return f"this comment ignores nothing: no {', '.join(idle)} here" if idle else ""


def _why_unknown(selector: str, library: Library) -> str:
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        return f"{selector!r} is no rule"
    rule, manager, cache = match.groups()
    recipes = {recipe.id: recipe for recipe in library.recipes()}
    if manager is None and rule not in RULES and rule not in recipes:
        return f"there is no rule {rule!r}{did_you_mean(rule, [*RULES, *recipes])}"
    if manager is not None and rule and rule not in RULES:
        return f"there is no rule {rule!r}{did_you_mean(rule, RULES)}"
    if manager is not None and manager not in recipes:
        return f"there is no recipe {manager!r}{did_you_mean(manager, recipes)}"
    if (
        manager is not None
        and cache is not None
        and cache not in (known := [item.id for item in recipes[manager].caches])
    ):
        return f"{manager} has no cache {cache!r}{did_you_mean(cache, known)}"
    return ""
