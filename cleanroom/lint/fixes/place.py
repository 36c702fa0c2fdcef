"""What a fix must know about the RUN it edits: its script, the shell that runs it, the user in force."""

from __future__ import annotations

import re

from cleanroom.engine.events import Event, Fill, Required
from cleanroom.engine.ledger import Layer, Ledger
from cleanroom.engine.options import SHELLS, read_shell
from cleanroom.lint.fixes.script import Place, Script
from cleanroom.syntax import shell
from cleanroom.syntax.text import Span


class DeclinedError(Exception):
    """There is no edit that is right here; the message says why, for the author of the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Site:
    """The RUN of one layer. ``style`` is the gap between two commands that other RUNs of the file have."""

    def __init__(self, ledger: Ledger, layer: Layer) -> None:
        self.ledger = ledger
        self.layer = layer
        self.text = ledger.dockerfile.text

    @property
    def run(self) -> str:
        """What the file calls it: ``RUN``, or ``script``."""
        return self.ledger.dockerfile.run

    @property
    def line(self) -> int:
        """The line the RUN starts on."""
        return self.layer.instruction.line

    @property
    def is_array(self) -> bool:
        """Return True if the RUN is a JSON array without a script that could be edited in place."""
        return self.layer.instruction.exec_form is not None and not self.layer.scripts

    def script(self) -> Script:
        """Return the script of the RUN. Raises DeclinedError when it has none that could be edited."""
        question = ("script", id(self.layer))
        if question not in self.ledger.memory:
            try:
                self.ledger.memory[question] = self._read()
            except DeclinedError as declined:
                self.ledger.memory[question] = declined
        script = self.ledger.memory[question]
        if isinstance(script, DeclinedError):
            raise DeclinedError(script.reason)
        assert isinstance(script, Script)
        return script

    def _read(self) -> Script:
        instruction = self.layer.instruction
        if self.is_array:
            name = instruction.exec_form[0].text.rpartition("/")[2] if instruction.exec_form else ""
            raise DeclinedError(
                "the RUN is in exec form (a JSON array), and its script could be changed only within escapes"
                if name in SHELLS
                else "the RUN is in exec form (a JSON array): no shell runs it that could run another command"
            )
        if len(self.layer.scripts) != 1:
            raise DeclinedError(f"another program than a shell reads this {self.run}")
        errexit = _started_with_e(self.interpreter())
        try:
            script = Script(
                self.text,
                self.layer.scripts[0],
                document=self._is_document(),
                escape=instruction.escape,
                errexit=errexit,
            )
        except shell.ShellError as error:
            raise DeclinedError(f"the shell script cannot be read: {error.message}") from None
        if not script.statements:
            raise DeclinedError("the RUN has no command")
        return script

    @property
    def zsh(self) -> bool:
        """Whether zsh reads the script."""
        return any(word.rpartition("/")[2] == "zsh" for word in self.interpreter())

    def _is_document(self) -> bool:
        """Return True if the script is the body of a here-document."""
        heredocs = self.layer.instruction.heredocs
        return bool(heredocs) and self.layer.scripts[0] is heredocs[0].body

    def interpreter(self) -> list[str]:
        """Return the command line of the interpreter: the shell, or the program that a here-document names instead."""
        argv = self.shell()
        if not self._is_document():
            return argv
        words = self.layer.instruction.arguments.text.partition("\n")[0].split()[1:]
        first_line = self.layer.scripts[0].text.partition("\n")[0]
        if first_line.startswith("#!"):
            words = first_line[2:].split()
        return [word for word in words if not word.endswith("/env") and word != "-S"] or argv

    def shell(self) -> list[str]:
        """Return the command line of the shell in force. Raises DeclinedError when we cannot write for it."""
        if self.layer.instruction.exec_form is not None:
            words = [word.text for word in self.layer.instruction.exec_form]
            line = read_shell(words)
            return words[: line.script if line.text is None else line.text]
        argv = ["/bin/sh", "-c"]
        for stage in self.ledger.chain(self.layer.stage):
            for instruction in stage.stage.instructions:
                if (
                    stage.stage.index == self.layer.stage
                    and instruction.span.start >= self.layer.instruction.span.start
                ):
                    break
                if instruction.keyword == "SHELL" and instruction.exec_form:
                    argv = [word.text for word in instruction.exec_form]
        names = [word.rpartition("/")[2] for word in argv]
        if not set(names) & SHELLS and names[:1] != ["busybox"]:
            raise DeclinedError(f"the shell {argv[0]} is not one that we can write for")
        return argv

    def place(self, event: Event) -> Place:
        """Return the link of the script in which the command of ``event`` stands. Raises DeclinedError."""
        return self.place_of(event.span)

    def place_of(self, span: Span) -> Place:
        """Return the link of the script in which a span stands. Raises DeclinedError."""
        place = self.script().locate(span)
        if place is None:
            raise DeclinedError(f"the command does not stand in the text of this {self.run}")
        return place

    def uses(self, recipe: str, caches: tuple[str, ...]) -> list[Event]:
        """Return the events that fill, or need, one of a manager's caches, in their order."""
        return [
            event
            for event in self.layer.events
            if isinstance(event, (Fill, Required)) and event.recipe.id == recipe and event.cache.id in caches
        ]

    def is_root(self) -> bool | None:
        """Return True if root runs the RUN; None when that is not known, since the base image may have its own user."""
        user = self.layer.user.partition(":")[0]
        if user not in ("root", "0"):
            return False
        stages = self.ledger.chain(self.layer.stage)
        told = any(
            instruction.keyword == "USER"
            for stage in stages
            for instruction in stage.stage.instructions
            if instruction.span.start < self.layer.instruction.span.start
        )
        known = bool(self.layer.base.user) or bool(self.layer.base.family)
        return True if told or known else None

    def style(self) -> str:
        """Return the gap between two commands that the nearest other RUN has which is broken over lines."""
        if self.layer.instruction.exec_form is not None:
            return ""  # a string of JSON is on one line
        stage = self.ledger.stages[self.layer.stage]
        here = self.layer.instruction.span.start
        others = sorted(
            (other for other in stage.layers if other is not self.layer),
            key=lambda other: abs(other.instruction.span.start - here),
        )
        for other in others[:8]:
            text = self.text[other.instruction.span.start : other.instruction.span.end]
            match = _BROKEN_GAP.search(text)
            if match and not other.instruction.heredocs:
                return match[0]
        return ""


_BROKEN_GAP = re.compile(r"[ \t]*(?:&&[ \t]*[\\`]\r?\n[ \t]*|[\\`]\r?\n[ \t]*&&[ \t]*)")


def _started_with_e(argv: list[str]) -> bool:
    return any(
        re.fullmatch(r"-[a-zA-Z]*e[a-zA-Z]*", word) or (word == "errexit" and argv[index - 1].endswith("o"))
        for index, word in enumerate(argv)
        if index
    )
