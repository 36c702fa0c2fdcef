"""Fixes for what a later layer removes: the removal moves to what brings it, or the RUNs become one.

A removal moves only where nothing between the two uses what it takes, as the commands that name places tell; this is
safe. To join RUNs, or to mount what is copied only to be removed, is for the author to ask for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from cleanroom.engine.events import Named, Packages, Remove, Unseen, Write
from cleanroom.engine.late import Late
from cleanroom.engine.ledger import Layer, Ledger
from cleanroom.engine.uses import is_related
from cleanroom.lint.findings import Finding, Fix
from cleanroom.lint.fixes.commands import join_runs, operands, without_operands
from cleanroom.lint.fixes.left_behind import without_instruction
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.fixes.uses import stands
from cleanroom.lint.rules.removed_late import groups, outermost, start_of
from cleanroom.syntax import shell
from cleanroom.syntax.dockerfile import Instruction, assignments
from cleanroom.syntax.paths import below, plain
from cleanroom.syntax.text import Edit, Span

_WRITABLE = re.compile(r"/[\w./+@%:=-]+")
_STAGE = "what needs it could run in a stage of its own, of which only the result is copied"


def fix(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Return the fix of ``removed-late``. Raises DeclinedError."""
    del prefer, unsafe
    items = next(
        (
            items
            for items in groups(ledger)
            if start_of(items) == finding.span.start
            and items[0].brought.instruction.line == finding.instruction_line
            and f"line {items[0].layer.instruction.line} " in finding.message
        ),
        None,
    )
    if items is None:
        raise DeclinedError(f"the command is not in this {ledger.dockerfile.run}")
    if ledger.dockerfile.run != "RUN":
        raise DeclinedError("only the author knows which of these scripts make one layer")
    first = items[0]
    if first.brought.stage != first.layer.stage:
        raise DeclinedError("another stage removes it")
    if first.brought.layer is None:
        return _mount(ledger, items)
    reasons = []
    for way in (_move, _join):
        try:
            return way(ledger, items)
        except DeclinedError as declined:
            reasons.append(declined.reason)
    raise DeclinedError(f"{reasons[0]}; and {reasons[1]}; {_STAGE}" if reasons[0] != reasons[1] else reasons[0])


# -- a removal that moves ----------------------------------------------------------------------------------------------


def _move(ledger: Ledger, items: list[Late]) -> Fix:
    """Move the removal to the end of the RUN that brings it. Raises DeclinedError."""
    above, taker = items[0].brought.layer, Site(ledger, items[0].layer)
    assert above is not None
    site = Site(ledger, above)
    edits: list[Edit] = []
    for event, mine in _by_removal(items):
        for item in mine:
            _check_unused(ledger, item)
            if not _WRITABLE.fullmatch(item.names[0]):
                raise DeclinedError("its path would need quotes")
        edits += _without(taker, event, mine)
    if above.user != taker.layer.user:
        raise DeclinedError("another user removes it")
    spans = [item.brought.change.span for item in items]
    places = sorted(site.place_of(span) for span in spans)
    spots = site.script().spots(places[-1], places[0])
    if not spots or spots[0].place != site.script().last:
        raise DeclinedError("no command can be put at the end of the RUN that brings it")
    edits.append(site.script().join(spots[0], [_removal(items)], site.style()))
    line = items[0].layer.instruction.line
    return Fix(True, f"remove it at the end of this RUN, and not on line {line}", tuple(sorted(edits)))


def _removal(items: list[Late]) -> str:
    """Return the command that removes what is brought."""
    folders = any(isinstance(item.brought.change, Write) and item.brought.change.folder for item in items)
    return " ".join(("rm", "-rf" if folders else "-f", *outermost(name for item in items for name in item.names)))


def _by_removal(items: list[Late]) -> Iterator[tuple[Remove, list[Late]]]:
    """Yield each command that removes, and what it takes. Raises DeclinedError where it is another command."""
    for item in items:
        if not isinstance(item.by, Remove):
            raise DeclinedError("the later layer changes it, and does not only remove it")
    events = {id(item.by): item.by for item in items}
    for event in events.values():
        if isinstance(event, Remove):
            yield event, [item for item in items if item.by is event]


