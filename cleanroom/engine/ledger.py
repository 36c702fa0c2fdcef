"""The ledger: which caches hold bytes at the end of each layer, and why.

Walks the stages of a Dockerfile in order, layer by layer, and settles for every fill what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from msgspec import Struct, field

from cleanroom.engine.calls import Call
from cleanroom.engine.events import NO_GUARDS, Clean, Event, Fill, Guards, Remove, Unresolved
from cleanroom.engine.interpreter import Interpreter
from cleanroom.engine.options import SHELLS, read_shell
from cleanroom.engine.process import Budget
from cleanroom.engine.state import State, configure, detect_versions
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base
from cleanroom.syntax import dockerfile as reader
from cleanroom.syntax.dockerfile import Dockerfile, Instruction, Stage
from cleanroom.syntax.paths import UNKNOWN, absolute, below, braces, covers, escape, plain
from cleanroom.syntax.text import MappedText, Source, Span

MAX_COPIES = 2_000  # sources of all COPY and ADD of one Dockerfile: each may be a script, or tell of a manager


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
    state: State | None = None  # what holds at its end, where it fills a cache

    def mount(self, paths: Iterable[str]) -> Mount | None:
        """Return the mount that keeps one of ``paths`` out of the layer."""
        for mount in self.mounts:
            if any(below(path, mount.target) for path in paths):
                return mount
        return None


class Outcome(Struct):
    """What became of a fill.

    ``state`` is ``prevented``, ``mounted``, ``clean``, ``unknown``, ``left``, ``used`` where the command that starts a
    container reads it, or ``there`` where an earlier layer holds it all.
    """

    fill: Fill
    layer: Layer
    state: str
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


def build(
    dockerfile: Dockerfile,
    library: Library,
    *,
    target: str | None = None,
    read_file: Callable[[str], str | None] | None = None,
) -> Ledger:
    """Walk all stages. Raises TargetError when ``target`` names no stage."""
    source = Source(dockerfile.text)
    unresolved: list[Unresolved] = []

    def note(span: Span, reason: str) -> None:
        unresolved.append(Unresolved(source.position(span.start)[0], reason))

    walk = _Build(dockerfile, library, read_file or (lambda _: None), note)
    stages = walk.stages()
    if target is None and dockerfile.run != "RUN" and stages:
        target = str(len(stages) - 1)
    _mark_ships(stages, target)
    ledger = Ledger(dockerfile, source, stages, [], unresolved, library)
    for stage in stages:
        _settle(ledger, stage)
    return ledger


class _Build:
    """Reads instructions into layers, with the state in force at each."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        library: Library,
        read_file: Callable[[str], str | None],
        note: Callable[[Span, str], None],
    ) -> None:
        self.dockerfile = dockerfile
        self.library = library
        self.budget = Budget()
        self.copies = 0  # sources of COPY and ADD that were followed
        self.read_file = read_file
        self.note = note
        self.escape = dockerfile.escape

    def stages(self) -> list[StageLedger]:
        """Return a ledger for each stage, its layers not yet settled."""
        arguments: dict[str, str | None] = {}
        for instruction in self.dockerfile.global_arguments:
            for assignment in reader.assignments(instruction):
                value = assignment.value
                arguments[assignment.name] = None if value is None else self.expand(value, arguments)
        found: list[StageLedger] = []
        states: list[State] = []
        for stage in self.dockerfile.stages:
            image = self.expand(stage.base, arguments) or ""
            parent = _stage_index(self.dockerfile.stages[: stage.index], image, numbers=False)
            if parent is None:
                base = self.library.base(image)
                state = State(base, dict(base.environment), {}, base.user)
            else:
                state = states[parent].copy()
                state.arguments = {}
                base = state.base
            ledger = StageLedger(stage, parent, base)
            later: State | None = None  # in which ONBUILD runs: the end of this stage, and what ONBUILD itself did
            ends = [item for item in stage.instructions if not item.onbuild]
            for instruction in ends:
                self.instruction(instruction, ledger, state, arguments)
            for instruction in stage.instructions:
                if instruction.onbuild:
                    later = later or state.copy()
                    self.instruction(instruction, ledger, later, arguments)
            ledger.layers.sort(key=lambda layer: layer.instruction.span.start)
            found.append(ledger)
            states.append(state)
        return found

    def expand(self, text: str, *values: Mapping[str, str | None]) -> str | None:
        """Return ``text`` with the variables replaced, None when one of them is not known."""
        merged: dict[str, str | None] = {}
        for mapping in values:
            merged.update(mapping)
        expanded = reader.expand(text, merged, self.escape, UNKNOWN)
        return None if UNKNOWN in expanded else expanded

    def instruction(
        self, instruction: Instruction, ledger: StageLedger, state: State, global_arguments: Mapping[str, str | None]
    ) -> None:
        keyword = instruction.keyword
        if keyword == "RUN":
            ledger.layers.append(self.layer(instruction, ledger, state))
        elif keyword in ("CMD", "ENTRYPOINT"):
            ledger.start[keyword] = self.start(instruction, state)
        elif keyword == "ENV":
            values = {**state.arguments, **state.environment}
            for assignment in reader.assignments(instruction):
                state.environment[assignment.name] = self.expand(assignment.value or "", values)
        elif keyword == "ARG":
            for assignment in reader.assignments(instruction):
                if assignment.value is not None:
                    value = self.expand(assignment.value, state.arguments, state.environment)
                else:
                    value = global_arguments.get(assignment.name)
                state.arguments[assignment.name] = value
        elif keyword == "USER":
            state.user = self.expand(instruction.arguments.text, state.arguments, state.environment) or "?"
        elif keyword == "WORKDIR":
            folder = self.expand(instruction.arguments.text, state.arguments, state.environment)
            state.workdir = UNKNOWN if folder is None else absolute(folder, state.workdir)
        elif keyword == "SHELL" and instruction.exec_form:
            state.bash = instruction.exec_form[0].text.rpartition("/")[2] == "bash"
            state.settings.discard(("", "shell"))
            if instruction.exec_form[0].text.rpartition("/")[2].lower().removesuffix(".exe") in (
                "powershell",
                "cmd",
                "pwsh",
            ):
                state.settings.add(("", "shell"))  # not a POSIX shell from here on
        elif keyword in ("COPY", "ADD"):
            self.copy(instruction, ledger, state)

    def copy(self, instruction: Instruction, ledger: StageLedger, state: State) -> None:
        words = [
            self.expand(word.text, state.arguments, state.environment) if instruction.exec_form is None else word.text
            for word in instruction.words()
        ]
        if len(words) < 2 or words[-1] is None:
            return
        *sources, target = words
        origin = next((flag.value for flag in instruction.flags if flag.name == "from"), None)
        if origin is not None:
            index = _stage_index(
                self.dockerfile.stages[: ledger.stage.index],
                self.expand(origin, state.arguments, state.environment) or "",
                numbers=True,
            )
            if index is not None:
                paths = tuple(absolute(source, "/") for source in sources if source)
                ledger.copies.append(Copy(index, paths, absolute(target or "", state.workdir), instruction))
            return
        place = absolute(target or "", state.workdir)
        if self.copies + len(sources) > MAX_COPIES:
            if self.copies <= MAX_COPIES:
                self.note(instruction.span, "the file copies more than can be followed from here on")
            self.copies = MAX_COPIES + 1
            return
        self.copies += len(sources)
        for source in sources:
            if source is None or source.startswith("<<") or "://" in source:
                continue
            clean = source.removeprefix("./").strip("/") or "."
            name = clean.rpartition("/")[2]
            if len(sources) == 1 and not place.endswith("/"):
                state.copied.append((clean, place))
            state.copied.append((clean, f"{place.rstrip('/')}/{name}"))
            state.copied.append(("" if clean == "." else clean, f"{place.rstrip('/')}/"))
            detect_versions(self.library, state, clean)
            for path in (place, f"{place.rstrip('/')}/{name}"):
                if self.library.about(path.rpartition("/")[2]) and (text := self.read_file(clean)):
                    configure(self.library, state, path, text, state.home())
            for file in self.library.files():
                # of a folder that is copied
                if "*" not in file and (text := self.read_file(f"{'' if clean == '.' else clean + '/'}{file}")):
                    detect_versions(self.library, state, file)
                    configure(self.library, state, f"{place.rstrip('/')}/{file}", text, state.home())
        for heredoc in instruction.heredocs:
            state.texts[place] = heredoc.body.text
            detect_versions(self.library, state, place)
            configure(self.library, state, place, heredoc.body.text, state.home())

    def layer(self, instruction: Instruction, ledger: StageLedger, state: State) -> Layer:
        mounts = tuple(self.mounts(instruction, state))
        if state.base.family == "windows" or ("", "shell") in state.settings:
            self.note(instruction.span, "the shell of this image is not a POSIX shell")
            return Layer(instruction, ledger.stage.index, [], mounts, state.user, state.home(), state.base)
        walker = Interpreter(self.library, state, self.read_file, self.note, self.budget)
        scripts = self.walk(walker, instruction)
        walker.finish()
        if walker.is_endless():
            walker.events.clear()  # the rest could say the opposite
            self.note(instruction.span, "it does more than can be followed")
        return Layer(
            instruction,
            ledger.stage.index,
            walker.events,
            mounts,
            state.user or state.base.user or "root",
            state.home(),
            state.base,
            scripts,
            state.uid(),
            state.copy() if any(isinstance(event, Fill) for event in walker.events) else None,
        )

    def start(self, instruction: Instruction, state: State) -> set[tuple[str, str]]:
        """Return the caches that a CMD or ENTRYPOINT reads."""
        if state.base.family == "windows" or ("", "shell") in state.settings:
            return set()
        walker = Interpreter(self.library, state.copy(), self.read_file, lambda *_: None, self.budget)
        self.walk(walker, instruction)
        return walker.wanted

    def walk(self, walker: Interpreter, instruction: Instruction) -> tuple[MappedText, ...]:
        """Walk what an instruction runs; return its shell scripts, of which the places in the file are known."""
        scripts: tuple[MappedText, ...] = ()
        if instruction.exec_form is not None:
            argv = instruction.exec_form
            texts = [word.text for word in argv]
            span = instruction.arguments.span(0, len(instruction.arguments))
            is_shell = bool(texts) and texts[0].rpartition("/")[2] in SHELLS
            operand = read_shell(texts).text if is_shell else None
            if operand is not None:
                word = argv[operand]
                if self.dockerfile.text[word.span.start + 1 : word.span.end - 1] == word.text:
                    scripts = (MappedText([(word.text, word.span.start + 1)]),)
                    walker.run(scripts[0])
                else:
                    walker.run_at(span, MappedText([(word.text, 0)]))
            elif texts:
                walker.invoke(Call([escape(text) for text in texts], None, span, NO_GUARDS))
        else:
            scripts = tuple(self.scripts(instruction))
            for script in scripts:
                walker.run(script)
        return scripts

    def scripts(self, instruction: Instruction) -> Iterable[MappedText]:
        """Return the shell scripts of a RUN in shell form: its arguments, or the here-document that stands for them."""
        arguments = instruction.arguments
        if not instruction.heredocs:
            return [arguments]
        first = instruction.heredocs[0]
        match = re.fullmatch(r"<<-?\s*(['\"]?)[\w.-]+\1\s*(?P<rest>.*)", arguments.text, re.DOTALL)
        if match and len(instruction.heredocs) == 1:
            interpreter = match["rest"].split()[:1]
            shebang = re.match(r"#!\s*(\S+)(?:\s+(\S+))?", first.body.text)
            if shebang:
                interpreter = [shebang[2] if shebang[1].endswith("/env") and shebang[2] else shebang[1]]
            if not interpreter or interpreter[0].rpartition("/")[2] in SHELLS:
                return [first.body]
            return []
        pieces = [*arguments.pieces(), ("\n", arguments.offset(len(arguments)))]
        for heredoc in instruction.heredocs:
            pieces += heredoc.body.pieces()
            end = heredoc.body.offset(len(heredoc.body))
            pieces.append((heredoc.name + "\n", end))
        return [MappedText(pieces)]

    def mounts(self, instruction: Instruction, state: State) -> Iterable[Mount]:
        for flag in instruction.flags:
            if flag.name != "mount" or not flag.value:
                continue
            pairs = (part.partition("=") for part in flag.value.split(","))
            fields = {key.strip().lower(): value for key, _, value in pairs}
            target = next((fields[key] for key in ("target", "dst", "destination") if key in fields), "")
            kind = fields.get("type", "bind")
            target = self.expand(target, state.arguments, state.environment) or ""
            if target and kind in ("cache", "tmpfs", "bind"):
                yield Mount(kind, absolute(target, state.workdir))


