"""The question of every fix: from here on, does anything use what it removes.

A fix takes caches (a clean-up empties them, a prevention never fills them, a mount hides them). Who uses them is told
by the engine: commands that need a cache, commands that name its place, programs that are not seen. What they use must
be there when they run, so the fix goes behind them, or fetches again for them, or is declined with their line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from msgspec import Struct

from cleanroom.engine.events import Clean, Event, Fill, How, Installed, Named, Remove, Required, Unseen, Use, Used
from cleanroom.engine.ledger import Layer, Ledger, Outcome, Status
from cleanroom.engine.settle import empties
from cleanroom.engine.uses import root_of
from cleanroom.recipes.model import Recipe
from cleanroom.syntax.dockerfile import Instruction, assignments
from cleanroom.syntax.paths import UNKNOWN, below, covers, plain
from cleanroom.syntax.text import Span


class Part(Struct):
    """One cache that is taken: its fill, and the patterns by which it goes."""

    fill: Fill
    patterns: tuple[str, ...]


class Taken(Struct):
    """What a fix takes out of a layer. ``order``: the events of the layer from this one on come after it.

    What is ``unmade`` is not there at all, and neither are the folders that only it made.
    """

    layer: Layer
    parts: list[Part]
    order: int
    unmade: bool = False


class User(Struct, frozen=True):
    """Who uses what is taken: ``need`` where it could fetch again; what is not ``certain`` was not seen."""

    line: int
    span: Span
    reason: str
    layer: Layer
    part: Part
    certain: bool = True
    need: Required | None = None
    cleans: bool = False  # it empties the cache itself after that


# -- what a fix takes --------------------------------------------------------------------------------------------------


def taken_by(ledger: Ledger, layer: Layer, events: Iterable[Event], order: int) -> Taken:
    """Return what clean-ups (``events``, as they were read) take that was filled in ``layer`` or below it."""
    parts: list[Part] = []
    events = list(events)
    for fill in _filled(ledger, layer):
        patterns: list[str] = []
        for event in events:
            if isinstance(event, Clean) and event.recipe.id == fill.recipe.id:
                patterns += event.paths.get(fill.cache.id, ())
            elif isinstance(event, Remove):
                patterns += [pattern for pattern in event.patterns if any(covers(pattern, p) for p in fill.paths)]
        if patterns:
            parts.append(Part(fill, tuple(dict.fromkeys(patterns))))
    return Taken(layer, parts, order)


def unmade(layer: Layer, fills: Iterable[Fill]) -> Taken:
    """Return what is never filled where these fills are prevented, or go into a mount."""
    parts = [Part(fill, fill.paths) for fill in fills]
    return Taken(layer, parts, min((part.fill.order for part in parts), default=0), unmade=True)


def mounted(ledger: Ledger, layer: Layer, targets: Iterable[str]) -> Taken:
    """Return what cache mounts on ``targets`` take out of the layer, behind its last command."""
    patterns = [f"{target.rstrip('/')}/*" for target in targets]
    fills = [fill for fill in _filled(ledger, layer) if any(covers(p, path) for p in patterns for path in fill.paths)]
    parts = [Part(fill, tuple(p for p in patterns if any(covers(p, path) for path in fill.paths))) for fill in fills]
    return Taken(layer, parts, len(layer.events))


def _filled(ledger: Ledger, layer: Layer) -> Iterator[Fill]:
    """Yield the fills of which something is in ``layer`` or below it, one a cache and place, the last ones."""
    found: dict[tuple[str, str, tuple[str, ...]], Fill] = {}
    for other in before(ledger, layer):
        for outcome in ledger.outcomes_in(other):
            if outcome.state not in (Status.PREVENTED, Status.MOUNTED):
                fill = outcome.fill
                found[fill.recipe.id, fill.cache.id, fill.paths] = fill
    yield from found.values()


def before(ledger: Ledger, layer: Layer) -> Iterator[Layer]:
    """Yield the layers that ``layer`` stands on, the lowest first, itself last."""
    for stage in ledger.chain(layer.stage):
        for other in stage.layers:
            if stage.stage.index == layer.stage and other.instruction.span.start > layer.instruction.span.start:
                return
            yield other


# -- what must not be taken --------------------------------------------------------------------------------------------


def payload_in(ledger: Ledger, taken: Taken) -> tuple[int, str] | None:
    """Return line and name of something that was installed, or put by hand, where the fix would take it."""
    for layer in before(ledger, taken.layer):
        for event in layer.events:
            if isinstance(event, Installed) and layer.mount(event.paths) is None and _takes(taken, event.paths):
                return _line(ledger, event.span.start), event.payload.what
        if taken.unmade and layer is taken.layer:
            continue  # what this RUN puts there by itself stays
        for use in layer.uses:
            is_before = layer is not taken.layer or use.order <= taken.order
            if is_before and isinstance(use, Named) and use.how is How.PUTS and _takes(taken, (use.path,)):
                return _line(ledger, use.span.start), "files of its own"
    for stage in ledger.chain(taken.layer.stage):
        for place, instruction in stage.placed:
            is_before = instruction.span.start < taken.layer.instruction.span.start
            if is_before and not taken.unmade and _takes(taken, (place,)):
                return instruction.line, "files of its own"
    return None


def others_files(ledger: Ledger, taken: Taken) -> tuple[int, str] | None:
    """Return line and user of an earlier fill by another user, whose files the one in force cannot remove."""
    user = _user_of(taken.layer.user)
    for layer in before(ledger, taken.layer) if user != "root" and not taken.unmade else ():
        for event in layer.events:
            if isinstance(event, Fill) and _user_of(event.user) != user and _takes(taken, event.paths):
                return _line(ledger, event.span.start), _user_of(event.user)
    return None


def _user_of(name: str) -> str:
    name = name.partition(":")[0] or "root"
    return "root" if name == "0" else name


def _takes(taken: Taken, paths: Iterable[str]) -> bool:
    return any(_holds(pattern, path) for path in paths for part in taken.parts for pattern in part.patterns)


def _holds(pattern: str, path: str) -> bool:
    """Return True if what is at ``path`` is, or may be, among what a pattern of removal stands for."""
    base = root_of(pattern)
    path = plain(path.partition(UNKNOWN)[0]).rstrip("/")
    last = pattern[len(base) :].strip("/")
    if last and last not in ("*", "**") and not covers(pattern, path) and path != base:
        return False  # *.deb takes no other file
    return below(path, base)


# -- who comes later ---------------------------------------------------------------------------------------------------


def in_layer(ledger: Ledger, taken: Taken, *, after: int) -> Iterator[User]:
    """Yield who in the layer itself uses what is taken, behind the event ``after``."""
    for part in taken.parts:
        yield from _in_layer(ledger, taken, part, taken.layer, after=after)


def later(ledger: Ledger, taken: Taken) -> Iterator[User]:
    """Yield who uses what is taken in what stands on the layer: later RUNs, other stages, the start of a container."""
    for part in taken.parts:
        for layers in followers(ledger, taken.layer):
            emptied = False
            for layer in layers:
                yield from _in_layer(ledger, taken, part, layer, emptied=emptied)
                if _is_filled_anew(ledger, part.fill, layer):
                    break
                cleanups = [event for event in layer.events if isinstance(event, (Clean, Remove))]
                cleanups = [event for event in cleanups if empties(event, part.fill)]
                if any(not _leaves_folder(event) for event in cleanups):
                    break
                emptied = emptied or bool(cleanups)
        yield from _at_start(ledger, taken, part)
        yield from _by_instructions(ledger, taken, part)


def _in_layer(
    ledger: Ledger, taken: Taken, part: Part, layer: Layer, *, after: int = -1, emptied: bool = False
) -> Iterator[User]:
    """Yield who uses the part in a layer, until it is filled anew there or gone before as well.

    Where it was ``emptied`` before as well, all that is left to use is its folder.
    """
    fill = part.fill
    for step in _steps(layer, after):
        if isinstance(step, Fill) and _is_same(step, fill) and not step.guards:
            return
        if emptied:
            if isinstance(step, Named) and step.how is How.EXISTS and _is_gone(taken, part, step.path):
                yield _user(ledger, part, layer, step.span, f"uses {_shown(step.path)}")
            continue
        if isinstance(step, Required) and step.recipe.id == fill.recipe.id and step.cache.id == fill.cache.id:
            yield _needing(ledger, part, layer, step)
            return
        if user := _using(ledger, taken, part, layer, step):
            yield user
        if isinstance(step, (Clean, Remove)) and empties(step, fill):
            if not _leaves_folder(step):
                return
            emptied = True


def _steps(layer: Layer, after: int) -> Iterator[Event | Use]:
    """Yield the events and uses of a layer behind the event ``after``, as they come."""
    steps: list[tuple[int, int, Event | Use]] = [(event.order, 1, event) for event in layer.events]
    steps += [(use.order, 0, use) for use in layer.uses]
    for order, is_event, step in sorted(steps, key=lambda item: item[:2]):
        if order > after if is_event else order > after or after < 0:
            yield step


def _using(ledger: Ledger, taken: Taken, part: Part, layer: Layer, step: Event | Use) -> User | None:
    """Return the user that a step is, None where it does not mind."""
    fill = part.fill
    if isinstance(step, (Fill, Used)) and step.recipe.id == fill.recipe.id and _is_without_network(layer):
        return _user(ledger, part, layer, step.span, "runs without a network, from what is there")
    if isinstance(step, Remove) and not step.forced and any(_is_gone(taken, part, p) for p in step.patterns):
        return _user(ledger, part, layer, step.span, "fails where there is nothing to remove")
    if isinstance(step, Named) and _wants(taken, part, step):
        return _user(ledger, part, layer, step.span, f"uses {_shown(step.path)}")
    if isinstance(step, Unseen) and _may_need(part, step):
        line = _line(ledger, step.span.start)
        reason = f"what line {line} runs ({step.what}) may need {fill.cache.what}"
        return User(line, step.span, reason, layer, part, certain=False)
    return None


def _leaves_folder(event: Clean | Remove) -> bool:
    """Return True if a clean-up empties a folder and leaves it."""
    return isinstance(event, Remove) and all(pattern.endswith("*") for pattern in event.patterns)


def _is_without_network(layer: Layer) -> bool:
    return any(flag.name == "network" and flag.value == "none" for flag in layer.instruction.flags)


def _is_same(event: Fill, fill: Fill) -> bool:
    return event.recipe.id == fill.recipe.id and event.cache.id == fill.cache.id and event.prevented in ("", "?")


def _is_filled_anew(ledger: Ledger, fill: Fill, layer: Layer) -> bool:
    """Return True if ``layer`` itself leaves what the layers behind it use."""
    return any(
        outcome.state is Status.LEFT
        and (outcome.fill.recipe.id, outcome.fill.cache.id) == (fill.recipe.id, fill.cache.id)
        for outcome in ledger.outcomes_in(layer)
    )


def _needing(ledger: Ledger, part: Part, layer: Layer, need: Required) -> User:
    cleans = any(
        isinstance(other, (Clean, Remove))
        and other.order > need.order
        and empties(other, part.fill)
        and other.guards <= need.guards
        for other in layer.events
    )
    line = _line(ledger, need.span.start)
    return User(
        line, need.span, f"line {line} needs {need.cache.what} from here", layer, part, need=need, cleans=cleans
    )


def _user(ledger: Ledger, part: Part, layer: Layer, span: Span, does: str) -> User:
    line = _line(ledger, span.start)
    return User(line, span, f"line {line} {does}", layer, part)


def _wants(taken: Taken, part: Part, use: Named) -> bool:
    """Return True if a command would fail, or find less, where the part is gone."""
    path = use.path
    if use.how is How.EXISTS:
        return _is_gone(taken, part, path)
    if use.how is How.PUTS:
        return _is_gone(taken, part, path) or _is_gone(taken, part, path.rstrip("/").rpartition("/")[0])
    if taken.unmade and _is_gone(taken, part, path):
        return True
    named = plain(path.partition(UNKNOWN)[0]).rstrip("/")
    for pattern in part.patterns:
        base = root_of(pattern)
        if below(root_of(named), base) or (root_of(named) != named and covers(path, base)):
            return not path.endswith(".lock")
    return False


def _is_gone(taken: Taken, part: Part, path: str) -> bool:
    """Return True if nothing is at ``path`` any more once the part is taken."""
    named = plain(path.partition(UNKNOWN)[0]).rstrip("/")
    for pattern in part.patterns:
        base = root_of(pattern)
        if named == base:
            if taken.unmade or base == pattern.rstrip("/"):
                return not stands(base, taken.layer)
        elif below(named, base) or (taken.unmade and below(base, named) and not stands(named, taken.layer)):
            return True
    return False


# Folders that are there in every image, whatever is installed (https://refspecs.linuxfoundation.org/fhs.shtml), and
# those of package managers that come with the system.
_STANDING = frozenset(
    (
        *(
            "/bin",
            "/boot",
            "/dev",
            "/etc",
            "/home",
            "/lib",
            "/media",
            "/mnt",
            "/opt",
            "/proc",
            "/root",
            "/run",
            "/sbin",
        ),
        *("/srv", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/include", "/usr/lib", "/usr/local", "/usr/local/bin"),
        *("/usr/local/lib", "/usr/local/share", "/usr/share", "/usr/src", "/var", "/var/cache", "/var/lib", "/var/log"),
        *(
            "/var/tmp",
            "/var/lib/apt",
            "/var/lib/apt/lists",
            "/var/cache/apt",
            "/var/cache/apt/archives",
            "/var/lib/dpkg",
        ),
        *("/etc/apk", "/var/cache/apk", "/var/cache/yum", "/var/cache/dnf", "/var/lib/rpm", "/var/lib/pacman"),
        "/var/cache/pacman",
    )
)


def stands(path: str, layer: Layer) -> bool:
    """Return True if a folder is there in every image, whatever is installed."""
    return not path or path in _STANDING or path == layer.home or below(layer.home, path)


def _may_need(part: Part, unseen: Unseen) -> bool:
    """Return True if what is not seen may be a command that needs the cache of a part."""
    if not part.fill.cache.needed_by:
        return False
    return unseen.text is None or bool(_names(part.fill.recipe).search(unseen.text))


@lru_cache(maxsize=256)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w./-])(?:/usr/bin/)?(?:{'|'.join(map(re.escape, names))})(?![\w-])")


def _names(recipe: Recipe) -> re.Pattern[str]:
    """Return the pattern that finds a program of the manager in a text."""
    return _pattern(tuple(name for program in recipe.programs for name in program.names if "*" not in name))


# -- the start of a container, other instructions ----------------------------------------------------------------------


def _at_start(ledger: Ledger, taken: Taken, part: Part) -> Iterator[User]:
    fill = part.fill
    for stage in ledger.above(taken.layer.stage):
        for layer in stage.starts.values():
            for user in _in_layer(ledger, taken, part, layer):
                if user.certain:
                    yield user
        if (fill.recipe.id, fill.cache.id) in ledger.used_at_start(stage.stage.index) and stage.starts:
            instruction = next(iter(stage.starts.values())).instruction
            line = instruction.line
            yield User(
                line,
                instruction.span,
                f"line {line} reads {fill.cache.what} when a container starts",
                taken.layer,
                part,
            )


def _by_instructions(ledger: Ledger, taken: Taken, part: Part) -> Iterator[User]:
    """Yield instructions other than RUN that use a part: COPY --from, a mount from its stage, ENV."""
    paths = part.fill.paths
    if (line := copier(ledger, taken.layer.stage, paths)) is not None:
        yield User(
            line, part.fill.span, f"line {line} takes it into another stage, which may need it", taken.layer, part
        )
    own = {match for path in part.fill.cache.paths for match in re.findall(r"\$\{?(\w+)", path.path)}
    for stage in ledger.above(taken.layer.stage):
        for instruction in stage.stage.instructions:
            if instruction.keyword == "ENV" and instruction.span.start > taken.layer.instruction.span.start:
                for name in _naming(instruction, paths, own):
                    line = instruction.line
                    yield User(line, instruction.span, f"line {line} names it in {name}", taken.layer, part)


def _naming(instruction: Instruction, paths: tuple[str, ...], own: set[str]) -> Iterator[str]:
    """Yield the variables that an ENV sets to a place in a cache, but for those that say where the cache is."""
    for assignment in assignments(instruction):
        for value in (assignment.value or "").split(":"):
            if any(below(value, root_of(path)) for path in paths) and assignment.name not in own:
                yield assignment.name


def followers(ledger: Ledger, layer: Layer) -> Iterator[list[Layer]]:
    """Yield the layers behind ``layer`` in each image that stands on it: those of its own stage first."""
    stage = ledger.stages[layer.stage]
    start = layer.instruction.span.start
    rest = [other for other in stage.layers if other.instruction.span.start > start and not other.instruction.onbuild]
    triggers = [other for other in stage.layers if other.instruction.onbuild and other is not layer]
    if layer.instruction.onbuild:
        rest = []
        triggers = [other for other in triggers if other.instruction.span.start > start]
    above = ledger.above(layer.stage)
    parents = {other.parent for other in above}
    for end in above:
        if end.stage.index not in parents:
            higher = [item for item in ledger.chain(end.stage.index) if item.stage.index > layer.stage]
            yield [*rest, *triggers, *(other for item in higher for other in item.layers)]


def prefetched_for(ledger: Ledger, outcome: Outcome) -> int | None:
    """Return the line of a later command that uses what a command fetched ahead, and did nothing else."""
    fill = outcome.fill
    if not fill.prefetch:
        return None
    for layers in followers(ledger, outcome.layer):
        for other in layers:
            for event in other.events:
                if isinstance(event, Fill) and event.recipe.id == fill.recipe.id and set(event.paths) & set(fill.paths):
                    return _line(ledger, event.span.start)
    return None


def topped_up(ledger: Ledger, outcome: Outcome) -> list[Outcome]:
    """Return the fills of later layers that add nothing, since the layer of ``outcome`` holds it all."""
    fill = outcome.fill
    layers = {id(layer): layer for layers in followers(ledger, outcome.layer) for layer in layers}
    return [
        other
        for layer in layers.values()
        for other in ledger.outcomes_in(layer)
        if other.state is Status.PRESENT
        and other.fill.recipe.id == fill.recipe.id
        and other.fill.cache.id == fill.cache.id
        and other.fill.paths == fill.paths
    ]


def copier(ledger: Ledger, index: int, paths: tuple[str, ...]) -> int | None:
    """Return the line of an instruction that takes a cache itself out of the stage with this index."""
    for other in ledger.stages:
        for copy in other.copies:
            stages = {stage.stage.index for stage in ledger.chain(copy.stage)}
            if index in stages and any(_asks_for(source, paths) for source in copy.paths):
                return copy.instruction.line
        for instruction in other.stage.instructions:
            for flag in instruction.flags:
                if flag.name != "mount" or not flag.value:
                    continue
                fields = dict(part.partition("=")[::2] for part in flag.value.split(","))
                source = fields.get("source", fields.get("src", "/"))
                if _comes_from(ledger, fields.get("from", "").lower(), index) and _asks_for(source, paths):
                    return instruction.line
    return None


def _comes_from(ledger: Ledger, origin: str, index: int) -> bool:
    return bool(origin) and any(
        origin in (stage.stage.name, str(stage.stage.index))
        and index in {item.stage.index for item in ledger.chain(stage.stage.index)}
        for stage in ledger.stages
    )


# Folders that hold much besides a cache: who copies them does not ask for the cache.
_BROAD = _STANDING | {"/", "/app"}


def _asks_for(source: str, paths: tuple[str, ...]) -> bool:
    source = source.rstrip("/") or "/"
    is_home = source.startswith("/home/") and source.count("/") == 2
    if source in _BROAD or is_home:
        return False
    return any(below(path, source) or below(source, path.rpartition("/*")[0] or path) for path in paths)


def _line(ledger: Ledger, offset: int) -> int:
    return ledger.source.position(offset)[0]


def _shown(path: str) -> str:
    return plain(path).replace(UNKNOWN, "…")