def _without(taker: Site, event: Remove, mine: list[Late]) -> list[Edit]:
    """Return the edits that take from a removal what is gone before it, where it names it. Raises DeclinedError."""
    paths = {name for item in mine for name in item.names}
    words = operands(_command(event), event)
    gone = [word for word, pattern in words if plain(pattern).rstrip("/") in paths]
    if len(gone) < len(mine) and not event.forced:
        raise DeclinedError("the removal would fail where it finds nothing")
    return without_operands(taker, event, gone) if gone else []


def _command(event: Remove) -> shell.Command:
    command = event.command
    if command is None or event.nested:
        raise DeclinedError("the removal stands within another command")
    if command.words[0].literal not in ("rm", "/bin/rm"):
        raise DeclinedError("it is not removed by a plain rm")
    return command


def _check_unused(ledger: Ledger, item: Late) -> None:
    """Raise DeclinedError where something between what is brought and its removal uses it, or may."""
    change, by = item.brought.change, item.by
    assert isinstance(change, Write)
    assert isinstance(by, Remove)
    path = item.names[0]
    stage = ledger.stages[item.brought.stage]
    start, end = item.brought.instruction.span.start, item.layer.instruction.span.start
    for instruction in stage.stage.instructions:
        if start < instruction.span.start < end and (what := _names(instruction, path)):
            raise DeclinedError(f"line {instruction.line} {what}")
    for layer in stage.layers:
        if start < layer.instruction.span.start <= end:
            order = by.order if layer is item.layer else None
            if reason := _used_in(ledger, layer, path, order, folder=change.folder):
                raise DeclinedError(reason)


def _names(instruction: Instruction, path: str) -> str:
    """Return what an instruction other than RUN has to do with a path, "" where it has nothing to do with it."""
    if instruction.keyword == "ENV":
        values = " ".join(assignment.value or "" for assignment in assignments(instruction))
        return "names it in ENV" if path in values or "$" in values.replace("$PATH", "") else ""
    if instruction.keyword in ("WORKDIR", "COPY", "ADD", "SHELL", "VOLUME"):
        name = path.rpartition("/")[2]
        return f"may use it ({instruction.keyword})" if name in instruction.arguments.text else ""
    return ""


def _used_in(ledger: Ledger, layer: Layer, path: str, order: int | None, *, folder: bool) -> str:
    """Return why a RUN may use what is at ``path`` before its event ``order``, "" where it does not."""
    inside = layer.folder if folder else path.rpartition("/")[0] or "/"
    if below(layer.folder, path) or (below(inside, layer.folder) and not stands(layer.folder, layer)):
        return f"line {layer.instruction.line} works in its folder"
    for use in layer.uses:
        if order is not None and use.order > order:
            continue
        line = ledger.source.position(use.span.start)[0]
        if isinstance(use, Unseen):
            return f"what line {line} runs ({use.what}) may need it"
        if isinstance(use, Named) and is_related(use.path, (path,)):
            named = plain(use.path).rstrip("/")
            if below(named, path) or not stands(named or "/", layer) or "*" in named:
                return f"line {line} uses it"
    for change in layer.changes:
        paths = change.paths if isinstance(change, Write) and (order is None or change.order <= order) else ()
        if any(below(other, path) for other in paths):
            return f"line {ledger.source.position(change.span.start)[0]} writes to it"
    name = path.rpartition("/")[2]
    end = next((event.span.start for event in layer.events if event.order == order), layer.instruction.span.end)
    text = ledger.dockerfile.text[layer.instruction.span.start : end]
    return f"line {layer.instruction.line} may use it" if name in text else ""


# -- RUNs that become one ----------------------------------------------------------------------------------------------


