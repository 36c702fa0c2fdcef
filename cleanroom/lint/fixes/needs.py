"""What other lines need of a cache: a later RUN that fails without it, another stage that copies it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from cleanroom.engine.events import Clean, Fill, Remove, Required, Used
from cleanroom.engine.ledger import Layer, Ledger, Outcome, Status
from cleanroom.engine.settle import empties
from cleanroom.syntax.paths import below


class Wanting(Struct, frozen=True):
    """A later RUN with a command that fails once the cache is gone from the layers before it."""

    layer: Layer
    need: Required
    cleans: bool  # it empties the cache itself after that


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


def wanting(ledger: Ledger, outcome: Outcome) -> list[Wanting]:
    """Return the later RUNs that fail once the cache of ``outcome`` is not in its layer any more."""
    found: dict[int, Wanting] = {}
    for layers in followers(ledger, outcome.layer):
        for layer in layers:
            if _follow(ledger, outcome.fill, layer, found):
                break
    return list(found.values())


def _follow(ledger: Ledger, fill: Fill, layer: Layer, found: dict[int, Wanting]) -> bool:
    """Note what ``layer`` wants; return True when nothing behind it depends on the cache of ``fill`` any more."""
    present = False
    for event in layer.events:
        if isinstance(event, (Clean, Remove)) and empties(event, fill) and not present:
            return True  # from here on it was gone before as well
        if isinstance(event, Fill) and event.recipe.id == fill.recipe.id and event.cache.id == fill.cache.id:
            present = True
        if isinstance(event, Required) and event.recipe.id == fill.recipe.id and event.cache.id == fill.cache.id:
            if not present:
                cleans = any(
                    isinstance(other, (Clean, Remove))
                    and other.order > event.order
                    and empties(other, fill)
                    and other.guards <= event.guards
                    for other in layer.events
                )
                found.setdefault(layer.instruction.span.start, Wanting(layer, event, cleans))
            present = True
    return any(
        outcome.state == Status.LEFT
        and outcome.fill.recipe.id == fill.recipe.id
        and outcome.fill.cache.id == fill.cache.id
        for outcome in ledger.outcomes_in(layer)
    )


# Scripts that install nothing, by what they are for everywhere: autoconf's, and those that only set variables.
_HARMLESS = re.compile(
    r"the script (?:\S*/)?(?:configure|autogen\.sh|activate|os-release|\S*\.?bashrc|\.profile) could\b"
)


def unseen(ledger: Ledger, layer: Layer) -> int | None:
    """Return the line of a later RUN, on the same chain, that runs something which could not be seen."""
    if not ledger.unresolved:
        return None
    for layers in followers(ledger, layer):
        for other in layers:
            for item in ledger.unresolved:
                if other.instruction.line <= item.line <= other.instruction.end_line and not _HARMLESS.match(
                    item.reason
                ):
                    return item.line
    return None


# Programs that have apt install what they name, some of them without an update of their own: rosdep
# (https://docs.ros.org/en/independent/api/rosdep/html/commands.html), devscripts, and those that manage machines.
_BY_APT = re.compile(
    r"(?<![\w./-])(?:rosdep\s+install|mk-build-deps|gdebi|tasksel|apt-fast|nala|ansible-playbook|puppet\s+apply"
    r"|chef-client|salt-call)(?![\w./-])"
)


def _mentions(ledger: Ledger, what: str, search: Callable[[str], object]) -> bool:
    """Tell whether ``search`` finds anything in the file; it is asked once, since nearly always it does not."""
    question = (what, 0)
    if question not in ledger.memory:
        ledger.memory[question] = bool(search(ledger.dockerfile.text))
    return bool(ledger.memory[question])


def installer(ledger: Ledger, outcome: Outcome) -> tuple[int, str] | None:
    """Return the line of a later RUN that may install by way of the manager unseen, and the program that does."""
    if outcome.fill.recipe.id != "apt" or not _mentions(ledger, "by apt", _BY_APT.search):
        return None
    for layers in followers(ledger, outcome.layer):
        for other in layers:
            span = other.instruction.span
            if match := _BY_APT.search(ledger.dockerfile.text, span.start, span.end):
                return ledger.source.position(match.start())[0], match[0].split()[0]
    return None


_OFFLINE = re.compile(
    r"(?<![\w-])--(?:prefer-)?offline\b|--no-index\b|--no-network\b|--network=none\b|GOPROXY=[\"']?off\b"
    r"|\w*OFFLINE\w*[= ]|\bmvnw?\b[^&;|]*\s-\w*o\b|\bcargo\b[^&;|]*\s--frozen(?![\w-])",
    re.IGNORECASE,
)


def _works_offline(text: str) -> bool:
    lowered = text.lower()  # what a match has in it, looked for first since the pattern takes long to compile
    may_be = any(part in lowered for part in ("offline", "no-index", "network", "goproxy", "mvn", "frozen"))
    return may_be and bool(_OFFLINE.search(text))


def offline_user(ledger: Ledger, fill: Fill, layer: Layer) -> int | None:
    """Return the line of a later use of the same manager that is told to work from its cache alone."""
    if not _mentions(ledger, "works offline", _works_offline):
        return None
    text = ledger.dockerfile.text
    for layers in followers(ledger, layer):
        users = [
            other
            for other in layers
            if any(
                isinstance(event, (Fill, Used, Required)) and event.recipe.id == fill.recipe.id
                for event in other.events
            )
        ]
        instructions = [other.instruction for other in users]
        if users:
            stages = {other.stage for other in users} | {layer.stage}
            instructions += [
                instruction
                for index in stages
                for instruction in ledger.stages[index].stage.instructions
                if instruction.keyword == "ENV" and instruction.span.start > layer.instruction.span.start
            ]
        for instruction in instructions:
            if _OFFLINE.search(text[instruction.span.start : instruction.span.end]):
                return instruction.line
    return None


# Verbs that do nothing but fill the cache, for a command that is to come.
_FETCHERS = {"fetch", "download", "prefetch", "mod", "get", "dependencies", "resolve", "restore", "update-deps"}


def fetches_for(ledger: Ledger, fill: Fill, layer: Layer) -> int | None:
    """Return the line of a later command that uses what a command of ``layer`` fetched ahead."""
    if fill.verb not in _FETCHERS and not fill.verb.startswith("dependency:"):
        return None
    for layers in followers(ledger, layer):
        for other in layers:
            for event in other.events:
                if isinstance(event, Fill) and event.recipe.id == fill.recipe.id and set(event.paths) & set(fill.paths):
                    return ledger.source.position(event.span.start)[0]
    return None


def topped_up(ledger: Ledger, outcome: Outcome) -> list[Outcome]:
    """Return the fills of later layers that add nothing, since the layer of ``outcome`` holds it all."""
    fill = outcome.fill
    layers = {id(layer): layer for layers in followers(ledger, outcome.layer) for layer in layers}
    return [
        other
        for layer in layers.values()
        for other in ledger.outcomes_in(layer)
        if other.state == Status.PRESENT
        and other.fill.recipe.id == fill.recipe.id
        and other.fill.cache.id == fill.cache.id
        and other.fill.paths == fill.paths
    ]


# Folders that hold much besides a cache: who copies them does not ask for the cache.
_BROAD = re.compile(r"/|/(?:root|home|usr|var|opt|etc|srv|app|tmp)|/home/[^/]+|/usr/local|/usr/lib|/var/(?:lib|cache)")


def copier(ledger: Ledger, outcome: Outcome) -> int | None:
    """Return the line of an instruction that takes the cache itself out of the stage of ``outcome``."""
    index = outcome.layer.stage
    paths = outcome.fill.paths
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
                origin_name = fields.get("from", "").lower()
                if not origin_name:
                    continue
                source = fields.get("source", fields.get("src", "/"))
                from_here = any(
                    origin_name in (stage.stage.name, str(stage.stage.index))
                    and index in {item.stage.index for item in ledger.chain(stage.stage.index)}
                    for stage in ledger.stages
                )
                if from_here and _asks_for(source, paths):
                    return instruction.line
    return None


def _asks_for(source: str, paths: tuple[str, ...]) -> bool:
    source = source.rstrip("/") or "/"
    if _BROAD.fullmatch(source):
        return False
    return any(below(path, source) or below(source, path.rpartition("/*")[0] or path) for path in paths)
