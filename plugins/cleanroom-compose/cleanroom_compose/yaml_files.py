"""Dockerfiles in YAML and JSON: ``dockerfile_inline`` (Compose), ``dockerfile-inline`` (Bake).

Compose: https://docs.docker.com/reference/compose-file/build/#dockerfile_inline,
Bake: https://docs.docker.com/build/bake/reference/#targetdockerfile-inline. What YAML's nodes do not say, which
character of a scalar stands where, is read from the text and compared with the node's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from msgspec.structs import replace

from cleanroom.syntax.dockerfile import DockerfileError
from cleanroom.syntax.readers import Embedded
from cleanroom.syntax.text import MappedText
from cleanroom_compose import notation

COMPOSE_KEY, BAKE_KEY = "dockerfile_inline", "dockerfile-inline"
_DOLLARS = re.compile(r"\$\$")  # of Compose: one that is no variable of its own
TEMPLATES = re.compile(r"\$\$\{|%%\{")  # of HCL, also in JSON


def compose(text: str) -> Iterator[Embedded]:
    """Yield the Dockerfiles of a Compose file, in the order of the text. Raises DockerfileError."""
    return _embedded(text, COMPOSE_KEY, _DOLLARS)


def bake(text: str) -> Iterator[Embedded]:
    """Yield the Dockerfiles of a Bake file in JSON, in the order of the text. Raises DockerfileError."""
    return _embedded(text, BAKE_KEY, TEMPLATES)


def escape_dollars(text: str) -> str:
    """Return text as Compose takes it for itself."""
    return text.replace("$", "$$")


def escape_templates(text: str) -> str:
    """Return text in which HCL sees no template."""
    return re.sub(r"([$%])\{", r"\1\1{", text)


def _embedded(text: str, key: str, pattern: re.Pattern[str]) -> Iterator[Embedded]:
    try:
        documents = list(yaml.compose_all(text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DockerfileError(f"no YAML: {error.problem or error.context}", *place) from None
    except yaml.YAMLError as error:
        raise DockerfileError(f"no YAML: {str(error).splitlines()[0]}", 1) from None
    except RecursionError:
        raise DockerfileError("nested too deeply", 1) from None
    found = [item for document in documents for item in _builds(document, key)]
    for node, target in sorted(found, key=lambda item: item[0].start_mark.index):
        yield replace(_dockerfile(text, node, pattern), target=target)


def _builds(document: yaml.Node | None, key: str) -> Iterator[tuple[yaml.ScalarNode, str]]:
    """Yield each Dockerfile, also that of an alias, once, and the stage that is built."""
    stack = [document]
    seen = set()
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
        elif isinstance(node, yaml.MappingNode):
            values = {name.value: value for name, value in node.value if isinstance(name, yaml.ScalarNode)}
            inline, target = values.get(key), values.get("target")
            if isinstance(inline, yaml.ScalarNode) and inline.value.strip() and id(inline) not in seen:
                seen.add(id(inline))
                yield inline, target.value if isinstance(target, yaml.ScalarNode) else ""
            stack += [value for _, value in node.value]


def _dockerfile(text: str, node: yaml.ScalarNode, pattern: re.Pattern[str]) -> Embedded:
    escape = escape_dollars if pattern is _DOLLARS else escape_templates
    start, end = node.start_mark.index, node.end_mark.index
    if node.style == "|":
        begin = text.find("\n", start) + 1
        first = next(line for line in node.value.split("\n") if line.strip())
        raw = next((line for line in text[begin:end].split("\n") if line.strip()), "").rstrip("\r")
        indent = len(raw) - len(first)
        newline = "\r\n" if text[begin - 2 : begin] == "\r\n" else "\n"
        pieces = notation.cut(notation.block(text, begin, end, indent), len(node.value))
        write = notation.in_block(" " * indent, newline, escape)
    elif node.style == '"':
        pieces = notation.quoted(text, start + 1, end - 1)
        write = notation.in_quotes(escape)
    else:
        pieces = []
        write = escape
    if "".join(piece for piece, _ in pieces) != node.value:  # folded lines, and what else YAML can do
        return notation.unwritable(pattern.sub(lambda match: match[0][1:], node.value), start, end)
    return Embedded(MappedText(notation.doubled(pieces, pattern)), write)
