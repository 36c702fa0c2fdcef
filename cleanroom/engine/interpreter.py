"""Walk a script in the order it runs, and tell what its commands do to caches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from cleanroom.engine.argv import (
    PYTHON,
    SHELLS,
    WRAPPERS,
    drops_environment,
    new_user,
    other_user,
    read_switch,
    shell_operand,
    split_options,
    unwrap,
)
from cleanroom.engine.conditions import condition_of, decisive, is_test
from cleanroom.engine.events import NO_GUARDS, Event, Fill, Guards, Remove, Taken
from cleanroom.engine.expansion import Expansion
from cleanroom.engine.invocation import Invocation, change_settings, events, reads_at_start
from cleanroom.engine.removals import by_find, by_rm, few
from cleanroom.engine.state import State, configure, tell_versions
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Program, Recipe
from cleanroom.syntax import shell
from cleanroom.syntax.paths import UNKNOWN, absolute, below, escape, plain
from cleanroom.syntax.text import MappedText, Span

MAX_STEPS = 5_000  # commands and constructs of one Dockerfile, as often as they run
_WORDS = 50  # of one command count as another
MAX_EVENTS = 500  # of one RUN
MAX_DEPTH = 20  # of functions, scripts and sh -c in each other
_TOO_DEEP = f"scripts and functions that call each other more than {MAX_DEPTH} deep are not followed further"
_HOLDS_OPTIONS = re.compile(r"(?i)(?:^|_)(?:opt|option|arg|argument|flag|param)s?(?:_|$)")


class _Process(Struct):
    """What a process has for itself."""

    variables: dict[str, str | None]
    exported: set[str]
    exports_all: bool
    cwd: str
    user: str
    sudo: bool
    positional: list[str]


class Walker(Expansion):
    """Walks the scripts of one RUN. ``state`` is changed by what lasts: files, settings, users."""

    def __init__(
        self,
        library: Library,
        state: State,
        read_script: Callable[[str], str | None],
        unresolved: Callable[[Span, str], None],
    ) -> None:
        super().__init__(library, state)
        self.read_script = read_script
        self.unresolved = unresolved
        self.events: list[Event] = []
        self.wanted: set[tuple[str, str]] = set()  # (recipe id, cache id) that a command reads if it starts a container
        self.exports_all = False  # set -a
        self.hidden_options = False  # a variable of the command at hand has no value, and by its name holds options
        # body, script that its words are in, span to point to when that script is a file
        self.functions: dict[str, tuple[shell.Node, MappedText, Span | None]] = {}
        self.depth = 0
        self.fixed_span: Span | None = None  # of the command that runs a script kept in a file
        self.current: shell.Command | None = None  # the command that is being walked
        self.decisive: shell.Node | None = None  # the chain by which the script ends: where it fails, there is no layer
        self.texts = 0  # of sh -c and eval, one in the other
        self.sudo = False  # whether sudo runs the shell whose commands are walked
        self.script = MappedText(())
        self.steps = 0
        self.trap: tuple[MappedText, shell.Sequence] | None = None
        self.piped_script = ""  # the Python script that the pipe at hand begins with

    # -- scripts -------------------------------------------------------------------------------------------------

    def run(self, script: MappedText, guards: Guards = NO_GUARDS) -> None:
        """Walk a script. What cannot be read is unresolved."""
        if self.is_endless():
            return
        if self.depth > MAX_DEPTH:
            self.unresolved(self.fixed_span or script.span(0, len(script)), _TOO_DEEP)
            return
        try:
            tree = shell.parse(script)
        except shell.ShellError as error:
            self.unresolved(error.span, f"the shell script cannot be read: {error.message}")
            return
        if not self.depth:
            self.decisive = decisive(tree)
        self.run_tree(script, tree, guards)

    def run_tree(self, script: MappedText, tree: shell.Node, guards: Guards) -> None:
        """Walk a tree whose words are in ``script``."""
        outer, self.script = self.script, script
        self.depth += 1
        self.walk(tree, guards)
        self.depth -= 1
        self.script = outer

    def finish(self) -> None:
        """Run what a trap on EXIT left for the end."""
        if self.trap is not None:
            script, tree = self.trap
            self.trap = None
            self.fixed_span = script.span(0, len(script))
            self.run_tree(script, tree, NO_GUARDS)

    def is_endless(self) -> bool:
        """Tell whether there was more to do than can be followed; the events are then not all there are."""
        return self.steps > MAX_STEPS or len(self.events) > MAX_EVENTS

    # -- the tree ------------------------------------------------------------------------------------------------

    def walk(self, node: shell.Node, guards: Guards) -> bool:
        """Walk one node; return True when nothing after it in its list can run."""
        self.steps += 1
        if self.is_endless():
            return True
        if isinstance(node, shell.Command):
            self.steps += len(node.words) // _WORDS
            return self.command(node, guards)
        if isinstance(node, shell.AndOr):
            return self.and_or(node, guards)
        if isinstance(node, shell.Sequence):
            return any(self.walk(item.node, guards) for item in node.items)
        if isinstance(node, shell.Pipeline):
            self.pipeline(node, guards)
        elif isinstance(node, shell.If):
            return self.branches(node, guards)
        elif isinstance(node, shell.For):
            self.loop(node, guards)
        elif isinstance(node, shell.While):
            key = condition_of(node.condition)
            self.walk(node.condition, guards)
            self.walk(node.body, guards | {(key, not node.until)})
        elif isinstance(node, shell.Case):
            self.substitutions(node.word, guards)
            for index, (patterns, body) in enumerate(node.branches):
                only = len(node.branches) == 1 and patterns == ("*",)
                self.walk(body, guards if only else guards | {(f"case {node.word.raw} {index}", True)})
        elif isinstance(node, shell.Group):
            if node.subshell:
                self.isolated(node.body, guards)
            else:
                return self.walk(node.body, guards)
        elif isinstance(node, shell.Function):
            self.functions[node.name] = (node.body, self.script, self.fixed_span)
        elif isinstance(node, shell.Test):
            for substitution in node.substitutions:
                self.isolated(substitution.body, guards)
        return False

    def isolated(self, node: shell.Node, guards: Guards) -> None:
        """Walk what runs in a process of its own: variables and the folder are as before afterwards."""
        variables, exported, cwd = dict(self.variables), set(self.exported), self.cwd
        self.walk(node, guards)
        self.variables, self.exported, self.cwd = variables, exported, cwd

    def substitutions(self, word: shell.Word, guards: Guards) -> None:
        """Walk the commands that are substituted in a word."""
        for part in word.parts:
            if isinstance(part, shell.Substitution):
                self.isolated(part.body, guards)
            elif isinstance(part, shell.Parameter) and part.argument is not None:
                self.substitutions(part.argument, guards)

    def and_or(self, node: shell.AndOr, guards: Guards) -> bool:
        """Walk a chain of ``&&`` and ``||``: what stands behind ``||`` runs only when the part before it failed."""
        chain: list[shell.AndOr] = []
        first: shell.Node = node
        while isinstance(first, shell.AndOr):
            chain.append(first)
            first = first.first
        done = self.walk(first, guards)
        if done:
            return True
        left: shell.Node = first
        last: shell.Node = first
        condition: Guards = guards  # under which the left side succeeds
        for link in reversed(chain):
            test = node is not self.decisive and is_test(last)
            if link.operator == "&&":
                holds = condition | {(condition_of(last), True)} if test else condition
                done = self.walk(link.second, holds)
                condition = holds
                left = link.second if not test else link
                if done and not test:
                    return True
            else:
                self.walk(link.second, guards | {(condition_of(left), False)})
                condition = guards
                left = link
            last = link.second
        return False

    def branches(self, node: shell.If, guards: Guards) -> bool:
        """Walk ``if``; each body is under its condition and the failure of those before it."""
        outcomes = []
        for condition, body in node.branches:
            before = len(self.events)
            self.walk(condition, guards)
            key = condition_of(condition)
            constant = condition.items[0].node if len(condition.items) == 1 else None
            sure = (
                isinstance(constant, shell.Command)
                and bool(constant.words)
                and constant.words[0].literal in ("true", ":")
            )
            always = sure or self.follows(condition, before)
            outcomes.append(self.walk(body, guards if always else guards | {(key, True)}))
            guards = guards if sure else guards | {(key, False)}
        if node.otherwise is not None:
            outcomes.append(self.walk(node.otherwise, guards))
            return all(outcomes)
        return False

    def follows(self, condition: shell.Sequence, before: int) -> bool:
        """Tell whether a condition holds when all goes well: it installs, or asks for a folder that was filled."""
        if len(condition.items) != 1 or is_test(node := condition.items[0].node):
            return False
        if any(isinstance(event, Fill) for event in self.events[before:]):
            return True
        words = node.words if isinstance(node, shell.Command) else ()
        if len(words) < 3 or words[0].literal not in ("[", "test"):
            return False
        path = plain(self.resolve(self.pattern(words[2])[0]))
        fills = (event for event in self.events if isinstance(event, Fill))
        return any(below(place, path) for fill in fills for place in fill.paths)

    def loop(self, node: shell.For, guards: Guards) -> None:
        """Walk ``for``: once for each value when all are known."""
        values = [value for word in node.words or () for value in self.expand(word)]
        known = [value for value in values if UNKNOWN not in value and not set(re.sub(r"\\.", "", value)) & set("*?[")]
        if values and len(known) == len(values) and len(values) <= 40:
            for value in values:
                self.variables[node.name] = plain(value)
                self.walk(node.body, guards)
        else:
            self.variables[node.name] = None
            self.walk(node.body, guards if values else guards | {(f"for {node.span.start}", True)})

    def pipeline(self, node: shell.Pipeline, guards: Guards) -> None:
        """Walk a pipeline; each part is a process of its own."""
        if len(node.parts) == 1:
            self.walk(node.parts[0], guards)
            return
        outer, self.piped_script = self.piped_script, self.downloaded(node.parts[0])
        for part in node.parts:
            self.isolated(part, guards)
        self.piped_script = outer
        last = node.parts[-1]
        if isinstance(last, shell.Command) and last.words:
            words = [plain(value) for word in last.words for value in self.expand(word)]
            program = words[0].rpartition("/")[2] if words else ""
            if program == "sudo" and len(words) > 1:
                words = words[1:]
                program = words[0].rpartition("/")[2]
            if program == "tee":
                text = self.printed(node.parts[0])
                for target in words[1:]:
                    if not target.startswith("-"):
                        self.written(target, text)
            elif program in SHELLS and not any(word.endswith(".sh") for word in words[1:]):
                self.unresolved(last.span, "a script that comes through a pipe could not be seen")
            elif program == "xargs":
                self.piped_removal(node, words, guards)

    def downloaded(self, node: shell.Node) -> str:
        """Return the base name of the Python script whose address or path a command names, "" where it names none."""
        words = node.words if isinstance(node, shell.Command) else ()
        names = (plain(self.pattern(word)[0]).rpartition("/")[2] for word in words[1:])
        return next((name for name in names if name.endswith(".py")), "")

    def piped_removal(self, node: shell.Pipeline, words: list[str], guards: Guards) -> None:
        """Read ``find … | xargs rm``: the last command removes what the first one finds."""
        first = node.parts[0]
        if "rm" in words and isinstance(first, shell.Command):
            found = [value for word in first.words for value in self.expand(word)]
            if found and plain(found[0]).rpartition("/")[2] == "find":
                patterns, recursive = by_find([*found, "-delete"], self.resolve)
            else:
                patterns, recursive = (UNKNOWN,), True
            self.remove(patterns, self.place(node.span), guards, recursive=recursive)

    # -- simple commands -----------------------------------------------------------------------------------------

    def place(self, span: Span) -> Span:
        """Return where to point for a command at ``span``: at what runs the script, when it is in a file."""
        return self.fixed_span or span

    def command(self, node: shell.Command, guards: Guards) -> bool:
        """Walk a simple command; return True when nothing after it can run."""
        for word in node.words:
            self.substitutions(word, guards)
        inline: dict[str, str | None] = {}
        for assignment in node.assignments:
            value: str | None = None
            if assignment.value is not None:
                self.substitutions(assignment.value, guards)
                value = plain(self.pattern(assignment.value)[0])
            if node.words:
                inline[assignment.name] = value
            else:
                self.variables[assignment.name] = value
                if self.exports_all:
                    self.exported.add(assignment.name)
        for redirect in node.redirects:
            if redirect.target is not None:
                self.substitutions(redirect.target, guards)
        if not node.words:
            return False
        argv = [value for word in node.words for value in self.expand(word)]
        self.hidden_options = UNKNOWN in argv and any(
            isinstance(part, shell.Parameter) and _HOLDS_OPTIONS.search(part.name)
            for word in node.words
            for part in word.parts
        )
        for redirect in node.redirects:
            if redirect.operator in (">", ">>", "&>", ">|") and redirect.target is not None:
                target = self.value(redirect.target)
                if target is not None:
                    self.written(target, self.printed(node), append=redirect.operator == ">>")
        if not argv:
            return False
        outer, self.current = self.current, node
        ends = self.invoke(argv, node, self.place(node.span), guards, inline, sudo=False)
        self.current = outer
        return ends

    def invoke(
        self,
        argv: list[str],
        node: shell.Command | None,
        span: Span,
        guards: Guards,
        inline: dict[str, str | None],
        *,
        sudo: bool,
    ) -> bool:
        """Tell what one command line does. ``argv`` holds patterns."""
        for _ in range(12):
            if not argv:
                return False
            name = plain(argv[0])
            program = name.rpartition("/")[2]
            if program not in WRAPPERS or (program == "command" and argv[1:2] and argv[1] in ("-v", "-V")):
                break
            if program in ("sudo", "doas"):
                sudo = True
            words = [plain(word) for word in argv]
            if program == "sudo" and not {"-E", "--preserve-env"}.isdisjoint(words[1:4]):
                inline = {**{name: self.variables[name] for name in self.exported & self.variables.keys()}, **inline}
            if drops_environment(program, words):
                inline = dict.fromkeys(self.exported, "")
            user = other_user(program, words)
            argv, assigned = unwrap(program, argv)
            inline = {**inline, **assigned}
            if user:
                return self.as_user(user, argv, node, span, guards, inline, sudo=sudo)
        else:
            return False
        if UNKNOWN in program:
            self.unresolved(span, "a command whose name is put together at run time could not be seen")
            return False
        rest = argv[1:]
        words = [plain(word) for word in rest]
        if program in ("exit", "return"):
            return True
        if program == "cd" or program == "pushd":
            target = next((word for word in rest if not word.startswith("-")), "~")
            self.cwd = plain(self.resolve(target))
        elif program in ("export", "declare", "typeset", "readonly", "local"):
            for word in words:
                key, equals, value = word.partition("=")
                if equals:
                    self.variables[key] = None if UNKNOWN in value else value
                if program == "export" or "-x" in words:
                    self.exported.add(key)
        elif program == "unset":
            for word in words:
                self.variables.pop(word, None)
        elif program == "set" and words[:1] in (["-a"], ["+a"], ["-o", "allexport"]):
            self.exports_all = words[0] != "+a"
        elif program in self.functions and self.depth >= MAX_DEPTH:
            self.unresolved(span, _TOO_DEEP)
        elif program in self.functions:
            outer = self.positional
            self.positional = rest
            self.depth += 1
            body, script, fixed = self.functions[program]
            outer_script, outer_span = self.script, self.fixed_span
            self.script = script
            self.fixed_span = self.fixed_span or (span if fixed is not None else None)
            self.walk(body, guards)
            self.script, self.fixed_span = outer_script, outer_span
            self.depth -= 1
            self.positional = outer
        elif program in ("useradd", "adduser"):
            if added := new_user(words):
                self.state.add_user(added)
        elif program == "rm":
            patterns, recursive = by_rm(rest, self.resolve)
            self.remove(patterns, span, guards, recursive=recursive)
            self.state.removed_files.update(map(plain, patterns))
        elif program == "find":
            patterns, recursive = by_find(argv, self.resolve)
            self.remove(patterns, span, guards, recursive=recursive)
        elif program in ("cp", "mv", "install"):
            taken = few(self.resolve(word) for word in rest if not word.startswith("-"))
            self.emit(Taken(taken, span, 0))
        elif program == "scl" and words[:1] == ["enable"] and len(words) > 2:  # collections, and a command as text
            outer_process = self.enter("", inline, fresh=False)
            self.nested_text(node, None, words[-1], span, guards, rest[-1])
            self.leave(outer_process)
        elif program == "runuser" and words[:1] == ["-u"] and len(words) > 2:
            command = rest[3:] if words[2] == "--" else rest[2:]
            return self.as_user(words[1], command, node, span, guards, inline, sudo=False)
        elif program in SHELLS or program in ("busybox", "source", ".", "su", "runuser"):
            self.nested(program, argv, node, span, guards, inline, sudo=sudo)
        elif program == "eval":
            self.nested_text(node, 1, " ".join(words), span, guards)
        elif program == "trap" and len(words) > 1 and words[-1] in ("EXIT", "0"):
            text = MappedText([(words[0], span.start)])
            try:
                self.trap = (text, shell.parse(text))
            except shell.ShellError:
                self.trap = None
        else:
            found = self.library.program(program)
            if found is None and PYTHON.fullmatch(program):
                found, rest = self.run_by_python(rest, node)
            elif found is None and program.endswith(".py") and (found := self.library.module(program)):
                rest = [program, *rest]
            if found is not None and found[0].shell:
                return False  # its commands are not of a shell that is read here
            if found is not None:
                self.manager(*found, rest, span, guards, inline, sudo=sudo)
            elif "/" in name and (name.endswith(".sh") or self.is_copied(name)):
                outer_process = self.enter("root" if sudo else "", inline, fresh=sudo)
                self.sudo = self.sudo or sudo
                self.script_file(name, span, guards, rest)
                self.leave(outer_process)
            elif "clean" in program:
                self.remove((UNKNOWN,), span, guards, recursive=True)  # who knows what it removes
        return False

    def run_by_python(
        self, rest: list[str], node: shell.Command | None
    ) -> tuple[tuple[Recipe, Program] | None, list[str]]:
        """Return whose module or script the operands of Python name, or its input, and what is then the command line.

        The name of a script is the verb of what it does: in ``python get-pip.py pip==24.0`` it is ``get-pip.py``.
        """
        words = [plain(word) for word in rest]
        if "-m" in words:
            index = words.index("-m") + 1
            return (self.library.module(words[index]) if index < len(words) else None), rest[index + 1 :]
        index = 0
        while words[index : index + 1] and words[index].startswith("-") and words[index] not in ("-", "-c"):
            index += 2 if words[index] in ("-W", "-X") else 1  # https://docs.python.org/3/using/cmdline.html
        script = words[index].rpartition("/")[2] if index < len(words) else "-"
        if script == "-":
            script = self.read_by(node) or self.piped_script
        if not script.endswith(".py"):
            return None, rest
        return self.library.module(script), [script, *rest[index + 1 :]]

    def read_by(self, node: shell.Command | None) -> str:
        """Return the base name of the file that a command reads as its input, "" where it reads none that is known."""
        redirects = node.redirects if node is not None else ()
        targets = [one.target for one in redirects if one.operator == "<" and one.target is not None]
        return (self.value(targets[-1]) or "").rpartition("/")[2] if targets else ""

    def as_user(
        self,
        user: str,
        argv: list[str],
        node: shell.Command | None,
        span: Span,
        guards: Guards,
        inline: dict[str, str | None],
        *,
        sudo: bool,
    ) -> bool:
        """Tell what a command line does that another user runs."""
        outer = self.enter(user, inline, fresh=sudo)
        ends = self.invoke(argv, node, span, guards, inline, sudo=sudo and user in ("root", "0"))
        self.leave(outer)
        return ends

    def enter(self, user: str, inline: Mapping[str, str | None], *, fresh: bool) -> _Process:
        """Begin what a process of its own does, and return what to :meth:`leave` it with.

        ``user`` runs it, "" where that is who it was; ``inline`` is added to its environment, or all of it where that
        is ``fresh``.
        """
        outer = _Process(
            self.variables, self.exported, self.exports_all, self.cwd, self.state.user, self.sudo, self.positional
        )
        self.variables = {**self.variables, **inline}
        self.exported = set(inline) if fresh else self.exported | inline.keys()
        if user:
            self.state.user, self.sudo = user, False
            self.variables["HOME"] = self.state.home(user)
            self.exported.add("HOME")
        return outer

    def leave(self, outer: _Process) -> None:
        """End what :meth:`enter` began: nothing of it lasts but files."""
        self.variables, self.exported, self.exports_all = outer.variables, outer.exported, outer.exports_all
        self.cwd, self.state.user, self.sudo, self.positional = outer.cwd, outer.user, outer.sudo, outer.positional

    def nested(
        self,
        program: str,
        argv: list[str],
        node: shell.Command | None,
        span: Span,
        guards: Guards,
        inline: dict[str, str | None],
        *,
        sudo: bool,
    ) -> None:
        """Look into ``sh -c TEXT``, ``su - user -c TEXT``, ``bash script.sh`` and ``. script.sh``."""
        words = [plain(word) for word in argv]
        if program == "busybox":
            self.invoke(argv[1:], None, span, guards, inline, sudo=sudo)
            return
        if program in ("source", "."):
            if len(words) > 1:
                self.script_file(words[1], span, guards, argv[2:], sourced=True)
            return
        if program in ("su", "runuser"):
            switch = read_switch(words)
            user, fresh, text, index = switch.user, switch.login, switch.text, None
        else:
            user, fresh = ("root", True) if sudo else ("", False)
            index, is_text = shell_operand(words)
            text = words[index] if index is not None and is_text else None
        outer = self.enter(user, inline, fresh=fresh)
        if program in SHELLS:
            self.sudo = self.sudo or sudo
        if text is not None:
            pattern = next((argument for argument, word in zip(argv, words, strict=True) if word == text), None)
            self.nested_text(node, None, text, span, guards, pattern)
        elif index is not None:
            script = words[index]
            if re.search(r"(mini|ana)(conda|forge)|mambaforge", script, re.IGNORECASE):
                if "-p" in words and words.index("-p") + 1 < len(words):
                    root = words[words.index("-p") + 1]
                    outer.variables["CONDA_ROOT"] = self.state.environment["CONDA_ROOT"] = root
                    outer.exported.add("CONDA_ROOT")
            else:
                self.script_file(script, span, guards, argv[index + 1 :])
        elif node is not None:
            for redirect in node.redirects:
                if redirect.body is not None:
                    self.run(redirect.body, guards)
                elif redirect.operator == "<<<" and redirect.target is not None:
                    self.nested_text(node, None, self.value(redirect.target) or UNKNOWN, span, guards)
        self.leave(outer)

    def nested_text(
        self,
        node: shell.Command | None,
        first: int | None,
        text: str,
        span: Span,
        guards: Guards,
        pattern: str | None = None,
    ) -> None:
        """Walk the text of ``sh -c`` or ``eval``; positions are those in the file when it stands there literally."""
        mapped: MappedText | None = None
        if node is not None and self.fixed_span is None:
            candidates = node.words[first:] if first is not None else node.words
            if first is not None and len(candidates) == 1:
                mapped = shell.unquoted(candidates[0], self.script)
            elif first is None:
                for word in candidates:
                    if self.value(word) == text or (word.literal is None and UNKNOWN in text and pattern is not None):
                        unquoted = shell.unquoted(word, self.script)
                        if word.literal is not None or word.raw[:1] in "\"'":
                            mapped = unquoted
        if mapped is not None:
            self.texts += 1
            self.run(mapped, guards)
            self.texts -= 1
            return
        if UNKNOWN in text:
            self.unresolved(span, "a script that is put together at run time could not be seen")
            return
        outer, self.fixed_span = self.fixed_span, span
        self.run(MappedText([(text, 0)]), guards)
        self.fixed_span = outer

    def is_copied(self, name: str) -> bool:
        """Tell whether the build copied a file to this path."""
        target = absolute(name, self.cwd)
        return target in self.state.texts or any(target == path for _, path in self.state.copied)

    def script_file(
        self, name: str, span: Span, guards: Guards, arguments: list[str], *, sourced: bool = False
    ) -> None:
        """Walk a script that the build context holds; say so when it is not there.

        One that is sourced runs in the shell that is there: its variables, functions and folder last.
        """
        target = absolute(name, self.cwd)
        text = None
        for source, path in reversed(self.state.copied):
            inside = path.endswith("/") and target.startswith(path)
            if target == path or inside:
                text = self.read_script(f"{source}/{target[len(path) :]}".lstrip("/") if inside else source)
            if text is not None:
                break
        text = self.state.texts.get(target) if text is None else text
        if text is None:
            self.unresolved(span, f"the script {name.replace(UNKNOWN, '…')} could not be seen")
            if "clean" in name:
                self.remove((UNKNOWN,), span, guards, recursive=True)  # who knows what it removes
            return
        outer, self.fixed_span = self.fixed_span, self.fixed_span or span
        before = self.cwd, dict(self.variables), dict(self.functions), self.positional
        if arguments or not sourced:
            self.positional = arguments
        self.run(MappedText([(text, 0)]), guards)
        self.fixed_span = outer
        if not sourced:
            self.cwd, self.variables, self.functions, self.positional = before

    # -- events --------------------------------------------------------------------------------------------------

    def remove(self, patterns: tuple[str, ...], span: Span, guards: Guards, *, recursive: bool) -> None:
        """Add the removal of these patterns, where there are any."""
        if patterns:
            self.emit(Remove(patterns, recursive, span, guards, 0))

    def emit(self, event: Event) -> None:
        """Add an event behind those there are."""
        event.order = len(self.events)
        event.command = None if self.fixed_span is not None else self.current
        event.nested = self.fixed_span is not None or self.texts > 0
        self.events.append(event)

    # -- configuration -------------------------------------------------------------------------------------------

    def written(self, target: str, text: str | None, *, append: bool = False) -> None:
        """Note that a file was written; configuration files may prevent caches."""
        if text is None:
            return
        path = plain(self.resolve(escape(target)))
        self.state.removed_files.discard(path)
        self.state.texts[path] = self.state.texts.get(path, "") + text if append else text
        tell_versions(self.library, self.state, path)
        configure(self.library, self.state, path, text, self.home())

    # -- managers ------------------------------------------------------------------------------------------------

    def manager(
        self,
        recipe: Recipe,
        program: Program,
        rest: list[str],
        span: Span,
        guards: Guards,
        inline: dict[str, str | None],
        *,
        sudo: bool,
    ) -> None:
        """Tell what a command line of a manager does, or the one that it runs (``poetry run pip install``)."""
        words = [plain(word) for word in rest]
        operands, options = split_options(words, program)
        if program.runs and operands and operands[0] in program.runs:
            index = words.index(operands[0]) + 1
            while index < len(words) and words[index].startswith("-"):
                index += 2 if words[index] in program.options_with_value else 1
            self.invoke(rest[index:], None, span, guards, inline, sudo=sudo)
            return
        if "" in program.runs and operands and self.library.program(operands[0]):
            self.invoke(rest[words.index(operands[0]) :], None, span, guards, inline, sudo=sudo)
            return
        environment: dict[str, str | None] = {}
        if not sudo:
            environment = {name: self.variables[name] for name in self.exported if name in self.variables}
        environment.update(inline)
        folder = next(
            (option.partition("=")[2] for option in options if option.partition("=")[0] in program.folder_options),
            "",
        )
        invocation = Invocation(
            recipe,
            program,
            operands,
            options,
            environment,
            home=self.state.home("root") if sudo else (environment.get("HOME") or self.home()),
            user="root" if sudo else (self.state.user or self.state.base.user or "root"),
            folder=absolute(folder, self.cwd) if folder else self.cwd,
            state=self.state,
            hidden_options=self.hidden_options,
        )
        change_settings(invocation)
        self.wanted.update(reads_at_start(invocation))
        for event in events(invocation, self.events, span, guards, sudo=sudo or self.sudo):
            self.emit(event)
