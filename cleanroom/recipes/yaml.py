"""The YAML of recipes as nodes, each with its position: a plain subset, and what plain scalars say in it.

Recipes are written in mappings, lists, text, whole numbers, ``true`` and ``false``. Anything else that a plain scalar
may mean to some reader (``no``, ``1.10``, ``2026-01-01``, ``1:20``) is text here.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from cleanroom.recipes.model import RecipeError, RecipeProblem
from cleanroom.syntax.text import Source

MAX_SIZE = 256 * 1024  # characters or bytes
MAX_DEPTH = 16
# libyaml walks nested nodes by recursion in C, without a limit: what could overflow its stack must not reach it.
_DEEP = re.compile(r"[ \t?:-]{200}")
_MAX_FLOWS = 1000
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
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


class MisfitError(Exception):
    """A node that is not what is expected in its place."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def problem_at(file: str, mark: Any, message: str) -> RecipeProblem:
    """Return a problem at a pyyaml mark, which counts from 0."""
    return RecipeProblem(file, mark.line + 1, mark.column + 1, message)


def decode(raw: str | bytes, file: str) -> str:
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


if TYPE_CHECKING:
    from yaml import CSafeLoader as _FastLoader
else:
    _FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_FastLoader):
    """Composes nodes without guessing what plain scalars mean: each place knows what it expects."""

    def resolve(self, *_: object) -> str:
        """Return no tag."""
        return ""


def compose(text: str | bytes, file: str) -> yaml.Node:
    """Return the root node of the one YAML document in ``text``. Raises RecipeError when there is none."""
    text = decode(text, file)
    try:
        root = yaml.compose(text, Loader)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        if found := _UNPRINTABLE.search(text):
            line, column = Source(text).position(found.start())
            problem = RecipeProblem(file, line, column, f"the character U+{ord(found.group()):04X} is not allowed")
        elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            context = f"{error.context}, " if error.context else ""
            problem = problem_at(file, error.problem_mark, f"not valid YAML: {context}{error.problem}")
        else:
            problem = RecipeProblem(file, 1, 1, f"not valid YAML: {error}")
        raise RecipeError([problem]) from None
    except RecursionError:  # of the pure Python loader
        raise RecipeError([RecipeProblem(file, 1, 1, "nested too deep")]) from None
    if root is None:
        raise RecipeError([RecipeProblem(file, 1, 1, "the file says nothing")])
    return root


def compose_plain(text: str | bytes, file: str) -> yaml.Node:
    """Return the root node. Raises RecipeError also for anchors, aliases and tags.

    They can make a small file large, and data into objects.
    """
    root = compose(text, file)
    problems = []
    for event in yaml.parse(decode(text, file), Loader):
        if isinstance(event, yaml.NodeEvent):
            refused = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else ""
            refused = refused or (f"&{event.anchor}" if event.anchor else "") or (getattr(event, "tag", "") or "")
            if refused:
                message = f"{refused}: recipes have no anchors, aliases and tags; write the value out"
                problems.append(problem_at(file, event.start_mark, message))
    if problems:
        raise RecipeError(problems)
    return root


def is_plain(node: yaml.ScalarNode) -> bool:
    """Return True if a scalar stands without quotes, and not as a block."""
    return not node.style  # None or "", by loader


def pairs_of(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the keys and values of a mapping. Raises MisfitError when it is none, or a key is no word."""
    if not isinstance(node, yaml.MappingNode):
        raise MisfitError(node, "must be a mapping")
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise MisfitError(key, "a key must be a word")
    return typing.cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value)


def text_of(node: yaml.Node) -> str:
    """Return the text of a scalar. Raises MisfitError for another node."""
    if not isinstance(node, yaml.ScalarNode):
        raise MisfitError(node, "must be text")
    return typing.cast("str", node.value)


def value_of(node: yaml.Node) -> str | int | bool:
    """Return what a scalar node says: of plain ones only ``true``, ``false`` and whole numbers are no text."""
    text = text_of(node)
    if not is_plain(typing.cast("yaml.ScalarNode", node)):
        return text
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) else text


def other_meaning(text: str) -> str:
    """Return what a YAML reader of any version takes the plain scalar for, "" when all take it for text."""
    if text in ("y", "Y", "n", "N"):  # in the words of YAML 1.1, though not in pyyaml's
        return "a boolean"
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
        if pattern.match(text):
            return _MEANINGS[tag.rpartition(":")[2]]
    return "a number" if _NUMBER.fullmatch(text) else ""
