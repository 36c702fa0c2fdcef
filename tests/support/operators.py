"""How a script's commands are joined, for tests."""

from __future__ import annotations

from cleanroom.syntax.shell import AndOr, Node, Pipeline, Sequence


def operators(node: Node) -> list[str]:
    """Return what joins the commands of the outermost list and its pipelines, in order."""
    if isinstance(node, Sequence):
        found = [operator for item in node.items for operator in (*operators(item.node), item.terminator) if operator]
        # What ends the last line joins nothing.
        return found[:-1] if node.items and node.items[-1].terminator in {"\n", ";"} else found
    if isinstance(node, AndOr):
        return [*operators(node.first), node.operator, *operators(node.second)]
    if isinstance(node, Pipeline):
        return ["|"] * (len(node.parts) - 1)
    return []
