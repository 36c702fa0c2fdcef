"""The one form that the text of all recipes has, with its comments."""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from msgspec import Struct

from cleanroom.recipes.load import Bases, field_names
from cleanroom.recipes.model import Recipe, RecipeError
from cleanroom.recipes.yaml import (
    MAX_DEPTH,
    MisfitError,
    compose_plain,
    decode,
    other_meaning,
    pairs_of,
    problem_at,
    text_of,
    value_of,
)
from cleanroom.syntax.text import Source

LINE_LIMIT = 100  # columns, of a list on one line
_COMMENT = re.compile(r"#[^\r\n\x85\u2028\u2029]*")
_BLOCK_SCALAR_COMMENT = re.compile(r"[|>][-+0-9]*[ \t]+(#.*)")
_PLAIN = re.compile(
    r"""
    (?: [^\s\-?:,\[\]{}\#&*!|>'"%@`] | -(?=[^\s]) )  # no indicator at the start
    (?: [^:\#\s] | :(?=\S) | (?<=\S)\# | [ ](?=[^\s\#]) )*  # no ": " or " #" within, no space at the end
    """,
    re.VERBOSE,
)
_PLAIN_IN_FLOW = re.compile(r"[^,\[\]{}?]*")


def canonical(text: str | bytes, file: str) -> str:
    """Return the text of a recipe (or of ``bases.yaml``) in the one form that all have, with its comments.

    Fields stand in the order of the record classes, mappings and lists of mappings on lines of their own; a list of
    scalars stands on one line where it fits in 100 columns and holds no URL. The first line names the schema.
    The data is not checked further than its YAML goes.
    Raises RecipeError for text that is not YAML, or has anchors, aliases, tags or keys that are no words.
    """
    root = compose_plain(text, file)
    record, schema = (Bases, "bases") if Path(file).name == "bases.yaml" else (Recipe, "recipe")
    try:
        entries = list(_entries(root, 0))
    except MisfitError as error:
        raise RecipeError([problem_at(file, error.node.start_mark, str(error))]) from None
    comments = _place_comments(Source(decode(text, file)), root, entries)
    header = f"# yaml-language-server: $schema=./{schema}.schema.json"
    return "\n".join([*comments.head(header), *_block(root, record, "", comments), *comments.below]) + "\n"


class _Entry(Struct, frozen=True):
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
    """Yield all entries in ``node`` in the order of the text, outer before inner. Raises MisfitError."""
    if depth > MAX_DEPTH:
        raise MisfitError(node, "nested too deep")
    inner = []
    if isinstance(node, yaml.MappingNode):
        inner = [_Entry(key, value) for key, value in pairs_of(node)]
    elif isinstance(node, yaml.SequenceNode):
        inner = [_Entry(item, item) for item in node.value]
    for entry in inner:
        yield entry
        yield from _entries(entry.value, depth + 1)


class _Comments(Struct, frozen=True):
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
        if isinstance(hint, type) and issubclass(hint, Struct):
            nested[name] = hint
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


def _scalar(node: yaml.Node, *, in_flow: bool = False) -> str:
    """Return the YAML text of a scalar: quoted where another reader could take it for something else."""
    text = text_of(node)
    if not isinstance(value_of(node), str):
        return text
    is_plain = _PLAIN.fullmatch(text) and not text.startswith("---") and (not in_flow or _PLAIN_IN_FLOW.fullmatch(text))
    if is_plain and text.isprintable() and not other_meaning(text) and text not in ("true", "false"):
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
