"""The library as data: ``recipes.json`` has everything, ``managers/ID.json`` one manager, ``index.json`` names them.

``schemas/recipes-1.schema.json`` describes the document; a manager in it is as ``recipes/recipe.schema.json`` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Recipe
from cleanroom.recipes.plain import plain
from cleanroom.recipes.query import answers
from cleanroom.version import __version__

SCHEMA = "cleanroom/recipes/1"
LICENSE = "CC0-1.0"  # of the recipes that ship


def render(library: Library) -> Mapping[str, str]:
    """Return the documents by their paths."""
    managers = [manager(recipe) for recipe in library.recipes()]
    head = {"schema": SCHEMA, "version": __version__, "license": LICENSE}
    files = {"recipes.json": _text({**head, "managers": managers})}
    index = []
    for recipe, data in zip(library.recipes(), managers, strict=True):
        path = f"managers/{recipe.id}.json"
        answer = {kind: said.text for kind, said in answers(recipe, library).items()}
        files[path] = _text({**head, "manager": data, "answer": answer})
        executables = [name for program in recipe.programs for name in program.names]
        index.append(
            {
                "id": recipe.id,
                "name": recipe.name,
                "summary": recipe.summary,
                "aliases": list(recipe.aliases),
                "executables": executables,
                "answer": answer,
                "path": path,
            }
        )
    files["index.json"] = _text({**head, "managers": index})
    return files


def manager(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as plain data, as in its YAML file."""
    data = plain(recipe)
    assert isinstance(data, dict)
    data.pop("origin", None)
    return data


def _text(data: object) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
