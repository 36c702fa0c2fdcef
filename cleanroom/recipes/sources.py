"""Where recipes are read from: what ships, and files of YAML. Neither reads a recipe before it is asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cleanroom.recipes.claims import claims_in, claims_of
from cleanroom.recipes.model import RecipeError, RecipeProblem

if TYPE_CHECKING:
    from typing import Protocol

    from cleanroom.recipes.model import Base, Claims, Recipe

    class Source(Protocol):
        """What a library reads from."""

        def ids(self) -> list[str]:
            """Return which recipes there are, sorted."""

        def file(self, identifier: str) -> str:
            """Return where the recipe with this id stands."""

        def claims(self, identifier: str) -> Claims:
            """Return what the recipe with this id goes by. Raises RecipeError."""

        def recipe(self, identifier: str) -> Recipe:
            """Return the recipe with this id. Raises RecipeError."""

        def bases(self) -> tuple[Base, ...]:
            """Return what is known of base images. Raises RecipeError."""


_BASES = "bases.yaml"


class Files:
    """The recipes in a folder of YAML, each in the file named for it, and the base images in its ``bases.yaml``.

    They are taken as valid: these are our own.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)

    def ids(self) -> list[str]:
        """Return which recipes there are, sorted."""
        return [name.removesuffix(".yaml") for name in _recipe_names(self._folder)]

    def claims(self, identifier: str) -> Claims:
        """Return what the recipe with this id goes by. Raises RecipeError."""
        text = _read(self.file(identifier)).decode(errors="replace")
        return claims_in(text) or claims_of(self.recipe(identifier))

    def recipe(self, identifier: str) -> Recipe:
        """Return the recipe with this id. Raises RecipeError."""
        from cleanroom.recipes.load import parse_recipe, with_measures

        file = self.file(identifier)
        return with_measures(parse_recipe(_read(file), file))

    def bases(self) -> tuple[Base, ...]:
        """Return what ``bases.yaml`` lists, nothing where there is none. Raises RecipeError."""
        file = os.path.join(self._folder, _BASES)
        if not os.path.isfile(file):
            return ()
        from cleanroom.recipes.load import parse_bases

        return parse_bases(_read(file), file)

    def file(self, identifier: str) -> str:
        """Return where the recipe with this id stands."""
        return os.path.join(self._folder, f"{identifier}.yaml")


class Given:
    """Recipes from others, in a folder or one file of YAML: each is validated when it is read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = os.fspath(path)
        self.troubles: list[RecipeError] = []  # with what has no recipe, or not one whose id can be told
        self._files: dict[str, str] = {}
        self._claims: dict[str, Claims] = {}
        self._bases = os.path.join(path, _BASES)
        try:
            files = [os.path.join(path, name) for name in _recipe_names(path)]
        except NotADirectoryError:
            files = [path]
        except OSError as error:
            self.troubles.append(_error(path, _reason(error)))
            return
        if not files and not os.path.isfile(self._bases):
            self.troubles.append(_error(path, "no recipe (*.yaml) in this folder"))
        for file in files:
            self._note(file)

    def _note(self, file: str) -> None:
        try:
            claims = claims_in(_read(file).decode(errors="replace")) or claims_of(self._parse(file))
        except OSError as error:
            self.troubles.append(_error(file, _reason(error)))
            return
        except ValueError as error:
            self.troubles.append(error)  # type: ignore[arg-type]  # what _parse raises
            return
        if claims.id in self._files:
            self.troubles.append(
                _error(file, f"the recipe {claims.id!r} is there already, in {self._files[claims.id]}")
            )
            return
        self._files[claims.id] = file
        self._claims[claims.id] = claims

    def ids(self) -> list[str]:
        """Return which recipes there are, sorted."""
        return sorted(self._files)

    def file(self, identifier: str) -> str:
        """Return where the recipe with this id stands."""
        return self._files[identifier]

    def claims(self, identifier: str) -> Claims:
        """Return what the recipe with this id goes by."""
        return self._claims[identifier]

    def recipe(self, identifier: str) -> Recipe:
        """Return the recipe with this id. Raises RecipeError, OSError."""
        return self._parse(self._files[identifier])

    def bases(self) -> tuple[Base, ...]:
        """Return what ``bases.yaml`` lists, nothing where there is none. Raises RecipeError."""
        if not os.path.isfile(self._bases):
            return ()
        from cleanroom.recipes.load import parse_bases
        from cleanroom.recipes.validate import validate_bases

        data = _read(self._bases)
        if problems := validate_bases(data, self._bases):
            raise RecipeError(problems)
        return parse_bases(data, self._bases)

    def _parse(self, file: str) -> Recipe:
        from cleanroom.recipes.load import parse_recipe, with_measures
        from cleanroom.recipes.validate import validate_recipe

        data = _read(file)
        if problems := validate_recipe(data, file):
            raise RecipeError(problems)
        return with_measures(parse_recipe(data, file))


def _error(file: str, message: str) -> RecipeError:
    return RecipeError([RecipeProblem(file, 1, 1, message)])


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _recipe_names(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".yaml") and name != _BASES)


def _read(file: str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read()
