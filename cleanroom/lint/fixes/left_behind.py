"""Fixes for bytes that ship: the best remedy of the recipe that can be written here and breaks no other line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from cleanroom.engine.events import Clean, Fill, Remove, Required, Used
from cleanroom.engine.ledger import Layer, Ledger, Outcome, Status
from cleanroom.engine.settle import empties
from cleanroom.lint.findings import Finding, Fix
from cleanroom.lint.fixes import remedies
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.fixes.remedies import Plan
from cleanroom.lint.fixes.uses import User, in_layer, later, others_files, payload_in, prefetched_for, topped_up
from cleanroom.lint.rules.left_behind import shipped
from cleanroom.recipes.facts import applies
from cleanroom.recipes.model import Remedy
from cleanroom.syntax.dockerfile import Instruction
from cleanroom.syntax.paths import below
from cleanroom.syntax.text import Edit, Span


def fix(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Return the fix of ``left-behind``, ``cleaned-late`` or ``cleaned-early``. Raises DeclinedError."""
    outcomes = shipped(ledger)
    outcome = next(
        (
            item
            for item in outcomes
            if item.layer.instruction.line == finding.instruction_line
            and item.fill.span == finding.span
            and item.fill.recipe.id == finding.manager
            and item.fill.cache.id == finding.cache
        ),
        None,
    )
    if outcome is None:
        raise DeclinedError(f"the command that fills it is not in this {ledger.dockerfile.run}")
    left = [item for item in outcomes if item.layer is outcome.layer and item.fill.recipe.id == finding.manager]
    found: list[Fix] = []
    reasons: list[str] = []
    for remedy in _candidates(outcome, left, prefer):
        if ledger.dockerfile.run != "RUN" and _way(remedy) in ("mount", "variable"):
            continue
        try:
            proposal = _write(ledger, outcome, left, remedy)
        except DeclinedError as declined:
            reasons.append(declined.reason)
            continue
        if proposal.safe or (unsafe and remedy.kind == prefer):
            return proposal
        if reasons and not found:  # why it is not the remedy that goes before it
            proposal = replace(proposal, why=f"{reasons[0]}; and {proposal.why}")
        found.append(proposal)
    if found:
        return found[0]
    raise DeclinedError(reasons[0] if reasons else f"the recipe of {finding.manager} knows no remedy for this image")


def _candidates(outcome: Outcome, left: list[Outcome], prefer: str) -> list[Remedy]:
    """Return the remedies for a cache: the preferred kind first, then what covers most of what is left."""
    caches = {item.fill.cache.id for item in left}
    recipe, base = outcome.fill.recipe, outcome.layer.base
    fitting = [
        remedy
        for remedy in recipe.remedies
        if outcome.fill.cache.id in remedy.caches and applies(remedy.versions, remedy.bases, base, recipe.id) is True
    ]
    return sorted(
        fitting,
        key=lambda remedy: (bool(prefer) and remedy.kind != prefer, -len(caches & set(remedy.caches))),
    )


_WRITERS: dict[str, Callable[[Site, Remedy, list[Outcome]], Plan]] = {
    "clean": remedies.clean,
    "mount": remedies.mount,
    "option": remedies.option,
    "variable": remedies.variable,
    "before": remedies.before,
}


def _way(remedy: Remedy) -> str:
    """Return how a remedy is written."""
    if remedy.kind != "prevent":
        return remedy.kind
    return "option" if remedy.option else "variable" if remedy.variable else "before"


def _write(ledger: Ledger, outcome: Outcome, left: list[Outcome], remedy: Remedy, *, drop: bool = True) -> Fix:
    """Return the fix by one remedy; with ``drop``, a clean-up in the wrong place goes. Raises DeclinedError."""
    site = Site(ledger, outcome.layer)
    plan = _WRITERS[_way(remedy)](site, remedy, left)
    if remedy.kind == "clean" and (command := _only_fetches(site, outcome)):
        title = f"drop this {site.run}, which does nothing but {command}"
        plan = Plan(title, [without_instruction(site)], plan.why, plan.taken)
    gone = [item for item in left if item.fill.cache.id in remedy.caches]
    if remedy.kind == "mount":
        check_hidden(site, outcome.layer, remedy)
    provide(site, plan, remedy)
    _keep_topped_up(site, plan, gone, remedy)
    if drop and outcome.early is not None and remedy.kind == "clean":
        _drop_early(site, outcome, plan)
    if drop and outcome.late is not None:
        _drop_late(site, outcome, plan)
    return Fix(not plan.why, plan.title, tuple(sorted(plan.edits)), plan.why)


