"""What the import contract in pyproject.toml cannot say: no circle, also through lazy imports and import strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "cleanroom"


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _said(tree: ast.Module) -> Iterator[str]:
    """Yield each name that a module imports, anywhere in it, and each string that may be one to import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (name for name in re.findall(r"\Acleanroom[\w.]+", node.value) if name in MODULES)


def _room(module: str) -> str:
    """Return the file or folder, at most two steps below the package, that a module stands in."""
    return ".".join(module.split(".")[:3])


def _rooms() -> dict[str, set[str]]:
    """Return the rooms that each room imports."""
    rooms: dict[str, set[str]] = {}
    for module, tree in MODULES.items():
        found = {name if name in MODULES else name.rpartition(".")[0] for name in _said(tree)}
        rooms.setdefault(_room(module), set()).update(_room(name) for name in found if name in MODULES)
    return {room: imported - {room} for room, imported in rooms.items()}


def test_no_room_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(_rooms()).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {' <- '.join(error.args[1])}") from None


def test_few_files_stand_beside_the_packages() -> None:
    assert len([path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]) <= 9


def _lines(node: ast.AST) -> int:
    return (getattr(node, "end_lineno", 0) or 0) - getattr(node, "lineno", 0)


def test_functions_fit_a_screen() -> None:
    """Lines of text (templates) do not count; branches are counted by Ruff (PLR0912)."""
    long = {
        f"{module}.{node.name}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _lines(node) - sum(_lines(text) for text in ast.walk(node) if isinstance(text, ast.JoinedStr)) >= 60
    }
    assert long == set()
