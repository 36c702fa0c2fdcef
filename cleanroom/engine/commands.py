"""What the commands of a script do: builtins, functions, programs that run others, managers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from cleanroom.engine.argv import split_options
from cleanroom.engine.assumptions import ORDINARY_SCRIPTS, is_ordinary_target, script_of
from cleanroom.engine.calls import Call, Environment, unwrap
from cleanroom.engine.effects import Effects
from cleanroom.engine.events import NO_GUARDS, Fill, Guards
from cleanroom.engine.invocation import Invocation, change_settings, events, packages, reads_at_start
from cleanroom.engine.options import PYTHON, SHELLS, read_python, read_shell, read_su
from cleanroom.engine.process import Process, Trap
from cleanroom.engine.programs import BUILTINS, PROGRAMS
from cleanroom.engine.removals import by_exec, by_find
from cleanroom.engine.uses import named, program_text, unseen
from cleanroom.engine.writes import PROGRAMS as WRITERS
from cleanroom.engine.writes import TAKERS
from cleanroom.recipes.model import Program, Recipe
from cleanroom.syntax import shell
from cleanroom.syntax.paths import UNKNOWN, absolute, plain
from cleanroom.syntax.text import MappedText, Span

MAX_EVENTS = 500  # of one RUN
MAX_DEPTH = 20  # of functions, scripts and sh -c in each other
_TOO_DEEP = f"scripts and functions that call each other more than {MAX_DEPTH} deep are not followed further"


class Commands(Effects):
    """Runs commands; ``walk`` is how a script is read."""

    read_script: Callable[[str], str | None]

    @abstractmethod
    def walk(self, node: shell.Node, guards: Guards) -> bool:
        """Walk one node; return True when nothing after it in its list can run."""

    # -- scripts and processes -----------------------------------------------------------------------------------

    def run(self, script: MappedText, guards: Guards = NO_GUARDS) -> None:
        """Walk a script. What cannot be read is unresolved."""
        if self.is_endless():
            return
        if self.frame.depth > MAX_DEPTH:
            self.unresolved(self.frame.fixed_span or script.span(0, len(script)), _TOO_DEEP)
            return
        try:
            tree = shell.parse(script)
        except shell.ShellError as error:
            self.unresolved(error.span, f"the shell script cannot be read: {error.message}")
            self.not_seen("a script that cannot be read", error.span)
            return
        self.run_tree(script, tree, guards)

    def run_at(self, span: Span, script: MappedText, guards: Guards = NO_GUARDS) -> None:
        """Walk a script that does not stand in the Dockerfile; ``span`` is where to point for what it does."""
        with self.within(fixed_span=span):
            self.run(script, guards)

    def run_tree(self, script: MappedText, tree: shell.Node, guards: Guards) -> None:
        """Walk a tree whose words are in ``script``."""
        with self.within(script=script, depth=self.frame.depth + 1):
            self.walk(tree, guards)

    def finish(self) -> None:
        """Run what a trap on EXIT left for the end of the process."""
        if (trap := self.process.trap) is not None:
            self.process.trap = None
            with self.within(fixed_span=self.frame.fixed_span or trap.script.span(0, len(trap.script))):
                self.run_tree(trap.script, trap.tree, trap.guards)

    def is_endless(self) -> bool:
        """Return True if there was more to do than can be followed; the events are then not all there are."""
        return self.budget.is_spent or len(self.events) > MAX_EVENTS

    @contextmanager
    def within(self, **changes: Any) -> Iterator[None]:
        """Change the frame for a while."""
        outer, self.frame = self.frame, replace(self.frame, **changes)
        try:
            yield
        finally:
            self.frame = outer

    @contextmanager
    def subprocess(self, process: Process) -> Iterator[None]:
        """Let another process run what is walked for a while: nothing of it lasts but files."""
        outer, self.process = self.process, process
        try:
            yield
            self.finish()
        finally:
            self.process = outer

    def child(self, call: Call) -> Process:
        """Return the process in which a call runs."""
        folder = absolute(call.folder, self.process.cwd) if call.folder else ""
        process = self.process.spawn(call.environment, fresh=call.fresh, cwd=folder)
        if call.user:
            process.user, process.sudo = call.user, call.sudo
            process.variables["HOME"] = self.state.home(call.user)
            process.exported.add("HOME")
        return process

    @contextmanager
    def assigned(self, environment: Environment) -> Iterator[None]:
        """Set variables for one function or builtin."""
        if not environment:
            yield
            return
        process = self.process
        outer, exported = {name: process.variables.get(name, UNKNOWN) for name in environment}, set(process.exported)
        process.variables.update(environment)
        process.exported.update(environment)
        try:
            yield
        finally:
            process.exported = exported | (process.exported - environment.keys())
            for name, value in outer.items():
                if value == UNKNOWN:
                    process.variables.pop(name, None)
                else:
                    process.variables[name] = value

    @contextmanager
    def parameters(self, arguments: list[str]) -> Iterator[None]:
        """Set the positional parameters for a while."""
        process = self.process
        outer, process.positional = process.positional, arguments
        try:
            yield
        finally:
            process.positional = outer

    def invoke(self, call: Call) -> bool:
        """Tell what a call does; return True when nothing after it can run."""
        call = unwrap(call, self.process)
        if not call.argv:
            return False
        program = call.program
        if UNKNOWN in program:
            self.unresolved(call.span, "a command whose name is put together at run time could not be seen")
            self.not_seen("a command whose name is put together at run time", call.span)
            return False
        if self.state.filled:  # before the first fill, no place is one of a cache
            for word, how in named(call, self.state.filled):
                self.name(word, how, call.span)
        if program in WRITERS if self.state.follows else program in TAKERS:
            self.put(call)
        if call.is_by_shell and program in self.process.functions:
            with self.assigned(call.environment):
                self.function(call)
            return False
        if program in ("exit", "return"):
            return True
        if builtin := _BUILTINS.get(program) or BUILTINS.get(program):
            with self.assigned(call.environment):
                builtin(self, call)
            return False
        act = _PROGRAMS.get(program) or PROGRAMS.get(program) or Commands.program
        if act is Commands.program and not (call.environment or call.wrappers) and not self.library.program(program):
            act(self, call)  # a program of which nothing is known needs no process to be followed
            return False
        with self.subprocess(self.child(call)):
            act(self, call)
        return False

    def function(self, call: Call) -> None:
        """Walk the body of a function."""
        if self.frame.depth >= MAX_DEPTH:
            self.unresolved(call.span, _TOO_DEEP)
            return
        definition = self.process.functions[call.program]
        fixed = self.frame.fixed_span or (call.span if definition.fixed_span is not None else None)
        with (
            self.parameters(call.argv[1:]),
            self.within(script=definition.script, fixed_span=fixed, depth=self.frame.depth + 1),
        ):
            self.walk(definition.body, call.guards)

    # -- builtins ------------------------------------------------------------------------------------------------

    def eval(self, call: Call) -> None:
        """Walk the text of ``eval``."""
        words = call.node.words if call.node is not None else ()
        self.text(call, words[1] if len(words) == 2 else None, " ".join(call.words))

    def source(self, call: Call) -> None:
        """Walk a script in the current shell: its variables, functions and folder last."""
        if len(call.argv) > 1:
            with self.parameters(call.argv[2:] or self.process.positional):
                self.script_file(plain(call.argv[1]), call)

    def trap(self, call: Call) -> None:
        """Keep what is to run at the end of the shell."""
        words = call.words
        if len(words) > 1 and words[-1] in ("EXIT", "0"):
            text = MappedText([(words[0], call.span.start)])
            try:
                self.process.trap = Trap(text, shell.parse(text), call.guards)
            except shell.ShellError:
                self.process.trap = None

    # -- programs that run others --------------------------------------------------------------------------------

    def run_shell(self, call: Call) -> None:
        """Look into ``sh -c TEXT``, ``bash script.sh`` and a shell that reads a here-document."""
        words = [plain(word) for word in call.argv]
        line = read_shell(words)
        rest = call.argv[line.arguments :]
        if line.text is not None:
            with self.parameters(rest or self.process.positional):
                self.text(call, self.word_of(call, words[line.text]), words[line.text])
        elif line.script is not None:
            script = words[line.script]
            with self.parameters(rest):
                is_file = "/" in script or script.endswith(".sh")
                if is_file and (found := self.library.program(script.rpartition("/")[2])):  # an installer, ./gradlew
                    self.manager(*found, rest, call)
                else:
                    self.script_file(script, call)
        else:
            with self.parameters(rest):
                self.input(call)

    def busybox(self, call: Call) -> None:
        """Look at what an applet of busybox does."""
        self.invoke(call.to(call.argv[1:]))

    def switch_user(self, call: Call) -> None:
        """Look into ``su - user -c TEXT`` and ``runuser``."""
        line = read_su(call.words)
        home = self.state.home(line.user)
        as_user = replace(
            call, environment={}, user=line.user, sudo=False, fresh=line.login, folder=home if line.login else ""
        )
        with self.subprocess(self.child(as_user)):
            if line.text is None:
                self.input(call)
            else:
                self.text(call, self.word_of(call, line.text), line.text)

    def collections(self, call: Call) -> None:
        """Look into ``scl enable COLLECTION… TEXT``."""
        words = call.words
        if words[:1] == ["enable"] and len(words) > 2:
            self.text(call, self.word_of(call, words[-1]), words[-1])

    def find(self, call: Call) -> None:
        """Tell what ``find`` removes, and what the commands do that it runs."""
        found = by_find(call.argv, self.resolve)
        self.remove(found.patterns, call.span, call.guards, recursive=found.recursive, certain=found.certain)
        for argv in by_exec(call.argv, self.resolve):
            self.invoke(call.to(argv))

    def input(self, call: Call) -> None:
        """Walk the commands that a shell reads from a here-document."""
        for redirect in call.node.redirects if call.node is not None else ():
            if redirect.body is not None:
                self.run(redirect.body, call.guards)
            elif redirect.operator == "<<<" and redirect.target is not None:
                self.text(call, None, self.value(redirect.target) or UNKNOWN)

    def text(self, call: Call, word: shell.Word | None, text: str) -> None:
        """Walk the text of ``sh -c`` or ``eval``; positions are those in the file where it stands there as ``word``."""
        if word is not None:
            with self.within(in_text=True):
                self.run(shell.unquoted(word, self.frame.script), call.guards)
        elif UNKNOWN in text:
            self.unresolved(call.span, "a script that is put together at run time could not be seen")
            self.not_seen("a script that is put together at run time", call.span)
        else:
            self.run_at(call.span, MappedText([(text, 0)]), call.guards)

    def word_of(self, call: Call, text: str) -> shell.Word | None:
        """Return the quoted word, or the one without expansions, that says this text in the script at hand."""
        if call.node is None or self.frame.fixed_span is not None:
            return None
        for word in reversed(call.node.words):
            if (word.literal is not None or word.raw[:1] in "\"'") and plain(self.pattern(word)[0]) == text:
                return word
        return None

    def script_file(self, name: str, call: Call) -> None:
        """Walk a script that the build context holds, or the build wrote; say so when it is not there."""
        target = absolute(name, self.process.cwd)
        text = self.copied_text(target)
        if text is None:
            is_ordinary = name.rpartition("/")[2] in ORDINARY_SCRIPTS or self.library.is_sourced(name)
            if call.program in (".", "source") and is_ordinary:
                return
            self.unresolved(call.span, f"the script {name.replace(UNKNOWN, '…')} could not be seen")
            if not is_ordinary:
                self.not_seen(name.replace(UNKNOWN, "…"), call.span)
            if may_clean(name):
                self.remove((UNKNOWN,), call.span, call.guards, recursive=True)
            return
        self.run_at(self.frame.fixed_span or call.span, MappedText([(text, 0)]), call.guards)

    def copied_text(self, target: str) -> str | None:
        """Return the text of a file that was copied or written, None where it is not known."""
        for source, path in reversed(self.state.copied):
            text = None
            if target == path:
                text = self.read_script(source)
            elif path.endswith("/") and target.startswith(path):
                text = self.read_script(f"{source}/{target[len(path) :]}".lstrip("/"))
            if text is not None:
                return text
        return self.state.texts.get(target)

    # -- managers ------------------------------------------------------------------------------------------------

    def program(self, call: Call) -> None:
        """Tell what any other program does: one of a manager, Python, a script."""
        program, rest = call.program, call.argv[1:]
        found = self.library.program(program)
        if found is not None and script_of(program, call.words):
            self.unseen_program(call)  # perl of CPAN, Rscript of R: what their scripts do is not seen
        if found is None and PYTHON.fullmatch(program):
            found, rest = self.run_by_python(call)
        elif found is None and program.endswith(".py") and (found := self.library.module(program)):
            rest = [program, *rest]
        if found is not None:
            self.manager(*found, rest, call)
        elif "/" in call.name and (program.endswith(".sh") or self.is_copied(call.name)):
            with self.parameters(rest):
                self.script_file(call.name, call)
        else:
            self.unseen_program(call)

    def unseen_program(self, call: Call) -> None:
        """Note what a program does that is not known: it may call others, or clean up."""
        for recipe, caller in self.library.callers(call.program):
            if not caller.verbs or (call.words[:1] and call.words[0] in caller.verbs):
                self.not_seen(call.program, call.span, " ".join(recipe.programs[0].names))
        if what := unseen(call):
            script = absolute(script_of(call.program, call.words) or call.name, self.process.cwd)
            self.not_seen(what, call.span, self.copied_text(script))
        elif text := program_text(call):
            self.not_seen(call.program, call.span, text)
        if may_clean(call.program):
            self.remove((UNKNOWN,), call.span, call.guards, recursive=True)

    def run_by_python(self, call: Call) -> tuple[tuple[Recipe, Program] | None, list[str]]:
        """Return whose module or script Python runs, also as its input, and what is then the command line.

        The name of a script is the verb of what it does: in ``python get-pip.py pip==24.0`` it is ``get-pip.py``.
        """
        line = read_python(call.words)
        rest = call.argv[1 + line.arguments :]
        if line.module:
            return self.library.module(line.module), rest
        script = line.script.rpartition("/")[2]
        if script == "-":
            script = self.read_by(call.node) or self.frame.piped_script
        if not script.endswith(".py"):
            return None, call.argv[1:]
        return self.library.module(script), [script, *rest]

    def read_by(self, node: shell.Command | None) -> str:
        """Return the base name of the file that a command reads as its input, "" where it reads none that is known."""
        redirects = node.redirects if node is not None else ()
        targets = [one.target for one in redirects if one.operator == "<" and one.target is not None]
        return (self.value(targets[-1]) or "").rpartition("/")[2] if targets else ""

    def manager(self, recipe: Recipe, program: Program, rest: list[str], call: Call) -> None:
        """Tell what a command line of a manager does, or the one that it runs (``poetry run pip install``)."""
        if recipe.shell:
            return  # its commands are not of a shell that is read here
        words = [plain(word) for word in rest]
        operands, options = split_options(words, program)
        if other := self.command_of(rest, operands, program):
            operands, options = split_options(words[: len(words) - len(other) + 1], program)  # the rest is the other's
        environment = self.process.environment()
        texts = [environment.get(name, "") for name in program.option_variables]
        hidden = call.hidden_options or any(text is None or UNKNOWN in text for text in texts)
        given = [word for text in texts if text and UNKNOWN not in text for word in text.split()]
        options = [*split_options(given, program)[1], *options]
        folder = next(
            (option.partition("=")[2] for option in options if option.partition("=")[0] in program.folder_options),
            "",
        )
        process = self.process
        invocation = Invocation(
            recipe,
            program,
            operands,
            options,
            environment,
            home=self.home(),
            user=process.user,
            folder=absolute(folder, process.cwd) if folder else process.cwd,
            state=self.state,
            hidden_options=hidden,
            may_be=self.library.may_be(recipe, program, operands[0] if operands else ""),
        )
        found = events(invocation, self.events, call.span, call.guards, sudo=process.sudo)
        if other:  # itself it may fetch something first: uv run --with flask gunicorn
            for fill in [event for event in found if isinstance(event, Fill)]:
                self.emit(fill)
            self.invoke(call.to(other))
            return
        if len(operands) > 1 and operands[0] in program.scripts and not is_ordinary_target(operands[1]):
            self.not_seen(f"{program.names[0]} {operands[0]} {operands[1]}", call.span)
        change_settings(invocation)
        self.wanted.update(reads_at_start(invocation))
        for change in packages(invocation, len(self.events), call.span, call.guards):
            self.change(change)
        for event in found:
            self.emit(event)

    def command_of(self, rest: list[str], operands: list[str], program: Program) -> list[str]:
        """Return the command that a manager is to run (``conda run -n x pip install y``), empty where there is none."""
        words = [plain(word) for word in rest]
        if index := _command_in(words, operands, program):
            return rest[index:]
        if "" in program.runs and operands and self.library.program(operands[0]):
            return rest[words.index(operands[0]) :]
        return []


def _command_in(words: list[str], operands: list[str], program: Program) -> int:
    """Return the index of the command that a manager runs (``conda run -n x pip install y``), 0 where it runs none."""
    if not operands or operands[0] not in program.runs:
        return 0
    index = words.index(operands[0]) + 1
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in program.options_with_value else 1
    return index


def may_clean(name: str) -> bool:
    """Return True if a script or program that was not seen may remove anything, by its name."""
    return "clean" in name


# They change the shell that runs them.
_BUILTINS: Mapping[str, Callable[[Commands, Call], None]] = {
    "eval": Commands.eval,
    "source": Commands.source,
    ".": Commands.source,
    "trap": Commands.trap,
}
_PROGRAMS: Mapping[str, Callable[[Commands, Call], None]] = {
    **dict.fromkeys(SHELLS, Commands.run_shell),
    "busybox": Commands.busybox,
    "su": Commands.switch_user,
    "runuser": Commands.switch_user,
    "scl": Commands.collections,
    "find": Commands.find,
}
