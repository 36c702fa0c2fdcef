"""Where recipes are read from: what ships, as one file of JSON, and files of YAML."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from cleanroom.recipes.library import BUILTIN, Supply
from cleanroom.recipes.model import FOLDER, INSTALLED, Base, Recipe, RecipeError, RecipeProblem

_BASES = "bases.yaml"
_COMPILED = "all.json"
_MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.py")


class _Compiled(msgspec.Struct, frozen=True):
    """All that a folder holds. ``origin`` of a recipe is the name of its file."""

    recipes: tuple[Recipe, ...]
    bases: tuple[Base, ...]


def shipped(folder: str | os.PathLike[str] = FOLDER) -> Supply:
    """Return the recipes and base images in a folder of ours, which are taken as valid. Raises RecipeError."""
    folder = os.fspath(folder)
    found = _compiled(folder) or _from_yaml(folder)
    recipes = tuple(replace(recipe, origin=os.path.join(folder, recipe.origin)) for recipe in found.recipes)
    return Supply(BUILTIN, recipes, found.bases)


def compile_yaml(folder: str) -> str:
    """Write all that a folder of ours holds as one file of JSON in it, and return the name of that file."""
    from cleanroom.recipes.plain import plain

    found = _from_yaml(folder)
    file = os.path.join(folder, _COMPILED)
    with open(f"{file}.new", "wb") as stream:
        stream.write(msgspec.json.encode({"recipes": plain(found.recipes), "bases": plain(found.bases)}))
    os.replace(f"{file}.new", file)
    return file


def _compiled(folder: str) -> _Compiled | None:
    """Return what the JSON in a folder says; None where there is none, or where the YAML beside it may say more."""
    file = os.path.join(folder, _COMPILED)
    try:
        with open(file, "rb") as stream:
            found = msgspec.json.decode(stream.read(), type=_Compiled)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    if INSTALLED or _is_fresh(folder, os.stat(file).st_mtime_ns, [recipe.origin for recipe in found.recipes]):
        return found
    return None


def _is_fresh(folder: str, written: int, names: list[str]) -> bool:
    """Return True if nothing in a checkout is newer than what was ``written``, and the same recipes are there."""
    proofs = os.path.join(folder, "proofs")
    places = [_MODEL, *([proofs] if os.path.isdir(proofs) else [])]
    yaml = [entry for entry in os.scandir(folder) if entry.name.endswith(".yaml")]
    newest = [os.stat(place).st_mtime_ns for place in places]
    newest += [entry.stat().st_mtime_ns for entry in yaml]
    newest += [entry.stat().st_mtime_ns for place in places[1:] for entry in os.scandir(place)]
    return max(newest) < written and sorted(entry.name for entry in yaml if entry.name != _BASES) == sorted(names)


def _from_yaml(folder: str) -> _Compiled:
    from cleanroom.recipes.load import parse_bases, parse_recipe, with_measures

    recipes = []
    for name in _recipe_names(folder):
        file = os.path.join(folder, name)
        recipes.append(replace(with_measures(parse_recipe(_read(file), file)), origin=name))
    bases = os.path.join(folder, _BASES)
    return _Compiled(tuple(recipes), parse_bases(_read(bases), bases) if os.path.isfile(bases) else ())


def given(
    path: str | os.PathLike[str], provider: str, blame: Callable[[str], None] | None = None
) -> tuple[Supply, list[RecipeError]]:
    """Return the recipes of others in a folder or one file of YAML that are valid, and what is wrong with the rest."""
    path = os.fspath(path)
    bases_file = os.path.join(path, _BASES)
    try:
        files = [os.path.join(path, name) for name in _recipe_names(path)]
    except NotADirectoryError:
        files = [path]
    except OSError as error:
        return Supply(provider), [_error(path, _reason(error))]
    problems: list[RecipeError] = []
    recipes: dict[str, Recipe] = {}
    if not files and not os.path.isfile(bases_file):
        problems.append(_error(path, "no recipe (*.yaml) in this folder"))
    for file in files:
        try:
            recipe = _valid_recipe(file)
        except RecipeError as error:
            problems.append(error)
            continue
        if recipe.id in recipes:
            there = recipes[recipe.id].origin
            problems.append(_error(file, f"the recipe {recipe.id!r} is there already, in {there}"))
        else:
            recipes[recipe.id] = recipe
    try:
        bases = _valid_bases(bases_file)
    except RecipeError as error:
        problems.append(error)
        bases = ()
    return Supply(provider, tuple(recipes[name] for name in sorted(recipes)), bases, blame), problems


def in_one_line(error: RecipeError) -> str:
    """Return what is wrong with a recipe: of many problems the first."""
    more = len(error.problems) - 1
    return f"{error.problems[0]}" + (f" (and {more} more; cleanroom recipes validate shows them)" if more else "")


def _valid_recipe(file: str) -> Recipe:
    from cleanroom.recipes.load import parse_recipe, with_measures
    from cleanroom.recipes.validate import validate_recipe

    data = _read(file)
    if problems := validate_recipe(data, file):
        raise RecipeError(problems)
    return with_measures(parse_recipe(data, file))


def _valid_bases(file: str) -> tuple[Base, ...]:
    if not os.path.isfile(file):
        return ()
    from cleanroom.recipes.load import parse_bases
    from cleanroom.recipes.validate import validate_bases

    data = _read(file)
    if problems := validate_bases(data, file):
        raise RecipeError(problems)
    return parse_bases(data, file)


def _error(file: str, message: str) -> RecipeError:
    return RecipeError([RecipeProblem(file, 1, 1, message)])


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _recipe_names(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".yaml") and name != _BASES)


def _read(file: str) -> bytes:
    """Return what is in a file. Raises RecipeError."""
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise _error(file, _reason(error)) from None
