"""Walk a script in the order it runs, and yield what its commands do to caches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cleanroom.engine.assumptions import reads_input
from cleanroom.engine.calls import Call, Environment, unwrap
from cleanroom.engine.commands import Commands
from cleanroom.engine.conditions import condition_of, decisive, is_test
from cleanroom.engine.events import Fill, Guards, How
from cleanroom.engine.options import SHELLS
from cleanroom.engine.process import Budget, Function
from cleanroom.engine.programs import write_by_tee
from cleanroom.engine.removals import Found, by_find
from cleanroom.engine.state import State
from cleanroom.recipes.library import Library
from cleanroom.syntax import shell
from cleanroom.syntax.paths import UNKNOWN, below, escape, plain
from cleanroom.syntax.text import MappedText, Span

_WORDS = 50  # of one command count as another
_HOLDS_OPTIONS = re.compile(r"(?i)(?:^|_)(?:opt|option|arg|argument|flag|param)s?(?:_|$)")


class Interpreter(Commands):
    """Walks the scripts of one RUN. ``state`` is changed by what lasts: files, settings, users."""

    def __init__(
        self,
        library: Library,
        state: State,
        read_script: Callable[[str], str | None],
        note: Callable[[Span, str], None],
        budget: Budget | None = None,
    ) -> None:
        super().__init__(library, state, Budget() if budget is None else budget, note)
        self.read_script = read_script
        self.decisive: shell.Node | None = None  # the chain by which the script ends: where it fails, there is no layer

    # -- the tree ------------------------------------------------------------------------------------------------

    def run_tree(self, script: MappedText, tree: shell.Node, guards: Guards) -> None:
        """Walk a tree whose words are in ``script``."""
        if not self.frame.depth and isinstance(tree, shell.Sequence):
            self.decisive = decisive(tree)
        super().run_tree(script, tree, guards)

    def walk(self, node: shell.Node, guards: Guards) -> bool:
        """Walk one node; return True when nothing after it in its list can run."""
        self.budget.spend(1)
        return True if self.is_endless() else _WALKERS[type(node)](self, node, guards)

    def sequence(self, node: shell.Sequence, guards: Guards) -> bool:
        """Walk commands one after the other."""
        return any(self.walk(item.node, guards) for item in node.items)

    def group(self, node: shell.Group, guards: Guards) -> bool:
        """Walk ``( … )`` and ``{ …; }``."""
        self.redirects(node.redirects, guards)
        if node.subshell:
            self.isolated(node.body, guards)
            return False
        return self.walk(node.body, guards)

    def loop_while(self, node: shell.While, guards: Guards) -> bool:
        """Walk ``while`` and ``until``: the body once, under the condition."""
        key = condition_of(node.condition)
        self.walk(node.condition, guards)
        self.walk(node.body, guards | {(key, not node.until)})
        self.redirects(node.redirects, guards)
        return False

    def case(self, node: shell.Case, guards: Guards) -> bool:
        """Walk ``case``: each branch under a guard of its own."""
        self.substitutions(node.word, guards)
        for index, (patterns, body) in enumerate(node.branches):
            only = len(node.branches) == 1 and patterns == ("*",)
            self.walk(body, guards if only else guards | {(f"case {node.word.raw} {index}", True)})
        self.redirects(node.redirects, guards)
        return False

    def define(self, node: shell.Function, _guards: Guards) -> bool:
        """Keep the body of a function until it is called."""
        self.process.functions[node.name] = Function(node.body, self.frame.script, self.frame.fixed_span)
        return False

    def test(self, node: shell.Test, guards: Guards) -> bool:
        """Walk what is substituted in ``[[ … ]]``."""
        for substitution in node.substitutions:
            self.isolated(substitution.body, guards)
        self.redirects(node.redirects, guards)
        return False

    def isolated(self, node: shell.Node, guards: Guards) -> None:
        """Walk what runs in a process of its own."""
        with self.subprocess(self.process.fork()):
            self.walk(node, guards)

    def substitutions(self, word: shell.Word, guards: Guards) -> None:
        """Walk the commands that are substituted in a word."""
        self.parts(word.parts, guards)

    def parts(self, parts: tuple[shell.Part, ...], guards: Guards) -> None:
        """Walk the commands that are substituted in parts of a word or a here-document."""
        for part in parts:
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
        """Return True if a condition holds when all goes well: it installs, or asks for a folder that was filled."""
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

    def loop(self, node: shell.For, guards: Guards) -> bool:
        """Walk ``for``: once for each value when all are known."""
        values = [value for word in node.words or () for value in self.expand(word)]
        known = [value for value in values if UNKNOWN not in value and not set(re.sub(r"\\.", "", value)) & set("*?[")]
        if values and len(known) == len(values) and len(values) <= 40:
            for value in values:
                self.process.variables[node.name] = plain(value)
                self.walk(node.body, guards)
        else:
            self.process.variables[node.name] = None
            self.walk(node.body, guards if values else guards | {(f"for {node.span.start}", True)})
        self.redirects(node.redirects, guards)
        return False

    def pipeline(self, node: shell.Pipeline, guards: Guards) -> bool:
        """Walk a pipeline; each part is a process of its own."""
        if len(node.parts) == 1:
            self.walk(node.parts[0], guards)
            return False
        with self.within(piped_script=self.downloaded(node.parts[0])):
            for part in node.parts:
                self.isolated(part, guards)
        last = node.parts[-1]
        if isinstance(last, shell.Command) and last.words:
            argv = [value for word in last.words for value in self.expand(word)]
            self.piped(node, unwrap(Call(argv, last, last.span, guards), self.process))
        return False

    def piped(self, node: shell.Pipeline, call: Call) -> None:
        """Tell what the last program of a pipeline does with what comes through it."""
        if not call.argv:
            return
        if call.program == "tee":
            write_by_tee(self, call, self.printed(node.parts[0]))
        elif "xargs" in call.wrappers:
            if call.program == "rm":
                self.piped_removal(node, call)
        elif reads_input(call.program, call.words) and not self.frame.piped_script:
            self.not_seen(f"what comes through a pipe into {call.program}", call.span)
        elif call.program in SHELLS and not any(word.endswith(".sh") for word in call.words):
            self.unresolved(call.span, "a script that comes through a pipe could not be seen")
            self.not_seen("a script that comes through a pipe", call.span)

    def downloaded(self, node: shell.Node) -> str:
        """Return the base name of the Python script whose address or path a command names, "" where it names none."""
        words = node.words if isinstance(node, shell.Command) else ()
        names = (plain(self.pattern(word)[0]).rpartition("/")[2] for word in words[1:])
        return next((name for name in names if name.endswith(".py")), "")

    def piped_removal(self, node: shell.Pipeline, call: Call) -> None:
        """Read ``find … | xargs rm``: the last command removes what the first one finds."""
        first = node.parts[0]
        if isinstance(first, shell.Command):
            found = [value for word in first.words for value in self.expand(word)]
            if found and plain(found[0]).rpartition("/")[2] == "find":
                gone = by_find([*found, "-delete"], self.resolve)
            else:
                gone = Found((UNKNOWN,), True)
            span = self.place(node.span)
            self.remove(gone.patterns, span, call.guards, recursive=gone.recursive, certain=gone.certain)

    # -- simple commands -----------------------------------------------------------------------------------------

    def place(self, span: Span) -> Span:
        """Return where to point for a command at ``span``: at what runs the script, when it is in a file."""
        return self.frame.fixed_span or span

    def command(self, node: shell.Command, guards: Guards) -> bool:
        """Walk a simple command; return True when nothing after it can run."""
        for word in node.words:
            self.substitutions(word, guards)
        inline = self.assignments(node, guards)
        self.redirects(node.redirects, guards)
        if not node.words:
            return False
        self.budget.spend(len(node.words) // _WORDS)
        argv = [value for word in node.words for value in self.expand(word)]
        hidden = UNKNOWN in argv and any(
            isinstance(part, shell.Parameter) and _HOLDS_OPTIONS.search(part.name)
            for word in node.words
            for part in word.parts
        )
        for redirect in node.redirects:
            if redirect.operator in (">", ">>", "&>", ">|") and redirect.target is not None:
                target = self.value(redirect.target)
                if target is not None:
                    self.write(target, self.printed(node), append=redirect.operator == ">>")
        if not argv:
            return False
        if not self.family_bash and any(redirect.operator in ("&>", "&>>") for redirect in node.redirects):
            guards |= {(f"& {node.span.start}", False)}  # dash reads &, which has it run beside what follows, and >
        call = Call(argv, node, self.place(node.span), guards, inline, hidden_options=hidden)
        outer, self.frame = self.frame, self.frame.at(node)
        try:
            return self.invoke(call)
        finally:
            self.frame = outer

    def assignments(self, node: shell.Command, guards: Guards) -> Environment:
        """Make the assignments of a command that has no words; return those in front of the words."""
        inline: dict[str, str | None] = {}
        for assignment in node.assignments:
            value: str | None = None
            if assignment.value is not None:
                self.substitutions(assignment.value, guards)
                value = plain(self.pattern(assignment.value)[0])
            if node.words:
                inline[assignment.name] = value
            else:
                self.process.assign(assignment.name, value)
        return inline

    def redirects(self, redirects: tuple[shell.Redirect, ...], guards: Guards) -> None:
        """Walk the commands that are substituted in redirects and here-documents."""
        for redirect in redirects:
            if redirect.target is not None:
                self.substitutions(redirect.target, guards)
                if (target := self.value(redirect.target)) and redirect.operator != "<<<":
                    reads = redirect.operator == "<"
                    path = target if reads else target.rpartition("/")[0] or "."
                    self.name(escape(path), How.CONTENT if reads else How.EXISTS, self.place(redirect.span))
            self.parts(redirect.expansions, guards)


_WALKERS: Mapping[type[shell.Node], Callable[[Interpreter, Any, Guards], bool]] = {
    shell.Command: Interpreter.command,
    shell.Pipeline: Interpreter.pipeline,
    shell.AndOr: Interpreter.and_or,
    shell.Sequence: Interpreter.sequence,
    shell.If: Interpreter.branches,
    shell.For: Interpreter.loop,
    shell.While: Interpreter.loop_while,
    shell.Case: Interpreter.case,
    shell.Group: Interpreter.group,
    shell.Function: Interpreter.define,
    shell.Test: Interpreter.test,
}
