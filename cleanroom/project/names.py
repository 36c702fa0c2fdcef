"""Names that people give: managers, rules, selectors. For what is unknown, the error says what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cleanroom.lint.selectors import UnknownName, find_recipe, known_rule, resolve
from cleanroom.registries import RULES

if TYPE_CHECKING:
    from cleanroom.lint.rules import Rule
    from cleanroom.recipes.library import Library

__all__ = ["UnknownName", "find_recipe", "rule", "selectors"]


def rule(name: str) -> Rule:
    """Return the rule called ``name``, which may come with a finding's ``[manager.cache]``. Raises UnknownName."""
    return RULES[known_rule(name.partition("[")[0], RULES)]


def selectors(given: Iterable[str], library: Library, where: str = "") -> tuple[str, ...]:
    """Return the selectors in ``given``, each of which may be a comma-separated list, with managers by their ids.

    Raises UnknownName, whose message begins with ``where``.
    """
    parts = (part.strip() for item in given for part in item.split(","))
    try:
        return tuple(resolve(part, RULES, library) for part in parts if part)
    except UnknownName as error:
        raise UnknownName(f"{where}{error}") from None