def _keep_topped_up(site: Site, plan: Plan, gone: list[Outcome], remedy: Remedy) -> None:
    """Add to ``plan`` the same remedy for later RUNs that only top up what this one fetches. Raises DeclinedError."""
    ledger = site.ledger
    for outcome in gone:
        line = prefetched_for(ledger, outcome)
        for other in topped_up(ledger, outcome):
            line = ledger.source.position(other.fill.span.start)[0]
            if remedy.kind == "prevent" and remedy.variable:
                continue
            extra = _WRITERS[_way(remedy)](Site(ledger, other.layer), remedy, [other])
            plan.edits += [edit for edit in extra.edits if edit not in plan.edits]
            plan.title += f", and to the RUN on line {other.layer.instruction.line}"
            plan.why = plan.why or extra.why
        if line is not None and remedy.kind != "prevent" and not plan.why:
            plan.why = f"line {line} uses what this fetches ahead, and would fetch it again"
        if outcome.fill.prefetch and remedy.kind != "prevent" and not plan.why:
            plan.why = "this fetches ahead what a command that cannot be seen may use"


def check_hidden(site: Site, layer: Layer, remedy: Remedy) -> None:
    """Raise DeclinedError when a mount would hide from this RUN what an earlier layer holds and it needs."""
    fetched: set[str] = set()
    for event in layer.events:
        if isinstance(event, Fill):
            fetched.add(event.cache.id)
        if isinstance(event, Required) and event.cache.id in remedy.caches and event.cache.id not in fetched:
            raise DeclinedError(
                f"a mount would hide {event.cache.what}, which this {site.run} needs from the one before it"
            )


def _only_fetches(site: Site, outcome: Outcome) -> str:
    """Return the command when a RUN is nothing but one that fetches what later RUNs can fetch for themselves."""
    instruction, fill = site.layer.instruction, outcome.fill
    command = refilling(fill, site.text)
    if not command or instruction.flags or instruction.heredocs or instruction.onbuild or fill.sudo:
        return ""
    statements = site.script().statements
    alone = len(statements) == 1 and len(statements[0].links) == 1 and statements[0].links[0].span == fill.span
    return command if alone else ""


_QUIET = re.compile(r"[12]?>>? */dev/null|&>>? */dev/null|2>&1")


def refilling(fill: Fill, text: str) -> str:
    """Return the command of ``fill`` when it does what refills the cache and nothing else, as the author wrote it.

    ``text`` is the Dockerfile's. What the command prints may go to ``/dev/null``.
    """
    command, refill = fill.command, fill.cache.refill.split()
    if command is None or fill.nested or command.assignments or fill.verb not in refill[1:]:
        return ""
    redirects = [text[redirect.span.start : redirect.span.end] for redirect in command.redirects]
    if not all(_QUIET.fullmatch(redirect) for redirect in redirects):
        return ""
    words = [word.literal or "" for word in command.words]
    names = {name for program in fill.recipe.programs for name in program.names}
    if words[0] not in names or not all(re.fullmatch(r"[\w=:./-]+", word) for word in words):
        return ""
    if [word for word in words[1:] if not word.startswith("-")] != refill[1:]:
        return ""
    return " ".join((*words, *redirects))


# -- what later lines need -------------------------------------------------------------------------------------------

_SOURCES = re.compile(r"/etc/apt|sources\.list|apt-key|apt-repository|--add-architecture", re.IGNORECASE)
# A package in a file may bring sources along.
_INSTALLS_FILE = re.compile(r"\b(?:dpkg|gdebi)\b|\binstall\b(?:\\\r?\n|[^&|;\n])*?(?:\.deb\b|[$*])")
_WHOLE = re.compile(r"(?:COPY|ADD)\s.*\s[\"']?/[\"']?\]?\s*\Z", re.IGNORECASE | re.DOTALL)


def may_change_sources(text: str) -> bool:
    """Return True if what stands in a Dockerfile may change where apt gets packages from."""
    return bool(_SOURCES.search(text) or (".deb" in text and _INSTALLS_FILE.search(text)))


