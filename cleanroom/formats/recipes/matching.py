"""What a linter without a ledger can look for: regular expressions over the text of one RUN instruction.

They know nothing of order, layers, variables or what the base image sets. ``docs/use/exports.md`` says how many of our
findings they miss, and how many false ones they report. They are written for engines without look-around (RE2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from cleanroom.recipes.model import Cache, Program, Recipe, Use
from cleanroom.recipes.rule_ids import label

BLANK = r"(?:[ \t]|\\\r?\n)"  # between words; a line may go on
_BEFORE = (
    r"(?:^|[\n;&|({!]|\b(?:then|do|else|sudo|exec|time|env)\b|[Rr][Uu][Nn]\b)"
    rf"(?:[\s\\]|--?[\w-]+(?:=\S+)?{BLANK}|\w+=\S*{BLANK})*"
)
_REST = r"(?:[^;&|\n\\]|\\\r?\n|\\.)*"  # of a command


class Match(Struct, frozen=True):
    """How one cache of one manager is found. All are regular expressions; ``""`` matches nothing."""

    id: str  # apt.lists
    manager: str
    cache: str
    title: str
    before: str  # what a command follows
    fills: str  # how a command begins that fills it
    rest: str  # what the command goes on with
    prevented: str  # over that command: an option keeps it out
    cleaned: str  # over the RUN: something in it empties the cache, or a mount keeps it out
    variables: str  # over the names and values of an ENV: NAME=VALUE that keeps it out
    remedy: str  # what to write
    option: str  # the option that prevents it, when that is the best remedy
    peers: tuple[str, ...]


def matches(recipes: Iterable[Recipe]) -> Iterator[Match]:
    """Yield what can be looked for: each cache that is reported on its own, and that no file of the base keeps out."""
    for recipe in recipes:
        if recipe.shell:  # not a POSIX shell: the text means something else
            continue
        for cache in recipe.caches:
            if cache.minor or cache.kept_out_by_file:
                continue
            # What only old versions fill is left out where others do too: a RUN does not say which version it runs.
            uses = [use for use in cache.filled_by if not use.versions.startswith("<")] or cache.filled_by
            fills = [text for use in uses if (text := _use(recipe, use, plain_only=True))]
            paths = [text for path in cache.paths if (text := _path(path.path))]
            if not fills:
                continue
            remedy = next((item for item in recipe.remedies if cache.id in item.caches and item.kind != "mount"), None)
            if remedy is None:
                continue
            text = remedy.option or (f"ENV {remedy.variable}={remedy.value}" if remedy.variable else remedy.run)
            yield Match(
                id=label(recipe.id, cache.id),
                manager=recipe.id,
                cache=cache.id,
                title=f"{recipe.name} leaves {cache.what} in the layer",
                before=_BEFORE,
                fills=_any(fills),
                rest=_REST,
                prevented=_any(_prevented(recipe, cache)),
                cleaned=_any(_cleaned(recipe, cache, paths)),
                variables=_any(_variables(recipe, cache)),
                remedy=text,
                option=remedy.option,
                peers=tuple(identifier for ids in recipe.peers.values() for identifier in ids),
            )


def _any(expressions: Iterable[str]) -> str:
    found = list(dict.fromkeys(expressions))
    return f"(?:{'|'.join(found)})" if found else ""


def _glob(name: str) -> str:
    return "".join(r"[\w.+-]*" if character == "*" else re.escape(character) for character in name)


_PYTHON = r"(?:[\w./-]*/)?python[\d.]*"


def _program(program: Program) -> str:
    names = [rf"(?:[\w./-]*/)?{_glob(name)}" for name in program.names]
    modules = [name for name in program.modules if not _is_script(name)]
    names += [rf"{_PYTHON}(?:{BLANK}+-\w)*{BLANK}+-m{BLANK}+{_glob(name)}" for name in modules]
    return _any(names)


def _is_script(name: str) -> bool:
    return name.endswith(".py")


def _script(name: str) -> str:
    """Return the prefixes of command lines that run a Python script.

    From a pipe (``curl … | python``) it is not looked for: the option does not go behind what would be found.
    """
    return rf"{_PYTHON}(?:{BLANK}+-[A-Zbdiqsuvx])*{BLANK}+[\"']?(?:[\w./-]*/)?{re.escape(name)}\b[\"']?"


def _options(program: Program) -> str:
    with_value = _any(re.escape(option) for option in program.options_with_value)
    valued = rf"{BLANK}+{with_value}(?:=|{BLANK}+)[^\s;&|]+|" if with_value else ""
    return rf"(?:{valued}{BLANK}+-[^\s;&|]+)*"


def _use(recipe: Recipe, use: Use, *, plain_only: bool = False) -> str:
    """Return what command lines of this use begin with; nothing where that cannot be said so."""
    if plain_only and (use.with_options or use.bases):
        return ""
    programs = [program for program in recipe.programs if not use.programs or set(use.programs) & set(program.names)]
    scripts = [name for program in programs for name in program.modules if _is_script(name) and name in use.verbs]
    begins = [_script(name) for name in scripts]
    if verbs := [verb for verb in use.verbs if verb and verb != "*" and verb not in scripts]:
        words = _any(rf"{BLANK}+".join(map(re.escape, verb.split())) for verb in verbs)
        begins = [rf"{_program(program)}{_options(program)}{BLANK}+{words}\b" for program in programs] + begins
    return _any(begins)


def _prevented(recipe: Recipe, cache: Cache) -> Iterator[str]:
    for prevention in recipe.preventions:
        if prevention.option and cache.id in prevention.caches:
            yield _option(prevention.option)
    for use in cache.filled_by:
        for option in use.without_options:
            yield _option(option)


def _option(option: str) -> str:
    name, equals, value = option.partition("=")
    if equals and value:
        return rf"{re.escape(name)}(?:=|{BLANK}*){re.escape(value)}"
    return rf"{BLANK}{re.escape(option)}(?:[=\s;&|]|$)"


def _variables(recipe: Recipe, cache: Cache) -> Iterator[str]:
    for prevention in recipe.preventions:
        if prevention.variable and cache.id in prevention.caches:
            values = _any(map(_any_case, prevention.values)) or r"\w+"
            yield rf"\b{re.escape(prevention.variable)}[= ][\"']?{values}\b"


def _any_case(word: str) -> str:
    """Return what matches ``word`` in any case; not every engine knows flags within an expression."""
    return "".join(f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else re.escape(letter) for letter in word)


def _cleaned(recipe: Recipe, cache: Cache, paths: list[str]) -> Iterator[str]:
    for cleanup in recipe.cleanups:
        if cache.id in cleanup.empties and (text := _use(recipe, cleanup.use)):
            options = [_option(option) for option in cleanup.use.with_options]
            yield rf"{text}{_REST}{_any(options)}" if options else text
    if paths:
        yield rf"\brm\b{_REST}{BLANK}[\"']?{_any(paths)}"
        yield rf"\bfind\b{BLANK}+[\"']?{_any(paths)}{_REST}(?:-delete|\brm\b)"
        yield rf"--mount=\S*(?:target|dst|destination)={_any(paths)}"


def _path(path: str) -> str:
    """Return what means ``path``, or a folder above it, in a command; nothing for a path that depends on options."""
    if not path.startswith(("~", "/")):
        return ""
    home = path.startswith("~")
    parts = [part for part in path.removeprefix("~").split("/") if part]
    while parts and any(character in parts[-1] for character in "*?["):
        parts.pop()
    if not parts:
        return ""
    start = r"(?:~|\$\{?HOME\}?|/root|/home/[\w.-]+)" if home else ""
    above = 1 if home else min(2, len(parts))  # from where on a folder is not half the file system
    text = "".join(f"/{re.escape(part)}" for part in parts[:above])
    for part in parts[above:]:
        text += f"(?:/(?:{re.escape(part)}|\\*)"
    return f"{start}{text}{')?' * len(parts[above:])}(?:[/\\s;&|*\"']|$)"
