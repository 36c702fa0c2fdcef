"""All recipes: by id, alias and executable; each is read when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from types import MappingProxyType

from cleanroom.globs import is_glob, matches
from cleanroom.recipe import Base, Claims, Program, Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, TypeAlias

    from cleanroom.load import Files

    _Added: TypeAlias = tuple[str, str, Callable[[str], None]]  # by whom, the file or folder, whom to tell of problems
    _Place: TypeAlias = tuple[str, int]  # a recipe's id, and which of its programs


class UnknownManager(KeyError):  # noqa: N818 - public name
    """No recipe goes by this name; ``suggestions`` are names that are close."""

    def __init__(self, name: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.suggestions = suggestions


class Compiled:
    """The recipes that ship, as the Python that ``hatch_build.py`` made of them when the wheel was built."""

    def __init__(self) -> None:
        """Raise ModuleNotFoundError where there are none: in a checkout and an editable installation."""
        self.claims: Mapping[str, Claims] = import_module("cleanroom._compiled").CLAIMS

    def ids(self) -> list[str]:
        """Return which recipes there are, sorted."""
        return sorted(self.claims)

    def recipe(self, identifier: str) -> Recipe:
        """Return the recipe with this id."""
        recipe: Recipe = import_module(f"cleanroom._compiled.recipe_{identifier}").RECIPE
        return recipe

    def bases(self) -> tuple[Base, ...]:
        """Return what ``bases.yaml`` lists."""
        bases: tuple[Base, ...] = import_module("cleanroom._compiled.bases").BASES
        return bases


class Library:
    """Recipes and base images, and recipes added by hand. Safe to share between threads.

    They come from the YAML in ``folder``; without one they are those that ship.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        recipes: Iterable[Recipe] = (),
        providers: Mapping[str, str] = MappingProxyType({}),
        like: Library | None = None,
    ) -> None:
        """Take ``recipes`` besides; one that ``replaces`` another stands in for it. ``providers``: who added each.

        ``like`` is a library to read from in place of ``folder``.
        """
        self._source: Compiled | Files = _source(folder) if like is None else like._source
        self._known = {recipe.id: recipe for recipe in recipes}
        replaced = {recipe.replaces for recipe in self._known.values()} - {*self._known}
        self._ids = sorted({*self._source.ids(), *self._known} - replaced)
        self._providers = providers
        self._bases: tuple[Base, ...] | None = None
        self._names: _Names | None = None
        self._files: tuple[dict[str, list[str]], list[tuple[str, str]]] | None = None
        self._base_cache: dict[str, Base] = {}

    def find(self, name: str) -> Recipe:
        """Return the recipe with this id, alias or executable. Raises UnknownManager."""
        if name in self._ids:
            return self._recipe(name)
        claims = [self._claims(identifier) for identifier in self._ids]
        for claim in claims:
            if name in claim.aliases:
                return self._recipe(claim.id)
        if found := self.program(name):
            return found[0]
        from difflib import get_close_matches

        names = sorted({name for claim in claims for name in (claim.id, *claim.aliases)})
        raise UnknownManager(name, tuple(get_close_matches(name.lower(), names, n=3)))

    def recipes(self) -> tuple[Recipe, ...]:
        """Return all recipes, sorted by id."""
        return tuple(self._recipe(identifier) for identifier in self._ids)

    def provider(self, identifier: str) -> str:
        """Return who added the recipe with this id: a plugin, a folder; ``built-in`` for what ships."""
        return self._providers.get(identifier, "built-in")

    def program(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose executable ``name`` (a base name) is."""
        names = self._all_names()
        found = names.exact.get(name)
        if found is None:
            found = next((place for pattern, place in names.globs if matches(name, pattern)), None)
        return self._program(found)

    def module(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose Python module (``python -m NAME``) this is."""
        return self._program(self._all_names().modules.get(name))

    def files(self) -> frozenset[str]:
        """Return the base names (globs) of all files that tell something of a manager."""
        exact, globs = self._all_files()
        return frozenset((*exact, *(pattern for pattern, _ in globs)))

    def about(self, file: str) -> tuple[Recipe, ...]:
        """Return the recipes to which a file of this base name may tell something: configuration, signs."""
        exact, globs = self._all_files()
        found = {*exact.get(file, ()), *(identifier for pattern, identifier in globs if matches(file, pattern))}
        return tuple(map(self._recipe, sorted(found)))

    def base(self, image: str) -> Base:
        """Return what is known of a base image: all entries that match, later ones over earlier ones."""
        if image not in self._base_cache:
            if self._bases is None:
                self._bases = self._source.bases()
            names, tag = image_names(image)
            merged: dict[str, Any] = {"images": (image,), "environment": {}, "versions": {}, "uids": {}, "files": ()}
            for base in self._bases:
                if not any(matches(name, glob) for name in names for glob in base.images):
                    continue
                if base.tags and not any(matches(tag, glob) for glob in base.tags):
                    continue
                for key in ("family", "sh", "user", "home"):
                    if value := getattr(base, key):
                        merged[key] = value
                merged["environment"] |= base.environment
                merged["versions"] |= base.versions
                merged["uids"] |= base.uids
                if base.files or base.family:
                    merged["files"] = base.files or merged["files"]
            merged["environment"] = MappingProxyType(merged["environment"])
            merged["versions"] = MappingProxyType(merged["versions"])
            merged["uids"] = MappingProxyType(merged["uids"])
            self._base_cache[image] = Base(**merged)
        return self._base_cache[image]

    def _recipe(self, identifier: str) -> Recipe:
        if identifier not in self._known:
            self._known[identifier] = self._source.recipe(identifier)
        return self._known[identifier]

    def _claims(self, identifier: str) -> Claims:
        if identifier in self._known or identifier not in self._source.claims:
            return claims_of(self._recipe(identifier))
        return self._source.claims[identifier]

    def _program(self, place: _Place | None) -> tuple[Recipe, Program] | None:
        if place is None:
            return None
        recipe = self._recipe(place[0])
        return recipe, recipe.programs[place[1]]

    def _all_files(self) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
        """Return what tells something of which managers: ids by base name, and pairs of a glob and an id."""
        if self._files is None:
            exact: dict[str, list[str]] = {}
            globs = []
            for identifier in self._ids:
                for file in self._claims(identifier).files:
                    if is_glob(file):
                        globs.append((file, identifier))
                    else:
                        exact.setdefault(file, []).append(identifier)
            self._files = exact, globs
        return self._files

    def _all_names(self) -> _Names:
        if self._names is None:
            names = _Names()
            for identifier in self._ids:
                claims = self._claims(identifier)
                for index, (executables, modules) in enumerate(claims.programs):
                    place = (identifier, index)
                    for name in executables:
                        if is_glob(name):
                            names.globs.append((name, place))
                        else:
                            names.exact[name] = place
                    names.modules |= dict.fromkeys(modules, place)
            self._names = names
        return self._names


class _Names:
    """Whose each executable and module is."""

    __slots__ = ("exact", "globs", "modules")

    def __init__(self) -> None:
        self.exact: dict[str, _Place] = {}
        self.globs: list[tuple[str, _Place]] = []
        self.modules: dict[str, _Place] = {}


def claims_of(recipe: Recipe) -> Claims:
    """Return what a recipe goes by."""
    telling = (recipe.preventions, recipe.settings, recipe.lean, recipe.signs)
    return Claims(
        recipe.id,
        recipe.aliases,
        tuple((program.names, program.modules) for program in recipe.programs),
        tuple({file.rpartition("/")[2]: None for items in telling for item in items for file in item.files}),
    )


def _source(folder: str | os.PathLike[str] | None) -> Compiled | Files:
    if folder is None:
        try:
            return Compiled()
        except ModuleNotFoundError:
            pass
    from cleanroom.load import Files

    return Files() if folder is None else Files(folder)


def image_names(image: str) -> tuple[tuple[str, ...], str]:
    """Return the names an image goes by in ``bases.yaml`` (whole, without registry, without ``library/``) and its tag.

    >>> image_names("docker.io/library/debian:12@sha256:0")
    (('docker.io/library/debian', 'library/debian', 'debian'), '12')
    """
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}{slash}{last}"
    names = [name]
    first, slash, rest = name.partition("/")
    if slash and (any(character in first for character in ".:") or first == "localhost"):
        names.append(rest)
    if names[-1].startswith("library/"):
        names.append(names[-1].removeprefix("library/"))
    return tuple(names), tag or "latest"


