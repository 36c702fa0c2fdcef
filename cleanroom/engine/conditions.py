"""Which nodes of a script are conditions, and which commands end a script."""

from __future__ import annotations

import re
from itertools import islice

from cleanroom.syntax import shell

TESTS = frozenset(
    [
        "[",
        "test",
        "[[",
        "grep",
        "egrep",
        "fgrep",
        "which",
        "command",
        "type",
        "hash",
        "id",
        "getent",
        "false",
        "cmp",
        "diff",
        "pgrep",
        "rpm",
        "dpkg",
        "dpkg-query",
        "uname",
        "lsb_release",
        "expr",
    ]
)
_ASKS = re.compile(r"-[slLSWVqp]|--(?:status|list|search|show|query|verify|compare-versions|get-selections|print-)")

_LONG = 100  # words of a condition


def is_test(node: shell.Node) -> bool:
    """Return True if ``node`` may fail in normal operation: a test, a search, a negation."""
    if isinstance(node, shell.Command):
        word = node.words[0].literal if node.words else None
        if word in ("[", "test") and len(node.words) > 2 and node.words[1].literal in ("-d", "-e"):
            return False  # is there a folder: there is, when something was put in
        if word in ("dpkg", "rpm"):  # they ask with these options, and install with others
            return len(node.words) > 1 and bool(_ASKS.match(node.words[1].literal or ""))
        return word in TESTS or (word == "command" and len(node.words) > 1)
    if isinstance(node, shell.Pipeline):
        return node.negated or is_test(node.parts[-1])
    if isinstance(node, shell.AndOr):
        return is_test(node.first)
    return isinstance(node, shell.Test)


def decisive(tree: shell.Sequence) -> shell.Node | None:
    """Return the chain of ``&&`` by whose status a script ends, None when it ends by something else."""
    if not tree.items or tree.items[-1].terminator == "&":
        return None
    node = last = tree.items[-1].node
    while isinstance(node, shell.AndOr):
        if node.operator != "&&":
            return None
        node = node.first
    return last


def condition_of(node: shell.Node) -> str:
    """Return a text that is the same for equal conditions; a very long one is equal to no other."""
    raw = (word.raw for _, command in shell.commands(node) for word in command.words)
    words = list(islice(raw, _LONG + 1))
    if len(words) > _LONG:
        words[_LONG:] = [str(node.span)]
    return " ".join(words) or str(node.span.start)
