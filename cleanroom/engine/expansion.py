"""What the words of a command expand to: patterns, with what is not known in them marked."""

from __future__ import annotations

import re

from cleanroom.engine.process import Process
from cleanroom.engine.state import State
from cleanroom.recipes.facts import Context, cache_paths
from cleanroom.recipes.library import Library
from cleanroom.syntax import shell
from cleanroom.syntax.dockerfile import MAX_VALUE
from cleanroom.syntax.paths import UNKNOWN, absolute, braces, escape, plain


class Expansion:
    """Expands words with the variables and the folder of a shell."""

    def __init__(self, library: Library, state: State) -> None:
        self.library = library
        self.state = state
        variables = {**state.arguments, **state.environment}
        self.process = Process(variables, set(variables), state.workdir, user=state.user or state.base.user or "root")
        self.family_bash = state.shell == "bash" or state.base.sh not in ("dash", "busybox")

    def home(self) -> str:
        """Return the home in force."""
        return self.process.variables.get("HOME") or self.state.home(self.process.user)

    def resolve(self, pattern: str) -> str:
        """Return a pattern from the root, ``~`` replaced by the home."""
        if pattern == "~" or pattern.startswith("~/"):
            pattern = self.home() + pattern[1:]
        elif pattern.startswith("~"):
            name, slash, rest = pattern[1:].partition("/")
            pattern = self.state.home(name) + slash + rest
        return absolute(pattern, self.process.cwd)

    def value(self, word: shell.Word) -> str | None:
        """Return the text of a word that is not split (an assignment's, a redirect's), None when unknown."""
        if word.literal is not None:
            return word.literal
        text = plain(self.pattern(word)[0])
        return None if UNKNOWN in text else text

    def expand(self, word: shell.Word) -> list[str]:
        """Return the patterns a word expands to."""
        if len(word.parts) == 1 and isinstance(word.parts[0], shell.Literal):
            part = word.parts[0]
            fields = [escape(part.text) if part.quoted else part.text]
        elif len(word.parts) == 1 and isinstance(word.parts[0], shell.Parameter) and word.parts[0].name in "@*":
            return list(self.process.positional)
        else:
            pattern, splits = self.pattern(word)
            fields = pattern.split() if splits else [pattern]
        if any("{" in item for item in fields):
            if self.family_bash:
                fields = [choice for item in fields for choice in braces(item)]
            else:
                fields = [re.sub(r"(?<!\\)([{},])", r"\\\1", item) for item in fields]
        return fields

    def pattern(self, word: shell.Word) -> tuple[str, bool]:
        """Return the pattern of a word before it is split, and whether the shell splits it at blanks."""
        text = ""
        splits = False
        for part in word.parts:
            if isinstance(part, shell.Literal):
                text += escape(part.text) if part.quoted else part.text
            elif isinstance(part, shell.Parameter):
                value = self.parameter(part)
                text += escape(value) if part.quoted else value
                splits = splits or not part.quoted
            else:
                text += self.substitution(part)
            if len(text) > MAX_VALUE:
                return UNKNOWN, False
        return text, splits and not any(isinstance(p, shell.Literal) and p.quoted and " " in p.text for p in word.parts)

    def substitution(self, part: shell.Substitution) -> str:
        """Return what ``$(…)`` prints where that is known."""
        if part.kind == "command" and len(part.body.items) == 1:
            node = part.body.items[0].node
            if isinstance(node, shell.Command):
                words = [word.literal for word in node.words]
                if words[:1] == ["mktemp"]:
                    template = words[-1] or ""
                    return (template.rpartition("/")[0] if template.startswith("/") else "/tmp") + f"/{UNKNOWN}"
                if words == ["pwd"]:
                    return escape(self.process.cwd)
                if None not in words:
                    return self.printed_place(" ".join(map(str, words)))
        return UNKNOWN

    def parameter(self, part: shell.Parameter) -> str:
        """Return the value of ``$name``, UNKNOWN when it is not known."""
        name = part.name
        if name.isdigit():
            index = int(name) - 1
            return plain(self.process.positional[index]) if 0 <= index < len(self.process.positional) else UNKNOWN
        if name in ("@", "*"):
            return " ".join(plain(word) for word in self.process.positional)
        if name == "HOME":
            value: str | None = self.home()
        elif name == "PWD":
            value = self.process.cwd
        else:
            value = self.process.variables.get(name, UNKNOWN)
        if part.operator == "":
            return UNKNOWN if value is None else value
        argument = self.value(part.argument) if part.argument is not None else ""
        if part.operator in (":-", "-", ":=", "="):
            if value is None or value == UNKNOWN:
                return UNKNOWN if name in self.process.variables else (UNKNOWN if argument is None else argument)
            return value or (argument if argument is not None else UNKNOWN)
        if part.operator in (":?", "?"):
            return UNKNOWN if value is None else value
        return UNKNOWN

    def printed_place(self, command: str) -> str:
        """Return what a manager's command prints when asked where a cache is."""
        found = self.library.program(command.partition(" ")[0])
        if found is None:
            return UNKNOWN
        recipe = found[0]
        context = Context(
            base=self.state.base,
            home=self.home(),
            environment=self.process.environment(),
            folder=self.process.cwd,
            stored=self.state.stored,
        )
        for cache in recipe.caches:
            for printed in cache.printed_by:
                if printed.command == command:
                    places = cache_paths(recipe, cache, context)
                    if len(places) == 1 and places[0].endswith(printed.below):
                        return places[0].removesuffix(printed.below)
        return UNKNOWN

    def printed(self, node: shell.Node) -> str | None:
        """Return what ``echo``, ``printf`` or a here-document prints, None when it is not known."""
        if not isinstance(node, shell.Command):
            return None
        if not node.words or node.words[0].literal in (":", "true") or _is_nothing(node):
            return ""
        for redirect in node.redirects:
            if redirect.body is not None:
                return redirect.body.text
        argv = [plain(value) for word in node.words for value in self.expand(word)]
        if argv[:1] in (["echo"], ["printf"]):
            text = " ".join(argv[1:]).replace("\\n", "\n").replace("\\t", "\t")
            if argv[0] == "printf" and "%s" in text:
                text = "\n".join(argv[2:])
            return text + "\n"
        return None


def _is_nothing(node: shell.Command) -> bool:
    """Return True if a command prints what is in ``/dev/null``."""
    return [word.literal for word in node.words] == ["cat", "/dev/null"]
