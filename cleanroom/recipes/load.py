"""YAML -> Recipe and Base; the first problem with file, line and column. What else is wrong, ``validate`` says."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, TypeAlias, TypeVar

import yaml
from msgspec import Struct
from msgspec.structs import fields, replace

from cleanroom.recipes import measurements
from cleanroom.recipes.model import FOLDER, Base, Recipe, RecipeError, RecipeProblem
from cleanroom.recipes.yaml import MisfitError, compose, pairs_of, problem_at, text_of, value_of

RECIPES = Path(FOLDER)
T = TypeVar("T")
_Read: TypeAlias = "Callable[[yaml.Node], Any]"


class Bases(Struct, frozen=True, kw_only=True):
    """The root of ``bases.yaml``."""

    bases: tuple[Base, ...]


def parse_recipe(text: str | bytes, file: str) -> Recipe:
    """Return the recipe that the YAML ``text`` says.

    Checks no more than it must to build one; for text from others, ask ``validate_recipe`` first.
    Raises RecipeError at the first problem.
    """
    return replace(_parse(Recipe, text, file), origin=file)


def with_measures(recipe: Recipe) -> Recipe:
    """Return a recipe with the sizes that were measured of it (``proofs/<id>.json`` beside it) as its typical ones.

    Raises RecipeError for a record that cannot be read.
    """
    try:
        record = measurements.record_of(recipe)
    except ValueError as error:
        raise RecipeError([RecipeProblem(measurements.path_of(recipe), 1, 1, str(error))]) from None
    return measurements.with_sizes(recipe, record) if record.proofs else recipe


def parse_bases(text: str | bytes, file: str) -> tuple[Base, ...]:
    """Return the bases that the YAML ``text`` lists under ``bases``. Raises RecipeError at the first problem."""
    return _parse(Bases, text, file).bases


def _parse(record: type[T], text: str | bytes, file: str) -> T:
    try:
        result: T = _read_record(record, compose(text, file))
    except MisfitError as error:
        raise RecipeError([problem_at(file, error.node.start_mark, str(error))]) from None
    return result


def _read_record(record: Any, node: yaml.Node) -> Any:
    """Return a ``record`` (a record class) with the fields that the mapping ``node`` gives. Raises MisfitError."""
    readers, required = _readers(record)
    values: dict[str, Any] = {}
    for key, value in pairs_of(node):
        if key.value not in readers:
            raise MisfitError(key, f"unknown field {key.value!r}")
        if key.value in values:
            raise MisfitError(key, f"the field {key.value!r} stands twice")
        values[key.value] = readers[key.value](value)
    if missing := required - values.keys():
        raise MisfitError(node, f"missing field {min(missing)!r}")
    return record(**values)


@functools.cache
def _readers(record: type) -> tuple[Mapping[str, _Read], frozenset[str]]:
    """Return a reader for each field of a record, and the fields that must be given."""
    hints = typing.get_type_hints(record)
    readers = {field: _reader(hints[field]) for field in field_names(record)}
    required = {field.name for field in fields(record) if field.required}
    return readers, frozenset(required)


def field_names(record: Any) -> list[str]:
    """Return the fields of a record class that its YAML form has, in canonical order."""
    return [field.name for field in fields(record) if field.name != "origin"]


def _reader(hint: Any) -> _Read:
    """Return the function that reads a node as the type ``hint``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return functools.partial(_read_list, _reader(arguments[0]))
    if origin is Mapping:
        return functools.partial(_read_mapping, _reader(arguments[1]))
    if origin is UnionType:  # X | None: None is the default, and cannot be written
        return _reader(arguments[0])
    scalars: Mapping[Any, _Read] = {str: text_of, int: _read_integer, bool: _read_boolean}
    return scalars.get(hint) or functools.partial(_read_record, hint)


def _read_list(read: _Read, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise MisfitError(node, "must be a list")
    return tuple([read(item) for item in node.value])


def _read_mapping(read: _Read, node: yaml.Node) -> Mapping[str, Any]:
    return MappingProxyType({key.value: read(value) for key, value in pairs_of(node)})


def _read_integer(node: yaml.Node) -> int:
    value = value_of(node)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MisfitError(node, "must be a whole number")
    return value


def _read_boolean(node: yaml.Node) -> bool:
    value = value_of(node)
    if not isinstance(value, bool):
        raise MisfitError(node, "must be true or false")
    return value
