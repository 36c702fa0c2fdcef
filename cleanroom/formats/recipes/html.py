"""The recipes as a site: pages that work from a folder, without a server and without outside requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cleanroom.formats.pages import templates
from cleanroom.formats.recipes.pages import KINDS, by_name, executables, ways
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Lean
from cleanroom.syntax.paths import readable


def render(library: Library) -> Mapping[str, str]:
    """Return the pages by their paths. Raises ExtraMissingError."""
    environment = templates(__file__)
    environment.filters["readable"] = readable
    manager = environment.get_template("manager.html.jinja")
    pages = {}
    rows = []
    for recipe in by_name(library):
        found = list(ways(recipe, library))
        pages[f"managers/{recipe.id}.html"] = manager.render(
            recipe=recipe,
            ways=found,
            kinds=KINDS,
            executables=executables(recipe),
            largest=max((cache.typical.bytes for cache in recipe.caches if cache.typical), default=0),
            how=_how,
        )
        best = next((way.text for way in found if way.kind == "clean"), found[0].text if found else "")
        words = " ".join([recipe.id, recipe.name, recipe.summary, *recipe.aliases, *executables(recipe)]).lower()
        rows.append({"recipe": recipe, "best": best, "words": words})
    index = environment.get_template("index.html.jinja").render(rows=rows, places=list(_places(library)))
    return {"index.html": index, **pages}


def _places(library: Library) -> Iterator[Mapping[str, object]]:
    """Yield the paths of all caches in their order."""
    found = [
        (path.path, recipe, cache) for recipe in by_name(library) for cache in recipe.caches for path in cache.paths
    ]
    for path, recipe, cache in sorted(found, key=lambda place: (place[0].lower(), place[1].id)):
        words = f"{path} {recipe.id} {recipe.name} {cache.what}".lower()
        yield {"path": path, "recipe": recipe, "cache": cache, "words": words}


def _how(lean: Lean) -> str:
    """Return the first way to have a manager install less."""
    return next(iter([*lean.options, *(f"{name}={values[0]}" for name, values in lean.variables.items())]), "")
