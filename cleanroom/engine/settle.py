"""What became of every fill: what empties it, in this layer or a later one, and which clean-up misses it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from cleanroom.engine.events import Clean, Event, Fill, Guards, Remove, Unresolved
from cleanroom.engine.ledger import Layer, Ledger, Outcome, StageLedger, Status
from cleanroom.syntax.dockerfile import Instruction
from cleanroom.syntax.paths import UNKNOWN, braces, covers, plain, readable


def runs_whenever(events: Iterable[Guards], fill: Guards) -> bool:
    """Return True if one of several clean-ups, each under its guards, runs whenever the fill did.

    Two that stand in both branches of a condition are as one that stands in none.
    """
    known = set(events)
    changed = True
    while changed and len(known) < 64:
        changed = False
        for guards in list(known):
            for guard in guards:
                other = (guards - {guard}) | {(guard[0], not guard[1])}
                merged = guards - {guard}
                if frozenset(other) in known and merged not in known:
                    known.add(merged)
                    changed = True
    return any(guards <= fill for guards in known)


_HOME = re.compile(r"/home/[^/]+")


def empties(event: Event, fill: Fill) -> bool | None:
    """Return True if ``event`` empties the cache of ``fill``; None when that is not known."""
    if isinstance(event, Remove):
        verdict = _removes(event.patterns, fill.paths, event.recursive, fill.cache.flat)
        return None if verdict and not event.certain else verdict
    if isinstance(event, Clean):
        if event.recipe.id == fill.recipe.id:
            return fill.cache.id in event.paths and _overlap(event.paths[fill.cache.id], fill.paths)
        return any(path in fill.paths and UNKNOWN not in path for paths in event.paths.values() for path in paths)
    return False


@lru_cache(maxsize=256)  # a layer may fill the same cache often
def _removes(patterns: tuple[str, ...], paths: tuple[str, ...], recursive: bool, flat: bool) -> bool | None:
    """Return True if removing ``patterns`` empties one of ``paths``, of files if ``flat``, else with folders."""
    unknown = False
    for path in paths:
        for pattern in patterns:
            verdict = covers(pattern, path)
            if path.startswith("~") and (home := _HOME.match(pattern)):
                verdict = None if covers("~" + pattern[home.end() :], path) else False  # it may be this home
            if verdict and (recursive or (flat and _names_files(pattern, path))):
                return True
            unknown = unknown or verdict is None
    return None if unknown else False


def _names_files(pattern: str, path: str) -> bool:
    """Return True if a pattern that covers ``path`` names what is in a folder, not the folder or one above it."""
    parts = len(path.strip("/").split("/"))
    return len(pattern.strip("/").split("/")) > parts - ("*" in path.rpartition("/")[2])


def _overlap(ones: tuple[str, ...], others: tuple[str, ...]) -> bool | None:
    """Return True if two lists of possible places are of the same cache; None when that is not known."""
    if set(ones) & set(others) or not ones or not others:
        return True
    return None if any(UNKNOWN in path or path.startswith("~") for path in (*ones, *others)) else False


def settle(ledger: Ledger, stage: StageLedger) -> None:
    """Find what became of every fill of a stage."""
    used: set[tuple[str, str]] = set()
    parents = {other.parent for other in ledger.stages if other.ships}
    above = ledger.above(stage.stage.index)
    for other in above:
        if other.ships and other.stage.index not in parents:
            used |= ledger.used_at_start(other.stage.index)
    rest = [layer for other in above if other is not stage for layer in other.layers]
    late: dict[tuple[int, str, str, tuple[str, ...]], tuple[Layer, Clean | Remove] | None] = {}
    for position, layer in enumerate(stage.layers):
        misses: _Misses = {}
        for event in layer.events:
            if not isinstance(event, Fill):
                continue
            outcome = _outcome(event, layer, misses)
            ledger.outcomes.append(outcome)
            if outcome.state == Status.UNKNOWN and not event.cache.minor:
                _note_unknown(ledger, outcome)
            if outcome.state == Status.LEFT and event.tops_up and _is_there(ledger, stage, outcome):
                outcome.state = Status.PRESENT
            if outcome.state != Status.LEFT:
                continue
            place = (position, event.recipe.id, event.cache.id, event.paths)
            if place not in late:  # several fills of one cache in one layer share it
                following = [*stage.layers[position + 1 :], *rest]
                late[place] = next(((later, found) for later in following if (found := _late(event, later))), None)
            outcome.late = late[place]
            reads = used
            if not stage.ships and outcome.late is None:
                takers = (_copied_by(ledger, stage, path) for path in event.paths)
                if taker := next((taker for taker in takers if taker), None):
                    outcome.copied_by, other = taker
                    reads = ledger.used_at_start(other.stage.index)
            if outcome.late is None and (event.recipe.id, event.cache.id) in reads:
                outcome.state = Status.USED


def _note_unknown(ledger: Ledger, outcome: Outcome) -> None:
    """Say why it is not known what became of a fill."""
    fill = outcome.fill
    name = fill.recipe.name
    place = f"{readable(fill.paths[0])}, a cache of {name}," if fill.paths else ""
    by: Event = fill
    if fill.prevented:
        reason = f"whether this fills {place or f'a cache of {name}'} is not known"
    elif not place:
        reason = f"where {name} keeps {fill.cache.what} is not known"
    else:
        cleanups = (event for event in outcome.layer.events[fill.order :] if isinstance(event, (Clean, Remove)))
        by = next((event for event in cleanups if empties(event, fill) is None), fill)
        reason = f"whether this empties {place} is not known"
    line = ledger.source.position(by.span.start)[0]
    if all(entry.line != line for entry in ledger.unresolved):  # else it is told why
        ledger.unresolved.append(Unresolved(line, reason))


def _copied_by(ledger: Ledger, stage: StageLedger, path: str) -> tuple[Instruction, StageLedger] | None:
    """Return the COPY that takes ``path`` of a stage into one that ships, also by way of others, and that one."""
    waiting = [(stage, path)]
    seen = {(stage.stage.index, path)}
    while waiting and len(seen) < 1_000:
        stage, path = waiting.pop()
        above = {other.stage.index for other in ledger.above(stage.stage.index)}
        for other in ledger.stages:
            for copy in other.copies:
                if copy.stage not in above:
                    continue
                for source in copy.paths:
                    if not covers(source, path):
                        continue
                    if other.ships:
                        return copy.instruction, other
                    bare = source.rstrip("/")
                    inside = path[len(bare) :] if path.startswith(f"{bare}/") else f"/{path.rpartition('/')[2]}"
                    step = (other, copy.target.rstrip("/") + inside)
                    if (other.stage.index, step[1]) not in seen:
                        seen.add((other.stage.index, step[1]))
                        waiting.append(step)
    return None


def _is_there(ledger: Ledger, stage: StageLedger, outcome: Outcome) -> bool:
    """Return True if an earlier layer holds what this fill would fetch."""
    chain = {other.stage.index for other in ledger.chain(stage.stage.index)}
    return any(
        earlier.state in (Status.LEFT, Status.USED)
        and earlier.late is None
        and earlier.layer is not outcome.layer
        and earlier.layer.stage in chain
        and earlier.fill.guards <= outcome.fill.guards
        and earlier.fill.recipe.id == outcome.fill.recipe.id
        and earlier.fill.cache.id == outcome.fill.cache.id
        and earlier.fill.paths == outcome.fill.paths
        for earlier in ledger.outcomes
    )


# Why a clean-up (by its order) misses a cache (by its recipe, id and paths): a layer may fill the same one often.
_Misses = dict[tuple[int, str, str, tuple[str, ...]], str]


def _outcome(fill: Fill, layer: Layer, misses: _Misses) -> Outcome:
    mount = layer.mount(fill.paths)
    if mount is not None:
        return Outcome(fill, layer, Status.MOUNTED, mount)
    if fill.prevented:
        return Outcome(fill, layer, Status.UNKNOWN if fill.prevented == "?" else Status.PREVENTED)
    cleanups = [event for event in layer.events if isinstance(event, (Clean, Remove)) and event.order > fill.order]
    after = [(event, empties(event, fill)) for event in cleanups]
    sure = [event.guards for event, verdict in after if verdict]
    if runs_whenever(sure, fill.guards):
        return Outcome(fill, layer, Status.CLEAN)
    if not fill.paths or any(verdict is None for _, verdict in after):
        return Outcome(fill, layer, Status.UNKNOWN)
    early = next(
        (event for event in layer.events[: fill.order] if isinstance(event, (Clean, Remove)) and empties(event, fill)),
        None,
    )
    for event, verdict in after:
        key = (event.order, fill.recipe.id, fill.cache.id, fill.paths)
        if key not in misses:
            misses[key] = _why_missed(event, verdict, fill, layer)
        if why := misses[key]:
            return Outcome(fill, layer, Status.LEFT, early=early, missed=event, why_missed=why)
    return Outcome(fill, layer, Status.LEFT, early=early)


def _why_missed(event: Clean | Remove, verdict: bool | None, fill: Fill, layer: Layer) -> str:
    """Return why a clean-up behind a fill does not empty its cache though it seems meant for it, "" otherwise."""
    if verdict:
        return "does not run whenever this command does"
    if isinstance(event, Clean) or not fill.paths or UNKNOWN in fill.paths[0]:
        return ""
    path = fill.paths[0]
    homes = {"/root", "~", layer.home}
    elsewhere = [item.path for item in fill.cache.paths if item.path.startswith(("/", "~"))]
    for pattern in event.patterns:
        bare = plain(pattern)
        if covers(pattern, path) and not event.recursive:
            return "misses it, as rm without -r removes no folder"
        if "\\*" in pattern and covers(pattern.replace("\\*", "*"), path):
            return "misses it, as the quotes keep the shell from expanding the *"
        if "\\{" in pattern and any(covers(choice, path) for choice in braces(bare)):
            return "misses it, as {a,b} is bash's, and the sh of this image takes it as it is written"
        _, tilde, tail = pattern.partition("\\~/")
        if tilde and covers(f"{layer.home}/{tail}", path):
            return "misses it, as the quotes keep the shell from expanding the ~"
        if home := re.match(r"/home/[^/*]+", bare):
            homes.add(home[0])
        usual = [home + item[1:] for item in elsewhere if item[0] == "~" for home in homes]
        usual += [item for item in elsewhere if item[0] == "/"]
        if any(covers(pattern, other) for other in usual):
            return f"misses it, as the cache is {path} here"
        if _is_like(bare.rstrip("/*"), path.rstrip("/*")):
            return f"misses it, as the cache is {path}"
    return ""


@lru_cache(maxsize=4096)
def _is_like(written: str, meant: str) -> bool:
    """Return True if a path is probably a mistyped other one."""
    parts, others = written.split("/"), meant.split("/")
    wrong = [(part, other) for part, other in zip(parts, others, strict=False) if part != other]
    if len(parts) == len(others) > 4 and len(wrong) == 1 and wrong[0][0].startswith(wrong[0][1]):
        return True  # /var/lib/apt-get/lists
    from difflib import SequenceMatcher  # takes long to import, and is seldom needed

    return abs(len(written) - len(meant)) < 3 and SequenceMatcher(None, written, meant).ratio() > 0.9


def _late(fill: Fill, layer: Layer) -> Clean | Remove | None:
    """Return the clean-up of a later layer that was meant for this fill: one without a fill of its own before it."""
    if layer.mount(fill.paths):
        return None
    for event in layer.events:
        if isinstance(event, Fill) and event.recipe.id == fill.recipe.id and event.cache.id == fill.cache.id:
            return None
        if isinstance(event, (Clean, Remove)) and empties(event, fill):
            return event
    return None