def _stage_index(stages: Iterable[Stage], name: str, *, numbers: bool) -> int | None:
    found = None
    for stage in stages:
        if (stage.name is not None and stage.name == name.lower()) or (numbers and name == str(stage.index)):
            found = stage.index
    return found


def _mark_ships(stages: list[StageLedger], target: str | None) -> None:
    """Mark what ships: the last stage, one that no other uses, and those that these stand on; or ``target`` alone."""
    if not stages:
        return
    if target is not None:
        index = _stage_index([ledger.stage for ledger in stages], target, numbers=True)
        if index is None:
            names = ", ".join(ledger.name for ledger in stages)
            raise TargetError(f"no stage {target!r} (there are: {names})")
        ends = [index]
    else:
        used = {ledger.parent for ledger in stages} | {copy.stage for ledger in stages for copy in ledger.copies}
        for ledger in stages:
            for instruction in ledger.stage.instructions:
                for flag in instruction.flags:
                    if flag.name == "mount" and flag.value and (match := re.search(r"(?:^|,)from=([^,]+)", flag.value)):
                        index = _stage_index([other.stage for other in stages], match[1], numbers=True)
                        used.add(index)
        ends = [index for index in range(len(stages)) if index not in used or index == len(stages) - 1]
    for end in ends:
        current: int | None = end
        while current is not None:
            stages[current].ships = True
            current = stages[current].parent


