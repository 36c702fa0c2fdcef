"""Read the instructions of a Dockerfile into layers, with the state in force at each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from cleanroom.engine.calls import Call
from cleanroom.engine.copies import Copies, stage_index
from cleanroom.engine.events import NO_GUARDS, Fill, Unresolved
from cleanroom.engine.interpreter import Interpreter
from cleanroom.engine.ledger import Layer, Ledger, Mount, StageLedger, TargetError
from cleanroom.engine.options import SHELLS, read_shell
from cleanroom.engine.process import Budget
from cleanroom.engine.settle import settle
from cleanroom.engine.state import State, expand
from cleanroom.recipes.library import Library
from cleanroom.syntax import dockerfile as reader
from cleanroom.syntax.dockerfile import Dockerfile, Instruction, Stage
from cleanroom.syntax.globs import matches
from cleanroom.syntax.paths import UNKNOWN, absolute, escape
from cleanroom.syntax.text import MappedText, Source, Span


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
        settle(ledger, stage)
    unresolved.sort(key=lambda entry: entry.line)
    return ledger


_MAY_TAKE = re.compile(r"\b(?:rm|mv|find|chown|chmod|chgrp)\b|\.sh\b")
# What BuildKit sets for the platform at hand (https://docs.docker.com/reference/dockerfile/).
_PLATFORM: Mapping[str, None] = dict.fromkeys(
    f"{side}{what}" for side in ("TARGET", "BUILD") for what in ("PLATFORM", "OS", "ARCH", "VARIANT")
)


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
        self.copies = Copies(dockerfile, library, read_file, note)
        self.read_file = read_file
        self.note = note
        self.escape = dockerfile.escape
        runs = [item for item in dockerfile.instructions if item.keyword == "RUN"]
        text = dockerfile.text
        takers = [run.span.start for run in runs if _MAY_TAKE.search(text, run.span.start, run.span.end)]
        self.last_taker = max(takers, default=0)  # where the last RUN begins that may take away what others brought

    def stages(self) -> list[StageLedger]:
        """Return a ledger for each stage, its layers not yet settled."""
        arguments: dict[str, str | None] = {}
        for instruction in self.dockerfile.global_arguments:
            for assignment in reader.assignments(instruction):
                value = assignment.value
                arguments[assignment.name] = None if value is None else expand(value, arguments, self.escape)
        found: list[StageLedger] = []
        states: list[State] = []
        for stage in self.dockerfile.stages:
            image = expand(stage.base, {**_PLATFORM, **arguments}, self.escape) or ""
            parent = stage_index(self.dockerfile.stages[: stage.index], image, numbers=False)
            meant = [] if image else self.meant(stage, arguments)
            if meant:
                state = _common([states[index] for index in meant])
                base = state.base
            elif parent is None:
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

    def meant(self, stage: Stage, arguments: Mapping[str, str | None]) -> list[int]:
        """Return which earlier stages a stage may stand on, where a variable without a value is in the name."""
        name = reader.expand(stage.base, {**_PLATFORM, **arguments}, self.escape, UNKNOWN).lower()
        earlier = self.dockerfile.stages[: stage.index]
        return [other.index for other in earlier if other.name and matches(other.name, name.replace(UNKNOWN, "*"))]

    def instruction(
        self, instruction: Instruction, ledger: StageLedger, state: State, global_arguments: Mapping[str, str | None]
    ) -> None:
        keyword = instruction.keyword
        state.follows = instruction.span.start < self.last_taker
        if keyword == "RUN":
            ledger.layers.append(self.layer(instruction, ledger, state))
        elif keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            self.start(instruction, ledger, state)
        elif keyword == "ENV":
            values = {**state.arguments, **state.environment}
            for assignment in reader.assignments(instruction):
                state.environment[assignment.name] = expand(assignment.value or "", values, self.escape)
        elif keyword == "ARG":
            for assignment in reader.assignments(instruction):
                if assignment.value is not None:
                    value = state.expand(assignment.value, self.escape)
                else:
                    value = global_arguments.get(assignment.name)
                state.arguments[assignment.name] = value
        elif keyword == "USER":
            state.user = state.expand(instruction.arguments.text, self.escape) or "?"
        elif keyword == "WORKDIR":
            folder = state.expand(instruction.arguments.text, self.escape)
            state.workdir = UNKNOWN if folder is None else absolute(folder, state.workdir)
        elif keyword == "SHELL" and instruction.exec_form:
            state.shell = instruction.exec_form[0].text.rpartition("/")[2]
        elif keyword in ("COPY", "ADD"):
            self.copies.follow(instruction, ledger, state)

    def layer(self, instruction: Instruction, ledger: StageLedger, state: State) -> Layer:
        mounts = tuple(self.mounts(instruction, state))
        if not state.has_posix_shell:
            self.note(instruction.span, "the shell of this image is not a POSIX shell")
            return Layer(instruction, ledger.stage.index, [], mounts, state.user, state.home(), state.base)
        walker = Interpreter(self.library, state, self.read_file, self.note, self.budget)
        folder = state.workdir
        scripts = self.walk(walker, instruction, state)
        walker.finish()
        if walker.is_endless():
            walker.events.clear()  # the rest could say the opposite
            walker.changes.clear()
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
            walker.uses,
            state.copy() if any(isinstance(event, Fill) for event in walker.events) else None,
            folder,
            walker.changes,
        )

    def start(self, instruction: Instruction, ledger: StageLedger, state: State) -> None:
        """Note what a CMD, ENTRYPOINT or HEALTHCHECK does, and the caches that it reads."""
        walker = Interpreter(self.library, state.copy(), self.read_file, lambda *_: None, self.budget)
        if state.has_posix_shell:
            self.walk(walker, instruction, state)
        if instruction.keyword != "HEALTHCHECK":
            ledger.start[instruction.keyword] = walker.wanted
        user = state.user or state.base.user or "root"
        ledger.starts[instruction.keyword] = Layer(
            instruction, ledger.stage.index, walker.events, (), user, state.home(), state.base, uses=walker.uses
        )

    def walk(self, walker: Interpreter, instruction: Instruction, state: State) -> tuple[MappedText, ...]:
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
            scripts = tuple(self.scripts(instruction, state))
            for script in scripts:
                walker.run(script)
        return scripts

    def scripts(self, instruction: Instruction, state: State) -> Iterable[MappedText]:
        """Return the shell scripts of a RUN in shell form: its arguments, or the here-document that stands for them."""
        arguments = instruction.arguments
        if instruction.keyword == "HEALTHCHECK":  # its command follows CMD
            command = re.match(r"\s*CMD\s+", arguments.text, re.IGNORECASE)
            return [MappedText(arguments.pieces(command.end(), len(arguments)))] if command else []
        if not instruction.heredocs:
            return [arguments]
        first = instruction.heredocs[0]
        match = re.fullmatch(r"<<-?\s*(['\"]?)[\w.-]+\1\s*(?P<rest>.*)", arguments.text, re.DOTALL)
        if match and len(instruction.heredocs) == 1:
            interpreter = _known(state.expand(match["rest"], self.escape)).split()[:1]
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
            target = state.expand(target, self.escape) or ""
            if target and kind in ("cache", "tmpfs", "bind"):
                yield Mount(kind, absolute(target, state.workdir))


def _common(states: list[State]) -> State:
    """Return what holds whichever of several states it is."""
    first, *others = states
    state = first.copy()
    state.arguments = {}
    for other in others:
        for name in state.environment.keys() | other.environment.keys():
            value = other.environment.get(name)
            state.environment[name] = value if value == state.environment.get(name) else None
        state.settings &= other.settings
        state.of_home &= other.of_home
        state.lean &= other.lean
        state.user = state.user if state.user == other.user else "?"
    if any(other.base != first.base for other in others):
        state.base = replace(first.base, versions=MappingProxyType({}), files=())
    return state


def _known(value: str | None) -> str:
    return UNKNOWN if value is None else value


def _mark_ships(stages: list[StageLedger], target: str | None) -> None:
    """Mark what ships: the last stage, one that no other uses, and those that these stand on; or ``target`` alone."""
    if not stages:
        return
    if target is not None:
        index = stage_index([ledger.stage for ledger in stages], target, numbers=True)
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
                        index = stage_index([other.stage for other in stages], match[1], numbers=True)
                        used.add(index)
        ends = [index for index in range(len(stages)) if index not in used or index == len(stages) - 1]
    for end in ends:
        current: int | None = end
        while current is not None:
            stages[current].ships = True
            current = stages[current].parent
