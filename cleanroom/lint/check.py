"""Rules run over a ledger, and what comments and selectors leave of the findings. No I/O, no global state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.build import build
from cleanroom.engine.ledger import Ledger, TargetError
from cleanroom.lint import ignores
from cleanroom.lint.findings import Finding, Problem, Report, Suppressed
from cleanroom.lint.rules import Rule
from cleanroom.lint.selectors import selects
from cleanroom.recipes.library import Library
from cleanroom.syntax import dockerfile
from cleanroom.syntax.dockerfile import DockerfileError
from cleanroom.syntax.readers import Reader


class Options(Struct, frozen=True):
    """How a text is checked; the parameters of ``cleanroom.check``."""

    library: Library
    target: str | None = None
    read_file: Callable[[str], str | None] | None = None
    select: Collection[str] = ()
    ignore: Collection[str] = ()
    prefer: str = ""
    reader: Reader | None = None
    severity: Collection[tuple[str, str]] = ()


def check(ledger: Ledger, rules: Mapping[str, Rule], options: Options, *, fixes: bool = True) -> Report:
    """Return what ``rules`` (all there are, by name) find in a ledger."""
    found, suppressed = run_rules(ledger, rules, options)
    if fixes:
        found = [with_fix(ledger, finding, options.prefer) for finding in found]
    else:
        found = [
            replace(finding, fix=None, no_fix="") if finding.fix or finding.no_fix else finding for finding in found
        ]
    return Report(tuple(found), tuple(ledger.unresolved), suppressed=tuple(suppressed))


def read(text: str, options: Options) -> Ledger | Problem:
    """Return the ledger of a text, or why it could not be read."""
    try:
        parse = dockerfile.parse if options.reader is None else options.reader.parse
        return build(parse(text), options.library, target=options.target, read_file=options.read_file)
    except DockerfileError as error:
        return Problem(error.line, error.column, error.message)
    except TargetError as error:
        return Problem(1, 1, str(error))


def run_rules(ledger: Ledger, rules: Mapping[str, Rule], options: Options) -> tuple[list[Finding], list[Suppressed]]:
    """Return what the rules find, and what of it comments hide; without what is ignored or not asked for.

    Both are in the order of their place.
    """
    asked = {selector.partition("[")[0] for selector in options.select}
    ran = [rule for rule in rules.values() if rule.default or rule.name in asked]
    found = [finding for rule in ran for finding in rule.find(ledger)]
    comments = ignores.read(ledger, rules)
    kept, hidden = ignores.apply(found, comments)
    kept += ignores.unused(ledger, comments, [rule.name for rule in ran], rules)
    kept = [_adjusted(finding, options) for finding in kept if _is_wanted(finding, options)]
    hidden = [item for item in hidden if _is_wanted(item.finding, options)]
    return sorted(kept, key=_order), sorted(hidden, key=lambda item: _order(item.finding))


def _is_wanted(finding: Finding, options: Options) -> bool:
    if any(selects(selector, finding) for selector in options.ignore):
        return False
    return not options.select or any(selects(selector, finding) for selector in options.select)


def _adjusted(finding: Finding, options: Options) -> Finding:
    """Return a finding with the severity that is asked for, and remedies of the preferred kind first."""
    severity = finding.severity
    for selector, wanted in options.severity:
        if selects(selector, finding):
            severity = wanted
    remedies = finding.remedies
    if options.prefer:
        remedies = tuple(sorted(remedies, key=lambda advice: advice.kind != options.prefer))
    if (severity, remedies) == (finding.severity, finding.remedies):
        return finding
    return replace(finding, severity=severity, remedies=remedies)


def _order(finding: Finding) -> tuple[object, ...]:
    return finding.span.start, finding.span.end, finding.rule, finding.manager, finding.cache


def with_fix(ledger: Ledger, finding: Finding, prefer: str = "", *, unsafe: bool = False) -> Finding:
    """Return the finding with its fix, or with the reason why it has none."""
    from cleanroom.lint.fixes import propose

    if finding.fix or finding.no_fix:  # whoever found it knows
        return finding
    fix = propose(ledger, finding, prefer=prefer, unsafe=unsafe)
    return replace(finding, no_fix=fix) if isinstance(fix, str) else replace(finding, fix=fix)
