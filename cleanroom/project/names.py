"""Names that people give: managers and rules. For what is unknown, the error says what may have been meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cleanroom.suggest import did_you_mean

if TYPE_CHECKING:
    from cleanroom.lint.rules import Rule
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import Recipe

_SELECTOR = re.compile(r"(?P<rule>[^\[\]]*)(?:\[(?P<manager>[^.\[\]]+)(?:\.(?P<cache>[^.\[\]]+))?\])?")


class UnknownName(ValueError):  # noqa: N818 - public name
    """A name that means nothing here; the message is for the person who gave it."""


def manager(library: Library, name: str) -> Recipe:
    """Return the recipe of the manager called ``name``. Raises UnknownName."""
    from cleanroom.recipes.library import UnknownManager

    try:
        return library.find(name)
    except UnknownManager as error:
        hint = f"; did you mean {' or '.join(map(repr, error.suggestions))}?" if error.suggestions else ""
        raise UnknownName(f"no recipe for {name!r}{hint} (`cleanroom list` names all)") from None


def rule(name: str) -> Rule:
    """Return the rule called ``name``, which may come with a finding's ``[manager.cache]``. Raises UnknownName."""
    from cleanroom.lint.check import RULES

    bare = name.partition("[")[0]
    if bare not in RULES:
        raise UnknownName(f"no such rule: {bare!r}{did_you_mean(bare, RULES)} (there are: {', '.join(RULES)})")
    return RULES[bare]


def selectors(given: Iterable[str], library: Library) -> tuple[str, ...]:
    """Return the selectors in ``given``, each of which may be a comma-separated list, with managers by their ids.

    A selector is a rule, which may be narrowed to a manager or a cache, or a manager alone. Raises UnknownName.
    """
    return tuple(_selector(part.strip(), library) for item in given for part in item.split(",") if part.strip())


def _selector(selector: str, library: Library) -> str:
    from cleanroom.lint.check import RULES

    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise UnknownName(f"{selector!r} is no rule; write left-behind, left-behind[apt] or left-behind[apt.lists]")
    if not match["manager"]:
        return selector if selector in RULES or _is_manager(selector, library) else rule(selector).name
    found = rule(match["rule"])
    recipe = manager(library, match["manager"])
    cache = match["cache"]
    if not cache:
        return f"{found.name}[{recipe.id}]"
    known = [item.id for item in recipe.caches]
    if cache not in known:
        hint = did_you_mean(cache, known)
        raise UnknownName(f"{recipe.id} has no cache {cache!r}{hint} (it has: {', '.join(known)})")
    return f"{found.name}[{recipe.id}.{cache}]"


def _is_manager(name: str, library: Library) -> bool:
    return name in library.ids()
