"""Tie an image to its Dockerfile: which finding explains which bytes, and where they disagree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

from cleanroom.engine.build import build
from cleanroom.engine.events import Optional
from cleanroom.engine.ledger import Ledger, Status, TargetError
from cleanroom.images import history
from cleanroom.images.audit import Audit, Leftover
from cleanroom.images.image import Configuration, ImageError
from cleanroom.lint.check import Options, check
from cleanroom.lint.findings import SIZE_RULES, Finding
from cleanroom.lint.rules import Rule
from cleanroom.recipes.library import Library
from cleanroom.syntax import dockerfile as reader
from cleanroom.syntax.dockerfile import DockerfileError, Instruction
from cleanroom.syntax.paths import below

_SMALL = 10_000  # bytes; a finding that does not come true is one whose cache weighs less


class Cause(Struct, frozen=True):
    """Why a leftover is there: the finding that says so, else the line of the instruction and a reason in words."""

    leftover: Leftover
    line: int | None  # of the instruction that made the layer
    finding: Finding | None
    reason: str  # "" with a finding


class Unborne(Struct, frozen=True):
    """A finding that the image does not bear out."""

    finding: Finding
    reason: str


class Tied(Struct, frozen=True):
    """An audit beside a Dockerfile."""

    file: str
    text: str
    causes: tuple[Cause, ...]  # one for each leftover that has bytes
    unborne: tuple[Unborne, ...]
    layers: tuple[tuple[int, int], ...]  # (layer, line of the instruction that made it)
    lean: tuple[tuple[str, str, int], ...] = ()  # (manager, lean option, line): what could install less
    late: tuple[Finding, ...] = ()  # of what one instruction brings and a later layer removes

    def hidden_by(self, layer: int, path: str) -> Finding | None:
        """Return the finding about a file of a layer that a later one hides, None where there is none."""
        line = dict(self.layers).get(layer)
        mine = [finding for finding in self.late if finding.instruction_line == line]
        named = [finding for finding in mine if any(below(path, name) for name in finding.paths)]
        return next(iter(named), None)


class Source:
    """A Dockerfile, its layers laid beside those of an image."""

    def __init__(
        self,
        file: str,
        text: str,
        *,
        target: str | None = None,
        read_file: Callable[[str], str | None] | None = None,
        library: Library,
        rules: Mapping[str, Rule],
    ) -> None:
        """Read the file. Raises ImageError when that cannot be done."""
        self.file = file
        self.text = text
        try:
            self._ledger: Ledger = build(reader.parse(text), library, target=target, read_file=read_file)
        except DockerfileError as error:
            raise ImageError(f"{file}:{error.line}:{error.column}: {error.message}") from None
        except TargetError as error:
            raise ImageError(f"{file}: {error}") from None
        self._findings = check(self._ledger, rules, Options(library)).findings
        ends = [stage for stage in self._ledger.stages if stage.ships] or self._ledger.stages
        chain = self._ledger.chain(ends[-1].stage.index) if ends else []
        self._instructions = [
            instruction
            for stage in chain
            for instruction in stage.stage.instructions
            if instruction.keyword in ("RUN", "COPY", "ADD", "WORKDIR") and not instruction.onbuild
        ]

    def match(self, configuration: Configuration, layers: int) -> dict[int, Instruction]:
        """Return which instruction made which layer, by the layer's index."""
        steps = history.layer_steps(configuration, layers)
        made = [
            _made(history.command(configuration.history[step].created_by)) if step is not None else () for step in steps
        ]
        wanted = [_wanted(instruction) for instruction in self._instructions]
        blocks = SequenceMatcher(None, made, wanted, autojunk=False).get_matching_blocks()
        return {
            block.a + offset: self._instructions[block.b + offset] for block in blocks for offset in range(block.size)
        }

    def base_layers(self, configuration: Configuration) -> int | None:
        """Return how many layers the Dockerfile did not make, before the first that it did; None if it made none."""
        matched = self.match(configuration, len(configuration.diff_ids))
        return min(matched) if matched else None

    def tie(self, audit: Audit, configuration: Configuration) -> Tied:
        """Say of each leftover what caused it, and of each finding whether the image bears it out."""
        matched = self.match(configuration, len(audit.layers))
        causes = tuple(self._cause(item, matched) for item in audit.leftovers if item.bytes)
        borne = {id(cause.finding) for cause in causes if cause.finding is not None}
        weights: dict[tuple[str, str, int | None], int] = {}
        for cause in causes:
            key = (cause.leftover.manager, cause.leftover.cache, cause.line)
            weights[key] = weights.get(key, 0) + cause.leftover.bytes
        lines = {instruction.line for instruction in matched.values()}
        unborne = tuple(
            Unborne(finding, self._why_not(finding, lines))
            for finding in self._findings
            if finding.rule in SIZE_RULES and finding.cache and id(finding) not in borne
        )
        return Tied(
            self.file,
            self.text,
            causes,
            unborne,
            tuple((index + 1, instruction.line) for index, instruction in sorted(matched.items())),
            tuple(self._lean(lines)),
            tuple(finding for finding in self._findings if finding.rule == "removed-late"),
        )

    def _lean(self, lines: Collection[int]) -> Iterator[tuple[str, str, int]]:
        """Yield what commands of these instructions install that they need not."""
        for stage in self._ledger.stages:
            for layer in stage.layers if stage.ships else ():
                if layer.instruction.line in lines:
                    for event in layer.events:
                        if isinstance(event, Optional) and not event.removed:
                            yield event.recipe.id, event.lean.id, layer.instruction.line

    def _cause(self, item: Leftover, matched: dict[int, Instruction]) -> Cause:
        instruction = matched.get(item.layer - 1)
        if instruction is None:
            reason = "the base image brought it" if item.is_base else "no instruction of this file made the layer"
            return Cause(item, None, None, reason)
        found = [
            finding
            for finding in self._findings
            if (finding.manager, finding.cache) == (item.manager, item.cache)
            and (
                finding.instruction_line == instruction.line
                or any(line == instruction.line and "ships" in what for line, what in finding.related)
            )
        ]
        if found:
            return Cause(item, instruction.line, found[0], "")
        return Cause(item, instruction.line, None, self._reason(item, instruction))

    def _reason(self, item: Leftover, instruction: Instruction) -> str:
        outcomes = [
            outcome
            for outcome in self._ledger.outcomes
            if outcome.layer.instruction.line == instruction.line
            and (outcome.fill.recipe.id, outcome.fill.cache.id) == (item.manager, item.cache)
        ]
        if any(outcome.state == Status.LEFT for outcome in outcomes):
            return "too small to report on its own" if outcomes[-1].fill.cache.minor else "its finding is ignored"
        if outcomes:
            how = {
                "clean": "as cleaned up in this instruction",
                "prevented": f"as kept from being written by {outcomes[-1].fill.prevented}",
                "mounted": "as kept out by a mount",
            }.get(outcomes[-1].state.value, "as something that cannot be known")
            return f"the check takes it {how}, and the image proves it wrong"
        unseen = [
            item.reason for item in self._ledger.unresolved if instruction.line <= item.line <= instruction.end_line
        ]
        if unseen:
            return unseen[0]
        if instruction.keyword in ("COPY", "ADD"):
            return "it was copied in"
        return f"no command of this instruction is known to fill it: a script or another program runs {item.manager}"

    def _why_not(self, finding: Finding, lines: set[int]) -> str:
        if not finding.ships and not finding.related:
            return "its stage is not part of this image"
        if finding.instruction_line in lines:
            return "the layer of this instruction holds no such bytes"
        return "no layer of this image comes from this instruction"


def _made(command: history.Command) -> tuple[str, ...]:
    """Return what shows that a layer and an instruction are the same."""
    words = command.text.split()
    if command.keyword == "RUN":
        return ("RUN", *words)
    return (command.keyword, words[-1]) if words else (command.keyword,)


def _wanted(instruction: Instruction) -> tuple[str, ...]:
    if instruction.keyword == "RUN":
        if instruction.heredocs:
            text = instruction.heredocs[0].body.text
        elif instruction.exec_form is not None:
            text = " ".join(word.text for word in instruction.exec_form)
            shell = history.command(text)
            text = shell.text
        else:
            text = instruction.arguments.text
        return ("RUN", *text.split())
    words: Sequence[str] = [word.text for word in instruction.words()]
    return (instruction.keyword, words[-1]) if words else (instruction.keyword,)