def runs_whenever(events: Iterable[Guards], fill: Guards) -> bool:
    """Tell whether one of several clean-ups, each under its guards, runs whenever the fill did.

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
    """Tell whether ``event`` empties the cache of ``fill``; None when that is not known."""
    if isinstance(event, Remove):
        return _removes(event.patterns, fill.paths, event.recursive or fill.cache.flat)
    if isinstance(event, Clean):
        if event.recipe.id == fill.recipe.id:
            return fill.cache.id in event.paths and _overlap(event.paths[fill.cache.id], fill.paths)
        return any(path in fill.paths and UNKNOWN not in path for paths in event.paths.values() for path in paths)
    return False


@lru_cache(maxsize=256)  # a layer may fill the same cache often
def _removes(patterns: tuple[str, ...], paths: tuple[str, ...], folders: bool) -> bool | None:
    """Tell whether removing ``patterns`` empties one of ``paths``, which is a folder that it has to take."""
    unknown = False
    for path in paths:
        for pattern in patterns:
            verdict = covers(pattern, path)
            if path.startswith("~") and (home := _HOME.match(pattern)):
                verdict = None if covers("~" + pattern[home.end() :], path) else False  # it may be this home
            if verdict and folders:
                return True
            unknown = unknown or verdict is None
    return None if unknown else False


def _overlap(ones: tuple[str, ...], others: tuple[str, ...]) -> bool | None:
    """Tell whether two lists of possible places are of the same cache; None when that is not known."""
    if set(ones) & set(others) or not ones or not others:
        return True
    return None if any(UNKNOWN in path or path.startswith("~") for path in (*ones, *others)) else False


def _settle(ledger: Ledger, stage: StageLedger) -> None:
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
            if outcome.state == "left" and event.tops_up and _is_there(ledger, stage, outcome):
                outcome.state = "there"
            if outcome.state != "left":
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
                outcome.state = "used"


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
    """Tell whether an earlier layer holds what this fill would fetch."""
    chain = {other.stage.index for other in ledger.chain(stage.stage.index)}
    return any(
        earlier.state in ("left", "used")
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
        return Outcome(fill, layer, "mounted", mount)
    if fill.prevented:
        return Outcome(fill, layer, "unknown" if fill.prevented == "?" else "prevented")
    cleanups = [event for event in layer.events if isinstance(event, (Clean, Remove)) and event.order > fill.order]
    after = [(event, empties(event, fill)) for event in cleanups]
    sure = [event.guards for event, verdict in after if verdict]
    if runs_whenever(sure, fill.guards):
        return Outcome(fill, layer, "clean")
    if not fill.paths or any(verdict is None for _, verdict in after):
        return Outcome(fill, layer, "unknown")
    early = next(
        (event for event in layer.events[: fill.order] if isinstance(event, (Clean, Remove)) and empties(event, fill)),
        None,
    )
    for event, verdict in after:
        key = (event.order, fill.recipe.id, fill.cache.id, fill.paths)
        if key not in misses:
            misses[key] = _why_missed(event, verdict, fill, layer)
        if why := misses[key]:
            return Outcome(fill, layer, "left", early=early, missed=event, why_missed=why)
    return Outcome(fill, layer, "left", early=early)


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
    """Tell whether a path is probably a mistyped other one."""
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
