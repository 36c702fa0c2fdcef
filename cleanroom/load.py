"""YAML -> Recipe and Base, every problem with file, line and column; and the one canonical form of the text.

Recipes are written in a plain subset of YAML: mappings, lists, text, whole numbers, ``true`` and ``false``. Anything
else that a plain scalar may mean to some reader (``no``, ``1.10``, ``2026-01-01``, ``1:20``) is text here, and
``validate_*`` asks for quotes around it. Anchors, aliases and tags are refused.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import re
import typing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import yaml

from cleanroom import proved
from cleanroom.recipe import FOLDER, Base, Recipe
from cleanroom.records import dataclass
from cleanroom.text import Source

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

RECIPES = Path(FOLDER)
MAX_SIZE = 256 * 1024  # characters or bytes
LINE_LIMIT = 100  # columns, of a list on one line

T = TypeVar("T")
Place: TypeAlias = "tuple[str | int, ...]"  # keys and indices from the root to a value


@dataclass(frozen=True, slots=True, order=True)
class RecipeProblem:
    """What is wrong with a recipe, and where: ``line`` and ``column`` are 1-based, columns count characters."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RecipeError(ValueError):
    """Text that is no recipe; ``problems`` says why."""

    def __init__(self, problems: Sequence[RecipeProblem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


# -- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bases:
    """The root of ``bases.yaml``."""

    bases: tuple[Base, ...]


def parse_recipe(text: str | bytes, file: str) -> Recipe:
    """Return the recipe that the YAML ``text`` says.

    Checks no more than it must to build one; for text from others, ask ``validate_recipe`` first.
    Raises RecipeError at the first problem.
    """
    return dataclasses.replace(_parse(Recipe, text, file), origin=file)


def with_measures(recipe: Recipe) -> Recipe:
    """Return a recipe with the sizes that were measured of it (``proofs/<id>.json`` beside it) as its typical ones.

    Raises RecipeError for a record that cannot be read.
    """
    try:
        record = proved.record_of(recipe)
    except ValueError as error:
        raise RecipeError([RecipeProblem(proved.path_of(recipe), 1, 1, str(error))]) from None
    return proved.with_sizes(recipe, record) if record.proofs else recipe


def parse_bases(text: str | bytes, file: str) -> tuple[Base, ...]:
    """Return the bases that the YAML ``text`` lists under ``bases``. Raises RecipeError at the first problem."""
    return _parse(_Bases, text, file).bases


class _MisfitError(Exception):
    """A node that is not what is expected in its place."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def _parse(record: type[T], text: str | bytes, file: str) -> T:
    try:
        result: T = _read_record(record, _compose(text, file))
    except _MisfitError as error:
        raise RecipeError([_problem(file, error.node.start_mark, str(error))]) from None
    return result


# libyaml walks nested nodes by recursion in C, without a limit: what could overflow its stack must not reach it.
_DEEP = re.compile(r"[ \t?:-]{200}")
_MAX_FLOWS = 1000
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _problem(file: str, mark: Any, message: str) -> RecipeProblem:
    """Return a problem at a pyyaml mark, which counts from 0."""
    return RecipeProblem(file, mark.line + 1, mark.column + 1, message)


def _decode(raw: str | bytes, file: str) -> str:
    """Return the text. Raises RecipeError when it is too large, is not UTF-8 or could exhaust the YAML parser."""
    if len(raw) > MAX_SIZE:
        raise RecipeError([RecipeProblem(file, 1, 1, f"the file is larger than {MAX_SIZE // 1024} KiB")])
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        line, column = Source(before).position(len(before))
        raise RecipeError([RecipeProblem(file, line, column, "this is not UTF-8")]) from None
    text = text.removeprefix("\ufeff")
    if text.count("[") + text.count("{") > _MAX_FLOWS or _DEEP.search(text):
        raise RecipeError([RecipeProblem(file, 1, 1, "nested too deep")])
    return text


def _compose(text: str | bytes, file: str) -> yaml.Node:
    """Return the root node of the one YAML document in ``text``. Raises RecipeError when there is none."""
    text = _decode(text, file)
    try:
        root = yaml.compose(text, _Loader)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        if found := _UNPRINTABLE.search(text):
            line, column = Source(text).position(found.start())
            problem = RecipeProblem(file, line, column, f"the character U+{ord(found.group()):04X} is not allowed")
        elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            context = f"{error.context}, " if error.context else ""
            problem = _problem(file, error.problem_mark, f"not valid YAML: {context}{error.problem}")
        else:
            problem = RecipeProblem(file, 1, 1, f"not valid YAML: {error}")
        raise RecipeError([problem]) from None
    except RecursionError:  # of the pure Python loader
        raise RecipeError([RecipeProblem(file, 1, 1, "nested too deep")]) from None
    if root is None:
        raise RecipeError([RecipeProblem(file, 1, 1, "the file says nothing")])
    return root


if TYPE_CHECKING:
    from yaml import CSafeLoader as _FastLoader
else:
    _FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FastLoader):
    """Composes nodes without guessing what plain scalars mean: each place knows what it expects."""

    def resolve(self, *_: object) -> str:
        return ""


def _is_plain(node: yaml.ScalarNode) -> bool:
    return not node.style  # None or "", by loader


def _read_record(record: Any, node: yaml.Node) -> Any:
    """Return a ``record`` (a dataclass) with the fields that the mapping ``node`` gives. Raises _MisfitError."""
    readers, required = _readers(record)
    values: dict[str, Any] = {}
    for key, value in _pairs(node):
        if key.value not in readers:
            raise _MisfitError(key, f"unknown field {key.value!r}")
        if key.value in values:
            raise _MisfitError(key, f"the field {key.value!r} stands twice")
        values[key.value] = readers[key.value](value)
    if missing := required - values.keys():
        raise _MisfitError(node, f"missing field {min(missing)!r}")
    return record(**values)


_Read: TypeAlias = "Callable[[yaml.Node], Any]"


@functools.cache
def _readers(record: type) -> tuple[Mapping[str, _Read], frozenset[str]]:
    """Return a reader for each field of a record, and the fields that must be given."""
    hints = typing.get_type_hints(record)
    readers = {field: _reader(hints[field]) for field in field_names(record)}
    required = {field.name for field in dataclasses.fields(record) if _is_required(field)}
    return readers, frozenset(required)


def field_names(record: Any) -> list[str]:
    """Return the fields of a record class that its YAML form has, in canonical order."""
    return [field.name for field in dataclasses.fields(record) if field.name != "origin"]


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _reader(hint: Any) -> _Read:
    """Return the function that reads a node as the type ``hint``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return functools.partial(_read_list, _reader(arguments[0]))
    if origin is Mapping:
        return functools.partial(_read_mapping, _reader(arguments[1]))
    if origin is UnionType:  # X | None: None is the default, and cannot be written
        return _reader(arguments[0])
    scalars: Mapping[Any, _Read] = {str: _read_text, int: _read_integer, bool: _read_boolean}
    return scalars.get(hint) or functools.partial(_read_record, hint)


def _pairs(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the keys and values of a mapping. Raises _MisfitError when it is none, or a key is no word."""
    if not isinstance(node, yaml.MappingNode):
        raise _MisfitError(node, "must be a mapping")
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _MisfitError(key, "a key must be a word")
    return typing.cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value)


def _read_list(read: _Read, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _MisfitError(node, "must be a list")
    return tuple([read(item) for item in node.value])


def _read_mapping(read: _Read, node: yaml.Node) -> Mapping[str, Any]:
    return MappingProxyType({key.value: read(value) for key, value in _pairs(node)})


def _read_text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _MisfitError(node, "must be text")
    return typing.cast("str", node.value)


def _read_integer(node: yaml.Node) -> int:
    value = _scalar_value(node)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _MisfitError(node, "must be a whole number")
    return value


def _read_boolean(node: yaml.Node) -> bool:
    value = _scalar_value(node)
    if not isinstance(value, bool):
        raise _MisfitError(node, "must be true or false")
    return value


_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def _scalar_value(node: yaml.Node) -> str | int | bool:
    """Return what a scalar node says: of plain ones only ``true``, ``false`` and whole numbers are no text."""
    text = _read_text(node)
    if not _is_plain(typing.cast("yaml.ScalarNode", node)):
        return text
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) else text


# -- validating --------------------------------------------------------------------------------------------------------


def validate_recipe(text: str | bytes, file: str) -> list[RecipeProblem]:
    """Return all that is wrong with the text of one recipe, by position."""
    return _validate(text, file, "recipe.schema.json", _recipe_problems)


def validate_record(text: str | bytes, file: str) -> list[RecipeProblem]:
    """Return all that is wrong with the text of a record of proofs (``proofs/<id>.json``)."""
    try:
        data = json.loads(_decode(text, file))
    except json.JSONDecodeError as error:
        return [RecipeProblem(file, error.lineno, error.colno, f"not valid JSON: {error.msg}")]
    except RecursionError:
        return [RecipeProblem(file, 1, 1, "nested too deep")]
    except RecipeError as error:
        return list(error.problems)
    return [
        RecipeProblem(file, 1, 1, f"{'/'.join(map(str, fault.absolute_path)) or 'the record'}: {fault.message}")
        for fault in _validator("proofs/proof.schema.json").iter_errors(data)
    ]


def validate_bases(text: str | bytes, file: str) -> list[RecipeProblem]:
    """Return all that is wrong with the text of a ``bases.yaml``, by position."""
    return _validate(text, file, "bases.schema.json", lambda _: iter(()))


def validate_set(recipes: Sequence[Recipe]) -> list[RecipeProblem]:
    """Return what is wrong between recipes: names, executables and modules claimed twice, ``replaces`` of nothing.

    A recipe that another one replaces claims nothing. Several may fill the same path (yum, dnf and microdnf do).
    """
    problems = []
    for recipe in recipes:
        if recipe.replaces and not any(other.id == recipe.replaces for other in recipes if other is not recipe):
            hint = _did_you_mean(recipe.replaces, [other.id for other in recipes if other is not recipe])
            message = f"replaces {recipe.replaces!r}, which is no other recipe{hint}"
            problems.append(RecipeProblem(recipe.origin, 1, 1, message))
    replaced = {recipe.replaces for recipe in recipes if recipe.replaces}
    claims: defaultdict[tuple[str, str], list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        if recipe.replaces:
            claims["place of", recipe.replaces].append(recipe)
        elif recipe.id in replaced:
            continue
        for name in {recipe.id, *recipe.aliases}:
            claims["name", name].append(recipe)
        for name in {name for program in recipe.programs for name in program.names}:
            claims["executable", name].append(recipe)
        for name in {name for program in recipe.programs for name in program.modules}:
            claims["Python module", name].append(recipe)
    for (kind, name), claimants in claims.items():
        if len(claimants) > 1:
            who = " and ".join(f"{recipe.id} ({recipe.origin})" for recipe in claimants)
            problems.append(RecipeProblem(claimants[-1].origin, 1, 1, f"the {kind} {name!r} is claimed by {who}"))
    return sorted(problems)


@dataclass(frozen=True, slots=True)
class _Document:
    """A file as plain data, the node of every value and key in it, and what is wrong with the YAML as such."""

    data: Any
    values: Mapping[Place, yaml.Node]
    keys: Mapping[Place, yaml.Node]
    problems: Sequence[tuple[yaml.Node, str]]
    misread: Mapping[Place, str]  # plain scalars that other readers do not take for text, and what they take them for
    empty: frozenset[Place]  # where a value is missing


def _validate(
    text: str | bytes, file: str, schema: str, semantics: Callable[[Any], Iterator[tuple[Place, str]]]
) -> list[RecipeProblem]:
    try:
        document = _document(compose(text, file))
    except RecipeError as error:
        return list(error.problems)
    found: list[tuple[yaml.Node, str]] = [*document.problems]
    found += [(document.values[place], "the value is missing") for place in document.empty]
    refused = set(document.empty)
    for fault in _validator(schema).iter_errors(document.data):
        place = tuple(fault.absolute_path)
        if place not in document.empty:
            refused.add(place)
            found += _schema_problems(fault, place, document)
    for place, meaning in document.misread.items():
        if place not in refused:
            node = document.values.get(place) or document.keys[place]
            found.append((node, f'write "{node.value}" in quotes: other YAML readers take it for {meaning}'))
    found += [(document.values[place], message) for place, message in semantics(document.data)]
    return sorted({_problem(file, node.start_mark, message) for node, message in found})


def compose(text: str | bytes, file: str) -> yaml.Node:
    """Return the root node. Raises RecipeError also for anchors, aliases and tags.

    They can make a small file large, and data into objects.
    """
    root = _compose(text, file)
    problems = []
    for event in yaml.parse(_decode(text, file), _Loader):
        if isinstance(event, yaml.NodeEvent):
            refused = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else ""
            refused = refused or (f"&{event.anchor}" if event.anchor else "") or (getattr(event, "tag", "") or "")
            if refused:
                message = f"{refused}: recipes have no anchors, aliases and tags; write the value out"
                problems.append(_problem(file, event.start_mark, message))
    if problems:
        raise RecipeError(problems)
    return root


_MAX_DEPTH = 16


def _document(root: yaml.Node) -> _Document:
    values: dict[Place, yaml.Node] = {}
    keys: dict[Place, yaml.Node] = {}
    problems: list[tuple[yaml.Node, str]] = []
    misread: dict[Place, str] = {}
    empty: set[Place] = set()

    def scalar(node: yaml.ScalarNode, place: Place) -> str | int | bool:
        value = _scalar_value(node)
        if _is_plain(node) and isinstance(value, str):
            if not value:
                empty.add(place)
            elif meaning := _other_meaning(value):
                misread[place] = meaning
        if isinstance(value, str) and not value.isprintable():
            problems.append((node, "text must be one line, without tabs and invisible characters"))
        return value

    def build(node: yaml.Node, place: Place) -> Any:
        values[place] = node
        if len(place) > _MAX_DEPTH:
            problems.append((node, "nested too deep"))
            return ""
        if isinstance(node, yaml.ScalarNode):
            return scalar(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*place, index)) for index, item in enumerate(node.value)]
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problems.append((key, "a key must be a word"))
            elif key.value in mapping:
                first = keys[(*place, key.value)].start_mark.line + 1
                problems.append((key, f"the field {key.value!r} stands twice, first in line {first}"))
            else:
                keys[(*place, key.value)] = key
                mapping[key.value] = build(value, (*place, key.value))
                if _is_plain(key) and not isinstance(_scalar_value(key), str):
                    problems.append((key, f'write "{key.value}" in quotes: a key must be text'))
                elif _is_plain(key) and (meaning := _other_meaning(key.value)):
                    problems.append((key, f'write "{key.value}" in quotes: other YAML readers take it for {meaning}'))
        return mapping

    return _Document(build(root, ()), values, keys, problems, misread, frozenset(empty))


_MEANINGS: Mapping[str, str] = {
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "null": "nothing",
    "merge": "a merge",
    "value": "a default",
}
_NUMBER = re.compile(r"0o[0-7]+|[-+]?(?:\.?[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?")


def _other_meaning(text: str) -> str:
    """Return what a YAML reader of any version takes the plain scalar for, "" when all take it for text."""
    if text in ("y", "Y", "n", "N"):  # in the words of YAML 1.1, though not in pyyaml's
        return "a boolean"
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
        if pattern.match(text):
            return _MEANINGS[tag.rpartition(":")[2]]
    return "a number" if _NUMBER.fullmatch(text) else ""


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator, FormatChecker

    formats = FormatChecker(formats=())
    formats.checks("shell-line", raises=ValueError)(_check_shell_line)
    formats.checks("python-regex", raises=ValueError)(_check_regex)
    return Draft202012Validator(json.loads((RECIPES / schema).read_text("utf-8")), format_checker=formats)


def _check_regex(value: object) -> bool:
    if isinstance(value, str):
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from None
    return True


def _check_shell_line(value: object) -> bool:
    """Raise ValueError unless the text can stand in a RUN line without changing what is around it."""
    if not isinstance(value, str):
        return True
    quote, depth, index = "", 0, 0
    while index < len(value):
        character = value[index]
        if character == "\\" and quote != "'":
            index += 1
            if index == len(value):
                raise ValueError("a command must not end in a backslash")
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character == "#" and (not index or value[index - 1] in " \t;&|("):
            raise ValueError("a command must not have a comment: it would hide what follows")
        elif value.startswith("<<", index):
            raise ValueError("a command must not have a heredoc: it would swallow the lines that follow")
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth < 0:
                break
        index += 1
    if quote:
        raise ValueError(f"a command must close its quotes: {quote}")
    if depth:
        raise ValueError("a command must balance its parentheses")
    if re.match(r"[;&|]", value) or re.search(r"[;&|]\s*$", value):
        raise ValueError("a command must not begin or end with an operator")
    return True


_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _schema_problems(error: ValidationError, place: Place, document: _Document) -> Iterator[tuple[yaml.Node, str]]:
    """Yield the problems that one error of the JSON Schema stands for, in words for the person who writes recipes."""
    node, value = document.values[place], typing.cast("Any", error.instance)
    schema, wanted = typing.cast("Any", error.schema), typing.cast("Any", error.validator_value)
    match error.validator:
        case "additionalProperties":
            known = list(schema["properties"])
            for name in value:
                if name not in known:
                    yield document.keys[(*place, name)], f"unknown field {name!r}{_did_you_mean(name, known)}"
        case "required":
            for name in wanted:
                if name not in value:
                    yield node, f"missing field {name!r}, which every {schema['title'].lower()} needs"
        case "dependentRequired":
            for given, needed in wanted.items():
                for name in needed:
                    if given in value and name not in value:
                        yield document.keys[(*place, given)], f"{given!r} needs {name!r} beside it"
        case "type" if wanted == "string" and isinstance(value, bool | int):
            yield node, f'must be text: write "{typing.cast("Any", node).value}" in quotes'
        case "type":
            yield node, f"must be {_TYPES[wanted]}, not {_kind(value)}"
        case "enum":
            hint = _did_you_mean(str(value), wanted) or ", but one of " + ", ".join(wanted)
            yield node, f"must not be {value!r}{hint}"
        case "pattern":
            yield node, f"{value!r}: {schema['patternErrorMessage']}"
        case "format":
            yield node, str(error.cause)
        case "minItems" | "minLength":
            yield node, "must not be empty"
        case "uniqueItems":
            for item, count in Counter(map(str, value)).items():
                if count > 1:
                    yield node, f"{item!r} stands twice in this list"
        case _:
            yield node, error.message


def _kind(value: object) -> str:
    for kind, name in ((bool, "a boolean"), (int, "a number"), (str, "text"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "a mapping"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


_WAYS: Mapping[str, tuple[str, ...]] = {  # sections whose items say in one of several ways how they are told
    "signs": ("files", "use"),
    "settings": ("set_by", "files"),
    "lean": ("options", "variables", "files"),
}
_REMEDY_FIELDS: Mapping[str, tuple[str, ...]] = {  # those that mean something for one kind only
    "clean": ("run",),
    "prevent": ("run", "option", "verbs", "variable", "value"),
    "mount": ("targets", "sharing", "environment"),
}


def _recipe_problems(recipe: Any) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong between the fields of one recipe. Values of a wrong shape are passed over."""
    yield from _unique([*_select(recipe, "caches", "*", "id"), *_select(recipe, "payload", "*", "id")], "cache")
    yield from _unique(_select(recipe, "hazards", "*", "id"), "hazard")
    yield from _unique(_select(recipe, "settings", "*", "name"), "setting")
    yield from _unique(_select(recipe, "lean", "*", "id"), "lean option")
    yield from _unique(_select(recipe, "programs", "*", "names", "*"), "program")
    yield from _unique([*_select(recipe, "id"), *_select(recipe, "aliases", "*")], "name")

    caches = [value for _, value in _select(recipe, "caches", "*", "id") if isinstance(value, str)]
    yield from _unknown(caches, "cache", _select(recipe, "cleanups", "*", "empties", "*"))
    payload = [value for _, value in _select(recipe, "payload", "*", "id") if isinstance(value, str)]
    yield from _unknown([*caches, *payload], "cache", _select(recipe, "preventions", "*", "caches", "*"))
    yield from _unknown(caches, "cache", _select(recipe, "remedies", "*", "caches", "*"))
    yield from _unknown(caches, "cache", _select(recipe, "hazards", "*", "when_prevented", "*"))
    yield from _unknown(caches, "cache", _select(recipe, "proof", "*", "trials", "*", "caches", "*"))
    hazards = [value for _, value in _select(recipe, "hazards", "*", "id") if isinstance(value, str)]
    yield from _unknown(hazards, "hazard", _select(recipe, "proof", "*", "trials", "*", "hazard"))
    proofs = [(place, proof) for place, proof in _select(recipe, "proof", "*") if isinstance(proof, dict)]
    yield from _unique([(place, proof.get("id", proof.get("base"))) for place, proof in proofs], "proof")

    programs = [value for _, value in _select(recipe, "programs", "*", "names", "*") if isinstance(value, str)]
    yield from _unknown(programs, "program", _select(recipe, "caches", "*", "filled_by", "*", "programs", "*"))
    yield from _unknown(programs, "program", _select(recipe, "payload", "*", "made_by", "*", "programs", "*"))
    for section in ("signs", "cleanups", "preventions", "hazards", "lean"):
        yield from _unknown(programs, "program", _select(recipe, section, "*", "use", "programs", "*"))

    settings = [value for _, value in _select(recipe, "settings", "*", "name") if isinstance(value, str)]
    asked = [item for name in ("caches", "payload") for item in _select(recipe, name, "*", "paths", "*", "path")]
    named = ((place, re.match(r"<(\w[\w.-]*)>", path)) for place, path in asked if isinstance(path, str))
    yield from _unknown(settings, "setting", ((place, match[1]) for place, match in named if match))
    for condition in ("with_settings", "without_settings"):
        yield from _unknown(settings, "setting", _select(recipe, "caches", "*", "filled_by", "*", condition, "*"))
        yield from _unknown(settings, "setting", _select(recipe, "payload", "*", "made_by", "*", condition, "*"))
        for section in ("cleanups", "hazards"):
            yield from _unknown(settings, "setting", _select(recipe, section, "*", "use", condition, "*"))
    for section, ways in _WAYS.items():
        for place, item in _select(recipe, section, "*"):
            if isinstance(item, dict) and not any(way in item for way in ways):
                yield place, f"this needs at least one of {', '.join(ways)}"

    for place, prevention in _select(recipe, "preventions", "*"):
        if isinstance(prevention, dict):
            yield from ((place, message) for message in _prevention_problems(prevention))
    for place, remedy in _select(recipe, "remedies", "*"):
        if isinstance(remedy, dict) and remedy.get("kind") in _REMEDY_FIELDS:
            yield from ((place, message) for message in _remedy_problems(remedy))


def _select(value: Any, *steps: str) -> Iterator[tuple[Place, Any]]:
    """Yield the values that ``steps`` lead to, with their places: keys of mappings, ``*`` for the items of a list."""
    if not steps:
        yield (), value
    elif steps[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from (((index, *place), found) for place, found in _select(item, *steps[1:]))
    elif isinstance(value, dict) and steps[0] in value:
        yield from (((steps[0], *place), found) for place, found in _select(value[steps[0]], *steps[1:]))


def _unique(named: Iterable[tuple[Place, Any]], what: str) -> Iterator[tuple[Place, str]]:
    seen = set()
    for place, name in named:
        if isinstance(name, str):
            if name in seen:
                yield place, f"the {what} {name!r} is there already"
            seen.add(name)


def _unknown(known: Sequence[str], what: str, named: Iterable[tuple[Place, Any]]) -> Iterator[tuple[Place, str]]:
    for place, name in named:
        if isinstance(name, str) and name not in known:
            yield place, f"the recipe has no {what} {name!r}{_did_you_mean(name, known)}"


def _prevention_problems(prevention: Mapping[str, Any]) -> Iterator[str]:
    ways = [name for name in ("option", "variable", "setting", "files") if name in prevention]
    if len(ways) != 1:
        yield f"a prevention has exactly one of option, variable, setting, files, not {_and(ways)}"
    elif "values" in prevention and ways[0] not in ("variable", "setting"):
        yield "'values' goes with 'variable' or 'setting'"


def _remedy_problems(remedy: Mapping[str, Any]) -> Iterator[str]:
    kind = remedy["kind"]
    for name in {name: None for names in _REMEDY_FIELDS.values() for name in names}:
        if name in remedy and name not in _REMEDY_FIELDS[kind]:
            yield f"{name!r} means nothing in a remedy of kind {kind}"
    if kind == "prevent":
        ways = [name for name in ("option", "variable", "run") if name in remedy]
        if len(ways) != 1:
            yield f"a remedy of kind prevent has exactly one of option, variable, run, not {_and(ways)}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words) or "none"


# -- the canonical form ------------------------------------------------------------------------------------------------


def canonical(text: str | bytes, file: str) -> str:
    """Return the text of a recipe (or of ``bases.yaml``) in the one form that all have, with its comments.

    Fields stand in the order of the dataclasses, mappings and lists of mappings on lines of their own; a list of
    scalars stands on one line where it fits in 100 columns and holds no URL. The first line names the schema.
    The data is not checked further than its YAML goes.
    Raises RecipeError for text that is not YAML, or has anchors, aliases, tags or keys that are no words.
    """
    root = compose(text, file)
    record, schema = (_Bases, "bases") if Path(file).name == "bases.yaml" else (Recipe, "recipe")
    try:
        entries = list(_entries(root, 0))
    except _MisfitError as error:
        raise RecipeError([_problem(file, error.node.start_mark, str(error))]) from None
    comments = _place_comments(Source(_decode(text, file)), root, entries)
    header = f"# yaml-language-server: $schema=./{schema}.schema.json"
    return "\n".join([*comments.head(header), *_block(root, record, "", comments), *comments.below]) + "\n"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A field of a mapping or an item of a list: what a comment can belong to."""

    node: yaml.Node  # the key of the field, or the item
    value: yaml.Node

    @property
    def start(self) -> int:
        return typing.cast("int", self.node.start_mark.index)

    @property
    def end(self) -> int:
        return max(self.node.end_mark.index, self.value.end_mark.index)

    @property
    def is_block(self) -> bool:
        """Whether it has lines of its own below it; its end mark is then where the next token begins."""
        return isinstance(self.value, yaml.CollectionNode) and not self.value.flow_style


def _entries(node: yaml.Node, depth: int) -> Iterator[_Entry]:
    """Yield all entries in ``node`` in the order of the text, outer before inner. Raises _MisfitError."""
    if depth > _MAX_DEPTH:
        raise _MisfitError(node, "nested too deep")
    inner = []
    if isinstance(node, yaml.MappingNode):
        inner = [_Entry(key, value) for key, value in _pairs(node)]
    elif isinstance(node, yaml.SequenceNode):
        inner = [_Entry(item, item) for item in node.value]
    for entry in inner:
        yield entry
        yield from _entries(entry.value, depth + 1)


@dataclass(frozen=True, slots=True)
class _Comments:
    """The comments of a file by the key or item they belong to (its ``id()``)."""

    first: list[str]  # above the first entry: they are about the file, and stay at its top
    above: dict[int, list[str]]
    beside: dict[int, str]
    below: list[str]  # after the last entry

    def head(self, header: str) -> list[str]:
        """Return the lines at the top: the editors' line that is there, else ``header``; then the others."""
        is_header = re.compile("# yaml-language-server:").match
        header = next(filter(is_header, self.first), header)
        return [header, *(line for line in self.first if not is_header(line))]


def _place_comments(source: Source, root: yaml.Node, entries: Sequence[_Entry]) -> _Comments:
    comments = _Comments([], {}, {}, [])
    for start, comment in _find_comments(source.text, root, entries):
        if (owner := _entry_beside(source, start, entries)) is not None:
            key = id(owner.node)
            comments.beside[key] = f"{comments.beside[key]}  {comment}" if key in comments.beside else comment
        elif (below := next((index for index, entry in enumerate(entries) if entry.start > start), None)) is None:
            comments.below.append(comment)
        elif below == 0:
            comments.first.append(comment)
        else:
            comments.above.setdefault(id(entries[below].node), []).append(comment)
    return comments


_COMMENT = re.compile(r"#[^\r\n\x85\u2028\u2029]*")
_BLOCK_SCALAR_COMMENT = re.compile(r"[|>][-+0-9]*[ \t]+(#.*)")


def _find_comments(text: str, root: yaml.Node, entries: Iterable[_Entry]) -> Iterator[tuple[int, str]]:
    """Yield the comments, which pyyaml drops, with their offsets: every ``#`` outside of the scalars begins one."""
    nodes = [node for entry in entries for node in dict.fromkeys((entry.node, entry.value))]
    position = 0
    for node in (root, *nodes):
        if isinstance(node, yaml.ScalarNode):
            start, end = node.start_mark.index, node.end_mark.index
            for match in _COMMENT.finditer(text, position, start):
                yield match.start(), match.group().rstrip()
            if node.style in ("|", ">") and (header := _BLOCK_SCALAR_COMMENT.match(text, start)):
                yield header.start(1), header.group(1).rstrip()
            position = max(position, end)
    for match in _COMMENT.finditer(text, position):
        yield match.start(), match.group().rstrip()


def _entry_beside(source: Source, start: int, entries: Sequence[_Entry]) -> _Entry | None:
    """Return the entry that the comment at ``start`` stands beside, None when it has its line for itself.

    It is the last and outermost that ends in this line, else the innermost that begins here and goes on below.
    """
    line, column = source.position(start)
    if not source.line(line)[: column - 1].strip():
        return None
    ended = [e for e in entries if not e.is_block and e.end <= start and source.position(e.end)[0] == line]
    if ended:
        return max(ended, key=lambda entry: entry.end)
    begun = [e for e in entries if e.start < start <= e.end and source.position(e.start)[0] == line]
    return begun[-1] if begun else None


@functools.cache
def _nested_records(record: type) -> Mapping[str, type]:
    """Return for each field that is a record or a list of records their class."""
    nested: dict[str, type] = {}
    for name, hint in typing.get_type_hints(record).items():
        while arguments := typing.get_args(hint):
            hint = arguments[0]
        if dataclasses.is_dataclass(hint):
            nested[name] = typing.cast("type", hint)
    return nested


def _block(node: yaml.Node, record: type | None, indent: str, comments: _Comments) -> list[str]:
    """Return the lines of a node that is the whole file, or stands below its key or dash."""
    lines = []
    if isinstance(node, yaml.MappingNode):
        names = field_names(record) if record else []
        nested = _nested_records(record) if record else {}
        order = {name: place for place, name in enumerate(names)}
        for key, value in sorted(node.value, key=lambda pair: order.get(pair[0].value, len(order))):
            lines += [indent + comment for comment in comments.above.get(id(key), ())]
            lines += _entry_lines(f"{indent}{_scalar(key)}:", key, value, nested.get(key.value), indent, comments)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            lines += [indent + comment for comment in comments.above.get(id(item), ())]
            lines += _entry_lines(f"{indent}-", item, item, record, indent, comments)
    else:
        lines.append(indent + _scalar(node))
    return lines


def _entry_lines(
    head: str, owner: yaml.Node, value: yaml.Node, record: type | None, indent: str, comments: _Comments
) -> list[str]:
    """Return the lines of one field or item, which begins with ``head``: the key and its colon, or the dash."""
    is_item = owner is value
    beside = comments.beside.get(id(owner), "")
    if line := _one_line(head, value, comments):
        return [f"{line}  {beside}" if beside else line]
    body = _block(value, record, indent + "  ", comments)
    if not is_item:
        return [f"{head}  {beside}" if beside else head, *body]
    above = [indent + beside] if beside else []  # a dash alone is no place for it
    if isinstance(value, yaml.SequenceNode):
        return [*above, head, *body]
    while body[0].lstrip().startswith("#"):  # of the first key
        above.append(indent + body.pop(0).lstrip())
    return [*above, f"{head} {body[0].lstrip()}", *body[1:]]


def _one_line(head: str, value: yaml.Node, comments: _Comments) -> str:
    """Return ``head`` and the value in one line, "" when it takes several."""
    if isinstance(value, yaml.ScalarNode):
        return f"{head} {_scalar(value)}"
    if not value.value:
        return f"{head} {'[]' if isinstance(value, yaml.SequenceNode) else '{}'}"
    if isinstance(value, yaml.MappingNode):
        return ""
    for item in value.value:
        is_commented = id(item) in comments.above or id(item) in comments.beside
        if is_commented or not isinstance(item, yaml.ScalarNode) or "://" in item.value:
            return ""
    line = f"{head} [{', '.join(_scalar(item, in_flow=True) for item in value.value)}]"
    return line if len(line) <= LINE_LIMIT else ""


_PLAIN = re.compile(
    r"""
    (?: [^\s\-?:,\[\]{}\#&*!|>'"%@`] | -(?=[^\s]) )  # no indicator at the start
    (?: [^:\#\s] | :(?=\S) | (?<=\S)\# | [ ](?=[^\s\#]) )*  # no ": " or " #" within, no space at the end
    """,
    re.VERBOSE,
)
_PLAIN_IN_FLOW = re.compile(r"[^,\[\]{}?]*")


def _scalar(node: yaml.Node, *, in_flow: bool = False) -> str:
    """Return the YAML text of a scalar: quoted where another reader could take it for something else."""
    text = _read_text(node)
    if not isinstance(_scalar_value(node), str):
        return text
    is_plain = _PLAIN.fullmatch(text) and not text.startswith("---") and (not in_flow or _PLAIN_IN_FLOW.fullmatch(text))
    if is_plain and text.isprintable() and not _other_meaning(text) and text not in ("true", "false"):
        return text
    if text.isprintable() and ("\\" in text or '"' in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == " " or character.isprintable():
        return character
    return "\\n" if character == "\n" else f"\\U{ord(character):08X}"
