"""The ledger: which caches hold bytes at the end of each layer, and why."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct, field

from cleanroom.engine.events import Change, Clean, Event, Fill, Remove, Unresolved, Use, Write
from cleanroom.engine.state import State
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base
from cleanroom.syntax.dockerfile import Dockerfile, Instruction, Stage
from cleanroom.syntax.paths import below
from cleanroom.syntax.text import MappedText, Source


class Mount(Struct, frozen=True):
    """A ``RUN --mount``; ``target`` is absolute."""

    kind: str  # cache, tmpfs, bind …
    target: str


class Layer(Struct):
    """What one RUN does."""

    instruction: Instruction
    stage: int
    events: list[Event]
    mounts: tuple[Mount, ...]
    user: str
    home: str
    base: Base
    scripts: tuple[MappedText, ...] = ()  # those the RUN hands to a shell; in exec form, a text of sh -c as it stands
    uid: str = ""  # the number of the user; empty when it is not known
    uses: list[Use] = field(default_factory=list)  # of places that may be caches, and of programs that are not seen
    state: State | None = None  # what holds at its end, where it fills a cache
    folder: str = "/"  # in which it begins
    changes: list[Change] = field(default_factory=list)  # what it does on the disk besides caches

    def mount(self, paths: Iterable[str]) -> Mount | None:
        """Return the mount that keeps one of ``paths`` out of the layer."""
        for mount in self.mounts:
            if any(below(path, mount.target) for path in paths):
                return mount
        return None


class Status(Enum):
    """What became of a fill."""

    PREVENTED = "prevented"
    MOUNTED = "mounted"
    CLEAN = "clean"
    UNKNOWN = "unknown"
    LEFT = "left"
    USED = "used"  # the command that starts a container reads it
    PRESENT = "there"  # an earlier layer holds it all


class Outcome(Struct):
    """What became of a fill, and why."""

    fill: Fill
    layer: Layer
    state: Status
    mount: Mount | None = None
    early: Clean | Remove | None = None  # a clean-up before it in the same layer
    late: tuple[Layer, Clean | Remove] | None = None  # a clean-up in a later layer
    missed: Clean | Remove | None = None  # a clean-up behind it that misses
    why_missed: str = ""
    copied_by: Instruction | None = None  # the COPY --from that ships it


class Copy(Struct, frozen=True):
    """A ``COPY --from`` another stage; ``paths`` are globs there, ``target`` is the place here."""

    stage: int
    paths: tuple[str, ...]
    target: str
    instruction: Instruction


class StageLedger(Struct):
    """One stage: its layers, whose stage it continues, and whether it ships."""

    stage: Stage
    parent: int | None
    base: Base
    layers: list[Layer] = field(default_factory=list)
    ships: bool = False
    copies: list[Copy] = field(default_factory=list)
    start: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # CMD, ENTRYPOINT -> caches that it reads
    starts: dict[str, Layer] = field(default_factory=dict)  # what these do, and HEALTHCHECK, as if it were a layer
    placed: list[tuple[str, Instruction]] = field(default_factory=list)  # where COPY and ADD put something, and which
    brought: list[tuple[Instruction, Write]] = field(default_factory=list)  # what they put there, by source

    @property
    def name(self) -> str:
        """The stage's name, else its number."""
        return self.stage.name or str(self.stage.index)


class Ledger(Struct):
    """All stages, what became of every fill, and what could not be resolved."""

    dockerfile: Dockerfile
    source: Source
    stages: list[StageLedger]
    outcomes: list[Outcome]
    unresolved: list[Unresolved]
    library: Library
    memory: dict[tuple[str, int], object] = field(default_factory=dict)  # what was asked before, by question and id
    by_layer: dict[int, list[Outcome]] = field(default_factory=dict)  # outcomes by the id of their layer

    def outcomes_in(self, layer: Layer) -> list[Outcome]:
        """Return what became of the fills of one layer. Only for a ledger that is settled."""
        if not self.by_layer:
            for outcome in self.outcomes:
                self.by_layer.setdefault(id(outcome.layer), []).append(outcome)
        return self.by_layer.get(id(layer), [])

    def chain(self, index: int) -> list[StageLedger]:
        """Return the stage and those it stands on, the lowest first."""
        found: list[StageLedger] = []
        current: int | None = index
        while current is not None:
            found.append(self.stages[current])
            current = self.stages[current].parent
        return found[::-1]

    def above(self, index: int) -> list[StageLedger]:
        """Return the stages that stand on a stage, itself among them."""
        found = {index}
        for stage in self.stages:  # a stage comes after the one it stands on
            if stage.parent in found:
                found.add(stage.stage.index)
        return [self.stages[number] for number in sorted(found)]

    def used_at_start(self, index: int) -> set[tuple[str, str]]:
        """Return the caches (recipe id, cache id) that a container of the stage reads whenever it starts."""
        start: dict[str, set[tuple[str, str]]] = {}
        for stage in self.chain(index):
            start |= stage.start
        return {cache for caches in start.values() for cache in caches}


class TargetError(ValueError):
    """The stage named as the target is not there."""
