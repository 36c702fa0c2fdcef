"""Options of command lines, by a table for each program.

One reader for all: POSIX utility syntax (https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap12.html) with
clusters of letters, values in their own word, and GNU long options, also cut short.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

from msgspec import Struct


class Syntax(Struct, frozen=True, kw_only=True):
    """How a program reads its command line."""

    with_value: frozenset[str] = frozenset()  # options whose value is the next word, where it is not in their own
    long: tuple[str, ...] = ()  # all long options, where they may be cut short
    names: Mapping[str, str] = MappingProxyType({})  # long option -> the letter that says the same
    signs: str = "-"  # what options begin with
    single_dash: bool = False  # long options begin with one dash
    permutes: bool = False  # options may stand behind operands
    separate: bool = False  # a value is never in the word of its letter (bash -euo pipefail)
    ends: frozenset[str] = frozenset()  # options behind whose value there are no more (python -m)
    words_before: tuple[str, ...] = ()  # globs over words that are no operands (cargo +nightly)


class Line(Struct, frozen=True):
    """A command line that was read: its options, in full and with ``=value``, and the indexes of its operands."""

    options: list[str]
    operands: list[int]
    end: int  # index of the first operand, or how many words there are

    def has(self, name: str) -> bool:
        """Return True if this option is there."""
        return has_option(self.options, name)

    def value(self, name: str) -> str:
        """Return the value of an option where it was given last, "" where it was not."""
        values = (option.partition("=") for option in reversed(self.options))
        return next((value for given, _, value in values if given == name), "")


def table(spec: str, *, permutes: bool = False, ends: Iterable[str] = ()) -> Syntax:
    """Return the syntax that ``spec`` names: of ``u|user: E|preserve-env``, ``-u`` and ``--user`` take a value.

    The first name is the one by which an option is found in a ``Line``.
    """
    with_value: set[str] = set()
    long: list[str] = []
    names: dict[str, str] = {}
    for item in spec.split():
        same = [f"-{name}" if len(name) == 1 else f"--{name}" for name in item.rstrip(":").split("|")]
        with_value.update(same if item.endswith(":") else ())
        long += [name for name in same if len(name) > 2]
        names.update(dict.fromkeys(same[1:], same[0]))
    return Syntax(
        with_value=frozenset(with_value), long=tuple(long), names=names, permutes=permutes, ends=frozenset(ends)
    )


def read_options(words: Sequence[str], syntax: Syntax, start: int = 0) -> Line:
    """Read a command line from the word ``start`` on.

    An option keeps its value as ``-o=value``, also where it stands in its word (``-ofile``) or behind a cluster
    (``-yo file``, which gives ``-y`` and ``-o=file``).
    """
    options: list[str] = []
    operands: list[int] = []
    index = start
    while index < len(words):
        word = words[index]
        if word == "--":
            index += 1
            break
        if word[:1] in syntax.signs and len(word) > 1:
            index += 1
            found, wants_value = _option(word, syntax)
            if wants_value and index < len(words):
                found[-1] = f"{found[-1]}={words[index]}"
                index += 1
            options += found
            if found[-1].partition("=")[0] in syntax.ends:
                break
        elif not syntax.permutes:
            break
        else:
            if operands or not any(fnmatchcase(word, before) for before in syntax.words_before):
                operands.append(index)
            index += 1
    operands += range(index, len(words))
    return Line(options, operands, operands[0] if operands else len(words))


def _option(word: str, syntax: Syntax) -> tuple[list[str], bool]:
    """Return the options in a word, and whether the last of them takes the next word as its value."""
    if word in syntax.with_value:
        return [syntax.names.get(word, word)], True
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        name = _in_full(name, syntax.long)
        wants = name in syntax.with_value and not equals
        return [syntax.names.get(name, name) + equals + value], wants
    if syntax.single_dash:
        return [word], False
    for place, letter in enumerate(word[1:], 1):
        if not letter.isalnum():
            break
        option = f"{word[0]}{letter}"
        if option in syntax.with_value:
            if syntax.separate:
                rest = word[:place] + word[place + 1 :]
                return [*([rest] if len(rest) > 1 else []), option], True
            before = [word[:place]] if place > 1 else []
            if place + 1 < len(word):
                return [*before, f"{option}={word[place + 1 :].removeprefix('=')}"], False
            return [*before, option], True
    return [word], False


def _in_full(name: str, names: Iterable[str]) -> str:
    """Return the long option that ``name`` is, or is the beginning of."""
    meant = [other for other in names if other.startswith(name)]
    return name if name in meant or len(meant) != 1 else meant[0]


def has_option(options: Iterable[str], wanted: str, *, single_dash: bool = False) -> bool:
    """Return True if one of ``options`` is ``wanted``, also with a value or in a cluster of single letters."""
    for option in options:
        if option == wanted or option.startswith(f"{wanted}="):
            return True
        if len(wanted) == 2 and not single_dash and option[0] == wanted[0] and option[1:2] not in ("-", ""):
            name, equals, _ = option.partition("=")
            if wanted[1] in (name[1:2] if equals else name[1:]):
                return True
    return False


PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"))
# https://www.gnu.org/software/bash/manual/html_node/Invoking-Bash.html
_SHELL = Syntax(with_value=frozenset(("-o", "-O", "+o", "+O", "--rcfile", "--init-file")), signs="-+", separate=True)
# https://docs.python.org/3/using/cmdline.html
_PYTHON = table("c: m: W: X: Q: check-hash-based-pycs:", ends=("-c", "-m"))
# https://man7.org/linux/man-pages/man1/su.1.html
_SU = table(
    "c|command|session-command: f|fast g|group: G|supp-group: l|login m|p|preserve-environment P|pty s|shell: T|no-pty "
    "w|whitelist-environment:",
    permutes=True,
)


class ShellLine(Struct, frozen=True):
    """What a shell runs."""

    text: int | None = None  # index of the text behind -c
    script: int | None = None  # index of the file
    arguments: int = 0  # index of the first positional parameter


def read_shell(words: Sequence[str]) -> ShellLine:
    """Read the command line of a shell, its name included. Without text and file it reads its commands."""
    line = read_options(words, _SHELL, 1)
    end = line.end
    if words[1:2] == ["-"]:
        end += 1
    if end >= len(words):
        return ShellLine(arguments=len(words))
    if line.has("-c"):
        return ShellLine(text=end, arguments=end + 2)
    if line.has("-s"):
        return ShellLine(arguments=end)
    return ShellLine(script=end, arguments=end + 1)


class PythonLine(Struct, frozen=True):
    """What Python runs: a module, program text, or a script (``-`` for its input)."""

    module: str = ""
    text: str = ""
    script: str = ""
    arguments: int = 0  # index of the first word behind it


def read_python(words: Sequence[str]) -> PythonLine:
    """Read the words behind ``python``."""
    line = read_options(words, _PYTHON)
    if module := line.value("-m"):
        return PythonLine(module=module, arguments=line.end)
    if line.has("-c"):
        return PythonLine(text=line.value("-c"), arguments=line.end)
    return PythonLine(script=words[line.end] if line.end < len(words) else "-", arguments=line.end + 1)


class SwitchLine(Struct, frozen=True):
    """A call of ``su``: the user, whether the environment is cleared, and the commands of ``-c``."""

    user: str
    login: bool
    text: str | None


def read_su(words: Sequence[str]) -> SwitchLine:
    """Read the words behind ``su``, or ``runuser`` without ``-u``."""
    line = read_options(words, _SU)
    operands = [words[index] for index in line.operands]
    login = operands[:1] == ["-"]
    user = next(iter(operands[login:]), "root")
    return SwitchLine(user, login or line.has("-l"), line.value("-c") if line.has("-c") else None)
