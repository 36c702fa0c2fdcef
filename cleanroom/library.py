"""All recipes: by id, alias and executable; read from their files when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cleanroom.load import RECIPES, parse_bases, parse_recipe
from cleanroom.recipe import Base, Program, Recipe


class UnknownManager(KeyError):  # noqa: N818 - public name
    """No recipe goes by this name; ``suggestions`` are names that are close."""

    def __init__(self, name: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.suggestions = suggestions


class Library:
    """Recipes and base images from one folder, and recipes added by hand. Safe to share between threads."""

    def __init__(self, folder: Path = RECIPES, recipes: Iterable[Recipe] = ()) -> None:
        self._folder = folder
        self._added = {recipe.id: recipe for recipe in recipes}
        self._known: dict[str, Recipe] = {}
        self._all: tuple[Recipe, ...] | None = None
        self._bases: tuple[Base, ...] | None = None
        self._exact: dict[str, tuple[Recipe, Program]] = {}
        self._globs: list[tuple[str, Recipe, Program]] = []
        self._modules: dict[str, tuple[Recipe, Program]] = {}
        self._files: frozenset[str] | None = None
        self._base_cache: dict[str, Base] = {}

    def find(self, name: str) -> Recipe:
        """Return the recipe with this id, alias or executable. Raises UnknownManager."""
        if name in self._added:
            return self._added[name]
        if name.replace("-", "").isalnum() and (self._folder / f"{name}.yaml").is_file() and name != "bases":
            return self._read(name)
        for recipe in self.recipes():
            if name in recipe.aliases:
                return recipe
        if found := self.program(name):
            return found[0]
        from difflib import get_close_matches

        names = sorted({n for recipe in self.recipes() for n in (recipe.id, *recipe.aliases)})
        raise UnknownManager(name, tuple(get_close_matches(name.lower(), names, n=3)))

    def recipes(self) -> tuple[Recipe, ...]:
        """Return all recipes, sorted by id."""
        if self._all is None:
            names = sorted(path.stem for path in self._folder.glob("*.yaml") if path.stem != "bases")
            read = {name: self._read(name) for name in names} | self._added
            self._all = tuple(read[name] for name in sorted(read))
            exact: dict[str, tuple[Recipe, Program]] = {}
            globs: list[tuple[str, Recipe, Program]] = []
            for recipe in self._all:
                for program in recipe.programs:
                    for name in program.names:
                        if any(character in name for character in "*?["):
                            globs.append((name, recipe, program))
                        else:
                            exact[name] = (recipe, program)
                    for module in program.modules:
                        self._modules[module] = (recipe, program)
            self._globs = globs
            self._exact = exact
        return self._all

    def program(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose executable ``name`` (a base name) is."""
        self.recipes()
        found = self._exact.get(name)
        if found is None:
            for pattern, recipe, program in self._globs:
                if fnmatchcase(name, pattern):
                    return recipe, program
        return found

    def module(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose Python module (``python -m NAME``) this is."""
        self.recipes()
        return self._modules.get(name)

    def files(self) -> frozenset[str]:
        """Return the base names (globs) of all files that tell something of a manager: configuration, signs."""
        if self._files is None:
            self._files = frozenset(
                file.rpartition("/")[2]
                for recipe in self.recipes()
                for items in (recipe.preventions, recipe.settings, recipe.lean, recipe.signs)
                for item in items
                for file in item.files
            )
        return self._files

    def base(self, image: str) -> Base:
        """Return what is known of a base image: all entries that match, later ones over earlier ones."""
        if image not in self._base_cache:
            if self._bases is None:
                path = self._folder / "bases.yaml"
                self._bases = parse_bases(path.read_bytes(), str(path)) if path.is_file() else ()
            names, tag = image_names(image)
            merged: dict[str, Any] = {"images": (image,), "environment": {}, "versions": {}, "files": ()}
            for base in self._bases:
                if not any(fnmatchcase(name, glob) for name in names for glob in base.images):
                    continue
                if base.tags and not any(fnmatchcase(tag, glob) for glob in base.tags):
                    continue
                for key in ("family", "sh", "user", "uid", "home"):
                    if value := getattr(base, key):
                        merged[key] = value
                merged["environment"] |= base.environment
                merged["versions"] |= base.versions
                if base.files or base.family:
                    merged["files"] = base.files or merged["files"]
            merged["environment"] = MappingProxyType(merged["environment"])
            merged["versions"] = MappingProxyType(merged["versions"])
            self._base_cache[image] = Base(**merged)
        return self._base_cache[image]

    def _read(self, name: str) -> Recipe:
        if name not in self._known:
            path = self._folder / f"{name}.yaml"
            self._known[name] = parse_recipe(path.read_bytes(), str(path))
        return self._known[name]


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
    """Return the library of the recipes that ship with cleanroom."""
    global _DEFAULT
    if _DEFAULT is None:
        _DEFAULT = Library()
    return _DEFAULT