_DEFAULT: Library | None = None


def load() -> Library:
    """Return the library of the recipes that ship with cleanroom and of those that plugins add."""
    global _DEFAULT
    if _DEFAULT is None:
        from cleanroom import plugins

        found = plugins.active()
        folders: list[_Added] = []
        if len(found.all) > 1:
            import os

            for plugin, path in found.yielded("cleanroom_recipes", (str, os.PathLike), os.fspath):  # type: ignore[arg-type]
                if plugin is not found.builtin:
                    folders.append((plugin.title, os.fspath(path), partial(plugins.blame, plugin)))
        _DEFAULT = _extended(folders) if folders else Library()
    return _DEFAULT


def load_with(folders: tuple[str, ...]) -> Library:
    """Return the library with the recipes in ``folders`` (or files) besides. Raises RecipeError for a bad one."""
    return _load_with(folders) if folders else load()


@cache
def _load_with(folders: tuple[str, ...]) -> Library:
    from cleanroom.load import RecipeError, RecipeProblem

    problems: list[RecipeProblem] = []

    def note(folder: str, message: str) -> None:
        problems.append(RecipeProblem(folder, 1, 1, message))

    library = _extended([(folder, folder, partial(note, folder)) for folder in folders], load())
    if problems:
        raise RecipeError(problems)
    return library


def _extended(added: Sequence[_Added], library: Library | None = None) -> Library:
    """Return a library with recipes of others; one that cannot be taken is left out and blamed on who added it."""
    from cleanroom.load import read_added, validate_set

    library = library or Library()
    known = {recipe.id: recipe for recipe in library.recipes()}
    providers = {identifier: library.provider(identifier) for identifier in known}
    for title, path, blame in added:
        for recipe in read_added(path, blame):
            replaced = recipe.replaces
            others = [each for each in known.values() if each.id != replaced]
            claimed = [item.message for item in validate_set([*others, recipe]) if "claimed" in item.message]
            if replaced and replaced not in known:
                blame(f"{recipe.origin}: replaces {replaced!r}, which is no recipe")
            elif claimed:
                who = {each.id: providers[each.id] for each in others}
                hint = (
                    f" of {who[recipe.id]}; to stand in for it, say replaces: {recipe.id}" if recipe.id in who else ""
                )
                blame(f"{recipe.origin}: {claimed[0]}{hint}")
            else:
                known.pop(replaced, None)
                known[recipe.id] = recipe
                providers[recipe.id] = title
    return Library(
        recipes=[recipe for recipe in known.values() if providers[recipe.id] != "built-in"],
        providers=providers,
        like=library,
    )
