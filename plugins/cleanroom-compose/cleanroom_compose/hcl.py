"""Dockerfiles in Bake files: ``dockerfile-inline`` as a here-document or a string of HCL.

The syntax: https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md. Templates (``${name}``) stay as they are: a
Dockerfile's variable, for us, whose value is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cleanroom.syntax.dockerfile import DockerfileError
from cleanroom.syntax.readers import Embedded
from cleanroom.syntax.text import MappedText, Source
from cleanroom_compose import notation
from cleanroom_compose.yaml_files import BAKE_KEY, TEMPLATES, escape_templates

_TOKEN = re.compile(
    rf"""(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<key>(?<![\w-])"?{BAKE_KEY}"?[ \t]*=[ \t]*(?=["<]))
    |<<(?P<strip>-?)(?P<name>[\w-]+)[ \t]*\r?\n
    |(?P<string>"(?:\\.|[^"\\\n])*")""",
    re.VERBOSE | re.DOTALL,
)


def bake(text: str) -> Iterator[Embedded]:
    """Yield the Dockerfiles of a Bake file, in their order. Raises DockerfileError for a here-document without end."""
    at, wanted = 0, -1
    while match := _TOKEN.search(text, at):
        at = match.end()
        is_wanted = match.start() == wanted
        if match["key"]:
            wanted = at
        elif match["name"]:
            end = re.compile(rf"^[ \t]*{re.escape(match['name'])}[ \t]*\r?$", re.MULTILINE).search(text, at)
            if end is None:
                raise DockerfileError(f"no {match['name']} ends this text", *Source(text).position(match.start()))
            if is_wanted:
                yield _document(text, at, end.start(), is_stripped=bool(match["strip"]))
            at = end.end()
        elif match["string"] and is_wanted:
            pieces = notation.quoted(text, match.start() + 1, match.end() - 1)
            write = notation.in_quotes(escape_templates)
            yield Embedded(MappedText(notation.doubled(pieces, TEMPLATES)), write)


def _document(text: str, start: int, end: int, *, is_stripped: bool) -> Embedded:
    """Return the Dockerfile of a here-document; of ``<<-``, without the spaces that all its lines begin with."""
    lines = [line for line in text[start:end].split("\n") if line.strip()]
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines), default=0) if is_stripped else 0
    newline = "\r\n" if text[start - 2 : start] == "\r\n" else "\n"
    pieces = notation.doubled(notation.block(text, start, end, indent), TEMPLATES)
    return Embedded(MappedText(pieces), notation.in_block(" " * indent, newline, escape_templates))
