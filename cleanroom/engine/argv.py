"""Command lines by the rules of those who read them: options, wrappers such as ``sudo``, shells, managers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import takewhile

from msgspec import Struct

from cleanroom.recipes.facts import applies
from cleanroom.recipes.model import Base, Program, Recipe, Use
from cleanroom.syntax.paths import UNKNOWN, plain

PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"))
# Options of wrappers whose value is the next word.
WRAPPERS: Mapping[str, tuple[str, ...]] = {
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
_SU_LONG = ("--command", "--session-command", "--group", "--supp-group", "--shell", "--whitelist-environment")


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


def unwrap(program: str, argv: list[str]) -> tuple[list[str], dict[str, str | None]]:
    """Return the command that a wrapper such as ``sudo`` or ``env`` runs, and the variables it sets."""
    with_value = WRAPPERS[program]
    assigned: dict[str, str | None] = {}
    index = 1
    while index < len(argv):
        word = plain(argv[index])
        if word in with_value:
            if program == "env" and word in ("-u", "--unset") and index + 1 < len(argv):
                assigned[plain(argv[index + 1])] = ""
            index += 2
        elif word == "--" or (word.startswith("-") and (len(word) > 1 or program == "env")):
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


def drops_environment(program: str, argv: list[str]) -> bool:
    """Tell whether ``env`` runs its command without the environment that is there (``-i``, or ``-`` alone)."""
    options = takewhile(lambda word: word.startswith("-"), argv[1:])
    return program == "env" and not {"-", "-i", "--ignore-environment"}.isdisjoint(options)


def other_user(program: str, argv: list[str]) -> str:
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


class Switch(Struct):
    """What ``su`` is told: as whom, whether with nothing of the environment, and the commands where they are a text."""

    user: str = "root"
    login: bool = False
    text: str | None = None


def read_switch(words: list[str]) -> Switch:
    """Read a command line of ``su`` or ``runuser`` (https://man7.org/linux/man-pages/man1/su.1.html)."""
    found = Switch()
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


class NewUser(Struct, frozen=True):
    """What ``useradd`` or ``adduser`` is told; home and number are "" where it is not told them."""

    name: str
    home: str
    number: str


# Of useradd (also busybox's adduser, whose -h is the home, -g the name in full) and Debian's adduser.
_ADD_USER = Program(
    names=("useradd", "adduser"),
    options_with_value=(
        *("-u", "--uid", "-g", "--gid", "-G", "--groups", "--ingroup", "-s", "--shell", "-d", "--home-dir", "--home"),
        *("-h", "-c", "--comment", "--gecos", "-p", "--password", "-k", "--skel", "-b", "--base-dir", "-e", "-f", "-K"),
    ),
)


def new_user(words: list[str]) -> NewUser | None:
    """Read the words behind ``useradd`` or ``adduser``; None where they name no user."""
    operands, options = split_options(words, _ADD_USER)
    values = dict(option.partition("=")[::2] for option in options)
    home = next((values[name] for name in ("-d", "--home-dir", "--home", "-h") if name in values), "")
    number = next((values[name] for name in ("-u", "--uid") if name in values), "")
    return NewUser(operands[0], home, number) if operands else None
