"""What commands do to caches: walk a script in the order it runs and tell of fills, clean-ups and removals.

Guards are the conditions under which a command runs when all goes well: a command behind ``||`` runs only when
the one before it failed, one in a branch only when that branch is taken. A clean-up counts for a fill when it runs
whenever the fill did, so when its guards are among those of the fill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import islice, takewhile
from types import MappingProxyType

from cleanroom import shell
from cleanroom.dockerfile import MAX_VALUE
from cleanroom.facts import applies, at_home, home_of
from cleanroom.library import Library
from cleanroom.paths import ANYWHERE, UNKNOWN, absolute, below, braces, escape, plain
from cleanroom.recipe import Base, Cache, Cleanup, Hazard, Lean, Payload, Program, Recipe, Use
from cleanroom.records import dataclass, field, replace
from cleanroom.regex import regex
from cleanroom.text import MappedText, Span

Guards = frozenset[tuple[str, bool]]
NO_GUARDS: Guards = frozenset()
MAX_STEPS = 5_000  # commands and constructs of one Dockerfile, as often as they run
_WORDS = 50  # of one command count as another
MAX_EVENTS = 500  # of one RUN
MAX_OPERANDS = 1_000  # of one rm or find; a * in one counts as one
_LONGEST_SETTINGS = 1 << 16  # characters of a file of settings
MAX_DEPTH = 20  # of functions, scripts and sh -c in each other
_TOO_DEEP = f"scripts and functions that call each other more than {MAX_DEPTH} deep are not followed further"


@dataclass(slots=True)
class Fill:
    """A command that puts bytes into a cache; ``paths`` are the places where it may lie, usually one."""

    recipe: Recipe
    cache: Cache
    paths: tuple[str, ...]
    span: Span
    guards: Guards
    order: int
    verb: str
    prevented: str = ""  # by what: an option, a variable, a file
    sudo: bool = False
    tops_up: bool = False  # adds nothing when an earlier layer holds it
    command: shell.Command | None = None  # as it stands in the Dockerfile; None in a file, or put together at run time
    nested: bool = False  # in the text of ``sh -c`` or ``eval``, or in a file: not in the shell that runs the RUN


@dataclass(slots=True)
class Clean:
    """A clean-up command of a manager. ``paths`` are those of the caches it empties, by cache id."""

    recipe: Recipe
    paths: Mapping[str, tuple[str, ...]]
    hazards: tuple[Hazard, ...]
    span: Span
    guards: Guards
    order: int
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Remove:
    """``rm`` or ``find -delete``: what it removes, as patterns."""

    patterns: tuple[str, ...]
    recursive: bool
    span: Span
    guards: Guards
    order: int
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Other:
    """Another use of a manager, which may need what a clean-up removed."""

    recipe: Recipe
    verb: str
    order: int
    span: Span
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Made:
    """A command that put what it installed into ``paths``, usually one, where one looks for caches."""

    recipe: Recipe
    payload: Payload
    paths: tuple[str, ...]
    span: Span
    order: int
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Need:
    """A command that fails when a cache is empty: ``apt-get install`` without package lists."""

    recipe: Recipe
    cache: Cache
    order: int
    span: Span
    guards: Guards
    sudo: bool = False
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Surplus:
    """A command that installs what nothing needs at run time, as the ``lean`` option says."""

    recipe: Recipe
    lean: Lean
    span: Span
    guards: Guards
    order: int
    removed: bool = False  # a later command of the same RUN takes it out again
    command: shell.Command | None = None
    nested: bool = False


@dataclass(slots=True)
class Taken:
    """``cp``, ``mv`` or ``install``: what it takes elsewhere, as patterns."""

    patterns: tuple[str, ...]
    span: Span
    order: int
    command: shell.Command | None = None
    nested: bool = False


Event = Fill | Clean | Remove | Other | Made | Need | Surplus | Taken


@dataclass(slots=True)
class State:
    """What holds at a place of a build: environment, user, folders, files that were written."""

    base: Base
    environment: dict[str, str | None] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    homes: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    settings: set[tuple[str, str]] = field(default_factory=set)  # (recipe id, cache id) prevented by configuration
    of_home: set[tuple[str, str, str]] = field(default_factory=set)  # the same, by configuration in one home
    stored: dict[tuple[str, str], str] = field(default_factory=dict)  # (recipe id, setting) -> its value
    lean: set[tuple[str, str]] = field(default_factory=set)  # (recipe id, lean id) turned on by configuration
    removed_files: set[str] = field(default_factory=set)
    copied: list[tuple[str, str]] = field(default_factory=list)  # (path in the context, path in the image)
    texts: dict[str, str] = field(default_factory=dict)  # files that the build writes itself, by path
    told: set[str] = field(default_factory=set)  # managers whose version the Dockerfile told
    bash: bool = False  # the SHELL is bash

    def copy(self) -> State:
        """Return a state of its own for the stage or layer that follows."""
        return State(
            self.base,
            dict(self.environment),
            dict(self.arguments),
            self.user,
            self.workdir,
            dict(self.homes),
            dict(self.uids),
            set(self.settings),
            set(self.of_home),
            dict(self.stored),
            set(self.lean),
            set(self.removed_files),
            list(self.copied),
            dict(self.texts),
            set(self.told),
            self.bash,
        )

    def uid(self) -> str:
        """Return the number of the user in force, "" when it is not known."""
        name = (self.user or self.base.user or "root").partition(":")[0]
        if name == "root" or name.isdigit():
            return "0" if name == "root" else name
        return self.uids.get(name) or self.base.uids.get(name, "")

    def tell_version(self, manager: str, version: str) -> None:
        """Note the version of a manager, as the Dockerfile tells it; "" where it may be another than the base's."""
        if version:
            self.told.add(manager)
        elif manager in self.told:
            return
        self.base = replace(self.base, versions=MappingProxyType({**self.base.versions, manager: version}))

    def home(self, user: str | None = None) -> str:
        """Return the home of the user in force, ``~`` when it is not known."""
        if user is None:
            user = self.user or self.base.user or "root"
            if home := self.environment.get("HOME"):
                return home
        name = user.partition(":")[0]
        return self.homes.get(name) or home_of(name, self.base)


