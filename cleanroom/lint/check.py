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


def check(
    ledger: Ledger,
    rules: Mapping[str, Rule],
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    prefer: str = "",
    *,
    fixes: bool = True,
) -> Report:
    """Return what ``rules`` (all there are, by name) find in a ledger. ``cleanroom.check`` says what the rest is."""
    found, suppressed = run_rules(ledger, rules, select, ignore, prefer)
    if fixes:
        found = [with_fix(ledger, finding, prefer) for finding in found]
    return Report(tuple(found), tuple(ledger.unresolved), suppressed=tuple(suppressed))


class Options(Struct, frozen=True):
    """How a text is checked; the parameters of ``cleanroom.check``."""

    library: Library
    target: str | None = None
    read_file: Callable[[str], str | None] | None = None
    select: Collection[str] = ()
    ignore: Collection[str] = ()
    prefer: str = ""
    reader: Reader | None = None


def read(text: str, options: Options) -> Ledger | Problem:
    """Return the ledger of a text, or why it could not be read."""
    try:
        parse = dockerfile.parse if options.reader is None else options.reader.parse
        return build(parse(text), options.library, target=options.target, read_file=options.read_file)
    except DockerfileError as error:
        return Problem(error.line, error.column, error.message)
    except TargetError as error:
        return Problem(1, 1, str(error))


def run_rules(
    ledger: Ledger,
    rules: Mapping[str, Rule],
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    prefer: str = "",
) -> tuple[list[Finding], list[Suppressed]]:
    """Return what the rules find, and what of it comments hide; without what is ignored or not asked for.

    Both are in the order of their place.
    """
    asked = {selector.partition("[")[0] for selector in select}
    ran = [rule for rule in rules.values() if rule.default or rule.name in asked]
    found = [finding for rule in ran for finding in rule.find(ledger)]
    comments = ignores.read(ledger, rules)
    kept, hidden = ignores.apply(found, comments)
    kept += ignores.unused(ledger, comments, [rule.name for rule in ran], rules)
    kept = [_preferring(finding, prefer) for finding in kept if _is_wanted(finding, select, ignore)]
    hidden = [item for item in hidden if _is_wanted(item.finding, select, ignore)]
    return sorted(kept, key=_order), sorted(hidden, key=lambda item: _order(item.finding))


def _is_wanted(finding: Finding, select: Collection[str], ignore: Collection[str]) -> bool:
    if any(selects(selector, finding) for selector in ignore):
        return False
    return not select or any(selects(selector, finding) for selector in select)


def _preferring(finding: Finding, kind: str) -> Finding:
    """Return a finding with remedies of this kind first."""
    if not kind:
        return finding
    return replace(finding, remedies=tuple(sorted(finding.remedies, key=lambda advice: advice.kind != kind)))


def _order(finding: Finding) -> tuple[object, ...]:
    return finding.span.start, finding.span.end, finding.rule, finding.manager, finding.cache


def with_fix(ledger: Ledger, finding: Finding, prefer: str = "", *, unsafe: bool = False) -> Finding:
    """Return the finding with its fix, or with the reason why it has none."""
    from cleanroom.lint.fixes import propose

    fix = propose(ledger, finding, prefer=prefer, unsafe=unsafe)
    return replace(finding, no_fix=fix) if isinstance(fix, str) else replace(finding, fix=fix)
