"""Selectors: how findings are named in ``--select``, settings and comments.

A selector is a rule, which may be narrowed to a manager or to one of its caches, or a manager alone: ``left-behind``,
``left-behind[apt]``, ``left-behind[apt.lists]``, ``apt``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from cleanroom.lint.findings import Finding
from cleanroom.recipes.library import Library, UnknownManager
from cleanroom.recipes.model import Recipe
from cleanroom.suggest import did_you_mean

_SELECTOR = re.compile(r"(?P<rule>[^\[\]]*)(?:\[(?P<manager>[^.\[\]]+)(?:\.(?P<cache>[^.\[\]]+))?\])?")


class UnknownName(ValueError):  # noqa: N818 - public name
    """A name that means nothing here. The message is for the person who gave it, ``where`` says where names are."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{message} ({where})" if where else message)
        self.message = message


def selects(selector: str, finding: Finding) -> bool:
    """Return True if a selector means this finding."""
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        return False
    rule, manager, cache = match.groups()
    if manager is None and rule == finding.manager:
        return True
    return (
        (not rule or rule == finding.rule)
        and (manager is None or manager == finding.manager)
        and (cache is None or cache == finding.cache)
    )


def resolve(selector: str, rules: Collection[str], library: Library) -> str:
    """Return a selector with its manager by the id of the recipe. Raises UnknownName."""
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise UnknownName(f"{selector!r} is no rule; write left-behind, left-behind[apt] or left-behind[apt.lists]")
    name, manager, cache = match.groups()
    if not manager:
        if name in rules or name in library.ids():
            return name
        try:
            return library.find(name).id
        except UnknownManager:
            return known_rule(name, rules, library.ids())
    rule = known_rule(name, rules)
    recipe = find_recipe(library, manager)
    if not cache:
        return f"{rule}[{recipe.id}]"
    known = [item.id for item in recipe.caches]
    if cache not in known:
        message = f"{recipe.id} has no cache {cache!r}{did_you_mean(cache, known)}"
        raise UnknownName(message, f"it has: {', '.join(known)}")
    return f"{rule}[{recipe.id}.{cache}]"


def known_rule(name: str, rules: Collection[str], others: Collection[str] = ()) -> str:
    """Return the name of a rule. Raises UnknownName, whose hint may be one of the names ``others`` too."""
    if name not in rules:
        hint = did_you_mean(name, [*rules, *others])
        raise UnknownName(f"there is no rule {name!r}{hint}", f"there are: {', '.join(rules)}")
    return name


def find_recipe(library: Library, name: str) -> Recipe:
    """Return the recipe of the manager called ``name``. Raises UnknownName."""
    try:
        return library.find(name)
    except UnknownManager as error:
        hint = f"; did you mean {' or '.join(map(repr, error.suggestions))}?" if error.suggestions else ""
        raise UnknownName(f"no recipe for {name!r}{hint}", "`cleanroom list` names all") from None