TESTS = frozenset(
    [
        "[",
        "test",
        "[[",
        "grep",
        "egrep",
        "fgrep",
        "which",
        "command",
        "type",
        "hash",
        "id",
        "getent",
        "false",
        "cmp",
        "diff",
        "pgrep",
        "rpm",
        "dpkg",
        "dpkg-query",
        "uname",
        "lsb_release",
        "expr",
    ]
)
_HOLDS_OPTIONS = regex(r"(?i)(?:^|_)(?:opt|option|arg|argument|flag|param)s?(?:_|$)")
_ASKS = regex(r"-[slLSWVqp]|--(?:status|list|search|show|query|verify|compare-versions|get-selections|print-)")
_PYTHON = regex(r"(?:python|pypy)[\d.]*")
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"))
# Options of wrappers whose value is the next word.
_WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "sudo": ("-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "--user", "--group"),
    "doas": ("-u", "-C"),
    "env": ("-u", "-C", "-S", "--unset", "--chdir"),
    "exec": ("-a",),
    "command": (),
    "builtin": (),
    "time": ("-f", "-o"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n", "-p"),
    "nohup": (),
    "setsid": (),
    "timeout": ("-s", "-k", "--signal", "--kill-after"),
    "stdbuf": ("-i", "-o", "-e"),
    "xargs": ("-n", "-P", "-I", "-L", "-d", "-a", "-s", "-E", "--max-args", "--max-procs", "--arg-file", "--delimiter"),
    "gosu": (),
    "su-exec": (),
    "eatmydata": (),
    "fakeroot": (),
    "linux32": (),
    "linux64": (),
    "setarch": (),
    "catchsegv": (),
    "retry": ("-t", "-d", "--times", "--delay"),
    "unbuffer": (),
    "chronic": (),
    "yes": (),
    "xvfb-run": ("-n", "-s", "-e", "-f", "-p", "-w", "--server-num", "--server-args"),
    "dumb-init": (),
    "tini": ("-p", "-e"),
    "proxychains": ("-f",),
    "proxychains4": ("-f",),
    "flock": ("-w", "-E", "--timeout", "--conflict-exit-code"),
}


# Of useradd (also busybox's adduser, whose -h is the home, -g the name in full) and Debian's adduser.
_ADD_USER = Program(
    names=("useradd", "adduser"),
    options_with_value=(
        *("-u", "--uid", "-g", "--gid", "-G", "--groups", "--ingroup", "-s", "--shell", "-d", "--home-dir", "--home"),
        *("-h", "-c", "--comment", "--gecos", "-p", "--password", "-k", "--skel", "-b", "--base-dir", "-e", "-f", "-K"),
    ),
)


class Walker:
    """Walks the scripts of one RUN. ``state`` is changed by what lasts: files, settings, users."""

    def __init__(
        self,
        library: Library,
        state: State,
        read_script: Callable[[str], str | None],
        unresolved: Callable[[Span, str], None],
    ) -> None:
        self.library = library
        self.state = state
        self.read_script = read_script
        self.unresolved = unresolved
        self.events: list[Event] = []
        self.wanted: set[tuple[str, str]] = set()  # (recipe id, cache id) that a command reads if it starts a container
        self.variables: dict[str, str | None] = {**state.arguments, **state.environment}
        self.exported: set[str] = set(self.variables)
        self.exports_all = False  # set -a
        self.unknown_options = False  # a variable of the command at hand has no value, and by its name holds options
        self.cwd = state.workdir
        # body, script that its words are in, span to point to when that script is a file
        self.functions: dict[str, tuple[shell.Node, MappedText, Span | None]] = {}
        self.positional: list[str] = []
        self.depth = 0
        self.fixed_span: Span | None = None  # of the command that runs a script kept in a file
        self.current: shell.Command | None = None  # the command that is being walked
        self.decisive: shell.Node | None = None  # the chain by which the script ends: where it fails, there is no layer
        self.texts = 0  # of sh -c and eval, one in the other
        self.sudo = False  # whether sudo runs the shell whose commands are walked
        self.script = MappedText(())
        self.family_bash = state.bash or state.base.sh not in ("dash", "busybox")
        self.steps = 0
        self.trap: tuple[MappedText, shell.Sequence] | None = None
        self.piped_script = ""  # the Python script that the pipe at hand begins with
        self.known_removed: dict[str, tuple[int, bool]] = {}  # by path: how many files were removed, and if it was

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
            self.decisive = _decisive(tree)
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
            key = self.key(node.condition)
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
            test = node is not self.decisive and self.is_test(last)
            if link.operator == "&&":
                holds = condition | {(self.key(last), True)} if test else condition
                done = self.walk(link.second, holds)
                condition = holds
                left = link.second if not test else link
                if done and not test:
                    return True
            else:
                self.walk(link.second, guards | {(self.key(left), False)})
                condition = guards
                left = link
            last = link.second
        return False

    def key(self, node: shell.Node) -> str:
        """Return what two equal conditions have in common."""
        return _raw(node)

    def is_test(self, node: shell.Node) -> bool:
        """Tell whether ``node`` failing is in the way of things: a test, a search, a negation."""
        if isinstance(node, shell.Command):
            word = node.words[0].literal if node.words else None
            if word in ("[", "test") and len(node.words) > 2 and node.words[1].literal in ("-d", "-e"):
                return False  # is there a folder: there is, when something was put in
            if word in ("dpkg", "rpm"):  # they ask with these options, and install with others
                return len(node.words) > 1 and bool(_ASKS.match(node.words[1].literal or ""))
            return word in TESTS or (word == "command" and len(node.words) > 1)
        if isinstance(node, shell.Pipeline):
            return node.negated or self.is_test(node.parts[-1])
        if isinstance(node, shell.AndOr):
            return self.is_test(node.first)
        return isinstance(node, shell.Test)

    def branches(self, node: shell.If, guards: Guards) -> bool:
        """Walk ``if``; each body is under its condition and the failure of those before it."""
        outcomes = []
        for condition, body in node.branches:
            before = len(self.events)
            self.walk(condition, guards)
            key = self.key(condition)
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
        if len(condition.items) != 1 or self.is_test(node := condition.items[0].node):
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
        if node.words is None:
            self.variables[node.name] = None
            self.walk(node.body, guards | {(f"for {node.span.start}", True)})
            return
        values = [value for word in node.words for value in self.expand(word, guards)]
        known = [value for value in values if UNKNOWN not in value and not set(re.sub(r"\\.", "", value)) & set("*?[")]
        if values and len(known) == len(values) and len(values) <= 40:
            for value in values:
                self.variables[node.name] = plain(value)
                self.walk(node.body, guards)
        elif known or values:
            self.variables[node.name] = None
            self.walk(node.body, guards)
        else:
            self.variables[node.name] = None
            self.walk(node.body, guards | {(f"for {node.span.start}", True)})

    def pipeline(self, node: shell.Pipeline, guards: Guards) -> None:
        """Walk a pipeline; each part is a process of its own."""
        if len(node.parts) == 1:
            self.walk(node.parts[0], guards)
            return
        for part in node.parts:
            outer, self.piped_script = self.piped_script, self.downloaded(node.parts[0])
            self.isolated(part, guards)
            self.piped_script = outer
        last = node.parts[-1]
        if isinstance(last, shell.Command) and last.words:
            words = [plain(value) for word in last.words for value in self.expand(word, guards)]
            program = words[0].rpartition("/")[2] if words else ""
            if program == "sudo" and len(words) > 1:
                words = words[1:]
                program = words[0].rpartition("/")[2]
            if program == "tee":
                text = self.printed(node.parts[0], guards)
                for target in words[1:]:
                    if not target.startswith("-"):
                        self.written(target, text)
            elif program in _SHELLS and not any(word.endswith(".sh") for word in words[1:]):
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
            found = [value for word in first.words for value in self.expand(word, guards)]
            if found and plain(found[0]).rpartition("/")[2] == "find":
                self.find([*found, "-delete"], self.place(node.span), guards)
            else:
                self.emit(Remove((UNKNOWN,), True, self.place(node.span), guards, 0))

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
        argv = [value for word in node.words for value in self.expand(word, guards)]
        self.unknown_options = UNKNOWN in argv and any(
            isinstance(part, shell.Parameter) and _HOLDS_OPTIONS.search(part.name)
            for word in node.words
            for part in word.parts
        )
        for redirect in node.redirects:
            if redirect.operator in (">", ">>", "&>", ">|") and redirect.target is not None:
                target = self.value(redirect.target)
                if target is not None:
                    self.written(target, self.printed(node, guards), append=redirect.operator == ">>")
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
            if program not in _WRAPPERS or (program == "command" and argv[1:2] and argv[1] in ("-v", "-V")):
                break
            if program in ("sudo", "doas"):
                sudo = True
            if program == "sudo" and {"-E", "--preserve-env"} & {plain(word) for word in argv[1:4]}:
                inline = {**{name: self.variables[name] for name in self.exported & self.variables.keys()}, **inline}
            user = _other_user(program, [plain(word) for word in argv])
            argv, assigned = _unwrap(program, argv)
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
            self.add_user(words)
        elif program == "rm":
            self.remove(rest, span, guards)
        elif program == "find":
            self.find([argv[0], *rest], span, guards)
        elif program in ("cp", "mv", "install"):
            taken = _few(self.resolve(word) for word in rest if not word.startswith("-"))
            self.emit(Taken(taken, span, 0))
        elif program == "scl" and words[:1] == ["enable"] and len(words) > 2:  # collections, and a command as text
            outer_process = self.enter("", inline, fresh=False)
            self.nested_text(node, None, words[-1], span, guards, rest[-1])
            self.leave(outer_process)
        elif program == "runuser" and words[:1] == ["-u"] and len(words) > 2:
            command = rest[3:] if words[2] == "--" else rest[2:]
            return self.as_user(words[1], command, node, span, guards, inline, sudo=False)
        elif program in _SHELLS or program in ("source", ".", "su", "runuser"):
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
            if found is None and _PYTHON.fullmatch(program):
                found, rest = self.run_by_python(rest)
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
                self.emit(Remove((UNKNOWN,), True, span, guards, 0))  # who knows what it removes
        return False

    def run_by_python(self, rest: list[str]) -> tuple[tuple[Recipe, Program] | None, list[str]]:
        """Return whose module or script the operands of Python name, and what is then the command line.

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
            script = self.piped_script
        if not script.endswith(".py"):
            return None, rest
        return self.library.module(script), [script, *rest[index + 1 :]]

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
            switch = _switch(words)
            user, fresh, text, index = switch.user, switch.login, switch.text, None
        else:
            user, fresh = ("root", True) if sudo else ("", False)
            index, is_text = shell_operand(words)
            text = words[index] if index is not None and is_text else None
        outer = self.enter(user, inline, fresh=fresh)
        if program in _SHELLS:
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
                self.emit(Remove((UNKNOWN,), True, span, guards, 0))  # who knows what it removes
            return
        outer, self.fixed_span = self.fixed_span, self.fixed_span or span
        before = self.cwd, dict(self.variables), dict(self.functions), self.positional
        if arguments or not sourced:
            self.positional = arguments
        self.run(MappedText([(text, 0)]), guards)
        self.fixed_span = outer
        if not sourced:
            self.cwd, self.variables, self.functions, self.positional = before

    def add_user(self, words: list[str]) -> None:
        """Learn a user's home and number from ``useradd`` or ``adduser``."""
        operands, options = split_options(words, _ADD_USER)
        values = dict(option.partition("=")[::2] for option in options)
        home = next((values[name] for name in ("-d", "--home-dir", "--home", "-h") if name in values), "")
        number = next((values[name] for name in ("-u", "--uid") if name in values), "")
        if operands:
            if home.startswith("/"):
                self.state.homes[operands[0]] = home
            if number.isdigit():
                self.state.uids[operands[0]] = number

    # -- removals ------------------------------------------------------------------------------------------------

    def resolve(self, pattern: str) -> str:
        """Return a pattern from the root, ``~`` replaced by the home."""
        if pattern == "~" or pattern.startswith("~/"):
            pattern = self.home() + pattern[1:]
        elif pattern.startswith("~"):
            name, slash, rest = pattern[1:].partition("/")
            pattern = self.state.home(name) + slash + rest
        return absolute(pattern, self.cwd)

    def home(self) -> str:
        """Return the home in force."""
        value = self.variables.get("HOME", "")
        return value if value else self.state.home()

    def remove(self, rest: list[str], span: Span, guards: Guards) -> None:
        """Note what ``rm`` removes."""
        options = [plain(word) for word in rest if word.startswith("-")]
        recursive = any(
            option in ("--recursive",) or (not option.startswith("--") and set(option) & {"r", "R"})
            for option in options
        )
        patterns = _few(self.resolve(word) for word in rest if not word.startswith("-"))
        if patterns:
            self.emit(Remove(patterns, recursive, span, guards, 0))
            for pattern in patterns:
                self.state.removed_files.add(plain(pattern))

    def find(self, argv: list[str], span: Span, guards: Guards) -> None:
        """Note what ``find … -delete`` or ``-exec rm`` removes."""
        words = [plain(word) for word in argv]
        removes = "-delete" in words or any(
            words[i] in ("-exec", "-execdir") and i + 1 < len(words) and words[i + 1].rpartition("/")[2] == "rm"
            for i in range(len(words))
        )
        if not removes:
            return
        starts = _few(
            self.resolve(pattern)
            for pattern, _ in takewhile(
                lambda pair: not pair[1].startswith(("-", "(", "!")), zip(argv[1:], words[1:], strict=True)
            )
        )
        folders = True
        conditions = set(words) & {
            "-name",
            "-iname",
            "-path",
            "-regex",
            "-mtime",
            "-size",
            "-newer",
            "-maxdepth",
            "-user",
        }
        if conditions:
            names = [words[i + 1] for i in range(len(words) - 1) if words[i] in ("-name", "-iname")]
            if not names and conditions & {"-path", "-regex"}:
                starts = _few(f"{start.rstrip('/')}/{UNKNOWN}" for start in starts)
            elif names != ["*"] or conditions != {"-name"}:
                at_any_depth = not {"-maxdepth", "-prune", "-not", "!"} & set(words)
                between = f"/{ANYWHERE}/" if at_any_depth else "/"
                starts = _few(f"{start.rstrip('/')}{between}{name}" for start in starts for name in names)
                folders = words[words.index("-type") + 1 :][:1] != ["f"] if "-type" in words else True
        if starts:
            self.emit(Remove(starts, folders, span, guards, 0))

    def emit(self, event: Event) -> None:
        """Add an event behind those there are."""
        event.order = len(self.events)
        event.command = None if self.fixed_span is not None else self.current
        event.nested = self.fixed_span is not None or self.texts > 0
        self.events.append(event)

    # -- configuration -------------------------------------------------------------------------------------------

    def printed(self, node: shell.Node, guards: Guards) -> str | None:
        """Return what ``echo``, ``printf`` or a here-document prints, None when it is not known."""
        if not isinstance(node, shell.Command) or not node.words:
            return None
        for redirect in node.redirects:
            if redirect.body is not None:
                return redirect.body.text
        argv = [plain(value) for word in node.words for value in self.expand(word, guards)]
        if argv[:1] in (["echo"], ["printf"]):
            text = " ".join(argv[1:]).replace("\\n", "\n").replace("\\t", "\t")
            if argv[0] == "printf" and "%s" in text:
                text = "\n".join(argv[2:])
            return text + "\n"
        return None

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
        """Tell what a command line of a manager fills and empties."""
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
        home = self.state.home("root") if sudo else (environment.get("HOME") or self.home())
        user = "root" if sudo else (self.state.user or self.state.base.user or "root")
        folder = next(
            (
                absolute(option.partition("=")[2], self.cwd)
                for option in options
                if option.partition("=")[0] in program.folder_options
            ),
            self.cwd,
        )
        for sign in recipe.signs:
            if sign.use and matches(sign.use, recipe, program, operands, options, self.state.base):
                self.state.tell_version(sign.of or recipe.id, sign.version)
        base = self.state.base

        def uses(use: Use) -> bool | None:
            if any((recipe.id, name) not in self.state.stored for name in use.with_settings):
                return False
            if any((recipe.id, name) in self.state.stored for name in use.without_settings):
                return False
            return matches(use, recipe, program, operands, options, base)

        def has(option: str) -> bool:
            return has_option(options, option, single_dash=program.single_dash)

        def places(cache: Cache | Payload) -> tuple[str, ...]:
            return cache_paths(recipe, cache, environment, options, home, base, folder, self.state.stored, user)

        line = " ".join(operands)
        for setting in recipe.settings:
            for words_before in setting.set_by:
                if line.startswith(words_before) and (given := line[len(words_before) :].lstrip(" =")):
                    self.state.stored[recipe.id, setting.name] = absolute(given, folder)
            if any(line.startswith(words_before) for words_before in setting.unset_by):
                self.state.stored.pop((recipe.id, setting.name), None)
        verb = " ".join(operands[:1])
        prevented: dict[str, str] = {}
        for prevention in recipe.preventions:
            by = ""
            asked = prevention.use is None or uses(prevention.use)
            if prevention.option:
                if asked and has(prevention.option):
                    by = prevention.option
            elif prevention.variable and asked:
                value = environment.get(prevention.variable, "")
                if value is None or UNKNOWN in value:
                    by = "?"
                elif value and (not prevention.values or value.lower() in prevention.values):
                    by = f"{prevention.variable}={value}"
            elif prevention.setting and line.startswith(prevention.setting):
                value = line[len(prevention.setting) :].strip(" =").lower()
                if not prevention.values or value in prevention.values:
                    if has("--global") or has("-g"):
                        self.state.settings.update((recipe.id, cache) for cache in prevention.caches)
                    self.state.of_home.update((recipe.id, cache, home) for cache in prevention.caches)
            if not by and prevention.option and self.unknown_options:
                by = "?"  # a variable without a value may hold it
            if by:
                for cache_id in prevention.caches:
                    prevented.setdefault(cache_id, by)
        for name in (*(cache.id for cache in recipe.caches), *(payload.id for payload in recipe.payload)):
            if (recipe.id, name) in self.state.settings or (recipe.id, name, home) in self.state.of_home:
                prevented.setdefault(name, "its configuration")
        for cache in recipe.caches:
            if cache.kept_out_by_file and not self.is_removed(cache.kept_out_by_file):
                prevented.setdefault(cache.id, cache.kept_out_by_file)
        cleaned: list[Cleanup] = [cleanup for cleanup in recipe.cleanups if uses(cleanup.use) is not False]
        hazards = tuple(
            hazard
            for hazard in recipe.hazards
            if hazard.use is not None
            and uses(hazard.use)
            and (not hazard.when_prevented or all(prevented.get(cache, "?") != "?" for cache in hazard.when_prevented))
        )
        if cleaned or hazards:
            empties = {c for cleanup in cleaned for c in cleanup.empties}
            self.emit(
                Clean(recipe, {c.id: places(c) for c in recipe.caches if c.id in empties}, hazards, span, guards, 0)
            )
        filled = False
        for cache in recipe.caches:
            if any(uses(use) is not False for use in cache.needed_by):
                self.emit(Need(recipe, cache, 0, span, guards, sudo or self.sudo))
            if any(uses(use) for use in cache.used_at_start_by):
                self.wanted.add((recipe.id, cache.id))
        for cache in recipe.caches:
            fills = [use for use in cache.filled_by if uses(use)]
            if fills:
                filled = True
                paths = places(cache)
                by = prevented.get(cache.id, "")
                if not by and paths and all(path.startswith("/dev/") for path in paths):
                    by = paths[0]  # the build engine mounts /dev, so that it is in no layer
                tops_up = all(use.tops_up for use in fills)
                self.emit(Fill(recipe, cache, paths, span, guards, 0, verb, by, sudo or self.sudo, tops_up))
        for payload in recipe.payload:
            if payload.id not in prevented and any(uses(use) for use in payload.made_by):
                self.emit(Made(recipe, payload, places(payload), span, 0))
        if not filled:
            self.emit(Other(recipe, verb, 0, span))
        self.surplus(recipe, uses, has, environment, span, guards)

    def surplus(
        self,
        recipe: Recipe,
        uses: Callable[[Use], bool | None],
        has: Callable[[str], bool],
        environment: Mapping[str, str | None],
        span: Span,
        guards: Guards,
    ) -> None:
        """Tell what a command installs that the manager could leave out, or take out again what one before it did."""
        for lean in recipe.lean:
            if any(uses(use) for use in lean.removed_by):
                for event in self.events:
                    if isinstance(event, Surplus) and event.lean is lean:
                        event.removed = True
            if not uses(lean.use) or any(map(has, lean.options)):
                continue
            values = {name: environment.get(name, "") for name in lean.variables}
            if any(
                value is None or UNKNOWN in value or value.lower() in lean.variables[name]
                for name, value in values.items()
            ):
                continue
            by_base = lean.id in self.state.base.lean.get(recipe.id, ())
            if not by_base and (recipe.id, lean.id) not in self.state.lean:
                self.emit(Surplus(recipe, lean, span, guards, 0))

    def is_removed(self, path: str) -> bool:
        """Tell whether the build removed a file of the base image."""
        from cleanroom.paths import covers

        known = self.known_removed.get(path)
        if known is None or known[0] != len(self.state.removed_files):
            known = len(self.state.removed_files), any(covers(each, path) for each in self.state.removed_files)
            self.known_removed[path] = known
        return known[1]

    # -- words ---------------------------------------------------------------------------------------------------

    def substitutions(self, word: shell.Word, guards: Guards) -> None:
        """Walk the commands that are substituted in a word."""
        for part in word.parts:
            if isinstance(part, shell.Substitution):
                self.isolated(part.body, guards)
            elif isinstance(part, shell.Parameter) and part.argument is not None:
                self.substitutions(part.argument, guards)

    def value(self, word: shell.Word) -> str | None:
        """Return the text of a word that is not split (an assignment's, a redirect's), None when unknown."""
        if word.literal is not None:
            return word.literal
        text = plain(self.pattern(word)[0])
        return None if UNKNOWN in text else text

    def expand(self, word: shell.Word, guards: Guards) -> list[str]:
        """Return the patterns a word expands to."""
        del guards
        if len(word.parts) == 1 and isinstance(word.parts[0], shell.Literal):
            part = word.parts[0]
            fields = [escape(part.text) if part.quoted else part.text]
        elif len(word.parts) == 1 and isinstance(word.parts[0], shell.Parameter) and word.parts[0].name in "@*":
            return list(self.positional)
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
                    return escape(self.cwd)
                if None not in words:
                    return self.printed_place(" ".join(map(str, words)))
        return UNKNOWN

    def printed_place(self, command: str) -> str:
        """Return what a manager's command prints when asked where a cache is."""
        found = self.library.program(command.partition(" ")[0])
        if found is None:
            return UNKNOWN
        recipe = found[0]
        environment = {name: self.variables[name] for name in self.exported if name in self.variables}
        for cache in recipe.caches:
            for printed in cache.printed_by:
                if printed.command == command:
                    places = cache_paths(
                        recipe, cache, environment, [], self.home(), self.state.base, self.cwd, self.state.stored
                    )
                    if len(places) == 1 and places[0].endswith(printed.below):
                        return places[0].removesuffix(printed.below)
        return UNKNOWN

    def parameter(self, part: shell.Parameter) -> str:
        """Return the value of ``$name``, UNKNOWN when it is not known."""
        name = part.name
        if name.isdigit():
            index = int(name) - 1
            return plain(self.positional[index]) if 0 <= index < len(self.positional) else UNKNOWN
        if name in ("@", "*"):
            return " ".join(plain(word) for word in self.positional)
        if name == "HOME":
            value: str | None = self.home()
        elif name == "PWD":
            value = self.cwd
        else:
            value = self.variables.get(name, UNKNOWN)
        if part.operator == "":
            return UNKNOWN if value is None else value
        argument = self.value(part.argument) if part.argument is not None else ""
        if part.operator in (":-", "-", ":=", "="):
            if value is None or value == UNKNOWN:
                return UNKNOWN if name in self.variables else (UNKNOWN if argument is None else argument)
            return value or (argument if argument is not None else UNKNOWN)
        if part.operator in (":?", "?"):
            return UNKNOWN if value is None else value
        return UNKNOWN


def configure(library: Library, state: State, path: str, text: str, home: str) -> None:
    """Note in ``state`` what the file ``path`` with this ``text`` says: caches prevented or moved, less installed."""
    if len(text) > _LONGEST_SETTINGS:
        return
    folder, _, name = path.rpartition("/")

    def is_meant(file: str) -> bool:
        if file.startswith("./"):
            return fnmatchcase(name, file[2:])
        return fnmatchcase(path, at_home(file, home))

    for recipe in library.about(name):
        for prevention in recipe.preventions:
            meant = next((file for file in prevention.files if is_meant(file)), None)
            if meant is not None and re.search(prevention.pattern, text):
                if meant.startswith("~"):
                    state.of_home.update((recipe.id, cache, home) for cache in prevention.caches)
                else:
                    state.settings.update((recipe.id, cache) for cache in prevention.caches)
        for lean in recipe.lean:
            if any(map(is_meant, lean.files)) and re.search(lean.pattern, text):
                state.lean.add((recipe.id, lean.id))
        for setting in recipe.settings:
            if any(map(is_meant, setting.files)) and (match := re.search(setting.pattern, text)):
                value = match[1].strip().strip("\"'")
                state.stored[recipe.id, setting.name] = UNKNOWN if "$" in value else absolute(value, folder)


def tell_versions(library: Library, state: State, path: str) -> None:
    """Note in ``state`` which versions a file that is now at ``path`` tells of."""
    name = path.rstrip("/").rpartition("/")[2]
    for recipe in library.about(name):
        for sign in recipe.signs:
            if any(fnmatchcase(name, file) for file in sign.files):
                state.tell_version(sign.of or recipe.id, sign.version)


def _few(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns, or one that is unknown when they are more than can be followed."""
    found = tuple(islice(patterns, MAX_OPERANDS + 1))
    return found if len(found) <= MAX_OPERANDS else (UNKNOWN,)


def _unwrap(program: str, argv: list[str]) -> tuple[list[str], dict[str, str | None]]:
    """Return the command that a wrapper such as ``sudo`` or ``env`` runs, and the variables it sets."""
    with_value = _WRAPPERS[program]
    assigned: dict[str, str | None] = {}
    index = 1
    while index < len(argv):
        word = plain(argv[index])
        if word in with_value:
            if program == "env" and word in ("-u", "--unset") and index + 1 < len(argv):
                assigned[plain(argv[index + 1])] = ""
            index += 2
        elif word == "--" or (word.startswith("-") and len(word) > 1):
            index += 1
        elif program in ("env", "sudo") and re.match(r"[A-Za-z_]\w*=", word):
            name, _, value = word.partition("=")
            assigned[name] = None if UNKNOWN in value else value
            index += 1
        else:
            break
    if program in ("timeout", "gosu", "su-exec", "setarch", "flock"):  # a duration, a user, an architecture, a file
        index += 1
    return argv[index:], assigned


def _other_user(program: str, argv: list[str]) -> str:
    """Return the user as whom a wrapper runs its command where that is another than root, else ""."""
    user = ""
    if program in ("gosu", "su-exec") and len(argv) > 2:
        user = argv[1]
    elif program in ("sudo", "doas"):
        for index, word in enumerate(argv[1:], 1):
            if not word.startswith("-"):
                break
            if word in ("-u", "--user") and index + 1 < len(argv):
                user = argv[index + 1]
            elif word.startswith("--user="):
                user = word.removeprefix("--user=")
    user = user.partition(":")[0]
    return "" if user in ("root", "0") else user


@dataclass(slots=True)
class _Process:
    """What a process has for itself."""

    variables: dict[str, str | None]
    exported: set[str]
    exports_all: bool
    cwd: str
    user: str
    sudo: bool
    positional: list[str]


@dataclass(slots=True)
class _Switch:
    """What ``su`` is told: as whom, whether with nothing of the environment, and the commands where they are a text."""

    user: str = "root"
    login: bool = False
    text: str | None = None


_SU_LONG = ("--command", "--session-command", "--group", "--supp-group", "--shell", "--whitelist-environment")


def _switch(words: list[str]) -> _Switch:
    """Read a command line of ``su`` or ``runuser`` (https://man7.org/linux/man-pages/man1/su.1.html)."""
    found = _Switch()
    operands: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            operands += rest
        elif word in ("-", "--login"):
            found.login = True
        elif name in _SU_LONG:
            value = value if equals else next(rest, "")
            if name.endswith("command"):
                found.text = value
        elif word.startswith("-") and not word.startswith("--"):
            cluster = re.match(r"-([^cgGsw]*)([cgGsw]?)(.*)", word, re.DOTALL)
            assert cluster is not None
            found.login = found.login or "l" in cluster[1]
            value = (cluster[3] or next(rest, "")) if cluster[2] else ""
            if cluster[2] == "c":
                found.text = value
        elif not word.startswith("-"):
            operands.append(word)
    found.user = operands[0] if operands else "root"
    return found


def shell_operand(words: list[str]) -> tuple[int | None, bool]:
    """Return the index of the first operand of a shell, and whether that is a text of commands (``-c``) or a file."""
    is_text = False
    index = 1
    while index < len(words) and words[index][:1] in ("-", "+"):
        word = words[index]
        if word in ("-", "--"):
            index += 1
            break
        if re.fullmatch(r"-\w*s\w*", word) and not is_text:
            return None, False  # it reads its commands; what follows is for these
        is_text = is_text or bool(re.fullmatch(r"-\w*c\w*", word))
        # https://www.gnu.org/software/bash/manual/html_node/Invoking-Bash.html
        takes_value = bool(re.fullmatch(r"[-+]\w*[oO]", word)) or word in ("--rcfile", "--init-file")
        index += 2 if takes_value else 1
    return (index, is_text) if index < len(words) else (None, is_text)


def split_options(words: list[str], program: Program) -> tuple[list[str], list[str]]:
    """Return the operands (verb first) and the options of a command line.

    Options keep their value as ``-o=value``, also where it stands in their word (``-ofile``) or behind a cluster
    (``-yo file``). Words that the program takes before the verb (``cargo +nightly build``) are left out.
    """
    operands: list[str] = []
    options: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            operands += words[index:]
            break
        if not word.startswith("-") or len(word) == 1:
            if operands or not any(fnmatchcase(word, before) for before in program.words_before_verb):
                operands.append(word)
            continue
        if not (word in program.options_with_value or word.startswith("--") or program.single_dash):
            for place, letter in enumerate(word[1:], 1):
                if not letter.isalpha():
                    break
                if f"-{letter}" in program.options_with_value:
                    if place > 1:
                        options.append(word[:place])
                    if place + 1 < len(word):
                        options.append(f"-{letter}={word[place + 1 :].removeprefix('=')}")
                        word = ""
                    else:
                        word = f"-{letter}"
                    break
            if not word:
                continue
        if word in program.options_with_value and index < len(words):
            word = f"{word}={words[index]}"
            index += 1
        options.append(word)
    return operands, options


def has_option(options: list[str], wanted: str, *, single_dash: bool = False) -> bool:
    """Tell whether one of ``options`` is ``wanted``, also with a value or in a cluster of single letters."""
    for option in options:
        if option == wanted or option.startswith(f"{wanted}="):
            return True
        if len(wanted) == 2 and not single_dash and option[0] == "-" and option[1:2] != "-":
            name, equals, _ = option.partition("=")
            if wanted[1] in (name[1:2] if equals else name[1:]):
                return True
    return False


def matches(
    use: Use, recipe: Recipe, program: Program, operands: list[str], options: list[str], base: Base
) -> bool | None:
    """Tell whether a command line is of this use; None when it depends on a version that is not known."""
    if use.programs and not set(use.programs) & set(program.names):
        return False
    for verb in use.verbs:
        parts = verb.split()
        behind = operands[max(len(parts), 1) :] if verb == "*" else operands[len(parts) :]
        if verb == "*" or (not verb and not operands):
            break
        if parts and len(operands) >= len(parts) and all(map(_is_word, operands, parts)):
            break
    else:
        return False
    if use.operands and bool(behind) != (use.operands == "some"):
        return False
    if use.code and not any(re.search(use.code, text) for text in (*operands, *options)):
        return False

    def has(option: str) -> bool:
        return has_option(options, option, single_dash=program.single_dash)

    if use.with_options and not any(map(has, use.with_options)):
        return False
    if not all(map(has, use.with_all_options)) or any(map(has, use.without_options)):
        return False
    return applies(use.versions, use.bases, base, recipe.id)


def _is_word(word: str, wanted: str) -> bool:
    return word == wanted or ("*" in wanted and fnmatchcase(word, wanted))


def cache_paths(
    recipe: Recipe,
    cache: Cache | Payload,
    environment: Mapping[str, str | None],
    options: list[str],
    home: str,
    base: Base,
    folder: str = "/",
    stored: Mapping[tuple[str, str], str] = MappingProxyType({}),
    user: str = "root",
) -> tuple[str, ...]:
    """Return where a cache or payload lies, or may lie when that depends on what is not known.

    ``folder`` is where the command works, ``stored`` has the settings of managers, ``user`` is ``?`` when not known.
    """
    found: list[str] = []
    for candidate in cache.paths:
        holds = applies(candidate.versions, candidate.bases, base, recipe.id)
        if holds is False:
            continue
        if name := candidate.with_variable:
            given = environment.get(name, base.environment.get(name, ""))
            if given == "":
                continue
            holds = holds if given else None
        if candidate.user:
            if user == "?":
                holds = None
            elif (candidate.user == "root") != (user.partition(":")[0] in ("root", "0")):
                continue
        path = candidate.path
        if path.startswith("<"):
            name, _, tail = path[1:].partition(">")
            if name.startswith("-"):
                value = next(
                    (given.partition("=")[2] for given in reversed(options) if given.startswith(f"{name}=")),
                    "." if name in options else "",
                )
            else:
                value = stored.get((recipe.id, name), "")
            if not value:
                continue
            path = value + tail
        elif path.startswith("$"):
            match = re.match(r"\$\{?(\w+)\}?", path)
            variable = match[1] if match else ""
            given = environment.get(variable, base.environment.get(variable, ""))
            if given and variable in recipe.lists:
                given = given.partition(recipe.lists[variable])[0]
            if given == "":
                continue
            path = (UNKNOWN if given is None else given) + path[len(match[0]) if match else 0 :]
        if path.startswith("~"):
            path = home + path[1:]
        elif not path.startswith(UNKNOWN):
            path = absolute(path, folder)
        if path not in found:
            found.append(path)
        if holds:
            break
    return tuple(found)


def _decisive(tree: shell.Sequence) -> shell.Node | None:
    """Return the chain of ``&&`` by whose status a script ends, None when it ends by something else."""
    if not tree.items or tree.items[-1].terminator == "&":
        return None
    node = last = tree.items[-1].node
    while isinstance(node, shell.AndOr):
        if node.operator != "&&":
            return None
        node = node.first
    return last


def _raw(node: shell.Node) -> str:
    """Return text by which two equal conditions are told to be equal."""
    return " ".join(word.raw for _, command in shell.commands(node) for word in command.words) or str(node.span.start)