def provide(site: Site, plan: Plan, remedy: Remedy, mounted: Collection[int] = ()) -> None:
    """Add to ``plan`` what lets later lines do without what it takes. Raises DeclinedError.

    ``mounted`` are the RUNs, by where they start, that have the same mount.
    """
    taken = plan.taken
    if taken is None:
        return
    if (found := payload_in(site.ledger, taken)) is not None:
        raise DeclinedError(f"it would take {found[1]}, from line {found[0]}")
    by_root = site.layer.mounts or any(part.fill.sudo for part in taken.parts)
    if not by_root and (other := others_files(site.ledger, taken)) is not None:
        raise DeclinedError(f"files of the user {other[1]} are in it, from line {other[0]}")
    if taken.unmade:
        for user in in_layer(site.ledger, taken, after=taken.order):
            if user.certain:
                raise DeclinedError(user.reason)
    users = [user for user in later(site.ledger, taken) if user.layer.instruction.span.start not in mounted]
    for user in users:
        if user.certain and user.need is None:
            raise DeclinedError(user.reason)
    done: set[int] = set()
    for user in users:
        if user.need is None:
            plan.why = plan.why or user.reason
        elif user.layer.instruction.span.start not in done:
            done.add(user.layer.instruction.span.start)
            _refill(site, plan, user, remedy)


def _refill(site: Site, plan: Plan, user: User, remedy: Remedy) -> None:
    """Add to ``plan`` the edits that have a later RUN fetch for itself what it needs. Raises DeclinedError."""
    ledger, here, filled, need, reason = site.ledger, site.layer, user.part.fill, user.need, user.reason
    assert need is not None
    cache = filled.cache
    there = Site(ledger, user.layer)
    family = user.layer.base.family
    if not cache.refill or not cache.needed_by or not (family == "debian" or (not family and filled.verb == "update")):
        raise DeclinedError(reason)  # where its update ran, the command is there, whatever the base is
    if ledger.stages[user.layer.stage] is not ledger.stages[here.stage]:
        raise DeclinedError(f"{reason}, in a stage built on this one")
    if user.layer.instruction.onbuild or here.instruction.onbuild:
        raise DeclinedError(f"{reason}, when another image is built")
    start, end = filled.span.end, need.span.start
    between = ledger.dockerfile.text[start:end]
    if may_change_sources(between) or any(
        _WHOLE.match(ledger.dockerfile.text[item.span.start : item.span.end])
        for item in ledger.stages[here.stage].stage.instructions
        if start < item.span.start < end
    ):
        raise DeclinedError(f"{reason}, and the sources of packages change in between")
    script = there.script()
    place = there.place(need)
    link = script.link(place)
    if need.command is None or need.nested or link.span != need.command.span:
        raise DeclinedError(f"{reason}, from within another command")
    sudo = "sudo " if need.sudo and there.is_root() is not True else ""
    refill = refilling(filled, ledger.dockerfile.text) or cache.refill
    edit = script.lead(place, f"{sudo}{refill}")
    if edit is None:
        raise DeclinedError(f"{reason}, and no command can be put before it")
    plan.edits.append(edit)
    plan.title += f", and {refill} on line {user.line}, which needs it"
    if not user.cleans and remedy.kind == "clean":
        fill = Fill(filled.recipe, cache, filled.paths, need.span, need.guards, need.order, "", sudo=need.sudo)
        fill.user = filled.user
        fill.command = need.command
        extra = remedies.clean(there, remedy, [Outcome(fill, user.layer, Status.LEFT)])
        plan.edits += extra.edits
        plan.why = plan.why or extra.why
    elif not user.cleans:
        raise DeclinedError(reason)


# -- clean-ups in the wrong place --------------------------------------------------------------------------------------


def _drop_early(site: Site, outcome: Outcome, plan: Plan) -> None:
    """Drop the clean-up that comes too early, where it is a clean-up of this RUN: something was filled before it."""
    early = outcome.early
    assert early is not None
    before = [
        event
        for event in site.layer.events
        if isinstance(event, Fill) and event.order < early.order and empties(early, event)
    ]
    if not before or early.command is None or early.nested:
        return
    if isinstance(early, Remove) and not all(_is_cache(pattern, outcome) for pattern in early.patterns):
        return
    script = site.script()
    place = script.locate(early.span)
    if place is None or script.link(place).span != early.command.span:
        return
    edit = script.drop(place)
    if edit is not None and not any(_touch(edit, other) for other in plan.edits):
        plan.edits.append(edit)
        plan.title += ", instead of before the last command that fills it"


