"""What a process of a script has for itself, and how a new one begins."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from cleanroom.engine.events import Guards
from cleanroom.syntax import shell
from cleanroom.syntax.text import MappedText, Span


class Function(Struct, frozen=True):
    """A function of the shell; ``fixed_span`` is set where its text stands in no instruction (see ``Frame``)."""

    body: shell.Node
    script: MappedText  # that its words are in
    fixed_span: Span | None


class Trap(Struct, frozen=True):
    """What a shell runs when it exits."""

    script: MappedText
    tree: shell.Sequence
    guards: Guards


class Process(Struct):
    """A process: nothing of it but files lasts when it ends."""

    variables: dict[str, str | None]  # None: not known
    exported: set[str]
    cwd: str
    user: str
    sudo: bool = False  # sudo began it, so that root does not run what stands around it
    allexport: bool = False  # set -a
    positional: list[str] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    trap: Trap | None = None

    def assign(self, name: str, value: str | None) -> None:
        """Set a variable of the shell."""
        self.variables[name] = value
        if self.allexport:
            self.exported.add(name)

    def environment(self) -> dict[str, str | None]:
        """Return what the programs that it runs have as their environment."""
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    def fork(self) -> Process:
        """Return a copy, as ``(…)`` has one: it knows all that the shell knows, but runs no trap of it."""
        return Process(
            dict(self.variables),
            set(self.exported),
            self.cwd,
            self.user,
            self.sudo,
            self.allexport,
            self.positional,
            dict(self.functions),
        )

    def spawn(self, environment: Mapping[str, str | None], *, fresh: bool, cwd: str = "") -> Process:
        """Return the process of a program with ``environment`` besides that which is exported, or alone if ``fresh``.

        It has the variables that are not exported, too: in the text of ``sh -c "…"`` the shell around it replaced them.
        """
        return Process(
            {**self.variables, **environment},
            set(environment) if fresh else self.exported | environment.keys(),
            cwd or self.cwd,
            self.user,
            self.sudo,
            positional=self.positional,
            functions={name: self.functions[name] for name in self.functions.keys() & self.exported},
        )


class Frame(Struct, frozen=True):
    """The script at hand, and where to point for what its commands do."""

    script: MappedText = MappedText(())
    command: shell.Command | None = None  # that is being walked
    fixed_span: Span | None = None  # of the command that runs a script kept in a file, or put together at run time
    depth: int = 0  # of functions and scripts in each other
    in_text: bool = False  # of sh -c or eval
    piped_script: str = ""  # the Python script that the pipe at hand begins with

    def at(self, command: shell.Command) -> Frame:
        """Return the frame in which ``command`` is walked."""
        return Frame(self.script, command, self.fixed_span, self.depth, self.in_text, self.piped_script)


class Budget(Struct):
    """How much is followed of one Dockerfile, so that none takes forever."""

    steps: int = 5_000  # commands and constructs that are left, as often as they run

    def spend(self, steps: int) -> None:
        """Take ``steps`` of what is left."""
        self.steps -= steps

    @property
    def is_spent(self) -> bool:
        """Return True if there was more to do than is followed."""
        return self.steps < 0
