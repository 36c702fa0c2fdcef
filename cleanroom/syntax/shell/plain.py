"""Read the scripts that most RUNs are, plain commands joined by ``&&`` and ``;``, without the grammar.

What it returns is what the reader makes of the grammar's tree; for any other script it returns None.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cleanroom.syntax.shell.nodes import AndOr, Command, Item, Literal, Node, Sequence, Word
from cleanroom.syntax.text import MappedText, Span

# Words that are no command's name (https://www.gnu.org/software/bash/manual/html_node/Reserved-Words.html). Where the
# grammar reads one as a name it has lost the construct.
RESERVED = frozenset(
    {"if", "then", "elif", "else", "fi", "for", "select", "while", "until", "do", "done", "case", "esac", "function"}
    | {"coproc", "{", "}", "[[", "!"}
)
KEYWORDS = frozenset({"declare", "typeset", "export", "readonly", "local", "unset", "unsetenv"})
PLAIN_COMMAND = re.compile(r"[^\\$'\"`()<>;&|#=\s]+(?:[ \t]+[^\\$'\"`()<>;&|#\s]+)*")
NOT_BLANK = re.compile(r"[^ \t]+")
_NO_COMMANDS = RESERVED | KEYWORDS | {"time"}
_SCRIPT = re.compile(r"[^\\$'\"`()<>|#{}\[\]!\x00-\x08\x0a-\x1f\x7f]+")
_PART = re.compile(r"[ \t]*([^;&]*[^;& \t])[ \t]*(&&|;|\Z)")


def read_plain(script: MappedText, offsets: list[int]) -> Sequence | None:
    """Return the commands of a script that has only plain ones, None where it has others.

    ``offsets`` are those in the file of its characters.
    """
    text = script.text
    if not _SCRIPT.fullmatch(text):
        return None
    items: list[Item] = []
    chain: Node | None = None
    joint = Span(0, 0)
    end = 0
    while end < len(text):
        part = _PART.match(text, end)
        command = _command(text, offsets, *part.span(1)) if part else None
        if part is None or command is None:
            return None
        end = part.end()
        chain = AndOr(chain, "&&", command, Span(chain.span.start, command.span.end), joint) if chain else command
        joint = script.span(*part.span(2))
        if part[2] != "&&":
            stop = part.start(2) if part[2] else part.end(1)
            items.append(Item(chain, part[2], script.span(stop, stop + len(part[2]))))
            chain = None
            end = len(text) if not text[end:].strip(" \t") else end
    if chain is not None:
        return None
    return Sequence(tuple(items), Span(items[0].node.span.start, items[-1].node.span.end))


def _command(text: str, offsets: list[int], start: int, end: int) -> Command | None:
    if not PLAIN_COMMAND.fullmatch(text, start, end):
        return None
    words = []
    for match in NOT_BLANK.finditer(text, start, end):
        raw, (first, stop) = match[0], match.span()
        words.append(Word(raw, plain_parts(raw), Span(offsets[first], offsets[stop - 1] + 1), first, stop))
    if words[0].raw in _NO_COMMANDS:
        return None
    return Command(tuple(words), (), (), Span(words[0].span.start, words[-1].span.end))


@lru_cache(maxsize=4096)
def plain_parts(text: str) -> tuple[Literal]:
    """Return the parts of a word that is as plain as most are; scripts say the same words again and again."""
    return (Literal(text, False),)