def _is_cache(pattern: str, outcome: Outcome) -> bool:
    return any(below(pattern.removesuffix("/*"), path.removesuffix("/*")) for path in outcome.fill.paths)


def _touch(edit: Edit, other: Edit) -> bool:
    return edit.span.start <= other.span.end and other.span.start <= edit.span.end


def _has_safe_fix(ledger: Ledger, outcome: Outcome) -> bool:
    """Return True if another clean-up that comes too late is moved in the same pass."""
    question = ("has a safe fix", id(outcome))
    if question not in ledger.memory:
        ledger.memory[question] = _find_safe_fix(ledger, outcome)
    return bool(ledger.memory[question])


def _find_safe_fix(ledger: Ledger, outcome: Outcome) -> bool:
    left = [item for item in shipped(ledger) if item.layer is outcome.layer and item.fill.recipe is outcome.fill.recipe]
    if not any(item is outcome for item in left):
        return False
    for remedy in _candidates(outcome, left, ""):
        try:
            if _write(ledger, outcome, left, remedy, drop=False).safe:
                return True
        except DeclinedError:
            continue
    return False


def _drop_late(site: Site, outcome: Outcome, plan: Plan) -> None:
    """Drop the RUN that cleans up a layer too late, when nothing else is in it and nothing else waits for it."""
    assert outcome.late is not None
    layer = outcome.late[0]
    instruction = layer.instruction
    if instruction.heredocs or instruction.exec_form is not None or instruction.flags or instruction.onbuild:
        return
    try:
        script = Site(site.ledger, layer).script()
    except DeclinedError:
        return
    cleanups = [event for event in layer.events if isinstance(event, (Clean, Remove))]
    commands = {link.span for statement in script.statements for link in statement.links}
    only_cleans = {event.span for event in cleanups} == commands and all(
        isinstance(event, (Clean, Remove, Used)) and event.span in commands for event in layer.events
    )
    if only_cleans and _frees_nothing(site, outcome, cleanups):
        plan.edits.append(without_instruction(Site(site.ledger, layer)))
        plan.title += f", and drop the RUN on line {instruction.line}, which frees nothing"


def _frees_nothing(site: Site, outcome: Outcome, cleanups: Sequence[Clean | Remove]) -> bool:
    """Return True if late clean-ups remove nothing but caches that are gone once the safe fixes are applied."""
    waiting = [
        item
        for item in site.ledger.outcomes
        if item.state == Status.LEFT
        and not item.fill.cache.minor
        and any(empties(event, item.fill) for event in cleanups)
    ]
    if not all(item.layer is outcome.layer or _has_safe_fix(site.ledger, item) for item in waiting):
        return False
    known = [path.removesuffix("/*") for item in site.ledger.outcomes for path in item.fill.paths]
    removed = [pattern for event in cleanups if isinstance(event, Remove) for pattern in event.patterns]
    return all(any(below(pattern.removesuffix("/*"), path) for path in known) for pattern in removed)


# What other linters, and this one, are told above an instruction: alone, it would be about the next one.
_DIRECTIVE = re.compile(
    r"\s*#\s*(?:hadolint|tally|cleanroom:|check=|nosemgrep|trivy:|checkov:|kics-scan)", re.IGNORECASE
)


def without_instruction(site: Site, instruction: Instruction | None = None) -> Edit:
    """Return the edit that takes the RUN, or another instruction, away, with its line end and its ignore comments.

    Of the blank lines around it, those above stay.
    """
    source, instruction = site.ledger.source, instruction or site.layer.instruction
    first, last = instruction.line, instruction.end_line
    while first > 1 and _DIRECTIVE.match(source.line(first - 1)):
        first -= 1
    if first == 1 or not source.line(first - 1).strip():
        while last < len(source) and not source.line(last + 1).strip():
            last += 1
    end = source.line_start(last + 1) if last < len(source) else len(site.text)
    return Edit(Span(source.line_start(first), end), "")
