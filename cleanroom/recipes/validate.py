"""All that is wrong with the text of recipes, bases and records of proofs, by position, in words for who writes them.

Beyond their JSON Schemas, it asks for quotes around what other YAML readers take for something else than text.
"""

from __future__ import annotations

import functools
import json
import re
import typing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from msgspec import Struct

from cleanroom.recipes.load import RECIPES
from cleanroom.recipes.model import Recipe, RecipeError, RecipeProblem, claims
from cleanroom.recipes.yaml import MAX_DEPTH, compose_plain, decode, is_plain, other_meaning, problem_at, value_of
from cleanroom.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Place: TypeAlias = "tuple[str | int, ...]"  # keys and indices from the root to a value


def validate_recipe(text: str | bytes, file: str) -> list[RecipeProblem]:
    """Return all that is wrong with the text of one recipe, by position."""
    return _validate(text, file, "recipe.schema.json", _recipe_problems)


def validate_record(text: str | bytes, file: str) -> list[RecipeProblem]:
    """Return all that is wrong with the text of a record of proofs (``proofs/<id>.json``)."""
    try:
        data = json.loads(decode(text, file))
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
            hint = did_you_mean(recipe.replaces, [other.id for other in recipes if other is not recipe])
            message = f"replaces {recipe.replaces!r}, which is no other recipe{hint}"
            problems.append(RecipeProblem(recipe.origin, 1, 1, message))
    replaced = {recipe.replaces for recipe in recipes if recipe.replaces}
    claimed: defaultdict[tuple[str, str], list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        if recipe.replaces:
            claimed["place of", recipe.replaces].append(recipe)
        elif recipe.id in replaced:
            continue
        for claim in dict.fromkeys(claims(recipe)):
            claimed[claim].append(recipe)
    for (kind, name), claimants in claimed.items():
        if len(claimants) > 1:
            who = " and ".join(f"{recipe.id} ({recipe.origin})" for recipe in claimants)
            problems.append(RecipeProblem(claimants[-1].origin, 1, 1, f"the {kind} {name!r} is claimed by {who}"))
    return sorted(problems)


class _Document(Struct, frozen=True):
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
        document = _document(compose_plain(text, file))
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
    return sorted({problem_at(file, node.start_mark, message) for node, message in found})


def _document(root: yaml.Node) -> _Document:
    values: dict[Place, yaml.Node] = {}
    keys: dict[Place, yaml.Node] = {}
    problems: list[tuple[yaml.Node, str]] = []
    misread: dict[Place, str] = {}
    empty: set[Place] = set()

    def scalar(node: yaml.ScalarNode, place: Place) -> str | int | bool:
        value = value_of(node)
        if is_plain(node) and isinstance(value, str):
            if not value:
                empty.add(place)
            elif meaning := other_meaning(value):
                misread[place] = meaning
        if isinstance(value, str) and not value.isprintable():
            problems.append((node, "text must be one line, without tabs and invisible characters"))
        return value

    def build(node: yaml.Node, place: Place) -> Any:
        values[place] = node
        if len(place) > MAX_DEPTH:
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
                if is_plain(key) and not isinstance(value_of(key), str):
                    problems.append((key, f'write "{key.value}" in quotes: a key must be text'))
                elif is_plain(key) and (meaning := other_meaning(key.value)):
                    problems.append((key, f'write "{key.value}" in quotes: other YAML readers take it for {meaning}'))
        return mapping

    return _Document(build(root, ()), values, keys, problems, misread, frozenset(empty))


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
                    yield document.keys[(*place, name)], f"unknown field {name!r}{did_you_mean(name, known)}"
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
            hint = did_you_mean(str(value), wanted) or ", but one of " + ", ".join(wanted)
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


_WAYS: Mapping[str, tuple[str, ...]] = {  # sections whose items say in one of several ways how they are told
    "signs": ("files", "use"),
    "settings": ("set_by", "option", "files"),
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
    yield from _unknown(caches, "cache", _select(recipe, "offline", "*", "caches", "*"))
    yield from _unknown(caches, "cache", _select(recipe, "hazards", "*", "when_prevented", "*"))
    yield from _unknown(caches, "cache", _select(recipe, "proof", "*", "trials", "*", "caches", "*"))
    hazards = [value for _, value in _select(recipe, "hazards", "*", "id") if isinstance(value, str)]
    yield from _unknown(hazards, "hazard", _select(recipe, "proof", "*", "trials", "*", "hazard"))
    yield from _trial_problems(recipe)
    proofs = [(place, proof) for place, proof in _select(recipe, "proof", "*") if isinstance(proof, dict)]
    yield from _unique([(place, proof.get("id", proof.get("base"))) for place, proof in proofs], "proof")

    programs = [value for _, value in _select(recipe, "programs", "*", "names", "*") if isinstance(value, str)]
    yield from _unknown(programs, "program", _select(recipe, "caches", "*", "filled_by", "*", "programs", "*"))
    yield from _unknown(programs, "program", _select(recipe, "payload", "*", "made_by", "*", "programs", "*"))
    yield from _unknown(programs, "program", _select(recipe, "settings", "*", "programs", "*"))
    yield from _unknown(programs, "program", _select(recipe, "caches", "*", "needed_by", "*", "programs", "*"))
    yield from _unknown(programs, "program", _select(recipe, "offline", "*", "programs", "*"))
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
            yield place, f"the recipe has no {what} {name!r}{did_you_mean(name, known)}"


def _trial_problems(recipe: Any) -> Iterator[tuple[Place, str]]:
    """Yield the trials that do not say what must come of them."""
    effects = {id_: effect for _, hazard in _select(recipe, "hazards", "*") for id_, effect in [_effect(hazard)]}
    for place, trial in _select(recipe, "proof", "*", "trials", "*"):
        if isinstance(trial, dict):
            effect = effects.get(trial.get("hazard"))
            for name, needed in (("exit", "fails"), ("prompt", "asks")):
                if effect == needed and name not in trial:
                    yield place, f"the trial of a hazard that {needed} needs {name!r}"
                elif effect != needed and name in trial:
                    yield (*place, name), f"{name!r} goes with a hazard that {needed}"


def _effect(hazard: Any) -> tuple[Any, Any]:
    return (hazard.get("id"), hazard.get("effect")) if isinstance(hazard, dict) else (None, None)


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
