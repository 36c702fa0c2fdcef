"""Calls of programs: what stands behind ``sudo``, ``env``, ``xargs`` and other programs that run another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.events import Guards
from cleanroom.engine.options import Line, Syntax, read_options, table
from cleanroom.engine.process import Process
from cleanroom.syntax import shell
from cleanroom.syntax.paths import UNKNOWN, escape, plain
from cleanroom.syntax.text import Span

_MAX_WRAPPERS = 12  # in front of one command
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
Environment = Mapping[str, str | None]
_NOTHING: Environment = MappingProxyType({})


class Call(Struct, frozen=True):
    """A command line, and what it runs with. ``argv`` holds patterns."""

    argv: list[str]
    node: shell.Command | None  # where it stands in a script; None where another program put it together
    span: Span
    guards: Guards
    environment: Environment = _NOTHING  # besides that of the process
    fresh: bool = False  # nothing of the environment of the process
    user: str = ""  # who runs it; "" for the user of the process
    sudo: bool = False  # sudo has root run it
    folder: str = ""  # where it runs; "" for the folder of the process
    wrappers: tuple[str, ...] = ()  # the programs that stood in front of it
    hidden_options: bool = False  # a variable among its words has no value, and by its name holds options

    @property
    def name(self) -> str:
        """The program as it is called, with its folder where that is named."""
        return plain(self.argv[0])

    @property
    def program(self) -> str:
        """The base name of the program."""
        return self.name.rpartition("/")[2]

    @property
    def first(self) -> str:
        """The first word as text, "" where there is none."""
        return plain(self.argv[0]) if self.argv else ""

    @property
    def words(self) -> list[str]:
        """What stands behind the program, as text."""
        return [plain(word) for word in self.argv[1:]]

    @property
    def is_by_shell(self) -> bool:
        """Return True if the shell itself looks the program up, so that it may be a function."""
        return not self.wrappers or set(self.wrappers) == {"time"}

    def to(self, argv: list[str]) -> Call:
        """Return the call of another program by this one."""
        return replace(self, argv=argv, node=None)


class Wrapper(Struct, frozen=True):
    """A program that runs another, which stands behind its options and as many operands."""

    options: Syntax = Syntax()
    operands: int = 0
    read: Callable[[Call, Line, Process], Call | None] | None = None  # None from it: it runs no other program


def _sudo(call: Call, line: Line, process: Process) -> Call:
    """Read ``sudo`` (https://www.sudo.ws/docs/man/sudo.man/): the environment is a new one but for what it keeps."""
    kept = next((option for option in line.options if option.startswith("-E=")), "")
    environment: dict[str, str | None] = {}
    if kept or line.has("-E"):
        environment = {**({} if call.fresh else process.environment()), **call.environment}
    if kept:
        names = kept.removeprefix("-E=").split(",")
        environment = {name: value for name, value in environment.items() if name in names}
    return _as(
        replace(call, environment=environment, fresh=True, folder=line.value("-D") or call.folder), line.value("-u")
    )


def _doas(call: Call, line: Line, _process: Process) -> Call:
    return _as(replace(call, environment={}, fresh=True), line.value("-u"))


def _as(call: Call, user: str) -> Call:
    """Return the call as sudo's ``user`` runs it; without one, or as root, it is one by sudo."""
    name = user.partition(":")[0].removeprefix("#")
    by_root = name in ("", "root", "0")
    return replace(call, user="root" if by_root else name, sudo=by_root)


def _switched(call: Call, user: str) -> Call:
    """Return the call as another user runs it whom root becomes (``gosu``)."""
    name = user.partition(":")[0]
    return call if name in ("", "root", "0") else replace(call, user=name, sudo=False)


def _env(call: Call, line: Line, process: Process) -> Call:
    """Read ``env`` (https://www.gnu.org/software/coreutils/manual/html_node/env-invocation.html)."""
    environment = dict(call.environment)
    argv = call.argv
    if line.has("-i") or call.first == "-":
        environment = dict.fromkeys(process.exported, "")
        argv = argv[call.first == "-" :]
    for option in line.options:
        name, _, value = option.partition("=")
        if name == "-u":
            environment[value] = ""
        elif name == "-S":
            argv = ["env", *map(escape, _split(value)), *argv]
    return replace(call, argv=argv, environment=environment, folder=line.value("-C") or call.folder)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [UNKNOWN]


def _first_operand(call: Call, _line: Line, _process: Process) -> Call:
    """Read a program whose first operand is the user (``gosu``)."""
    return replace(_switched(call, call.first), argv=call.argv[1:])


def _by_option(call: Call, line: Line, _process: Process) -> Call:
    return _switched(call, line.value("-u"))


def _chroot(call: Call, line: Line, _process: Process) -> Call | None:
    """Read ``chroot``; what works below another root is not followed."""
    return replace(_switched(call, line.value("-u")), argv=call.argv[1:]) if call.first == "/" else None


def _only_with_user(call: Call, line: Line, _process: Process) -> Call | None:
    return _switched(call, line.value("-u")) if line.value("-u") else None


def _runs(call: Call, line: Line, _process: Process) -> Call | None:
    """Read ``command``, which with ``-v`` only says where a program is."""
    return None if line.has("-v") or line.has("-V") else call


_PLAIN = Wrapper()
_USER_FIRST = Wrapper(read=_first_operand)
_PROXY = Wrapper(table("f:"))
# Options with a value, and those that change who runs the program and with what. Of all others the name is enough.
WRAPPERS: Mapping[str, Wrapper] = {
    "sudo": Wrapper(
        table(
            "u|user: g|group: h|host: p|prompt: C|close-from: D|chdir: R|chroot: T|command-timeout: U|other-user: "
            "r|role: t|type: a: c: E|preserve-env H|set-home i|login s|shell n|non-interactive S|stdin b|background "
            "k|reset-timestamp preserve-groups"
        ),
        read=_sudo,
    ),
    "doas": Wrapper(table("u: C: a:"), read=_doas),
    "env": Wrapper(
        table(
            "u|unset: C|chdir: S|split-string: a|argv0: i|ignore-environment 0|null v|debug block-signal "
            "default-signal ignore-signal list-signal-handling"
        ),
        read=_env,
    ),
    "exec": Wrapper(table("a:")),
    "command": Wrapper(read=_runs),
    "builtin": _PLAIN,
    "time": Wrapper(table("f|format: o|output: a|append p|portability v|verbose q|quiet")),
    "nice": Wrapper(table("n|adjustment:")),
    "ionice": Wrapper(table("c|class: n|classdata: p|pid: P|pgid: u|uid: t|ignore")),
    "nohup": _PLAIN,
    "setsid": Wrapper(table("c|ctty f|fork w|wait")),
    "timeout": Wrapper(table("s|signal: k|kill-after: f|foreground p|preserve-status v|verbose"), operands=1),
    "stdbuf": Wrapper(table("i|input: o|output: e|error:")),
    "xargs": Wrapper(
        table(
            "n|max-args: P|max-procs: I: L: d|delimiter: a|arg-file: s|max-chars: E: 0|null r|no-run-if-empty x|exit "
            "t|verbose p|interactive o|open-tty replace max-lines eof process-slot-var: show-limits"
        )
    ),
    "gosu": _USER_FIRST,
    "su-exec": _USER_FIRST,
    "setuser": _USER_FIRST,
    "s6-setuidgid": _USER_FIRST,
    "setpriv": Wrapper(
        table(
            "u|reuid: ruid: euid: g|regid: rgid: egid: groups: clear-groups keep-groups init-groups inh-caps: "
            "ambient-caps: bounding-set: securebits: no-new-privs nnp pdeathsig: selinux-label: apparmor-profile: "
            "reset-env list-caps"
        ),
        read=_by_option,
    ),
    "runuser": Wrapper(
        table("u|user: g|group: G|supp-group: l|login m|p|preserve-environment w|whitelist-environment: c|command:"),
        read=_only_with_user,
    ),
    "chroot": Wrapper(table("u|userspec: groups: skip-chdir"), read=_chroot),
    "eatmydata": _PLAIN,
    "fakeroot": Wrapper(table("l|lib: s: i: b: f|faked: u|unknown-is-real")),
    "linux32": _PLAIN,
    "linux64": _PLAIN,
    "setarch": Wrapper(operands=1),
    "catchsegv": _PLAIN,
    "retry": Wrapper(table("t|times: d|delay: m|max: u|until:")),
    "unbuffer": _PLAIN,
    "chronic": _PLAIN,
    "taskset": Wrapper(operands=1),
    "faketime": Wrapper(table("f m p:"), operands=1),
    "xvfb-run": Wrapper(table("n|server-num: s|server-args: e|error-file: f|auth-file: p|xauth-protocol: w|wait:")),
    "dumb-init": Wrapper(table("r|rewrite: c|single-child v|verbose")),
    "tini": Wrapper(table("p: e:")),
    "proxychains": _PROXY,
    "proxychains4": _PROXY,
    "flock": Wrapper(
        table("w|wait|timeout: E|conflict-exit-code: e|x|exclusive s|shared n|nb|nonblock u|unlock o|close F|no-fork"),
        operands=1,
    ),
}


def unwrap(call: Call, process: Process) -> Call:
    """Return the call of the program that wrappers such as ``sudo`` and ``env`` run; without words where none does."""
    for _ in range(_MAX_WRAPPERS):
        if not call.argv or (wrapper := WRAPPERS.get(call.program)) is None:
            return call
        line = read_options(call.words, wrapper.options)
        inner = replace(
            call, argv=call.argv[1 + line.end + wrapper.operands :], wrappers=(*call.wrappers, call.program)
        )
        found = wrapper.read(inner, line, process) if wrapper.read else inner
        if found is None:
            return call
        call = found
        if inner.wrappers[-1] in ("env", "sudo"):
            call = _assigned(call)
    return replace(call, argv=[])


def _assigned(call: Call) -> Call:
    """Return the call with the assignments in front of it in its environment."""
    environment = dict(call.environment)
    index = 0
    while index < len(call.argv) and _ASSIGNED.match(word := plain(call.argv[index])):
        name, _, value = word.partition("=")
        environment[name] = None if UNKNOWN in value else value
        index += 1
    return replace(call, argv=call.argv[index:], environment=environment) if index else call