def _join(ledger: Ledger, items: list[Late]) -> Fix:
    """Join the RUN that brings it, the one that takes it away, and those between them. Raises DeclinedError."""
    first, last = items[0].brought.instruction, items[0].layer.instruction
    stage = ledger.stages[items[0].brought.stage]
    between = [item for item in stage.stage.instructions if first.span.start <= item.span.start <= last.span.start]
    other = next((item for item in between if item.keyword != "RUN" or item.onbuild), None)
    if other is not None:
        raise DeclinedError(f"the {other.keyword} on line {other.line} stands between the two RUNs")
    if not isinstance(items[0].by, (Remove, Packages, Write)):
        raise DeclinedError("COPY --chown or --chmod, or the user of the RUN that brings it, could spare the change")
    layers = [layer for layer in stage.layers if any(layer.instruction is item for item in between)]
    edits: list[Edit] = []
    for one, two in pairwise(layers):
        edits += join_runs(Site(ledger, one), Site(ledger, two), last=two is layers[-1])
    count = "the two RUNs" if len(layers) == 2 else f"the {len(layers)} RUNs"
    return Fix(
        False,
        f"join {count} up to line {last.line}",
        tuple(sorted(set(edits))),
        "layers become one, which is built anew when one of them changes",
    )


# -- COPY that becomes a mount -----------------------------------------------------------------------------------------


def _mount(ledger: Ledger, items: list[Late]) -> Fix:
    """Mount what is copied only to be removed by the RUN that uses it. Raises DeclinedError."""
    item, instruction = items[0], items[0].brought.instruction
    taker = Site(ledger, item.layer)
    words = [word.text for word in instruction.words()]
    if not isinstance(item.by, Remove):
        raise DeclinedError("COPY --chown or --chmod could spare the change")
    if instruction.keyword != "COPY" or instruction.flags or instruction.heredocs or len(words) != 2 or len(items) > 1:
        raise DeclinedError(f"a RUN could fetch or mount what this {instruction.keyword} brings; {_STAGE}")
    change, path = item.brought.change, item.names[0]
    source = words[0].removeprefix("./").strip("/")
    if not isinstance(change, Write) or change.folder or not re.fullmatch(r"[\w./+@-]+", source) or not source:
        raise DeclinedError("it may be more than one file")
    if not _WRITABLE.fullmatch(path) or path.rpartition("/")[2] != source.rpartition("/")[2]:
        raise DeclinedError("it has another name in the image")
    stage = ledger.stages[item.brought.stage]
    start, end = instruction.span.start, item.layer.instruction.span.start
    between = [layer for layer in stage.layers if start < layer.instruction.span.start < end]
    if reason := next(filter(None, (_used_in(ledger, layer, path, None, folder=False) for layer in between)), ""):
        raise DeclinedError(reason)
    run = item.layer.instruction
    text = ledger.dockerfile.text[run.span.start : run.span.end]
    name = re.escape(path.rpartition("/")[2])
    if re.search(rf"\b(?:chmod|chown|mv|sed|dos2unix|gunzip|bunzip2|unxz)\b[^&|;]*{name}", text):
        raise DeclinedError("a command changes it, and a mount cannot be changed")
    if run.exec_form is not None or run.heredocs:
        raise DeclinedError("the RUN that removes it is none in plain shell form")
    command = _command(item.by)
    if any(plain(pattern).rstrip("/") != path for _, pattern in operands(command, item.by)):
        raise DeclinedError("more is removed with it")
    keyword = re.match(r"RUN\s+", text, re.IGNORECASE)
    script = taker.script()
    place = script.locate(command.span)
    edit = script.drop(place) if place is not None and len(script.statements[0].links) > 1 else None
    if keyword is None or edit is None:
        raise DeclinedError("without the removal, the RUN could end otherwise than it does")
    at = run.span.start + keyword.end()
    carrier = Layer(instruction, item.brought.stage, [], (), item.layer.user, item.layer.home, item.layer.base)
    edits = [
        Edit(Span(at, at), f"--mount=type=bind,source={source},target={path} "),
        edit,
        without_instruction(Site(ledger, carrier)),
    ]
    return Fix(
        False,
        f"mount {source} in the RUN on line {run.line}, and drop this COPY",
        tuple(sorted(edits)),
        "a mount needs BuildKit, and is not there in what another RUN does",
    )
