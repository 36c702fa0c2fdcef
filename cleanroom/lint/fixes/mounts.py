"""The move of a manager to cache mounts, in all RUNs of a stage or in none: the fix of ``downloads-anew``."""

from __future__ import annotations

import re

from cleanroom.engine.events import Clean, Fill, Remove
from cleanroom.engine.ledger import Layer, Ledger, Outcome, Status
from cleanroom.lint.findings import Finding, Fix
from cleanroom.lint.fixes import commands, left_behind, remedies
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.rules.downloads_anew import fetches, mountable
from cleanroom.syntax.dockerfile import assignments
from cleanroom.syntax.paths import below, covers
from cleanroom.syntax.text import Edit, Span


def fix(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Mount the caches of a manager in each RUN of a stage where it fetches. Raises DeclinedError."""
    del prefer, unsafe
    stage = next(item for item in ledger.stages if any(_is_at(layer, finding) for layer in item.layers))
    fetching: list[tuple[Layer, list[Outcome]]] = []
    for layer in stage.layers:
        outcomes = [item for item in ledger.outcomes_in(layer) if item.fill.recipe.id == finding.manager]
        wanted = [item for item in outcomes if fetches(item) or item.state == Status.PRESENT]
        line = layer.instruction.line
        if wanted and layer.instruction.onbuild:
            raise DeclinedError(
                f"line {line} runs when another image is built, of which user and builder are not known"
            )
        if any(item.state == Status.UNKNOWN and not item.fill.cache.minor for item in outcomes):
            raise DeclinedError(f"what becomes of the cache on line {line} is not known")
        if wanted:
            fetching.append((layer, wanted))
    directed = any(item.name == "syntax" for item in ledger.dockerfile.directives)
    if directed and not remedies.knows_mounts(Site(ledger, fetching[0][0])):
        raise DeclinedError("the syntax directive asks for a frontend that does not know cache mounts")
    starts = {layer.instruction.span.start for layer, _ in fetching}
    edits: set[Edit] = set()
    targets: dict[str, None] = {}
    why = ""
    for number, (layer, wanted) in enumerate(fetching):
        site = Site(ledger, layer)
        remedy = mountable(wanted[0].fill, layer)
        if remedy is None:
            raise DeclinedError(f"the recipe of {finding.manager} knows no mount for this image")
        moved = [item for item in wanted if item.fill.cache.id in remedy.caches]
        plan = remedies.mount_on(site, remedy, moved)
        here = list(plan.targets)
        _check_copied(site, here)
        left_behind.check_hidden(site, layer, remedy)
        left_behind.provide(site, plan, remedy, starts)
        made = [target for target in here if target not in targets]
        edits.update(plan.edits, _without_cleanups(site, here), _allowed(site, moved, number == 0, starts))
        edits.update(_parents(site, made))
        targets.update(dict.fromkeys(here))
        why = why or plan.why
    return Fix(not why, f"mount a cache on {', '.join(targets)}", tuple(sorted(edits)), why)


def _is_at(layer: Layer, finding: Finding) -> bool:
    return layer.instruction.line == finding.instruction_line


def _check_copied(site: Site, targets: list[str]) -> None:
    """Raise DeclinedError where another stage copies what would be in a mount."""
    above = {stage.stage.index for stage in site.ledger.above(site.layer.stage)}
    for stage in site.ledger.stages:
        for copy in stage.copies:
            if copy.stage in above and any(
                below(path.rstrip("/*"), target) or covers(path, f"{target}/x")
                for path in copy.paths
                for target in targets
                if path.strip("/*")
            ):
                raise DeclinedError(f"line {copy.instruction.line} copies the cache")


# -- what would empty the mounts ---------------------------------------------------------------------------------------


def _without_cleanups(site: Site, targets: list[str]) -> list[Edit]:
    """Return the edits that drop what would empty the mounts, or would fail since it removes one."""
    edits: list[Edit] = []
    for event in site.layer.events:
        if isinstance(event, Clean):
            hit = [path for paths in event.paths.values() for path in paths if commands.is_inside(path, targets)]
            if hit and len(hit) < sum(map(len, event.paths.values())):
                raise DeclinedError("a command of the RUN would empty the mount, and also empties what is in none")
            if hit:
                edits.append(commands.drop(site, event))
        elif isinstance(event, Remove) and any(_hits(pattern, targets) for pattern in event.patterns):
            words = commands.operands(commands.written(event), event)
            edits += commands.without_operands(
                site, event, [word for word, pattern in words if _hits(pattern, targets)]
            )
    return edits


def _hits(pattern: str, targets: list[str]) -> bool:
    return commands.is_inside(pattern, targets) or any(covers(pattern, target) is not False for target in targets)


# -- what forbids the cache --------------------------------------------------------------------------------------------


def _allowed(site: Site, moved: list[Outcome], first: bool, starts: set[int]) -> list[Edit]:
    """Return the edits that let the commands of a RUN fill the cache. Raises DeclinedError."""
    edits: list[Edit] = []
    files: set[str] = set()
    for fill in (item.fill for item in moved if item.fill.prevented):
        if fill.prevented.startswith("-"):
            edits.append(commands.without_option(site, fill))
        elif fill.prevented == fill.cache.kept_out_by_file:
            files.add(fill.prevented)
        elif "=" in fill.prevented:
            edits += _without_variable(site, fill)
        else:
            raise DeclinedError(f"{fill.prevented} would keep the mount empty")
    for file in sorted(files) if first else ():
        edits.append(commands.without_file(site, moved[0].fill, file, starts))
    return edits


def _without_variable(site: Site, fill: Fill) -> list[Edit]:
    """Return the edits by which a variable does not hold for a command: in its ENV, where it holds for no other."""
    name = fill.prevented.partition("=")[0]
    if (inline := commands.without_assignment(fill, name)) is not None:
        return [inline]
    stages = site.ledger.chain(site.layer.stage)
    setting = [
        (stage, instruction)
        for stage in stages
        for instruction in stage.stage.instructions
        if instruction.keyword in ("ENV", "ARG") and any(item.name == name for item in assignments(instruction))
    ]
    if any(instruction.keyword == "ARG" for _, instruction in setting):
        raise DeclinedError(f"{name} is an ARG, for whoever builds the image to set")
    own = len(setting) == 1 and setting[0][0].stage.index == site.layer.stage
    if not own or len(site.ledger.above(site.layer.stage)) > 1:
        return [_unset(site, fill, name)]
    instruction = setting[0][1]
    items = assignments(instruction)
    if len(items) == 1:
        return [left_behind.without_instruction(site, instruction)]
    index = next(number for number, item in enumerate(items) if item.name == name)
    if index:
        return [Edit(Span(items[index - 1].span.end, items[index].span.end), "")]
    return [Edit(Span(items[0].span.start, items[1].span.start), "")]


def _unset(site: Site, fill: Fill, name: str) -> Edit:
    """Return the edit that runs one command without a variable that others inherit. Raises DeclinedError."""
    command = fill.command
    if site.is_array or command is None or fill.nested or not re.fullmatch(r"[\w./-]+", command.words[0].raw):
        raise DeclinedError(f"{name} holds for other lines too")
    start = command.words[0].span.start
    return Edit(Span(start, start), f"env -u {name} ")


# -- whose the folders are ---------------------------------------------------------------------------------------------


def _parents(site: Site, targets: list[str]) -> list[Edit]:
    """Return the edit by which the user in force makes the folders, which the builder would make for root."""
    if site.layer.uid in ("0", "") or not targets:
        return []
    home = site.layer.home
    shown = [f"~{target[len(home) :]}" if target.startswith(f"{home}/") else target for target in targets]
    return [remedies.above(site, site.line, f"RUN mkdir -p {' '.join(shown)}")]
