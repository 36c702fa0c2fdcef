"""What a recipe goes by, read from its text without a YAML parser: enough to tell which recipe is wanted.

The canonical form (``cleanroom recipes fmt``) is so regular that lines tell; any other text is left to the parser.
Without regular expressions, since compiling them takes longer than reading fifty recipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from cleanroom.recipes.model import Claims, Recipe

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./~$+*-")
_NAMES = {"id", "aliases", "replaces"}
_TELLING = {"preventions", "settings", "lean", "signs"}


def claims_of(recipe: Recipe) -> Claims:
    """Return what a recipe goes by."""
    telling = (recipe.preventions, recipe.settings, recipe.lean, recipe.signs)
    return Claims(
        recipe.id,
        recipe.aliases,
        tuple((program.names, program.modules) for program in recipe.programs),
        _base_names(file for items in telling for item in items for file in item.files),
        recipe.replaces,
    )


class _UnclearError(Exception):
    """The text is not in the canonical form where it matters."""


def claims_in(text: str) -> Claims | None:
    """Return what the recipe in ``text`` goes by; None where only the YAML parser can tell."""
    try:
        return _read(text)
    except _UnclearError:
        return None


def _read(text: str) -> Claims:
    if "\t" in text or "\r" in text:
        raise _UnclearError
    names: dict[str, tuple[str, ...]] = {}
    programs: list[dict[str, tuple[str, ...]]] = []
    files: list[str] = []
    for key, value, lines in _parts(text):
        if key in _NAMES:
            names[key], line = _values(value, 2, lines)
            if line is not None:
                raise _UnclearError
        elif key == "programs":
            programs = list(_mappings(lines))
        elif key in _TELLING:
            files += _files(lines)
    if len(names.get("id", ())) != 1 or not programs or len(names.get("replaces", ())) > 1:
        raise _UnclearError
    return Claims(
        names["id"][0],
        names.get("aliases", ()),
        tuple((program.get("names", ()), program.get("modules", ())) for program in programs),
        _base_names(files),
        next(iter(names.get("replaces", ())), ""),
    )


def _parts(text: str) -> Iterator[tuple[str, str, Iterator[str]]]:
    """Yield each field of the document: its key, what stands behind it, the lines below it."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    seen = set()
    for start, end in pairwise([*starts, len(lines)]):
        key, value = _key(lines[start])
        if key in seen:
            raise _UnclearError
        seen.add(key)
        yield key, value, iter(lines[start + 1 : end])


def _key(text: str) -> tuple[str, str]:
    """Return a key and what stands behind it."""
    key, colon, value = text.partition(":")
    if not (colon and key.isidentifier() and value[:1] in ("", " ")):
        raise _UnclearError
    return key, value[1:]


def _field(line: str) -> tuple[int, bool, str, str]:
    """Return the column of a key, whether it begins the item of a list, the key, and what stands behind it."""
    rest = line.lstrip(" ")
    column = len(line) - len(rest)
    is_item = rest.startswith("- ")
    if is_item:
        rest, column = rest[2:], column + 2
    return column, is_item, *_key(rest)


def _mappings(lines: Iterator[str]) -> Iterator[dict[str, tuple[str, ...]]]:
    """Yield the items of a list of mappings whose values are text and lists of text."""
    mapping: dict[str, tuple[str, ...]] = {}
    line = _next(lines)
    while line is not None:
        column, is_item, key, value = _field(line)
        if is_item and mapping:
            yield mapping
            mapping = {}
        if column != 4 or key in mapping or not (is_item or mapping):
            raise _UnclearError
        mapping[key], line = _values(value, 6, lines)
    if mapping:
        yield mapping


def _files(lines: Iterator[str]) -> Iterator[str]:
    """Yield all values of the fields ``files`` in a list of mappings."""
    line = next(lines, None)
    while line is not None:
        if "files:" not in line:
            line = next(lines, None)
            continue
        column, _, key, value = _field(line)
        if key != "files" or column != 4:
            raise _UnclearError
        values, line = _values(value, 6, lines)
        yield from values


def _values(value: str, column: int, lines: Iterator[str]) -> tuple[tuple[str, ...], str | None]:
    """Return what stands behind a key, or below it from ``column`` on, as a list, and the line that says more."""
    if value.startswith("["):
        if not value.endswith("]"):
            raise _UnclearError
        found = [*map(_scalar, value[1:-1].split(", "))] if value != "[]" else []
        line = _next(lines)
    elif value:
        found = [_scalar(value)]
        line = _next(lines)
    else:
        found = []
        mark = f"{' ' * column}- "
        line = _next(lines)
        while line is not None and line.startswith(mark):
            found.append(_scalar(line.removeprefix(mark)))
            line = _next(lines)
        if not found:
            raise _UnclearError
    if line is not None and line.startswith(" " * (column - 1)):  # it goes on with the value
        raise _UnclearError
    return tuple(found), line


def _next(lines: Iterator[str]) -> str | None:
    """Return the next line that says something."""
    for line in lines:
        text = line.lstrip(" ")
        if text and text[0] != "#":
            return line
    return None


def _scalar(text: str) -> str:
    quote = text[:1]
    if quote in ("'", '"'):
        body = text[1:-1]
        if len(text) < 2 or text[-1] != quote or quote in body or "\\" in body:
            raise _UnclearError
        return body
    if text in ("", "-", "~") or text[0] == "*" or not _PLAIN.issuperset(text):
        raise _UnclearError
    return text


def _base_names(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({file.rpartition("/")[2] for file in files}))
