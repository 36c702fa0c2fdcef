"""What keeps caches that an image carries out of it: for one cache, and for all of a manager's in a layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cleanroom.engine.ledger import Layer, Outcome
from cleanroom.images.image import Configuration
from cleanroom.lint.findings import Advice
from cleanroom.lint.rules import advice
from cleanroom.recipes.facts import applies, home_of, remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Recipe, Remedy


class Advisor:
    """Knows the remedies: for the command that filled a cache, or in general where that command is not known."""

    def __init__(self, library: Library, base: Base, configuration: Configuration) -> None:
        self.library = library
        self._base = base
        self._user = configuration.user.partition(":")[0] or "root"

    def each(self, recipe: Recipe, cache: str, outcome: Outcome | None) -> tuple[Advice, ...]:
        """Return the remedies for one cache."""
        if outcome is not None:
            return tuple(advice(outcome.fill, outcome.layer))
        return tuple(
            Advice(remedy.kind, self._text(remedy)) for remedy in self._holding(recipe) if cache in remedy.caches
        )

    def together(self, manager: str, caches: Collection[str], outcomes: Sequence[Outcome]) -> tuple[Advice, ...]:
        """Return the fewest remedies that keep all these caches of a manager out of a layer."""
        recipe = self.library.find(manager)
        layer = next((item.layer for item in outcomes if item.fill.recipe.id == manager), None)
        remedies = self._holding(recipe, layer)
        wanted = set(caches)
        chosen: list[Advice] = []
        for kinds in (("clean", "prevent"), ("mount",)):
            while wanted:
                useful = [item for item in remedies if item.kind in kinds and wanted & set(item.caches)]
                if not useful:
                    break
                best = max(useful, key=lambda item: len(wanted & set(item.caches)))
                chosen.append(Advice(best.kind, self._text(best, layer)))
                wanted -= set(best.caches)
        return tuple(chosen)

    def _holding(self, recipe: Recipe, layer: Layer | None = None) -> list[Remedy]:
        user = layer.user.partition(":")[0] if layer is not None else "root"
        return [
            remedy
            for remedy in recipe.remedies
            if applies(remedy.versions, remedy.bases, self._base, recipe.id) is True
            and (user in ("root", "0") or not remedy.root_only)
        ]

    def _text(self, remedy: Remedy, layer: Layer | None = None) -> str:
        return remedy_text(remedy, layer.home if layer is not None else home_of(self._user, self._base))
