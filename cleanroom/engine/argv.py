"""Command lines of managers: verb, operands and options, and whether they are of a use that a recipe names."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct

from cleanroom.engine.options import Syntax, has_option, read_options
from cleanroom.recipes.facts import applies
from cleanroom.recipes.model import Base, Program, Recipe, Use


@lru_cache(maxsize=256)
def _syntax(program: Program) -> Syntax:
    return Syntax(
        with_value=frozenset(program.options_with_value),
        single_dash=program.single_dash,
        permutes=True,
        words_before=program.words_before_verb,
    )


def split_options(words: list[str], program: Program) -> tuple[list[str], list[str]]:
    """Return the operands (verb first) and the options of a command line.

    Options keep their value as ``-o=value``, also where it stands in their word (``-ofile``) or behind a cluster
    (``-yo file``). Words that the program takes before the verb (``cargo +nightly build``) are left out.
    """
    line = read_options(words, _syntax(program))
    return [words[index] for index in line.operands], line.options


def matches(
    use: Use, recipe: Recipe, program: Program, operands: list[str], options: list[str], base: Base
) -> bool | None:
    """Return True if a command line is of this use; None when it depends on a version that is not known."""
    if use.programs and not any(name in use.programs for name in program.names):
        return False
    for verb in use.verbs:
        parts = _words(verb)
        if verb == "*" or (not verb and not operands):
            break
        if parts and len(operands) >= len(parts) and all(map(_is_word, operands, parts)):
            break
    else:
        return False
    behind = operands[max(len(parts), 1) :]
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


@lru_cache(maxsize=4096)
def _words(verb: str) -> tuple[str, ...]:
    return tuple(verb.split())


def starts_with(operands: list[str], verb: str) -> bool:
    """Return True if operands begin with the words of a verb, each of which may be a glob."""
    parts = _words(verb)
    return len(operands) >= len(parts) and all(map(_is_word, operands, parts))


def _is_word(word: str, wanted: str) -> bool:
    return word == wanted or ("*" in wanted and fnmatchcase(word, wanted))


class NewUser(Struct, frozen=True):
    """A user that ``useradd`` or ``adduser`` adds; home and number are "" if not given."""

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
