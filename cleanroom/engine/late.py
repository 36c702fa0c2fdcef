"""What one layer brings and a later one of the same chain takes away: its bytes ship, and nobody sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from cleanroom.engine.events import Change, Event, Optional, Packages, Remove, Reowned, Write
from cleanroom.engine.invocation import LAST
from cleanroom.engine.ledger import Layer, Ledger, StageLedger
from cleanroom.syntax.dockerfile import Instruction
from cleanroom.syntax.paths import ANYWHERE, UNKNOWN, below, covers

_MAX_THERE = 300  # that are followed at once
_TELLING = 5  # characters of a name of which not all is known
_MAX_CHECKS = 50_000  # whether a pattern covers a path, of one Dockerfile


class Brought(Struct):
    """What an instruction brings; ``layer`` is None where it is a COPY or ADD."""

    change: Write | Packages
    instruction: Instruction
    stage: int
    layer: Layer | None
    again: bool = False  # a later layer holds it once more


class Late(Struct, frozen=True):
    """What was brought, and the command of a later layer that takes it away, moves it, or changes all of it."""

    brought: Brought
    layer: Layer
    by: Remove | Write | Reowned | Packages
    names: tuple[str, ...]  # the paths, or the packages


def late(ledger: Ledger) -> list[Late]:
    """Return all that is taken away too late in stages that ship, in the order in which it is taken."""
    if ("late", 0) not in ledger.memory:
        ledger.memory["late", 0] = list(_Chain(ledger).walk())
    found = ledger.memory["late", 0]
    assert isinstance(found, list)
    return found


def taken_from(ledger: Ledger, above: Layer, layer: Layer) -> set[str]:
    """Return the ids of the managers of which ``layer`` takes away packages that ``above`` installs."""
    found = [item for item in late(ledger) if item.brought.layer is above and item.layer is layer]
    return {item.brought.change.recipe.id for item in found if isinstance(item.brought.change, Packages)}


class _Chain:
    """Walks the layers of stages that ship; what a stage leaves goes on into the only one that stands on it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.checks = 0

    def walk(self) -> Iterator[Late]:
        """Yield what is taken away too late."""
        shipped = [stage for stage in self.ledger.stages if stage.ships]
        children = Counter(stage.parent for stage in shipped)
        left: dict[int, list[Brought]] = {}
        for stage in shipped:
            there = left.get(stage.parent, []) if stage.parent is not None and children[stage.parent] == 1 else []
            yield from self.stage(stage, there)
            left[stage.stage.index] = there

    def stage(self, stage: StageLedger, there: list[Brought]) -> Iterator[Late]:
        """Walk one stage; ``there`` is what the layers so far hold, and is changed."""
        index = stage.stage.index
        steps: list[tuple[Instruction, Layer | None, Write | None]] = [
            (layer.instruction, layer, None) for layer in stage.layers
        ]
        steps += [(instruction, None, write) for instruction, write in stage.brought]
        for instruction, layer, write in sorted(steps, key=lambda step: step[0].span.start):
            if instruction.onbuild:
                continue
            if layer is not None and (there or layer.changes or _has_surplus(layer)):
                yield from self.layer(layer, there)
            elif write is not None and len(there) < _MAX_THERE:
                there.append(Brought(write, instruction, index, None))

    def layer(self, layer: Layer, there: list[Brought]) -> Iterator[Late]:
        """Walk what one RUN does, in its order."""
        for step in _steps(layer):
            if isinstance(step, Remove):
                yield from self.taken(layer, step, step.patterns, there)
            elif isinstance(step, Optional) and step.lean.removed_by and not step.removed:
                names = (step.lean.what,)
                surplus = Packages(step.recipe, names, True, "", step.span, step.guards, step.order)
                yield from self.packages(layer, surplus, there)
            elif isinstance(step, Packages):
                yield from self.packages(layer, step, there)
            elif isinstance(step, Reowned):
                yield from self.reowned(layer, step, there)
            elif isinstance(step, Write):
                yield from self.written(layer, step, there)

    def written(self, layer: Layer, step: Write, there: list[Brought]) -> Iterator[Late]:
        """Note what a command brings; what it moves is gone where it was, and what its layer brought is as new."""
        moved = [item for item in there if self.covers(step.taken, item)] if step.taken else []
        yield from self.taken(layer, step, step.taken, there)
        is_new = not step.taken or bool(moved)
        if is_new and len(there) < _MAX_THERE and layer.mount(step.paths) is None:
            own = [item for item in moved if item.layer is layer and isinstance(item.change, Write)]
            what = next((item.change.what for item in own if isinstance(item.change, Write)), step.what)
            change = Write(step.paths, what, step.folder, step.span, step.guards, step.order)
            there.append(Brought(change, layer.instruction, layer.stage, layer))

    def taken(
        self, layer: Layer, step: Remove | Write, patterns: tuple[str, ...], there: list[Brought]
    ) -> Iterator[Late]:
        """Yield what a command takes that an earlier layer brought; what its own layer brought is gone."""
        for item in list(there):
            change = item.change
            if not isinstance(change, Write) or layer.mount(change.paths) is not None:
                continue
            verdict = self.covers(patterns, item, whole=isinstance(step, Write) or step.recursive)
            if item.layer is layer:
                if verdict is not False:
                    there.remove(item)
            elif verdict and not step.guards:
                there.remove(item)
                yield Late(item, layer, step, _named(patterns, change))

    def covers(self, patterns: tuple[str, ...], item: Brought, *, whole: bool = True) -> bool | None:
        """Return True if removing the patterns takes what was brought, ``whole`` folders too; None when it may."""
        change = item.change
        if not isinstance(change, Write) or (not whole and change.what in ("unpacks", "clones")):
            return False
        unknown = False
        for pattern in patterns:
            for path in change.paths:
                self.checks += 1
                verdict = covers(pattern, path) if self.checks < _MAX_CHECKS else None
                if verdict and _is_meant(pattern, path, change, whole=whole):
                    return True
                unknown = unknown or verdict is not False
        return None if unknown else False

    def reowned(self, layer: Layer, step: Reowned, there: list[Brought]) -> Iterator[Late]:
        """Yield the folders of earlier layers that are in this one once more, since all in them has changed."""
        for item in there:
            change = item.change
            if not isinstance(change, Write) or not change.folder or item.again or step.guards:
                continue
            if item.layer is layer or layer.mount(change.paths[:1]) is not None or self.checks > _MAX_CHECKS:
                continue
            self.checks += len(step.patterns)
            places = [path for path in change.paths for top in step.patterns if below(path, top.rstrip("/") or "/")]
            if places and not places[0].endswith("/.git"):
                item.again = True
                yield Late(item, layer, step, (places[0],))

    def packages(self, layer: Layer, step: Packages, there: list[Brought]) -> Iterator[Late]:
        """Note what packages a command installs, or yield those of earlier layers that it takes away."""
        if step.installs:
            if step.names and len(there) < _MAX_THERE:
                there.append(Brought(step, layer.instruction, layer.stage, layer))
            return
        taken = set(step.names)
        mine = [item for item in there if isinstance(item.change, Packages) and item.change.recipe is step.recipe]
        for item in reversed(mine):
            change = item.change
            assert isinstance(change, Packages)
            if change.scope != step.scope or self.checks > _MAX_CHECKS:
                continue
            self.checks += 1 + len(change.names) // 10
            names = tuple(dict.fromkeys(name for name in change.names if name in taken or LAST in taken))
            if not names:
                continue
            rest = tuple(name for name in change.names if name not in names)
            item.change = Packages(change.recipe, rest, True, change.scope, change.span, change.guards, change.order)
            if item.layer is not layer and not step.guards:
                yield Late(Brought(change, item.instruction, item.stage, item.layer), layer, step, names)
            if LAST in step.names:
                break


def _has_surplus(layer: Layer) -> bool:
    return any(isinstance(event, Optional) and event.lean.removed_by for event in layer.events)


def _steps(layer: Layer) -> Iterator[Event | Change]:
    """Yield what a RUN does, as it comes."""
    steps: list[tuple[int, int, Event | Change]] = [(event.order, 1, event) for event in layer.events]
    steps += [(change.order, 0, change) for change in layer.changes]
    for _, _, step in sorted(steps, key=lambda item: item[:2]):
        yield step


def _is_meant(pattern: str, path: str, change: Write, *, whole: bool) -> bool:
    """Return True if a pattern that covers a path takes it for sure."""
    if UNKNOWN in path and any(len(part) < _TELLING for part in path.split("/") if UNKNOWN in part):
        return False  # each may be another name
    depth = path.count("/") - pattern.rstrip("/").count("/")
    if depth < 0 and not change.folder:
        return False  # what is in a folder, where a file is
    return whole or depth == 0 or ANYWHERE in pattern


def _named(patterns: tuple[str, ...], change: Write) -> tuple[str, ...]:
    """Return the path of what was brought that the patterns take, of those where it may be."""
    return next(((path,) for path in change.paths if any(covers(pattern, path) for pattern in patterns)), ())
