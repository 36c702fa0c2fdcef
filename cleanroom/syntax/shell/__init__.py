"""Read a shell script into a tree of commands, each with its span in the file.

Built on tree-sitter-bash; ``grammar`` says how. What cannot be read raises ShellError: this package never
guesses. The grammar is that of the POSIX shell with bash's extensions
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html).
"""

from __future__ import annotations

from functools import lru_cache

from cleanroom.syntax.shell.grammar import MAX_LENGTH, UnreadableError
from cleanroom.syntax.shell.nodes import (
    AndOr,
    Assignment,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Item,
    Literal,
    Node,
    Parameter,
    Part,
    Pipeline,
    Redirect,
    Sequence,
    ShellError,
    Substitution,
    Test,
    While,
    Word,
    commands,
)
from cleanroom.syntax.shell.plain import read_plain
from cleanroom.syntax.shell.quotes import unquoted
from cleanroom.syntax.shell.reader import Reader
from cleanroom.syntax.text import MappedText

__all__ = [
    "AndOr",
    "Assignment",
    "Case",
    "Command",
    "For",
    "Function",
    "Group",
    "If",
    "Item",
    "Literal",
    "Node",
    "Parameter",
    "Part",
    "Pipeline",
    "Redirect",
    "Sequence",
    "ShellError",
    "Substitution",
    "Test",
    "While",
    "Word",
    "commands",
    "line",
    "parse",
    "unquoted",
]


@lru_cache(maxsize=64)  # by identity: a fix reads the scripts that were walked before
def parse(script: MappedText) -> Sequence:
    """Read a whole script. Raises ShellError for what the shell would refuse, and for what is too deep or too large."""
    text = script.text
    if len(text) > MAX_LENGTH:
        raise ShellError(f"the script is longer than {MAX_LENGTH} characters", script.span(0, 0))
    offsets: list[int] = []
    for piece, offset in script.pieces():
        offsets.extend(range(offset, offset + len(piece)))
    if (plain := read_plain(script, offsets)) is not None:
        return plain
    try:
        return Reader(text, None, offsets, script, 0).read()
    except UnreadableError as error:
        index = min(error.index, max(len(text) - 1, 0))
        raise ShellError(error.message, script.span(index, index + 1 if text else index)) from None
    except RecursionError:
        # The stack of the caller was deep already.
        raise ShellError("constructs are nested too deeply", script.span(0, 1)) from None


@lru_cache(maxsize=256)
def line(text: str) -> MappedText:
    """Return a line of shell that stands in no file, the same each time, so that it is read once."""
    return MappedText([(text, 0)])
